"""Evaluator `tanimoto-privacy`: do samples lie nearer to training molecules than unseen real ones do?"""

from __future__ import annotations

import numpy as np

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce_molecules import config
from scarce_molecules.fingerprints import holdout_share, nearest, prints
from scarce_molecules.sides import FEWEST, NAN, chosen, failed, real_smiles, valid_smiles, wilson


class TanimotoPrivacy(EvaluatorSpec):
    """Nearest neighbours by the Tanimoto distance of Morgan fingerprints."""

    def __init__(self, options: config.TanimotoPrivacy) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`tanimoto_nearest_ratio`, `tanimoto_holdout_share` and `tanimoto_copies` of every source.

        Ratio: median distance to the nearest training molecule over that of hold-out molecules; share: molecules nearer to training than
        to as many hold-out molecules; copies: molecules of distance 0. What is no valid molecule copies nobody and is left out.
        """
        o = self.options
        train, held = real_smiles(ctx, "train"), real_smiles(ctx, "validation", "test")
        if min(len(train), len(held)) < FEWEST:
            why = f"needs {FEWEST} training and as many hold-out molecules, found {len(train)} and {len(held)}"
            return failed(ctx, "tanimoto_nearest_ratio", why)
        known, n = prints(train, o.radius, o.bits), min(len(train), len(held))
        unseen = prints(chosen(held, o.rows, ctx.seed), o.radius, o.bits)
        usual = float(np.median(nearest(unseen, known)))
        equal = [prints(chosen(side, n, ctx.seed), o.radius, o.bits) for side in (train, held)]
        return [m for source in ctx.samples for m in self._source(ctx, source, known, equal, usual)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []

    def _source(self, ctx: EvaluatorContext, source: str, known: list[object], equal: list[list[object]], usual: float) -> list[Metric]:
        rows = prints(chosen(valid_smiles(ctx.samples[source]), self.options.rows, ctx.seed), self.options.radius, self.options.bits)
        if not rows:
            return [Metric(name="tanimoto_nearest_ratio", value=NAN, source=source, error="no valid molecule")]
        near = nearest(rows, known)
        share = holdout_share(*(nearest(rows, side) for side in equal))
        low, high = wilson(share, len(rows))
        copies = float(np.mean(near == 0))
        ratio = float(np.median(near)) / usual if usual > 0 else NAN
        return [
            Metric(
                name="tanimoto_nearest_ratio", value=ratio, source=source, direction="higher", floor=1.0, ceiling=0.0, n=len(rows),
                error="" if usual > 0 else "hold-out molecules equal training molecules",
            ),
            Metric(
                name="tanimoto_holdout_share", value=share, source=source, direction="target", target=0.5, low=low, high=high, floor=0.5,
                n=len(rows), note=f"against {len(equal[0])} training and as many hold-out molecules",
            ),
            Metric(name="tanimoto_copies", value=copies, source=source, direction="lower", floor=0.0, ceiling=1.0, n=len(rows)),
        ]  # fmt: skip
