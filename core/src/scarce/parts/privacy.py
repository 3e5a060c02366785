"""Evaluator `privacy`: how near synthetic records lie to the records they were learned from.

Distances are Euclidean between `Codec.vectors`. Nearness to training rows means little alone, so every number
stands beside what real hold-out rows (validation and test) score against the same training rows.
Sources: distance to closest record and its median as in TabDDPM (arXiv 2209.15421), hold-out share as in
TabSyn (arXiv 2310.09656), Wilson's interval (1927).
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take
from scarce.contract.frozen import Frozen
from scarce.parts.config import Configured
from scarce.parts.config import Privacy as PrivacyOptions

Vectors = npt.NDArray[np.float64]
TIE = 1e-6  # distances nearer than this are equal
_CHUNK = 4_000_000  # entries of a distance block: 32 MB


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n."""
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def nearest(rows: Vectors, to: Vectors, k: int = 1) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Distances and positions [n, k] of the k nearest of `to`, in blocks of bounded memory."""
    reference = torch.from_numpy(np.ascontiguousarray(to))
    block = max(1, _CHUNK // max(1, len(to)))
    distances, places = [], []
    for start in range(0, len(rows), block):
        part = torch.from_numpy(np.ascontiguousarray(rows[start : start + block]))
        found = torch.cdist(part, reference).topk(min(k, len(to)), largest=False)
        distances.append(torch.where(found.values <= TIE, 0.0, found.values))  # matrix products round zero to 1e-8
        places.append(found.indices)
    return torch.cat(distances).numpy(), torch.cat(places).numpy()


def copies(rows: Vectors, of: Vectors) -> npt.NDArray[np.bool_]:
    """[n] whether a row equals some row of `of` in every number."""
    known = {row.tobytes() for row in np.ascontiguousarray(of) + 0.0}  # + 0.0: minus zero equals zero
    return np.array([row.tobytes() in known for row in np.ascontiguousarray(rows) + 0.0], dtype=bool)


def twins(rows: Vectors) -> float:
    """Share of rows that another row of the same set equals: how often real records repeat each other."""
    counts = Counter(row.tobytes() for row in np.ascontiguousarray(rows) + 0.0)
    return sum(c for c in counts.values() if c > 1) / len(rows)


def holdout_share(rows: Vectors, train: Vectors, holdout: Vectors) -> float:
    """Share of rows nearer to train than to an equally large hold-out; a tie counts half."""
    near_train = nearest(rows, train)[0][:, 0]
    near_holdout = nearest(rows, holdout)[0][:, 0]
    tied = np.abs(near_train - near_holdout) <= TIE
    return float(np.mean(np.where(tied, 0.5, near_train < near_holdout)))


class Sides(Frozen):
    """Vectors of the real rows: all of them for copies, sub-sampled ones for distances, equal ones for the share."""

    all_train: Vectors
    all_holdout: Vectors
    train: Vectors
    train_rows: npt.NDArray[np.int64]
    holdout: Vectors
    equal_train: Vectors
    equal_holdout: Vectors


def some(n: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Positions of at most so many of n rows, in order."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


class Privacy(Configured[PrivacyOptions], EvaluatorSpec):
    """Distance to closest record, hold-out share, exact copies, and the nearest real record shown."""

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`dcr_median`, `nndr_median`, `holdout_share`, `exact_copies` of every source."""
        train, holdout = len(ctx.dataset.rows("train")), len(ctx.dataset.rows("validation", "test"))
        if train < 2 or holdout < 2:
            reason = f"needs at least 2 training and 2 hold-out records, found {train} and {holdout}"
            return [Metric(name="dcr_median", value=float("nan"), source=s, error=reason) for s in ctx.samples]
        sides = self._sides(ctx)
        line = self._line(sides)
        return [m for source, records in ctx.samples.items() for m in self._source(ctx, source, records, sides, line)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """A histogram of distances beside the real line, and a table of the nearest pairs."""
        data, synthetic = ctx.dataset, ctx.samples.get("synthetic")
        if synthetic is None or len(synthetic) == 0 or len(data.rows("train")) < 2 or len(data.rows("validation", "test")) < 2:
            return []
        sides = self._sides(ctx)
        rows = some(len(synthetic), self.options.rows, np.random.default_rng([ctx.seed, 2]))
        distances, places = nearest(ctx.codec.vectors(take(synthetic, rows)), sides.train)
        figures = [_histogram(distances[:, 0], nearest(sides.holdout, sides.train)[0][:, 0])]
        if self.options.nearest:
            order = np.argsort(distances[:, 0], kind="stable")[: self.options.nearest]
            real = take(data.records, data.rows("train")[sides.train_rows[places[order, 0]]])
            figures.append(_pairs(take(synthetic, rows[order]), real, distances[order, 0]))
        return figures

    def _sides(self, ctx: EvaluatorContext) -> Sides:
        rng = np.random.default_rng([ctx.seed, 1])
        train = ctx.codec.vectors(take(ctx.dataset.records, ctx.dataset.rows("train")))
        holdout = ctx.codec.vectors(take(ctx.dataset.records, ctx.dataset.rows("validation", "test")))
        rows, held = some(len(train), self.options.rows, rng), some(len(holdout), self.options.rows, rng)
        size = min(len(rows), len(held))
        return Sides(
            all_train=train, all_holdout=holdout, train=train[rows], train_rows=rows, holdout=holdout[held],
            equal_train=train[rows[some(len(rows), size, rng)]], equal_holdout=holdout[held[some(len(held), size, rng)]],
        )  # fmt: skip

    def _line(self, sides: Sides) -> Mapping[str, float]:
        found = nearest(sides.holdout, sides.train, 2)[0]
        # Equal records share a split, so hold-out copies alone would say 0 where real records repeat each other.
        copied = max(float(copies(sides.all_holdout, sides.all_train).mean()), twins(sides.all_train))
        return {"dcr": float(np.median(found[:, 0])), "nndr": _ratio(found), "copies": copied}

    def _source(self, ctx: EvaluatorContext, source: str, records: Any, sides: Sides, line: Mapping[str, float]) -> list[Metric]:
        if len(records) == 0:
            return [Metric(name="dcr_median", value=float("nan"), source=source, error="no records")]
        every = ctx.codec.vectors(records)
        rows = every[some(len(every), self.options.rows, np.random.default_rng([ctx.seed, 2]))]
        found = nearest(rows, sides.train, 2)[0]
        share = holdout_share(rows, sides.equal_train, sides.equal_holdout)
        copied = copies(every, sides.all_train)
        low, high = wilson(share, len(rows))
        copy_low, copy_high = wilson(float(copied.mean()), len(every))
        note = f"{int(copied.sum())} of {len(every)}; of real rows {100 * line['copies']:.1f} % equal another real row"
        used = f"against {len(sides.equal_train)} training and as many hold-out rows"
        near = partial(Metric, source=source, n=len(rows))
        return [
            near(name="dcr_median", value=float(np.median(found[:, 0])), direction="higher", floor=line["dcr"]),
            near(name="nndr_median", value=_ratio(found), direction="higher", floor=line["nndr"]),
            near(name="holdout_share", value=share, direction="target", target=0.5, low=low, high=high, floor=0.5, note=used),
            Metric(
                name="exact_copies", value=float(copied.mean()), source=source, direction="lower", low=copy_low, high=copy_high,
                floor=line["copies"], ceiling=1.0, n=len(every), note=note,
            ),
        ]  # fmt: skip


def _ratio(found: Vectors) -> float:
    """Median of nearest over second nearest distance; 0 over 0 counts as 1 (two equal records, neither nearer)."""
    second = found[:, -1]
    return float(np.median(np.where(second > 0, found[:, 0] / np.where(second > 0, second, 1), 1.0)))


def _histogram(synthetic: Vectors, real: Vectors) -> Figure:
    top = float(np.quantile(np.concatenate([synthetic, real]), 0.99)) or 1.0
    edges = np.linspace(0, top, 41)
    traces = []
    for name, values, colour in (("synthetic → train", synthetic, "#d9622b"), ("real hold-out → train", real, "#2f6fb0")):
        counts = np.histogram(np.minimum(values, top), edges)[0] / len(values)
        centres = ((edges[1:] + edges[:-1]) / 2).tolist()
        traces.append({"type": "bar", "name": name, "x": centres, "y": counts.tolist(), "opacity": 0.6, "marker": {"color": colour}})
    layout = {"barmode": "overlay", "bargap": 0, "xaxis": {"title": {"text": "distance to the nearest training record"}},
              "yaxis": {"title": {"text": "share of records"}}}  # fmt: skip
    caption = "Synthetic records should lie no nearer to the training records than unseen real records do."
    title = "Distance to the closest record"
    return Figure(name="privacy_histogram", title=title, caption=caption, traces=traces, layout=layout, section="privacy")


def _pairs(synthetic: Any, real: Any, distances: Vectors) -> Figure:
    columns = [str(c) for c in getattr(synthetic, "columns", ["record"])]
    head = "".join(f"<th>{html.escape(c)}</th>" for c in ["distance", "", *columns])
    body = []
    for i, distance in enumerate(distances):
        ours, theirs = _cells(synthetic, i), _cells(real, i)
        marks = ["" if a == b else ' class="differs"' for a, b in zip(ours, theirs, strict=True)]
        body.append(f'<tr><td rowspan="2">{distance:.3g}</td><th>synthetic</th>{_tds(ours, marks)}</tr>')
        body.append(f"<tr><th>nearest real</th>{_tds(theirs, marks)}</tr>")
    table = f'<table class="pairs"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    caption = "The synthetic records closest to any training record, each above that record; cells that differ are marked."
    return Figure(name="privacy_nearest", title="Nearest real records", caption=caption, html=table, section="privacy")


def _cells(records: Any, row: int) -> list[str]:
    values: Sequence[Any] = records.iloc[row].tolist() if hasattr(records, "iloc") else [records[row]]
    return [f"{v:.6g}" if isinstance(v, float) else str(v)[:80] for v in values]


def _tds(cells: Sequence[str], marks: Sequence[str]) -> str:
    return "".join(f"<td{mark}>{html.escape(cell)}</td>" for cell, mark in zip(cells, marks, strict=True))
