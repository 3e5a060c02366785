"""Captions of unseen molecules: what is drawn for them, and what a predictor says of it."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestRegressor

from scarce.contract import Caption, EvaluatorContext, EvaluatorSpec, Figure, Metric, Prompt, hookimpl, take
from scarce_molecules import config
from scarce_molecules.bonds import valid
from scarce_molecules.draw import grid
from scarce_molecules.fingerprints import counts
from scarce_molecules.properties import WORDS

Floats = npt.NDArray[np.float64]
RADIUS, BITS = 2, 1024


def prompts_of(ctx: EvaluatorContext, rows: Any) -> tuple[list[Caption], list[Prompt]]:
    """Captions of records, and the prompts that ask for them."""
    assert ctx.describe is not None
    data = ctx.dataset
    captions = ctx.describe(take(data.records, rows))
    labels = data.target[rows].tolist() if data.task == "classification" and data.target is not None else [None] * len(rows)
    return captions, [Prompt(label=v, text=c.text, props=c.props) for v, c in zip(labels, captions, strict=True)]


class AskedMolecules(EvaluatorSpec):
    """A figure per caption; it measures nothing. Nothing is drawn where prompts are no captions of molecules."""

    def __init__(self, options: config.AskedMolecules) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """No numbers: `controllability` has them."""
        return []

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """The caption as title, the real molecule that has it, and molecules drawn for it."""
        if ctx.describe is None or ctx.generator is None or "smiles" not in getattr(ctx.dataset.records, "columns", ()):
            return []
        rows = np.random.default_rng([ctx.seed, 9]).permutation(ctx.dataset.rows("test"))[: self.options.captions]
        captions, prompts = prompts_of(ctx, rows)
        k = self.options.samples
        if not prompts:
            return []
        made = ctx.generator.sample([p for p in prompts for _ in range(k)], seed=ctx.runtime.derive("asked-molecules"))["smiles"].tolist()
        real = take(ctx.dataset.records, rows)["smiles"].tolist()
        return [_figure(i, c, real[i], made[i * k : (i + 1) * k]) for i, c in enumerate(captions)]


def _figure(place: int, caption: Caption, real: str, made: list[Any]) -> Figure:
    good = [s for s in made if valid(s)]
    shown = grid([real, *good], ["real", *(["synthetic"] * len(good))])
    note = f"The unseen real molecule, and {len(good)} valid ones of {len(made)} drawn for its caption."
    title = f"“{html.escape(caption.text, quote=False)}”"
    return Figure(name=f"asked molecule {place + 1}", title=title, caption=note, html=shown, section="control")


class PredictedControl(EvaluatorSpec):
    """Does a predictor that never saw the generator's data find what was asked (the protocol of EDM, arXiv 2203.17003, 5.3)?"""

    def __init__(self, options: config.PredictedControl) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`predicted_mae_NAME` of each property of samples asked by captions of half of the test molecules.

        The predictor, a forest on Morgan counts, learns from validation molecules and the other half. Floor: its error on the real
        molecules asked for; ceiling: its error where the answers are shuffled, which is also that of an invalid sample.
        """
        if ctx.describe is None or ctx.generator is None:
            return [
                Metric(name="predicted_mae", value=float("nan"), error="prompts are no captions: set generate.prompt to a caption style")
            ]
        data, rng = ctx.dataset, np.random.default_rng([ctx.seed, 6])
        test = rng.permutation(data.rows("test"))
        rows, own = np.sort(test[: len(test) // 2]), np.concatenate([test[len(test) // 2 :], data.rows("validation")])
        rows = rows[: self.options.rows]
        captions, prompts = prompts_of(ctx, rows)
        learned = [c.props for c in ctx.describe(take(data.records, own))]
        names = [n for n in WORDS if any(n in c.props for c in captions) and np.ptp([p[n] for p in learned if n in p] or [0.0]) > 0]
        if len(rows) < 2 or not names:
            return [Metric(name="predicted_mae", value=float("nan"), error="too few test molecules with properties")]
        made = ctx.generator.sample(prompts, seed=ctx.runtime.derive("predicted-control"))["smiles"].tolist()
        return [self._metric(ctx, name, rows, own, captions, learned, made) for name in names]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []

    def _metric(
        self, ctx: EvaluatorContext, name: str, rows: Any, own: Any, captions: list[Caption], learned: list[Any], made: list[Any]
    ) -> Metric:
        texts = ctx.dataset.records["smiles"].tolist()
        seen = [i for i, p in enumerate(learned) if name in p]
        forest = RandomForestRegressor(n_estimators=self.options.trees, max_features=0.3, random_state=ctx.seed % 2**31, n_jobs=1)
        forest.fit(counts([texts[own[i]] for i in seen], RADIUS, BITS), [learned[i][name] for i in seen])
        wanted = np.array([c.props.get(name, np.nan) for c in captions])
        of_real, of_made = (np.asarray(forest.predict(counts(t, RADIUS, BITS))) for t in ([texts[i] for i in rows], made))
        keep, good = np.isfinite(wanted), np.array([valid(s) for s in made])
        shuffled = float(np.mean(np.abs(wanted[keep] - np.random.default_rng(ctx.seed).permutation(of_real[keep]))))
        errors = np.where(good, np.abs(wanted - of_made), shuffled)[keep]
        floor = float(np.mean(np.abs(wanted - of_real)[keep]))
        return Metric(
            name=f"predicted_mae_{name}", value=float(errors.mean()), direction="lower",
            floor=floor, ceiling=shuffled, n=int(keep.sum()), note=f"predictor of {len(seen)} molecules that the generator never saw",
        )  # fmt: skip
