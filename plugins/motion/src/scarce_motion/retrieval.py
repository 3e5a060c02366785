"""Evaluator `r-precision`: does a motion show what was asked for, in compositions of actions that were never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract import Caption, EvaluatorContext, EvaluatorSpec, Figure, Metric, Prompt, hookimpl, take
from scarce_motion import config
from scarce_motion.codec import MotionCodec, as_frames
from scarce_motion.evaluator import held_out
from scarce_motion.player import gallery
from scarce_motion.rotations import Floats
from scarce_motion.towers import Judge, trained

NAN = float("nan")
TOPS = (1, 2, 3)
SHOWN, FEWEST = 4, 4
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Test captions, the real records they describe, and what was drawn for them; meaning: equal for captions that mean the same."""

    captions: list[Caption]
    meaning: list[str]
    prompts: list[Prompt]
    real: Any
    drawn: Any


class RPrecision(EvaluatorSpec):
    """R-precision, Fréchet distance, diversity and multimodality in the space of a judge trained on real motions alone."""

    def __init__(self, options: config.RPrecision) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`r_precision_1` to `_3` of motions drawn for captions of test records, of those records ("real"), and Fréchet distance
        and diversity of these and of every other source; `multimodality` of several motions for one caption.

        Captions of a batch differ in what they ask. ceiling: chance; floor: the real test records; of the Fréchet distance floor is
        that between training and test records. `clip_frechet`: the same for held-out clips alone.
        """
        found = self._asked(ctx)
        if isinstance(found, str):
            return [Metric(name=f"r_precision_{k}", value=NAN, error=found) for k in TOPS]
        judge, train, said = self._judge(ctx)
        texts = judge.texts([c.text for c in found.captions])
        real, drawn = (judge.motions(features(ctx, records)) for records in (found.real, found.drawn))
        scores = {who: self._precision(found.meaning, texts, made, ctx.seed) for who, made in (("real", real), ("synthetic", drawn))}
        size, n = self._size(found.meaning), len(found.captions)
        out = [
            Metric(
                name=f"r_precision_{k}", value=values[k], source=who, direction="higher", floor=scores["real"][k], ceiling=k / size, n=n,
                note=f"the right one among {size} different captions of test records; chance {k / size:.3f}",
            )
            for who, values in scores.items() for k in TOPS if k < size
        ]  # fmt: skip
        more = [*self._clips(ctx, judge, train, said), *self._multimodality(ctx, judge, found)]
        return [*out, *self._space(ctx, judge, train[self._alike(found, said, ctx.seed)], real, drawn), *more]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """For a few captions of test records, the real motion and two that are drawn."""
        rows, captions = self._captions(ctx)
        if ctx.generator is None or not isinstance(ctx.codec, MotionCodec) or not len(rows):
            return []
        first = {meaning_of(c): i for i, c in reversed(list(enumerate(captions)))}
        chosen = list(first.values())[:SHOWN]
        prompts = [p for p in prompts_of(ctx, rows[chosen], [captions[i] for i in chosen]) for _ in range(2)]
        made = ctx.generator.sample(prompts, seed=ctx.runtime.derive("r-precision/figures"))["motion"].tolist()
        out = []
        for k, i in enumerate(chosen):
            pair: list[tuple[str, str, Floats]] = [("real", "", as_frames(ctx.dataset.records["motion"].iloc[rows[i]]))]
            pair += [("synthetic", str(j + 1), as_frames(cell)) for j, cell in enumerate(made[2 * k : 2 * k + 2])]
            page = gallery(ctx.codec.skeleton, pair, ctx.codec.fps)
            note = "A test record's motion, and two that were drawn for its caption."
            out.append(Figure(name=f"asked {k + 1}", title=f"“{captions[i].text}”", caption=note, html=page, section="control"))
        return out

    def _captions(self, ctx: EvaluatorContext) -> tuple[Rows, list[Caption]]:
        """Test records of compositions, or all where there are none of these, in random order, with their captions."""
        if ctx.describe is None:
            return np.zeros(0, dtype=np.int64), []
        rows = np.random.default_rng([ctx.seed, 6]).permutation(ctx.dataset.rows("test"))
        captions = ctx.describe(take(ctx.dataset.records, rows))
        known = [i for i, c in enumerate(captions) if c.text]
        pairs = [i for i in known if len(captions[i].props) > 1]
        chosen = pairs if len({meaning_of(captions[i]) for i in pairs}) > 1 else known
        return rows[chosen], [captions[i] for i in chosen]

    def _asked(self, ctx: EvaluatorContext) -> Asked | str:
        """What is asked and drawn, or why nothing is."""
        rows, captions = self._captions(ctx)
        if ctx.generator is None or ctx.describe is None:
            return "needs a generator whose prompts are captions"
        if len({meaning_of(c) for c in captions}) < 2:
            return "needs test records with at least two different captions"
        order = np.resize(np.arange(len(rows)), self.options.rows)
        captions = [captions[i] for i in order]
        prompts = prompts_of(ctx, rows[order], captions)
        drawn = ctx.generator.sample(prompts, seed=ctx.runtime.derive("r-precision"))
        real = take(ctx.dataset.records, rows[order])
        return Asked(captions=captions, meaning=[meaning_of(c) for c in captions], prompts=prompts, real=real, drawn=drawn)

    def _judge(self, ctx: EvaluatorContext) -> tuple[Judge, Tensor, list[Caption]]:
        """The judge, its embedding of the training motions it learnt from, whatever labels the generator saw, and their captions."""
        assert ctx.describe is not None
        records = take(ctx.dataset.records, ctx.dataset.rows("train"))
        captions, x = ctx.describe(records), features(ctx, records)
        names = {name: i for i, name in enumerate(dict.fromkeys(map(meaning_of, captions)))}
        groups = torch.tensor([names[meaning_of(c)] for c in captions])
        judge = trained(x, [c.text for c in captions], groups, ctx.runtime, self.options)
        return judge, judge.motions(x), captions

    def _alike(self, found: Asked, said: Sequence[Caption], seed: int) -> Rows:
        """Training records of as many actions as are asked for, at random, at most as many as are asked; all where there are none."""
        counts = {len(c.props) for c in found.captions}
        rows = np.array([i for i, c in enumerate(said) if len(c.props) in counts], dtype=np.int64)
        rows = rows if len(rows) > 1 else np.arange(len(said))
        return np.random.default_rng([seed, 13]).permutation(rows)[: len(found.captions)]

    def _size(self, meaning: Sequence[str]) -> int:
        return min(self.options.batch, len(set(meaning)))

    def _precision(self, meaning: Sequence[str], texts: Tensor, motions: Tensor, seed: int) -> dict[int, float]:
        """k -> share of motions whose own caption is among the k nearest of a batch of different ones."""
        size, rng = self._size(meaning), np.random.default_rng([seed, 7])
        names = np.array(meaning)
        places: list[int] = []
        for i in range(len(motions)):
            others = rng.permutation(np.flatnonzero(names != names[i]))
            _, first = np.unique(names[others], return_index=True)
            rivals = others[np.sort(first)][: size - 1]
            near = texts[[i, *rivals.tolist()]] @ motions[i]
            places.append(int((near[1:] >= near[0]).sum()))
        return {k: sum(p < k for p in places) / len(meaning) for k in TOPS}

    def _space(self, ctx: EvaluatorContext, judge: Judge, train: Tensor, real: Tensor, drawn: Tensor) -> list[Metric]:
        """Fréchet distance to test records and diversity, of each source."""
        made = {"real": train, "synthetic": drawn}
        made |= {s: judge.motions(features(ctx, records)) for s, records in ctx.samples.items() if s != "synthetic" and len(records) > 1}
        floor, out = frechet(made["real"], real), list[Metric]()
        usual = spread(real, ctx.seed)
        for who, values in made.items():
            far = frechet(values, real)
            note = "training records of as many actions" if who == "real" else ""
            out += [
                Metric(name="motion_frechet", value=far, source=who, direction="lower", floor=floor, n=len(values), note=note),
                Metric(
                    name="motion_diversity", value=spread(values, ctx.seed), source=who, direction="target", target=usual, floor=usual,
                    n=len(values), note=note,
                ),
            ]  # fmt: skip
        return out

    def _clips(self, ctx: EvaluatorContext, judge: Judge, train: Tensor, said: Sequence[Caption]) -> list[Metric]:
        """`clip_frechet`: motions drawn for the captions of held-out clips, against these; floor: training records of the same actions."""
        assert ctx.describe is not None
        rows = held_out(ctx)
        captions = ctx.describe(take(ctx.dataset.records, rows)) if len(rows) else []
        asked = {meaning_of(c) for c in captions}
        same = [i for i, c in enumerate(said) if meaning_of(c) in asked]
        if ctx.generator is None or len(rows) < FEWEST or len(same) < FEWEST:
            return []
        real = judge.motions(features(ctx, take(ctx.dataset.records, rows)))
        made = ctx.generator.sample(prompts_of(ctx, rows, captions), seed=ctx.runtime.derive("r-precision/clips"))
        value, floor = frechet(judge.motions(features(ctx, made)), real), frechet(train[same], real)
        note = (
            f"{len(rows)} records of {len(set(ctx.dataset.groups[rows].tolist()))} held-out clips; floor: training records of these actions"
        )
        return [Metric(name="clip_frechet", value=value, direction="lower", floor=floor, n=len(rows), note=note)]

    def _multimodality(self, ctx: EvaluatorContext, judge: Judge, found: Asked) -> list[Metric]:
        """Mean distance of motions drawn for one caption, over a few captions."""
        o = self.options
        first = {m: i for i, m in reversed(list(enumerate(found.meaning)))}
        chosen = list(first.values())[: o.captions]
        if not chosen or ctx.generator is None:
            return []
        asked = [found.prompts[i] for i in chosen for _ in range(o.repeats)]
        seed = ctx.runtime.derive("r-precision/multimodality")
        made = ctx.generator.sample(asked, seed=seed)
        values = judge.motions(features(ctx, made)).view(len(chosen), o.repeats, -1)
        value = float(torch.stack([torch.pdist(v).mean() for v in values]).mean())
        note = f"{o.repeats} motions for each of {len(chosen)} captions"
        return [Metric(name="multimodality", value=value, direction="none", n=len(asked), note=note)]


def meaning_of(caption: Caption) -> str:
    """Equal for captions that ask the same: the actions in their order, else the text."""
    return " > ".join(caption.props) if caption.props else caption.text


def prompts_of(ctx: EvaluatorContext, rows: Rows, captions: Sequence[Caption]) -> list[Prompt]:
    """What captions of records ask for, with the class of those that have one."""
    data = ctx.dataset
    labels = [None] * len(rows) if data.task != "classification" or data.target is None else data.target[rows].tolist()
    return [Prompt(label=v, text=c.text, props=c.props) for v, c in zip(labels, captions, strict=True)]


def features(ctx: EvaluatorContext, records: Any) -> Tensor:
    """Soft features of records."""
    return ctx.codec.soft(ctx.codec.encode(records))


def frechet(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of the Gaussians of two sets of vectors [n, d] (arXiv 1706.08500); NaN for fewer than two."""
    if min(len(a), len(b)) < 2:
        return NAN
    x, y = a.double(), b.double()
    mean = (x.mean(0) - y.mean(0)).square().sum()
    s, t = torch.cov(x.T), torch.cov(y.T)
    root = torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()
    return float(mean + s.trace() + t.trace() - 2 * root)


def spread(values: Tensor, seed: int, pairs: int = 300) -> float:
    """Mean distance of random pairs."""
    rng = np.random.default_rng([seed, 11])
    first, second = (torch.from_numpy(rng.integers(len(values), size=pairs)) for _ in range(2))
    apart = first != second
    return float((values[first[apart]] - values[second[apart]]).norm(dim=1).mean()) if bool(apart.any()) else NAN
