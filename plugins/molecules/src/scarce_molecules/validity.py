"""Evaluator `validity`: how many samples are molecules, stable, unlike each other and new."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take
from scarce_molecules import config
from scarce_molecules.bonds import stable, valid
from scarce_molecules.records import as_row
from scarce_molecules.sides import asked, real_smiles, some, valid_smiles, wilson

NOTES = {
    "valid": "sanitised by RDKit and of one fragment",
    "atom_stability": "atoms with a bond, and no more than their element allows",
    "molecule_stability": "samples all of whose atoms are stable",
    "unique": "different ones among valid samples",
    "novel": "valid samples that are no training molecule",
    "new_valid": "different valid samples that are no training molecule, of all asked for",
}


class Validity(EvaluatorSpec):
    """Shares of samples that are molecules; of every source, so that the controls stand beside."""

    def __init__(self, options: config.Validity) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """See `NOTES`; missing samples are not valid. Floor: unseen real molecules, bonds found anew.

        `reconstructed`: share of those that come back as they were.
        """
        known = set(real_smiles(ctx, "train"))
        held = take(ctx.dataset.records, ctx.dataset.rows("validation", "test"))
        held = take(held, some(len(held), self.options.rows, ctx.seed))
        again = found_anew(held)
        floor = shares(again, len(held), known)
        out = [m for source in ctx.samples for m in self._source(ctx, source, known, floor)]
        if len(held):
            same = float(np.mean([a == b for a, b in zip(again["smiles"], held["smiles"], strict=True)]))
            note = "unseen real molecules that their distances give back"
            out.append(Metric(name="reconstructed", value=same, source="real", direction="none", n=len(held), note=note))
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []

    def _source(self, ctx: EvaluatorContext, source: str, known: set[str], floor: dict[str, float]) -> list[Metric]:
        records = ctx.samples[source]
        rows = some(len(records), self.options.rows, ctx.seed)
        n = asked(ctx, source) if len(rows) == len(records) else len(rows)
        out = []
        for name, value in shares(take(records, rows), n, known).items():
            of = len(valid_smiles(take(records, rows))) if name in ("unique", "novel") else n
            low, high = wilson(value, of)
            out.append(
                Metric(
                    name=name, value=value, source=source, direction="higher", floor=floor[name], ceiling=0.0, low=low, high=high, n=of,
                    note=NOTES[name],
                )
            )  # fmt: skip
        return out


def found_anew(records: pd.DataFrame) -> pd.DataFrame:
    """Records whose bonds are found from their distances."""
    rows = [
        as_row(list(a), list(c), np.array(list(x), dtype=np.float64))
        for a, c, x in zip(records["atoms"], records["charges"], records["xyz"], strict=True)
    ]
    return pd.DataFrame(
        {name: pd.Series([r[i] for r in rows], dtype=object) for i, name in enumerate(("smiles", "atoms", "charges", "xyz"))}
    )


def shares(records: pd.DataFrame, n: int, known: set[str]) -> dict[str, float]:
    """The metrics of records of which n were asked for; 0 where there is nothing to share out."""
    good = [str(s) for s in records["smiles"] if valid(s)]
    calm = [
        stable(list(a), list(c), np.array(list(x), dtype=np.float64))
        for a, c, x in zip(records["atoms"], records["charges"], records["xyz"], strict=True)
    ]
    atoms = sum(map(len, calm)) * n / max(1, len(records))  # a missing sample has as many atoms as the others
    new = {s for s in good if s not in known}
    return {
        "valid": len(good) / max(1, n),
        "atom_stability": float(sum(int(c.sum()) for c in calm)) / max(1.0, atoms),
        "molecule_stability": sum(bool(c.all()) for c in calm) / max(1, n),
        "unique": len(set(good)) / max(1, len(good)),
        "novel": sum(s not in known for s in good) / max(1, len(good)),
        "new_valid": len(new) / max(1, n),
    }
