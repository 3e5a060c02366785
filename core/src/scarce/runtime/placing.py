"""Chooses where the trained weights of a fit are."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from scarce.errors import TrainingError
from scarce.runtime.placement import Placement, Whole
from scarce.runtime.processes import Processes


def placed(named: Mapping[str, torch.nn.Parameter], processes: Processes, network: torch.nn.Module | None, batch: int) -> Placement:
    """The weights of a fit, cut over the processes where they are in `network`, else whole.

    Raises TrainingError where a batch has fewer rows than there are processes, for each must call the network.
    """
    inside = set(map(id, network.parameters())) if network is not None else set()
    if network is None or processes.size == 1 or inside.isdisjoint(map(id, named.values())):
        return Whole(named, processes)
    if batch < processes.size:
        what = f"a batch of {batch} rows is not enough for {processes.size} processes with sharded weights: each needs one"
        raise TrainingError(what, hint=f"--set train.batch={processes.size}, or --set runtime.weights=whole")
    from scarce.runtime.sharding import Sharded  # torch's part for it takes a second to import

    return Sharded(named, processes, network)
