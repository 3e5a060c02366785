"""Options of `[runtime]`: where and how a run computes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class RuntimeOptions(Options):
    """device and precision "auto" pick what is fast here; threads 0 uses every core; memory bounds resident models.

    executor carries out arms, seeds, branches and shards, `workers` of them at once (0: one after another on "local", as many as
    there is room for on a cluster).

    weights: what each process of one training holds of the network's weights while they train, with their gradients and moments:
    "whole", or its part ("sharded"); alone it holds all.

    trackers: experiment trackers by accelerate's names, such as "tensorboard".
    """

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(default=0, ge=0)
    memory_gb: float | None = Field(default=None, gt=0)
    executor: str = "local"
    workers: int = Field(default=0, ge=0)
    weights: Literal["whole", "sharded"] = "whole"
    checkpoint_seconds: float = Field(default=20.0, ge=0)
    trackers: tuple[str, ...] = ()
