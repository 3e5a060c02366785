"""Training the plan: each phase from its start, through the one loop; finished phases are read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from scarce.contract.condition import Condition, Prompt
from scarce.contract.contexts import MeasureContext, TermContext, UpdateContext, UpdateResult
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Phase, Term
from scarce.contract.protocols import Draw, Fitted, Fitting, Loss, Pool
from scarce.contract.space import State, join
from scarce.diffusion.guidance import guided
from scarce.diffusion.options import SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample
from scarce.files import file_hash, read_json, write_json
from scarce.runs.conditioning import Inputs, rows_of
from scarce.runs.model import Model
from scarce.runs.streaming import Stream
from scarce.runtime.placement import Unreadable
from scarce.runtime.processes import ALONE, Processes
from scarce.runtime.runtime import SharedRuntime


class Batch(NamedTuple):
    """Some rows: encoded, with the inputs of their conditions, and [b] whether they are labelled."""

    x0: State
    inputs: Inputs
    labelled: Tensor


@dataclass(frozen=True)
class Material:
    """Training rows as tensors on the device: encoded records, prepared conditions, and who is in which pool.

    stream: rows behind these that are not held; None where all are. prompts: of those that are held, one each.
    """

    x0: State
    inputs: Inputs
    train: Tensor
    validation: Tensor
    labelled: Tensor
    codes: Tensor
    stream: Stream | None = None
    prompts: Sequence[Prompt] = ()

    @property
    def streamed(self) -> int:
        """The most bytes of the file that streamed rows are in."""
        return 0 if self.stream is None else self.stream.size

    def ready(self, phases: Sequence[Phase]) -> None:
        """Write what streams into some phases, where it is not there yet."""
        if self.stream is not None and any(map(self.stream.feeds, phases)):
            self.stream.open()

    def batch(self, rows: Tensor) -> Batch:
        """The rows at some positions, in that order."""
        n = len(self.labelled)
        if self.stream is None or bool((held := rows < n).all()):
            return Batch(self.x0[rows.to(self.x0.num.device)], rows_of(self.inputs, rows), self.labelled[rows])
        ours = self.batch(rows[held])
        x0, inputs, labelled = self.stream.take(rows[~held] - n)
        order = torch.cat([held.nonzero(), (~held).nonzero()])[:, 0].argsort()
        states = join([ours.x0, x0.to(self.x0.num.device)])[order.to(self.x0.num.device)]
        pairs = zip((*ours.inputs, ours.labelled), (*inputs, labelled), strict=True)
        *asked, known = (torch.cat(pair)[order] for pair in pairs)
        return Batch(states, tuple(asked), known)

    def asked(self, rows: Tensor) -> list[Prompt]:
        """What the rows at some positions ask for; nothing where not all of them are held."""
        places = rows.tolist()
        return [self.prompts[i] for i in places] if max(places, default=0) < len(self.prompts) else []

    def pools(self, phase: Phase, classes: tuple[Any, ...]) -> dict[str, Tensor]:
        """Rows selection name -> training positions, narrowed to the classes of the phase."""
        rows = self.train
        if phase.classes:
            wanted = torch.tensor([classes.index(c) for c in phase.classes])
            rows = rows[torch.isin(self.codes[rows], wanted)]
        labelled = self.labelled[rows]
        return {"all": rows, "labelled": rows[labelled], "unlabelled": rows[~labelled]}


def material(
    dataset: Dataset, x0: State, inputs: Inputs, device: torch.device, stream: Stream | None = None, prompts: Sequence[Prompt] = ()
) -> Material:  # fmt: skip
    """Everything the losses index, in data-set order."""
    return Material(
        x0=x0.to(device), inputs=inputs, train=torch.from_numpy(dataset.rows("train")),
        validation=torch.from_numpy(dataset.rows("validation")), labelled=torch.from_numpy(dataset.labelled.copy()),
        codes=torch.from_numpy(dataset.codes()), stream=stream, prompts=prompts,
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
        self.sealed = False  # whether no term may look at the parameters

    def denoise(self, x0: State, condition: Condition, generator: torch.Generator, start: int = 0, of: int = 0) -> Tensor:
        """[b] diffusion losses; of rows `start` on of a batch of `of` where that is worked on in parts."""
        network, penalty = partial(self._network, condition), getattr(self.model.backbone, "penalty", None)
        return self.process.loss(network, x0, generator, condition.labels, start=start, of=of, penalty=penalty)

    def _network(self, condition: Condition, x_t: State, t: Tensor) -> State:
        prediction: State = self.model.backbone(x_t, t, condition, x_t.mask)
        return prediction

    def condition(self, batch: Batch, kind: str | float, generator: torch.Generator, start: int = 0, of: int = 0) -> Condition:
        """The rows' own condition, NULL, or NULL with a probability (drawn apart from t and noise)."""
        n, hidden = len(batch.labelled), ~batch.labelled
        if kind == "null":
            return self.model.conditions(batch.inputs, torch.ones(n, dtype=torch.bool))  # type: ignore[no-any-return]
        if isinstance(kind, float | int):
            apart = torch.Generator().manual_seed(generator.initial_seed() ^ 0x5CA12CE)
            hidden = hidden | (torch.rand(of or n, generator=apart)[start : start + n] < kind)
        null = hidden if bool(hidden.any()) else None
        return self.model.conditions(batch.inputs, null)  # type: ignore[no-any-return]

    def of_term(self, term: Term) -> Loss:
        """The loss of one term as the loop calls it."""

        def loss(draw: Draw) -> Tensor:
            batch = self.data.batch(draw.rows)
            x0 = batch.x0
            seed, part = draw.generator.initial_seed(), (draw.start, draw.of)
            whole = torch.Generator().manual_seed(seed)  # every part of a batch begins its draws where the whole does
            condition = self.condition(batch, term.condition, whole, *part)
            if term.loss == "denoise":
                return self.denoise(x0, condition, whole, *part)
            path, _, name = term.loss.partition(":")
            ctx = TermContext(
                name=name, x0=x0, condition=condition, null=self.model.conditions.nothing(len(x0)),
                denoise=lambda c, other=x0: self.denoise(
                    other, c, torch.Generator().manual_seed(seed), *(part if len(other) == len(draw.rows) else ())
                ),
                parameters=Unreadable(self.phase.name, term.name, self.parameters) if self.sealed else self.parameters,
                measures=self.measures, generator=whole, step=draw.step, phase=self.phase,
                rows=draw.rows, start=draw.start, of=draw.of, prompts=lambda: self.data.asked(draw.rows),
                encode=lambda asked: self.condition(
                    batch._replace(inputs=self.model.conditions.prepare(asked)), term.condition, whole, *part
                ),
            )  # fmt: skip
            return self.model.scope.strategy_term(path, ctx)

        return loss

    def fixed(self, rows: Tensor, kind: str | float, draw: int) -> Tensor:
        """Mean loss of rows under one fixed draw of t and noise: the same numbers for any weights."""
        generator = self.runtime.generator("fixed", draw)
        batch = self.data.batch(rows)
        with self.runtime.autocast():
            return self.denoise(batch.x0, self.condition(batch, kind, generator), generator).float().mean()

    @torch.no_grad()
    def mean(self, rows: Tensor, kind: str | float, draws: int) -> Tensor:
        """Mean of `fixed` over draws 0 to `draws` - 1, on the CPU."""
        return torch.stack([self.fixed(rows, kind, i).cpu() for i in range(draws)]).mean()

    @torch.no_grad()
    def sample(self, rows: Tensor, draw: int) -> State:
        """Encoded samples of the rows' own conditions by the weights of the moment, as the recipe generates."""
        generator = self.runtime.generator(f"sample/{self.phase.name}", draw)
        condition = self.condition(self.data.batch(rows), "given", generator)
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
    held = data.pools(phase, model.conditions.classes)
    pools: Mapping[str, Pool] = held if data.stream is None else data.stream.pools(phase, held, model.conditions.classes)
    model.module.eval()  # measures are taken without dropout, whether the phase before was trained just now or read
    for measure in phase.before:
        ctx = MeasureContext(
            name=measure.name, model=model.module, parameters=parameters, loss=losses.mean, gradients=losses.gradients,
            train=held["all"], validation=data.validation, runtime=runtime, phase=phase, labelled=held["labelled"],
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
    network = model.backbone if runtime.cuts(processes) else None
    if network is not None:
        losses.sealed = True
    fitted = runtime.fit(fitting, processes, network)
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
        data.ready([phase])  # before processes that train along look for it
        runtime.processes.tell(("phase", str(folder.resolve()), phase.name, runtime.options.weights))
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
