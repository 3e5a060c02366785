"""Evaluator `shapes-oracle`: do pictures of built-in shapes show what was asked?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, Prompt, hookimpl, take
from scarce_images.config import ShapesOracle as ShapesOracleOptions
from scarce_images.reading import measure
from scarce_images.shapes import COLOURS, COLUMNS, HELD_OUT, POSITIONS, SHAPES, SIZES, caption, table

Right = npt.NDArray[np.bool_]
WORDS: Mapping[str, Sequence[str]] = {"shape": SHAPES, "colour": COLOURS, "position": POSITIONS, "size": SIZES}


class ShapesOracle(EvaluatorSpec):
    """Reads every picture by the drawings it could be; a picture that is like none of them has everything wrong."""

    def __init__(self, options: ShapesOracleOptions) -> None:
        self.options = options
        self._asked = pd.DataFrame({"shape": [], "colour": [], "both": []})

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """Share of pictures with the class that was asked, of every source; of pictures asked by captions, each fact's.

        `oracle_shape` (or whichever fact is the target) of every source; missing pictures count as wrong. Where prompts are
        captions and records have all four facts, whole captions of test records are asked: `oracle_colour`, `oracle_position`,
        `oracle_size` and `oracle_both` (shape and colour together), and `oracle_unseen_both` of combinations of shape and colour
        that no record of the data has.
        floor: real test pictures; ceiling: answers at random.
        """
        test = take(ctx.dataset.records, ctx.dataset.rows("test"))
        known = [name for name in COLUMNS if name in test.columns and set(test[name]) <= set(WORDS[name])]
        if not known or not len(test):
            reason = f"records have none of the columns {', '.join(COLUMNS)} of built-in shapes"
            return [Metric(name="oracle_shape", value=math.nan, error=reason)]
        real = self._right(test, test, known)
        out = self._classes(ctx, real)
        done = {m.name for m in out if m.source == "synthetic"}
        if ctx.describe is None or ctx.generator is None or len(known) < len(COLUMNS):
            return out
        return out + [m for m in self._captions(ctx, test, real) if m.name not in done]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Share of pictures with shape and colour both as asked, by what was asked."""
        if not len(self._asked):
            return []
        shares = self._asked.pivot_table(index="shape", columns="colour", values="both", aggfunc="mean")
        shares = shares.reindex(index=list(SHAPES), columns=list(COLOURS))
        z = [[None if math.isnan(v) else round(float(v), 3) for v in row] for row in shares.to_numpy()]
        trace = {
            "type": "heatmap", "z": z, "x": list(COLOURS), "y": list(SHAPES), "zmin": 0, "zmax": 1, "colorscale": "Blues",
            "texttemplate": "%{z:.2f}", "colorbar": {"title": {"text": "right"}},
        }  # fmt: skip
        caption = f"Share of pictures with both as asked. Never in the data: {', '.join(sorted(f'{c} {s}' for s, c in self._left(ctx)))}."
        layout = {"height": 340, "yaxis": {"autorange": "reversed"}}
        name, title = "shapes_both", "Shape and colour, asked by captions"
        return [Figure(name=name, title=title, caption=caption, traces=[trace], layout=layout, section="control")]

    def _classes(self, ctx: EvaluatorContext, real: Mapping[str, Right]) -> list[Metric]:
        """The target's share of every source, if the target is one of the facts."""
        target = ctx.dataset.target_name
        if target not in real:
            return []
        out = []
        for source, records in ctx.samples.items():
            asked = ctx.targets.get(source)
            if asked is None:
                continue
            right = self._right(records, pd.DataFrame({target: np.asarray(asked, dtype=object)}), [target])[target]
            missing = max(0, ctx.expected - len(right)) if source == "synthetic" else 0
            padded = np.concatenate([right, np.zeros(missing, dtype=bool)])
            out.append(_share(f"oracle_{target}", source, padded, real[target], 1 / len(WORDS[target])))
        return out

    def _right(self, records: pd.DataFrame, asked: pd.DataFrame, names: Iterable[str]) -> dict[str, Right]:
        """[n] per fact: is it as asked, in a picture that shows anything at all?"""
        if not len(records):
            return {name: np.zeros(0, dtype=bool) for name in names}
        read = measure(np.stack(list(records["image"])), self.options.style)
        valid = read["valid"].to_numpy()
        return {name: valid & (read[name].to_numpy() == asked[name].to_numpy()) for name in names}

    def _captions(self, ctx: EvaluatorContext, test: pd.DataFrame, real: Mapping[str, Right]) -> list[Metric]:
        """What pictures generated for captions show."""
        rows = np.sort(np.random.default_rng([ctx.seed, 11]).permutation(len(test))[: self.options.rows])
        asked = take(test, rows)
        right = self._ask(ctx, asked, real, "asked")
        out = [_share(f"oracle_{name}", "synthetic", right[name], real[name], 1 / len(WORDS[name])) for name in real]
        floor, chance = real["shape"] & real["colour"], 1 / (len(SHAPES) * len(COLOURS))
        both = right["shape"] & right["colour"]
        out.append(_share("oracle_both", "synthetic", both, floor, chance))
        self._asked = asked[["shape", "colour"]].assign(both=both)
        left = self._left(ctx)
        if left:
            others, pixels = set(itertools.product(SHAPES, COLOURS)) - left, ctx.codec.space.shape[0]
            asked = table(self.options.rows, seed=ctx.seed, style=self.options.style, pixels=pixels, exclude=others)
            right = self._ask(ctx, asked, ("shape", "colour"), "unseen")
            both = right["shape"] & right["colour"]
            out.append(_share("oracle_unseen_both", "synthetic", both, floor, chance))
            self._asked = pd.concat([self._asked, asked[["shape", "colour"]].assign(both=both)], ignore_index=True)
        return out

    def _left(self, ctx: EvaluatorContext) -> set[tuple[str, str]]:
        """Held-out combinations that no record of the data has."""
        records = ctx.dataset.records
        return set(HELD_OUT) - set(zip(records["shape"], records["colour"], strict=True))

    def _ask(self, ctx: EvaluatorContext, asked: pd.DataFrame, names: Iterable[str], purpose: str) -> dict[str, Right]:
        """Pictures generated for the captions of records, read."""
        assert ctx.generator is not None
        target = ctx.dataset.target_name
        labels: list[Any] = asked[target].tolist() if target in asked.columns else [None] * len(asked)
        texts = [caption(dict(zip(COLUMNS, row, strict=True))) for row in asked[list(COLUMNS)].to_numpy().tolist()]
        prompts = [Prompt(label=v, text=text) for v, text in zip(labels, texts, strict=True)]
        made = ctx.generator.sample(prompts, seed=ctx.runtime.derive(f"shapes-oracle.{purpose}"))
        return self._right(made, asked, names)


def _share(name: str, source: str, right: Right, real: Right, chance: float) -> Metric:
    """A share with Wilson's interval, between chance and what real pictures have."""
    if not len(right):
        return Metric(name=name, value=math.nan, source=source, error="no pictures")
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Metric(
        name=name, value=float(right.mean()), source=source, direction="higher", low=float(interval.low), high=float(interval.high),
        floor=float(real.mean()), ceiling=chance, n=len(right),
    )  # fmt: skip
