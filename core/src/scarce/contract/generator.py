"""What a trained generator promises to learners, evaluators and acquisition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from scarce.contract.condition import Condition, Prompt
from scarce.contract.plan import Plan
from scarce.contract.protocols import Codec
from scarce.contract.space import Known, Space, State


class Generator(Protocol):
    """Codec, conditioners, backbone, adapters with routing and process, frozen."""

    codec: Codec
    classes: tuple[Any, ...]

    @property
    def plan(self) -> Plan:
        """How it was trained; its phases are what `losses` and `weights` can be asked of."""

    @property
    def space(self) -> Space:
        """The space samples live in."""

    def encode_condition(self, prompts: Sequence[Prompt]) -> Condition:
        """The condition of each prompt, [n]; embeddings are differentiable leaves if the caller asks for it."""

    def draw(
        self, condition: Condition, *, noise: State | None = None, seed: int = 0, grad_steps: int = 0, known: Known | None = None
    ) -> State:
        """Encoded samples, one per condition; gradients flow through the last `grad_steps` network calls."""

    def sample(self, prompts: Sequence[Prompt], *, seed: int, known: Known | None = None) -> Any:
        """Finished records, one per prompt; same prompts and seed, same records."""

    def losses(self, state: State, condition: Condition, *, phase: str, seed: int) -> Tensor:
        """[n] denoising losses of clean encoded samples after a phase, one draw of t and noise each; equal seeds, equal draws."""

    def weights(self, phase: str) -> Mapping[str, Tensor]:
        """Backbone and conditioner weights after a phase by name, without adapters."""
