"""Tiny plugins on 8x2 toy tables: just enough of every role to prove that the contract carries it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn

from scarce.contract import (
    AcquisitionSpec,
    Adapter,
    BackboneSpec,
    Block,
    Bundle,
    Caption,
    Component,
    ConditionerSpec,
    Dataset,
    EvaluatorSpec,
    Fitting,
    Guidance,
    LearnerSpec,
    LifecycleSpec,
    Measure,
    Metric,
    ModalitySpec,
    Options,
    Phase,
    Plan,
    Predictions,
    Prompt,
    Space,
    State,
    StrategySpec,
    Supervision,
    Term,
    UpdateResult,
    hookimpl,
    usable_parts,
)
from scarce.contract.condition import Embedded
from scarce.contract.plan import Budget

CLASSES = ("n", "p")
SPLIT = np.array(["train"] * 4 + ["validation"] * 2 + ["test"] * 2)


def toy_table():
    return pd.DataFrame({"a": [-1.0, 1.2, -0.8, 0.9, -1.1, 1.0, -0.9, 1.1], "y": list("npnpnpnp")})


def toy_dataset(records, name):
    target = np.array(list("npnpnpnp"), dtype=object)
    ids = np.array([hashlib.sha256(f"{name}{i}".encode()).hexdigest()[:8] for i in range(8)])
    return Dataset(
        name=name, ids=ids, records=records, task="classification", target_name="y", target=target, classes=CLASSES,
        labelled=np.ones(8, bool), split=SPLIT.copy(), groups=ids, schema={},
    )  # fmt: skip


class NumberCodec:
    """One number per record; `read` takes it out of a record, `make` puts it into one."""

    def __init__(self, read, make, mean=0.0):
        self.read, self.make, self.mean = read, make, mean

    @property
    def space(self):
        return Space(layout="vector", blocks=(Block(name="a", kind="continuous", size=1, clip=4.0),))

    def encode(self, records):
        num = torch.tensor([[self.read(r) - self.mean] for r in rows(records)], dtype=torch.float32)
        return State(num, torch.zeros(len(num), 0, dtype=torch.int64))

    def soft(self, state):
        return state.num

    def decode(self, state, labels, seed):
        return self.make([float(v) + self.mean for v in state.num[:, 0]], list(labels))

    def vectors(self, records):
        return self.encode(records).num.numpy().astype(float)

    def known(self, where, n, seed):
        return None, None

    def save(self, folder):
        (folder / "codec.json").write_text(json.dumps({"mean": self.mean}))


def rows(records):
    return records.to_dict("records") if hasattr(records, "to_dict") else records


class Table(ModalitySpec):
    read = staticmethod(lambda r: r["a"])
    make = staticmethod(lambda values, labels: pd.DataFrame({"a": values, "y": labels}))

    @hookimpl
    def modality_load(self, ctx):
        return toy_dataset(toy_table(), "toy")

    @hookimpl
    def modality_codec(self, ctx):
        if ctx.saved is not None:
            return NumberCodec(self.read, self.make, json.loads((ctx.saved / "codec.json").read_text())["mean"])
        train = [self.read(r) for r in rows(ctx.dataset.part(ctx.dataset.rows("train")).records)]
        return NumberCodec(self.read, self.make, float(np.mean(train)))

    @hookimpl
    def modality_caption(self, ctx):
        assert ctx.codec is not None
        return [Caption(text=f"a is {a}", props={"a": float(a)}) for a in ctx.records["a"]]

    @hookimpl
    def modality_write(self, ctx):
        ctx.path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows(ctx.records)).to_parquet(ctx.path)
        return ctx.path

    @hookimpl
    def modality_baselines(self, ctx):
        part = ctx.dataset.part(np.resize(ctx.dataset.rows("train"), ctx.n))
        return {"bootstrap": part.records}


class Text(ModalitySpec):
    """Records are words; another modality than the toy table."""

    @hookimpl
    def modality_load(self, ctx):
        return toy_dataset([{"word": w} for w in ["cold", "warm", "chilly", "hot", "icy", "mild", "frosty", "balmy"]], "toy-text")

    @hookimpl
    def modality_codec(self, ctx):
        return NumberCodec(lambda r: float(len(r["word"])), lambda values, labels: [{"word": "x" * int(abs(v))} for v in values])

    @hookimpl
    def modality_caption(self, ctx):
        assert ctx.codec is None or ctx.codec.read({"word": "icy"}) == 3.0, "captions are written by the codec of their own data"
        return [Caption(text=r["word"]) for r in ctx.records]

    @hookimpl
    def modality_write(self, ctx):
        ctx.path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows(ctx.records)).to_parquet(ctx.path)
        return ctx.path

    @hookimpl
    def modality_baselines(self, ctx):
        return {}


class Net(nn.Module):
    def __init__(self, width, condition):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width + condition + 1, 16), nn.SiLU(), nn.Linear(16, width))

    def forward(self, x_t, t, condition, mask=None):
        time = (t.float() / 1000)[:, None].to(x_t.num)
        return State(self.body(torch.cat([x_t.num, condition.pooled, time], 1)), x_t.cat.float(), mask)


class Backbone(BackboneSpec):
    @hookimpl
    def backbone_build(self, ctx):
        return Net(ctx.space.width, ctx.condition_width)


class Doubled(NumberCodec):
    """A checkpoint's own codec, around the modality's: what the network denoises is twice the number."""

    def __init__(self, inner):
        self.inner = inner

    space = property(lambda self: self.inner.space)

    def encode(self, records):
        state = self.inner.encode(records)
        return State(2 * state.num, state.cat)

    def decode(self, state, labels, seed):
        return self.inner.decode(State(state.num / 2, state.cat), labels, seed)


class Spoken(nn.Module):
    """A checkpoint's own conditioner, whose empty text is code 2."""

    width = 3

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(3, 3)
        self.register_buffer("nothing", torch.tensor([2]))

    def prepare(self, prompts):
        return torch.tensor([{"n": 0, "p": 1}.get(p.label, 2) for p in prompts])

    def forward(self, inputs):
        pooled = self.table(inputs)
        return Embedded(pooled.unsqueeze(1), torch.ones(len(inputs), 1, dtype=torch.bool), pooled)


class Checkpoint(BackboneSpec):
    """(i) Weights of a file that bring conditioner, codec and diffusion."""

    def __init__(self, options):
        self.options = options

    @hookimpl
    def backbone_build(self, ctx):
        assert ctx.codec is not None
        net, spoken = Net(ctx.space.width, 3), Spoken()
        weights = load_file(self.options.source)
        net.load_state_dict({k[4:]: v for k, v in weights.items() if k.startswith("net.")})
        spoken.load_state_dict({k[7:]: v for k, v in weights.items() if k.startswith("spoken.")})
        digest = hashlib.sha256(Path(self.options.source).read_bytes()).hexdigest()
        return Bundle(
            network=net, conditioner=spoken, codec=Doubled(ctx.codec), diffusion={"target": "eps", "steps": 30},
            source=self.options.source, sha256=digest,
        )  # fmt: skip


class CheckpointOptions(Options):
    source: str


class Dense(nn.Module):
    """Class codes as one-hots through a linear layer, which an adapter can stand on."""

    width = 4

    def __init__(self, classes):
        super().__init__()
        self.classes = classes
        self.project = nn.Linear(len(classes), self.width)

    def prepare(self, prompts):
        return torch.tensor([self.classes.index(p.label) for p in prompts])

    def forward(self, inputs):
        pooled = self.project(nn.functional.one_hot(inputs, len(self.classes)).float())
        return Embedded(pooled.unsqueeze(1), torch.ones(len(inputs), 1, dtype=torch.bool), pooled)


class DenseConditioner(ConditionerSpec):
    @hookimpl
    def conditioner_build(self, ctx):
        return Dense(ctx.classes)


class Extra(StrategySpec):
    """(a) A second loss term on other rows, and an update rule on per-term gradients."""

    @hookimpl
    def strategy_amend_plan(self, ctx):
        phase = ctx.plan.phases[0]
        first = replace(phase.terms[0], rows="labelled")
        pull = Term(name="pull", rows="unlabelled", condition="null", loss=f"{ctx.path}:pull")
        return ctx.plan.replace(phase.name, terms=(first, pull), update=ctx.path)

    @hookimpl
    def strategy_term(self, ctx):
        assert ctx.name == "pull"
        assert bool((ctx.condition.labels == -1).all())
        mine = ctx.cut(torch.rand, 2)
        whole = torch.rand(ctx.of, 2, generator=torch.Generator().manual_seed(ctx.generator.initial_seed()))
        assert torch.equal(mine, whole[ctx.start : ctx.start + len(ctx.rows)])
        return ctx.denoise(ctx.null)

    @hookimpl
    def strategy_update(self, ctx):
        calls = ctx.state.get("calls", torch.zeros(())) + 1
        both = zip(ctx.gradients["denoise"], ctx.gradients["pull"], strict=True)
        mixed = tuple(g if h is None else h if g is None else g + 0.5 * h for g, h in both)
        return UpdateResult(gradients=mixed, state={"calls": calls}, log={"calls": float(calls)})


class Pull(StrategySpec):
    """(g) A measure with gradients on start weights, and a loss of other clean samples than the batch's."""

    @hookimpl
    def strategy_amend_plan(self, ctx):
        assert (len(ctx.labelled), int(ctx.labelled.sum())) == (4, 2)
        ctx.say("two of four rows are labelled")
        phase = ctx.plan.phases[0]
        far = Term(name="far", rows="labelled", loss=f"{ctx.path}:far")
        before = (Measure(name="slope", owner=ctx.path),)
        return ctx.plan.replace(phase.name, terms=(*phase.terms, far), before=before)

    @hookimpl
    def strategy_measure(self, ctx):
        found = ctx.gradients(ctx.train, "null", 0)
        assert found.keys() == ctx.parameters.keys()
        assert float(ctx.loss(ctx.train, "null", 1)) > 0
        return {name: g.detach() for name, g in found.items() if g is not None}

    @hookimpl
    def strategy_term(self, ctx):
        assert any(name.startswith("slope.") and bool(g.abs().sum() > 0) for name, g in ctx.measures.items())
        return ctx.denoise(ctx.condition, ctx.x0.with_(num=ctx.x0.num + 1))


class Shift:
    """An adapter that adds a vector to a module's output."""

    def __init__(self, module, width, generator):
        self.shift = nn.Parameter(0.01 * torch.randn(width, generator=generator))
        self.on = False
        module.register_forward_hook(self.hook)

    def hook(self, module, inputs, output):
        if not self.on:
            return output
        if isinstance(output, Embedded):
            return replace(output, pooled=output.pooled + self.shift)
        return output.with_(num=output.num + self.shift)

    def parameters(self):
        return [self.shift]

    def enable(self, on):
        self.on = on

    def state(self):
        return {"shift": self.shift.detach()}

    def config(self):
        return {"kind": "shift"}

    def load(self, state):
        with torch.no_grad():
            self.shift.copy_(state["shift"])


class PerClass(StrategySpec):
    """(b) One branch per class, each with an adapter on the backbone and one on the conditioner."""

    @hookimpl
    def strategy_amend_plan(self, ctx):
        out = []
        for leaf in ctx.plan.leaves():
            for label in ctx.classes:
                targets = (("body", "backbone"), ("word", "conditioner.0"))
                adapters = tuple(Adapter(name=name, target=target, owner=ctx.path) for name, target in targets)
                out.append(leaf.with_(name=f"{leaf.name}-{label}", classes=(label,), adapters=adapters, trainable=(), serves=label))
        kept = tuple(p for p in ctx.plan.phases if p not in ctx.plan.leaves())
        return Plan(phases=kept + tuple(out))

    @hookimpl
    def strategy_adapt(self, ctx):
        width = 1 if ctx.adapter.target == "backbone" else ctx.module.width
        return Shift(ctx.module, width, ctx.generator)


class LearnerOptions(Options):
    judge: Component["evaluator"] | None = None
    steps: int = 60
    compared: bool = False


class LinearLearner:
    """Differentiable: logits are linear in the codec's soft features; trained in the shared loop."""

    def __init__(self, ctx, options):
        self.ctx, self.options = ctx, options
        with ctx.runtime.seeded("toy-learner"):
            self.net = nn.Linear(ctx.codec.space.width, len(ctx.dataset.classes))

    def fit(self, parts):
        used = [p for p in parts if p.weight]
        x = torch.cat([self.ctx.codec.soft(self.ctx.codec.encode(p.records)) for p in used])
        y = torch.tensor([CLASSES.index(v) for p in used for v in p.target])
        phase = Phase(name="toy-learner", budget=Budget(steps=self.options.steps, batch=len(y), rate=0.1, ema=0.0))
        self.net.requires_grad_(True)
        loss = {"denoise": lambda draw: nn.functional.cross_entropy(self.net(x[draw.rows]), y[draw.rows], reduction="none")}
        self.ctx.runtime.fit(Fitting(phase=phase, model=self.net, losses=loss, pools={"all": torch.arange(len(y))}))

    def predict(self, records):
        with torch.no_grad():
            p = self.net(self.ctx.codec.soft(self.ctx.codec.encode(records))).softmax(1).numpy()
        return Predictions(values=np.array(CLASSES, dtype=object)[p.argmax(1)], probabilities=p)

    def logits(self, features):
        return self.net(features)


class ViewLearner(LinearLearner):
    """A student of a teacher who says the opposite, and the same learner without one."""

    def fit(self, parts):
        (part,) = parts
        view = self.ctx.dataset.views["generated"]
        rows = view.rows_of(part.ids)
        assert (rows >= 0).all()
        assert set(view.rows_of(self.ctx.dataset.ids[self.ctx.dataset.rows("test")])) == {-1}
        opposite = np.array([[v == "p", v == "n"] for v in part.target], dtype=float)
        self.arm = LinearLearner(self.ctx, self.options)
        self.arm.fit([part])
        part = replace(part, guide=Guidance(probabilities=opposite, alpha=20.0))
        usable = usable_parts(self.ctx.dataset, [part])
        supervision = Supervision(usable, self.net.in_features, self.ctx.runtime)
        x = self.ctx.codec.soft(self.ctx.codec.encode(part.records))
        phase = Phase(name="toy-learner", budget=Budget(steps=self.options.steps, batch=len(x), rate=0.1, ema=0.0))
        loss = {"denoise": lambda draw: supervision(draw.rows, self.net(x[draw.rows]), x[draw.rows])}
        self.net.requires_grad_(True)
        model = nn.ModuleList([self.net, supervision])
        self.ctx.runtime.fit(Fitting(phase=phase, model=model, losses=loss, pools={"all": torch.arange(len(x))}))
        self.said = view.records["a"].iloc[rows].tolist()

    def arms(self):
        return {"alone": self.arm}

    def facts(self):
        return {"views": self.said}


class Learner(LearnerSpec):
    def __init__(self, options):
        self.options = options

    @hookimpl
    def learner_build(self, ctx):
        if self.options.compared:
            return ViewLearner(ctx, self.options)
        learner = LinearLearner(ctx, self.options)
        learner.judge = ctx.parts.get("judge")
        return learner


class EvaluatorOptions(Options):
    student: Component["learner"] | None = None
    fail: bool = False
    looks: bool = False


class Evaluator(EvaluatorSpec):
    def __init__(self, options):
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx):
        if self.options.fail:
            raise RuntimeError("this evaluator always fails")
        truth = ctx.dataset.target[ctx.dataset.rows("test")]
        if ctx.facts:  # the prompts of views are those they were made by
            assert (
                [p.text for p in ctx.prompts(np.arange(2))] == [c.text for c in ctx.describe(ctx.dataset.records[:2])] == ["cold", "warm"]
            )
        for source, said in ctx.facts.items():
            assert len(said["views"]) == len(ctx.dataset.rows("train")), source
        found = [
            Metric(name="toy_accuracy", value=float(np.mean(p.values == truth)), source=source, direction="higher", n=len(truth))
            for source, p in ctx.predictions.items()
        ]
        if self.options.looks:
            found += self.look(ctx)
        if self.options.student is not None:
            found.append(Metric(name="has_student", value=float(hasattr(ctx.parts["student"], "learner_build"))))
        return found

    def look(self, ctx):
        """(g) What an evaluator learns of training: losses and weights after each phase, the log, and captions of any records."""
        state = ctx.codec.encode(ctx.dataset.records)
        condition = ctx.generator.encode_condition([Prompt(label="n")] * 8)
        losses = {phase: ctx.generator.losses(state, condition, phase=phase, seed=4) for phase in ("base", "train")}
        assert torch.equal(losses["train"], ctx.generator.losses(state, condition, phase="train", seed=4))
        start, end = ctx.generator.weights("base"), ctx.generator.weights("train")
        found = {
            "moved": float(any(not torch.equal(start[name], end[name]) for name in start)),
            "learnt": float((losses["base"] - losses["train"]).mean()), "logged": float(len(ctx.log)),
            "described": float(len(ctx.describe(ctx.dataset.records))),
            "phases": float(len(ctx.generator.plan.phases)),
        }  # fmt: skip
        return [Metric(name=name, value=value) for name, value in found.items()]

    @hookimpl
    def evaluator_draw(self, ctx):
        return []


class Watcher(LifecycleSpec):
    """Writes what it sees beside the run; raises once, to be muted."""

    @hookimpl
    def samples_ready(self, ctx):
        Path(ctx.folder, "seen.txt").write_text("samples")

    @hookimpl
    def run_started(self, ctx):
        raise RuntimeError("observers never end a run")


class First(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx):
        return ctx.logits[:, 0]
