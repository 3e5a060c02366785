"""Training the plan: each phase from its start, through the one loop; finished phases are read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scarce.contract.condition import Condition
from scarce.contract.contexts import MeasureContext, TermContext, UpdateContext, UpdateResult
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Phase, Term
from scarce.contract.protocols import Draw, Fitted, Fitting, Loss
from scarce.contract.space import State
from scarce.diffusion.guidance import guided
from scarce.diffusion.options import SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample
from scarce.files import file_hash, read_json, write_json
from scarce.runs.conditioning import Inputs, rows_of
from scarce.runs.model import Model
from scarce.runtime.processes import ALONE, Processes
from scarce.runtime.runtime import SharedRuntime


@dataclass(frozen=True)
class Material:
    """Training rows as tensors on the device: encoded records, prepared conditions, and who is in which pool."""

    x0: State
    inputs: Inputs
    train: Tensor
    validation: Tensor
    labelled: Tensor
    codes: Tensor

    def pools(self, phase: Phase, classes: tuple[Any, ...]) -> dict[str, Tensor]:
        """Rows selection name -> training positions, narrowed to the classes of the phase."""
        rows = self.train
        if phase.classes:
            wanted = torch.tensor([classes.index(c) for c in phase.classes])
            rows = rows[torch.isin(self.codes[rows], wanted)]
        labelled = self.labelled[rows]
        return {"all": rows, "labelled": rows[labelled], "unlabelled": rows[~labelled]}


def material(dataset: Dataset, x0: State, inputs: Inputs, device: torch.device) -> Material:
    """Everything the losses index, in data-set order."""
    return Material(
        x0=x0.to(device), inputs=inputs, train=torch.from_numpy(dataset.rows("train")),
        validation=torch.from_numpy(dataset.rows("validation")), labelled=torch.from_numpy(dataset.labelled.copy()),
        codes=torch.from_numpy(dataset.codes()),
    )  # fmt: skip


class Losses:
    """Per-row losses of a phase's terms."""

    def __init__(
        self, model: Model, process: Process, data: Material, phase: Phase, runtime: SharedRuntime, options: SamplerOptions
    ) -> None:
        self.model, self.process, self.data, self.phase, self.runtime = model, process, data, phase, runtime
        self.options = options
        self.measures: dict[str, Tensor] = {}
        self.parameters: dict[str, torch.nn.Parameter] = {}

    def denoise(self, x0: State, condition: Condition, generator: torch.Generator, start: int = 0, of: int = 0) -> Tensor:
        """[b] diffusion losses; of rows `start` on of a batch of `of` where that is worked on in parts."""
        network, penalty = partial(self._network, condition), getattr(self.model.backbone, "penalty", None)
        return self.process.loss(network, x0, generator, condition.labels, start=start, of=of, penalty=penalty)

    def _network(self, condition: Condition, x_t: State, t: Tensor) -> State:
        prediction: State = self.model.backbone(x_t, t, condition, x_t.mask)
        return prediction

    def condition(self, rows: Tensor, kind: str | float, generator: torch.Generator, start: int = 0, of: int = 0) -> Condition:
        """The rows' own condition, NULL, or NULL with a probability (drawn apart from t and noise)."""
        inputs = rows_of(self.data.inputs, rows)
        if kind == "null":
            return self.model.conditions(inputs, torch.ones(len(rows), dtype=torch.bool))  # type: ignore[no-any-return]
        hidden = ~self.data.labelled[rows]
        if isinstance(kind, float | int):
            apart = torch.Generator().manual_seed(generator.initial_seed() ^ 0x5CA12CE)
            hidden = hidden | (torch.rand(of or len(rows), generator=apart)[start : start + len(rows)] < kind)
        null = hidden if bool(hidden.any()) else None
        return self.model.conditions(inputs, null)  # type: ignore[no-any-return]

    def of_term(self, term: Term) -> Loss:
        """The loss of one term as the loop calls it."""

        def loss(draw: Draw) -> Tensor:
            x0 = self.data.x0[draw.rows.to(self.data.x0.num.device)]
            seed, part = draw.generator.initial_seed(), (draw.start, draw.of)
            whole = torch.Generator().manual_seed(seed)  # every part of a batch begins its draws where the whole does
            condition = self.condition(draw.rows, term.condition, whole, *part)
            if term.loss == "denoise":
                return self.denoise(x0, condition, whole, *part)
            path, _, name = term.loss.partition(":")
            ctx = TermContext(
                name=name, x0=x0, condition=condition, null=self.model.conditions.nothing(len(x0)),
                denoise=lambda c, other=x0: self.denoise(
                    other, c, torch.Generator().manual_seed(seed), *(part if len(other) == len(draw.rows) else ())
                ),
                parameters=self.parameters, measures=self.measures, generator=whole, step=draw.step, phase=self.phase,
                rows=draw.rows, start=draw.start, of=draw.of,
            )  # fmt: skip
            return self.model.scope.strategy_term(path, ctx)

        return loss

    def fixed(self, rows: Tensor, kind: str | float, draw: int) -> Tensor:
        """Mean loss of rows under one fixed draw of t and noise: the same numbers for any weights."""
        generator = self.runtime.generator("fixed", draw)
        x0 = self.data.x0[rows.to(self.data.x0.num.device)]
        with self.runtime.autocast():
            return self.denoise(x0, self.condition(rows, kind, generator), generator).float().mean()

    @torch.no_grad()
    def mean(self, rows: Tensor, kind: str | float, draws: int) -> Tensor:
        """Mean of `fixed` over draws 0 to `draws` - 1, on the CPU."""
        return torch.stack([self.fixed(rows, kind, i).cpu() for i in range(draws)]).mean()

    @torch.no_grad()
    def sample(self, rows: Tensor, draw: int) -> State:
        """Encoded samples of the rows' own conditions by the weights of the moment, as the recipe generates."""
        generator = self.runtime.generator(f"sample/{self.phase.name}", draw)
        condition = self.condition(rows, "given", generator)
        network = guided(
            partial(self._predict, condition), partial(self._predict, self.model.conditions.nothing(len(rows))), self.options.guidance
        )
        x_T = self.process.start(len(rows), generator, self.runtime.device, condition.labels)
        return sample(network, self.process, x_T, options=self.options, generator=generator, labels=condition.labels)

    def _predict(self, condition: Condition, x_t: State, t: Tensor) -> State:
        with self.runtime.autocast():
            out = self._network(condition, x_t, t)
        return State(out.num.float(), out.cat.float(), out.mask)

    def gradients(self, rows: Tensor, kind: str | float, draw: int) -> dict[str, Tensor | None]:
        """Gradient of `fixed` by parameter name."""
        found = torch.autograd.grad(self.fixed(rows, kind, draw), list(self.parameters.values()), allow_unused=True)
        return dict(zip(self.parameters, found, strict=True))


def train_phase(
    model: Model, process: Process, data: Material, phase: Phase, runtime: SharedRuntime, folder: Path | None, options: SamplerOptions,
    processes: Processes = ALONE,
) -> Fitted:  # fmt: skip
    """Train one phase from its start weights and write its result; options: how measures draw samples.

    folder: of the run, None in a process that helps another to train it; processes: those that train it together.
    """
    parameters = model.begin(phase)
    losses = Losses(model, process, data, phase, runtime, options)
    losses.parameters = parameters
    pools = data.pools(phase, model.conditions.classes)
    model.module.eval()  # measures are taken without dropout, whether the phase before was trained just now or read
    for measure in phase.before:
        ctx = MeasureContext(
            name=measure.name, model=model.module, parameters=parameters, loss=losses.mean, gradients=losses.gradients,
            train=pools["all"], validation=data.validation, runtime=runtime, phase=phase, labelled=pools["labelled"],
            sample=losses.sample,
        )  # fmt: skip
        found = model.scope.strategy_measure(measure.owner, ctx)
        losses.measures |= {f"{measure.name}.{k}" if k else measure.name: v for k, v in found.items()}
    update: Callable[[UpdateContext], UpdateResult] | None = None
    if phase.update != "sum":
        update = lambda ctx: model.scope.strategy_update(phase.update, ctx)  # noqa: E731
    fitting = Fitting(
        phase=phase, model=model.module, losses={t.name: losses.of_term(t) for t in phase.terms}, pools=pools, parameters=parameters,
        update=update, state=losses.measures, checkpoints=None if folder is None else folder / "checkpoints" / phase.name,
    )  # fmt: skip
    fitted = runtime.fit(fitting, processes)
    model.end(phase, parameters)
    if folder is not None:
        model.save_phase(folder / "model", phase.name)
    return fitted


def train_plan(
    model: Model,
    process: Process,
    data: Material,
    runtime: SharedRuntime,
    folder: Path,
    options: SamplerOptions,
    shared: Callable[[Phase], Path] | None = None,
    only: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Train every phase that is not finished yet; facts of each finished phase by name.

    shared: where another arm of this seed may have left the same phase; found there it is copied, not trained again. only: the
    one phase to train, when given.
    """
    facts: dict[str, dict[str, Any]] = {}
    for phase in model.plan.phases:
        done = folder / "model" / "phases" / f"{phase.name}.json"
        store = None if shared is None else shared(phase)
        if done.is_file():
            if phase.name not in model.results:
                model.load_phase(folder / "model", phase)
            facts[phase.name] = read_json(done)
            _drop(folder / "checkpoints" / phase.name)
            continue
        if store is not None and (store / "phases" / done.name).is_file():
            model.load_phase(store, phase)
            model.save_phase(folder / "model", phase.name)
            facts[phase.name] = read_json(store / "phases" / done.name)
            write_json(done, facts[phase.name])
            continue
        if only is not None and phase.name != only:
            continue
        runtime.processes.tell(("phase", str(folder.resolve()), phase.name))
        fitted = train_phase(model, process, data, phase, runtime, folder, options, runtime.processes)
        facts[phase.name] = {
            "steps": fitted.steps, "seconds": fitted.seconds, "cpu_seconds": fitted.cpu_seconds, "losses": dict(fitted.losses),
            "events": list(fitted.events), "sha256": file_hash(folder / "model" / "phases" / f"{phase.name}.safetensors"),
        }  # fmt: skip
        if store is not None:
            model.save_phase(store, phase.name)
            write_json(store / "phases" / done.name, facts[phase.name])
        write_json(done, facts[phase.name])
        _drop(folder / "checkpoints" / phase.name)
    return facts


def _drop(checkpoints: Path) -> None:
    for old in checkpoints.glob("*"):
        old.unlink()
