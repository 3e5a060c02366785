"""The frozen generator: codec, conditioners, backbone, adapters with routing, and process, as one thing that samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scarce.contract.condition import Condition, Prompt, stack
from scarce.contract.plan import BASE, Plan
from scarce.contract.protocols import Codec
from scarce.contract.space import Known, Space, State, join
from scarce.diffusion.guidance import guided
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample, times_of
from scarce.host.hooks import Scope
from scarce.runs.model import Model
from scarce.runs.sections import Generate
from scarce.runtime.runtime import SharedRuntime
from scarce.runtime.seeds import derive, generator


class TrainedGenerator:
    """See `contract.Generator`. Conditions are routed by label to the leaf of the plan that serves them."""

    def __init__(self, *, model: Model, process: Process, codec: Codec, options: Generate, runtime: SharedRuntime) -> None:
        self.model = model
        self.process = process
        self.codec = codec
        self.options = options
        self.runtime = runtime
        self.classes = model.conditions.classes
        self.scope: Scope | None = None  # the plugins of another run's generator; None when it is this run's own
        self.modality = ""
        self.home: Path | None = None  # the run folder that it can be opened from by other processes
        self.only = None if model.plan.phases else BASE  # a phase that answers everything, past the routing

    def before(self) -> TrainedGenerator:
        """The generator that this one was adapted from: what its base weights make."""
        made = TrainedGenerator(model=self.model, process=self.process, codec=self.codec, options=self.options, runtime=self.runtime)
        made.scope, made.modality, made.only = self.scope, self.modality, BASE
        return made

    @property
    def plan(self) -> Plan:
        """How it was trained."""
        return self.model.plan

    @property
    def space(self) -> Space:
        """The space samples live in."""
        return self.codec.space

    def encode_condition(self, prompts: Sequence[Prompt]) -> Condition:
        """The condition of each prompt, in order; routed, so per-leaf conditioner weights apply."""
        with torch.no_grad():
            inputs = self.model.conditions.prepare(prompts)
            parts: list[tuple[Tensor, Condition]] = []
            for leaf, rows in self._routes(inputs[-1]):
                self.model.activate(leaf)
                parts.append((rows, self.model.conditions(tuple(x[rows] for x in inputs), self._unasked(prompts, rows))))
        order = torch.argsort(torch.cat([rows for rows, _ in parts]))
        return stack([c for _, c in parts])[order]

    def draw(
        self,
        condition: Condition,
        *,
        noise: State | None = None,
        seed: int = 0,
        grad_steps: int = 0,
        known: Known | None = None,
        init: State | None = None,
    ) -> State:
        """Encoded samples, one per condition; gradients flow through the last `grad_steps` network calls.

        init: clean samples to begin at, noised for the last `strength` of the steps.
        """
        n, device, share = len(condition), self.runtime.device, 1.0 if init is None else self.options.strength
        random = generator(seed, "sampler")
        if init is not None:
            begin = times_of(self.process, self.options, share)[0]
            x_T = self.process.noised(init.to(device), begin, generator(seed, "noise"), condition.labels)
        else:
            x_T = noise if noise is not None else self.process.start(n, generator(seed, "noise"), device, condition.labels)
        labels = condition.labels if condition.labels is not None else torch.full((n,), -1)
        pieces, places = [], []
        with self.runtime.resident(self.model.module):
            for leaf, rows in self._routes(labels.cpu()):
                self.model.activate(leaf)
                rows = rows.to(device)
                network = self._network(condition[rows])
                part = None if known is None else known[rows.cpu()]
                with torch.set_grad_enabled(grad_steps > 0):
                    made = sample(
                        network, self.process, x_T[rows], options=self.options, generator=random, grad_steps=grad_steps, known=part,
                        labels=labels[rows.to(labels.device)], share=share,
                    )  # fmt: skip
                pieces.append(made)
                places.append(rows)
        return join(pieces)[torch.argsort(torch.cat(places))]

    def sample(self, prompts: Sequence[Prompt], *, seed: int, known: Known | None = None) -> Any:
        """Finished records, one per prompt."""
        return self.finish(self.shard(prompts, seed=seed, known=known), prompts, seed=derive(seed, "decode"))

    def shard(
        self, prompts: Sequence[Prompt], *, seed: int, known: Known | None = None, length: int | None = None, init: State | None = None,
        condition: Condition | None = None,
    ) -> State:  # fmt: skip
        """Encoded samples of one shard, on the CPU; all of one length if asked (DataError when there is no room for it)."""
        with torch.no_grad():
            condition = self.encode_condition(prompts) if condition is None else condition
            noise = None
            if length is not None:
                noise = self.process.start(len(prompts), generator(seed, "noise"), self.runtime.device, condition.labels, length)
            return self.draw(condition, noise=noise, seed=seed, known=known, init=init).to("cpu")

    def finish(self, state: State, prompts: Sequence[Prompt], *, seed: int) -> Any:
        """Records of a shard's encoded samples."""
        return self.codec.decode(state, [p.label for p in prompts] if self.classes else None, seed)

    def losses(self, state: State, condition: Condition, *, phase: str, seed: int) -> Tensor:
        """[n] denoising losses on the CPU after a phase, one draw of t and noise each; equal seeds, equal draws."""
        device = self.runtime.device
        self.model.activate(phase)
        with torch.no_grad(), self.runtime.resident(self.model.module):
            network = self._predict(condition)
            return self.process.loss(network, state.to(device), generator(seed, "losses"), condition.labels).float().cpu()

    def weights(self, phase: str) -> Mapping[str, Tensor]:
        """Backbone and conditioner weights after a phase by name, without adapters."""
        self.model.activate(phase)
        return {name: p.detach().clone() for name, p in self.model.base.items()}

    def _unasked(self, prompts: Sequence[Prompt], rows: Tensor) -> Tensor | None:
        null = torch.tensor([prompts[int(i)].label is None and not prompts[int(i)].text for i in rows])
        return null if bool(null.any()) else None

    def _routes(self, labels: Tensor) -> list[tuple[str, Tensor]]:
        """Leaf -> rows it answers; rows without a label go to the leaf that serves everything."""
        if self.only is not None:
            return [(self.only, torch.arange(len(labels)))]
        if len(self.model.plan.leaves()) == 1 and self.model.plan.leaves()[0].serves == "*":
            return [(self.model.plan.leaves()[0].name, torch.arange(len(labels)))]
        found: dict[str, list[Tensor]] = {}
        for code in torch.unique(labels).tolist():
            leaf = self.model.leaf_of(self.classes[code] if code >= 0 else "*")
            found.setdefault(leaf, []).append(torch.nonzero(labels == code)[:, 0])
        return [(leaf, torch.cat(rows)) for leaf, rows in found.items()]

    def _network(self, condition: Condition) -> Callable[[State, Tensor], State]:
        if self.options.guidance == 1.0:
            return self._predict(condition)
        nothing = self.model.conditions.nothing(len(condition))
        return guided(self._predict(condition), self._predict(nothing), self.options.guidance)

    def _predict(self, condition: Condition) -> Callable[[State, Tensor], State]:
        def network(x_t: State, t: Tensor) -> State:
            with self.runtime.autocast():
                out: State = self.model.backbone(x_t, t, condition, x_t.mask)
            return State(out.num.float(), out.cat.float(), out.mask)

        return network
