"""Evaluator `shapes-histograms`: which shapes, colours, positions and sizes do pictures show, whatever was asked?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce_images.config import ShapesHistograms as ShapesHistogramsOptions
from scarce_images.figures import bars
from scarce_images.oracle import WORDS
from scarce_images.reading import measure
from scarce_images.scores import apart, share_of
from scarce_images.shapes import COLUMNS
from scarce_images.sides import real


class ShapesHistograms(EvaluatorSpec):
    """Shares of classes and groups as an exact reading of the pictures finds them: what drifts where samples are used again and again."""

    def __init__(self, options: ShapesHistogramsOptions) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`shown_shape_shift`, `shown_colour_shift`, `shown_position_shift` and `shown_size_shift` of every source.

        Half the sum of differences between the shares of what a source's pictures show and those among real training pictures:
        0 for equal shares, 1 for nothing in common. Pictures that show no shape count as elsewhere. floor: real test pictures.
        The note holds the shares.
        """
        known = self._known(ctx)
        if not known:
            reason = f"records have none of the columns {', '.join(COLUMNS)} of built-in shapes"
            return [Metric(name="shown_shape_shift", value=math.nan, error=reason)]
        train, test = (real(ctx, split).records for split in ("train", "test"))
        out = []
        for source, shares in self._shown(ctx, known).items():
            for name in known:
                usual, held = (share_of(records, name, WORDS[name]) for records in (train, test))
                note = ", ".join(f"{word} {share:.3f}" for word, share in shares[name].items())
                metric = Metric(name=f"shown_{name}_shift", value=apart(shares[name], usual), source=source, direction="lower", note=note)
                out.append(metric.with_(floor=apart(held, usual), n=len(ctx.samples[source])))
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Shares by source, for each fact."""
        known = self._known(ctx)
        shown = self._shown(ctx, known) if known else {}
        out = []
        for name in known:
            shares = {"real": share_of(real(ctx, "train").records, name, WORDS[name]), **{s: row[name] for s, row in shown.items()}}
            caption = f"Share of each {name} among real training pictures, and as it is read off the pictures of each source."
            out += bars(f"shown_{name}", f"What pictures show: {name}", caption, "share", shares, "fidelity")
        return out

    def _known(self, ctx: EvaluatorContext) -> list[str]:
        records = real(ctx, "train", "test").records
        return [name for name in COLUMNS if name in records.columns and len(records) and set(records[name]) <= set(WORDS[name])]

    def _shown(self, ctx: EvaluatorContext, known: list[str]) -> dict[str, dict[str, dict[str, float]]]:
        """source -> fact -> word -> share of its pictures."""
        out = {}
        for source, records in ctx.samples.items():
            if len(records):
                read = measure(np.stack(list(records["image"])), self.options.style)
                read = pd.DataFrame(read).where(read["valid"], None)
                scale = read["valid"].notna().mean()
                out[source] = {name: {w: scale * s for w, s in share_of(read, name, WORDS[name]).items()} for name in known}
        return out
