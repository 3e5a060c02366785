"""Evaluators of tables: does a model trained on the data do well, do columns go together, has each its shape?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, r2_score, roc_auc_score, root_mean_squared_error

from scarce.contract import Dataset, EvaluatorContext, EvaluatorSpec, Figure, Metric, Predictions, hookimpl, take
from scarce_tabular.association import associations
from scarce_tabular.columns import Columns, columns_of, levels
from scarce_tabular.config import Correlation as CorrelationOptions
from scarce_tabular.config import Shape as ShapeOptions
from scarce_tabular.config import Utility as UtilityOptions

Array = npt.NDArray[Any]
NAN = float("nan")
ENTRIES = 1_000_000_000  # rows times pairs of columns that are compared
FEWEST_ROWS = 2000
MOST_MAPPED = 60  # columns of a heat map: those that differ most
_COLOURS = [[0.0, "#b5482a"], [0.5, "#ffffff"], [1.0, "#2a5ea8"]]


class Utility(EvaluatorSpec):
    """Scores on real test rows of the learner fitted on each source: train on synthetic, test on real."""

    def __init__(self, options: UtilityOptions) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """Classification: `macro_f1`, `accuracy`, `roc_auc`; regression: `r2`, `rmse`.

        floor is the score of the model trained on real rows, ceiling that of always answering the same.
        """
        score = {"classification": class_scores, "regression": value_scores}.get(ctx.dataset.task)
        if score is None:
            return [Metric(name="utility", value=NAN, error="the data set has no target", source=s) for s in ctx.predictions]
        rows = ctx.dataset.rows("test")
        truth = _truth(ctx.dataset)[rows]
        known = truth >= 0 if ctx.dataset.task == "classification" else np.isfinite(truth)
        found = {source: score(ctx.dataset, truth, known, p) for source, p in ctx.predictions.items()}
        floor, ceiling = found.get("real", {}), score(ctx.dataset, truth, known, _useless(ctx.dataset, len(rows)))
        return [
            Metric(
                name=name, value=value, source=source, n=int(known.sum()), floor=_finite(floor.get(name)), ceiling=_finite(ceiling[name]),
                direction="lower" if name == "rmse" else "higher", error="" if np.isfinite(value) else _why(known, name),
            )
            for source, scores in found.items() for name, value in scores.items()
        ]  # fmt: skip

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures: the report draws the scores of all sources and seeds itself."""
        return []


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _why(known: Array, name: str) -> str:
    return (
        f"{name} needs probabilities and two classes among the {int(known.sum())} test rows"
        if known.any()
        else "no test row has a known target"
    )


def _truth(dataset: Dataset) -> Array:
    """Class codes or floats of every row, whether or not its label was hidden from training."""
    if dataset.target is None:
        return np.full(len(dataset), np.nan)
    if dataset.task == "regression":
        return np.asarray(pd.to_numeric(pd.Series(dataset.target), errors="coerce"), dtype=np.float64)
    return dataset.codes_of(dataset.target)


def _useless(dataset: Dataset, n: int) -> Predictions:
    """Always the most frequent training class, or the training mean."""
    train = _truth(dataset)[dataset.rows("train")]
    if dataset.task == "regression":
        return Predictions(values=np.full(n, np.nanmean(train) if np.isfinite(train).any() else 0.0))
    counts = np.bincount(train[train >= 0], minlength=len(dataset.classes))
    values = np.empty(n, dtype=object)
    values[:] = [dataset.classes[int(counts.argmax())]] * n
    return Predictions(values=values, probabilities=np.tile(counts / max(counts.sum(), 1), (n, 1)))


def class_scores(dataset: Dataset, truth: Array, known: Array, predictions: Predictions) -> dict[str, float]:
    """`macro_f1`, `accuracy` and `roc_auc` (one against the rest, macro) on rows with a known class; NaN where undefined."""
    codes, y = dataset.codes_of(predictions.values)[known], truth[known]
    if not known.any():
        return {"macro_f1": NAN, "accuracy": NAN, "roc_auc": NAN}
    auc = NAN
    if predictions.probabilities is not None:
        p = predictions.probabilities[known]
        areas = [roc_auc_score(y == k, p[:, k]) for k in np.unique(y) if (y == k).sum() < len(y)]
        auc = float(np.mean(areas)) if areas else NAN
    return {
        "macro_f1": float(f1_score(y, codes, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(y, codes)),
        "roc_auc": auc,
    }


def value_scores(dataset: Dataset, truth: Array, known: Array, predictions: Predictions) -> dict[str, float]:
    """`r2` and `rmse` in the target's units; NaN with fewer than two test rows."""
    y, said = truth[known], np.asarray(predictions.values, dtype=np.float64)[known]
    if len(y) < 2:
        return {"r2": NAN, "rmse": NAN}
    return {"r2": float(r2_score(y, said)), "rmse": float(root_mean_squared_error(y, said))}


def _capped(records: Any, most: int, seed: int) -> Any:
    if len(records) <= most:
        return records
    return take(records, np.sort(np.random.default_rng([seed, len(records)]).choice(len(records), most, replace=False)))


def _real(ctx: EvaluatorContext, most: int) -> tuple[Any, Any]:
    data = ctx.dataset
    train, held = (take(data.records, data.rows(*splits)) for splits in (("train",), ("validation", "test")))
    return _capped(train, most, ctx.seed), _capped(held, most, ctx.seed)


class Correlation(EvaluatorSpec):
    """Distance between the association matrices of real training rows and of each source."""

    def __init__(self, options: CorrelationOptions) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`correlation_distance` (mean |D| over pairs) and `correlation_frobenius` of every source.

        floor: real hold-out rows; ceiling: training rows with every column permuted. Columns constant on the training
        rows are left out and listed; one constant only in a sample counts with association 0 and is listed.
        """
        columns = columns_of(ctx.dataset)
        train, held = _real(ctx, self._most(columns))
        if len(columns.names) < 2 or len(train) < 3:
            error = f"needs two varying columns and three rows, found {len(columns.names)} and {len(train)}"
            return [Metric(name="correlation_distance", value=NAN, source=source, error=error) for source in ctx.samples]
        real = self._matrix(train, columns)
        floor = distances(real, self._matrix(held, columns)) if len(held) > 2 else {}
        ceiling = distances(real, self._matrix(_permuted(train, ctx.seed), columns))
        return [m for source, r in ctx.samples.items() for m in self._source(ctx, source, r, columns, real, floor, ceiling)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Heat-maps real | synthetic | difference."""
        columns, synthetic = columns_of(ctx.dataset), ctx.samples.get("synthetic")
        if synthetic is None or len(synthetic) < 3 or len(columns.names) < 2:
            return []
        most = self._most(columns)
        real, other = (self._matrix(r, columns) for r in (_real(ctx, most)[0], _capped(synthetic, most, ctx.seed)))
        shown = np.sort(np.argsort(-np.abs(real - other).max(0), kind="stable")[:MOST_MAPPED])
        names = tuple(columns.names[i] for i in shown)
        return [heat_maps(real[np.ix_(shown, shown)], other[np.ix_(shown, shown)], names)]

    def _most(self, columns: Columns) -> int:
        """Rows per table that are compared: fewer where there are very many pairs of columns."""
        return min(self.options.rows, max(FEWEST_ROWS, ENTRIES // max(1, len(columns.names) ** 2 // 2)))

    def _matrix(self, records: Any, columns: Columns) -> Array:
        return associations(records, columns, method=self.options.numeric)

    def _source(
        self,
        ctx: EvaluatorContext,
        source: str,
        records: Any,
        columns: Columns,
        real: Array,
        floor: dict[str, float],
        ceiling: dict[str, float],
    ) -> Iterator[Metric]:
        if len(records) < 3:
            yield Metric(name="correlation_distance", value=NAN, source=source, error=f"needs three records, found {len(records)}")
            return
        records = _capped(records, self._most(columns), ctx.seed)
        matrix = self._matrix(records, columns)
        note = _listed("left out (identifier, free text or constant)", columns.dropped)
        note += _listed("constant in this sample", [c for c in columns.names if records[c].nunique(dropna=False) < 2])
        note += _listed("worst pairs", worst_pairs(real - matrix, columns.names, self.options.worst))
        for name, value in distances(real, matrix).items():
            yield Metric(
                name=name,
                value=value,
                source=source,
                direction="lower",
                floor=floor.get(name),
                ceiling=ceiling[name],
                n=len(records),
                note=note.strip(),
            )


def _listed(what: str, names: Any) -> str:
    return f"{what}: {', '.join(map(str, names))}. " if names else ""


def _permuted(records: Any, seed: int) -> Any:
    rng = np.random.default_rng([seed, 7])
    return pd.DataFrame({c: records[c].to_numpy()[rng.permutation(len(records))] for c in records.columns}).astype(records.dtypes)


def distances(real: Array, other: Array) -> dict[str, float]:
    """Mean |D_ij| over i < j, and the Frobenius norm of D, of D = real - other."""
    difference = real - other
    pairs = np.abs(difference[np.triu_indices(len(real), 1)])
    return {"correlation_distance": float(pairs.mean()), "correlation_frobenius": float(np.linalg.norm(difference))}


def worst_pairs(difference: Array, names: tuple[str, ...], most: int) -> list[str]:
    """The pairs of columns with the largest |difference|, as "a × b +0.12" (real minus sample)."""
    i, j = np.triu_indices(len(difference), 1)
    order = np.argsort(-np.abs(difference[i, j]), kind="stable")[:most]
    return [f"{names[i[k]]} × {names[j[k]]} {difference[i[k], j[k]]:+.2f}" for k in order]


def heat_maps(real: Array, synthetic: Array, names: tuple[str, ...]) -> Figure:
    """Three matrices side by side on one colour scale, the difference on its own."""
    labels = [str(n) if len(str(n)) <= 18 else f"{str(n)[:17]}…" for n in names]
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels, "showgrid": False, "zeroline": False}
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": [], "height": 420}
    limit = max(0.1, float(np.abs(real - synthetic).max()))
    for k, (title, z, top) in enumerate(
        (("real", real, 1.0), ("synthetic", synthetic, 1.0), ("real − synthetic", real - synthetic, limit))
    ):
        mark, domain = "" if k == 0 else str(k + 1), [0.355 * k, 0.355 * k + 0.29]
        scale = {"colorscale": _COLOURS, "zmin": -top, "zmax": top, "showscale": k > 0}
        bar = {"colorbar": {"x": domain[1] + 0.005, "thickness": 8, "len": 0.9}}
        traces.append(
            {"type": "heatmap", "z": np.round(z, 3).tolist(), "xaxis": f"x{mark}", "yaxis": f"y{mark}", "name": title, **scale, **bar}
        )
        layout[f"xaxis{mark}"] = {"domain": domain, "anchor": f"y{mark}", "tickangle": -60, **ticks}
        layout[f"yaxis{mark}"] = {"anchor": f"x{mark}", "autorange": "reversed", **ticks, "showticklabels": k == 0}
        layout["annotations"].append(
            {
                "text": title,
                "x": sum(domain) / 2,
                "y": 1.02,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    caption = "How strongly each pair of columns goes together; the third map shows what the synthetic rows get wrong (its own scale)."
    return Figure(name="correlation_heatmaps", title="Pairs of columns", caption=caption, traces=traces, layout=layout, section="fidelity")


class Shape(EvaluatorSpec):
    """Similarity of each column's distribution: 1 - KS for numbers and dates, 1 - TV for levels."""

    def __init__(self, options: ShapeOptions) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`column_shape` (mean over columns) and `column_shape_worst` (mean of the worst) of every source.

        floor: real hold-out rows. A synthetic record that was asked for and not delivered has no value any real
        record has, so it lowers every column's similarity by its share.
        """
        columns = columns_of(ctx.dataset)
        train, held = _real(ctx, self.options.rows)
        if not columns.names or len(train) == 0:
            return [Metric(name="column_shape", value=NAN, source=s, error="no varying column, or no training rows") for s in ctx.samples]
        floor = similarities(train, held, columns) if len(held) else {}
        return [m for source, records in ctx.samples.items() for m in self._source(ctx, source, records, columns, train, floor)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Dots of every column's similarity, worst first, beside real hold-out rows."""
        columns, synthetic = columns_of(ctx.dataset), ctx.samples.get("synthetic")
        if synthetic is None or len(synthetic) == 0 or not columns.names:
            return []
        train, held = _real(ctx, self.options.rows)
        ours = similarities(train, _capped(synthetic, self.options.rows, ctx.seed), columns)
        theirs = similarities(train, held, columns) if len(held) else {}
        order = sorted(ours, key=ours.__getitem__)[:30]
        dots = {"type": "scatter", "mode": "markers", "x": [str(name) for name in order]}
        traces = [
            {**dots, "name": name, "y": [round(found[c], 4) for c in order], "marker": {"color": colour, "size": 9}}
            for name, found, colour in (("real hold-out", theirs, "#2f6fb0"), ("synthetic", ours, "#d9622b")) if found
        ]  # fmt: skip
        layout = {
            "yaxis": {"title": {"text": "similarity to training rows"}},
            "xaxis": {"type": "category", "tickangle": -40},
            "height": 360,
        }
        caption = "1 − KS for numbers and dates, 1 − TV for categories, worst first; missing values count."
        return [
            Figure(name="column_shapes", title="Shape of each column", caption=caption, traces=traces, layout=layout, section="fidelity")
        ]

    def _source(
        self, ctx: EvaluatorContext, source: str, records: Any, columns: Columns, train: Any, floor: dict[str, float]
    ) -> list[Metric]:
        if len(records) == 0:
            return [Metric(name="column_shape", value=NAN, source=source, error="no records")]
        asked = max(ctx.expected, len(records)) if source == "synthetic" else len(records)
        found = similarities(train, _capped(records, self.options.rows, ctx.seed), columns)
        worst = sorted(found, key=found.__getitem__)[: self.options.worst]
        share, low = len(records) / asked, sorted(floor.values())[: self.options.worst]
        note = _listed("worst columns", [f"{c} {found[c]:.2f}" for c in worst])
        if asked > len(records):
            note += f"{asked - len(records)} of {asked} records were not delivered and count as failures."
        values = {
            "column_shape": (np.mean(list(found.values())), list(floor.values())),
            "column_shape_worst": (np.mean([found[c] for c in worst]), low),
        }
        return [
            Metric(
                name=name, value=float(value) * share, source=source, direction="higher", n=len(records), note=note.strip(),
                floor=float(np.mean(reference)) if reference else None, ceiling=0.0,
            )
            for name, (value, reference) in values.items()
        ]  # fmt: skip


def similarities(real: Any, other: Any, columns: Columns) -> dict[str, float]:
    """Similarity in [0, 1] of every column by name."""
    found = {name: 1 - _kolmogorov(columns.numbers(real, name), columns.numbers(other, name)) for name in columns.numeric}
    return found | {name: 1 - _total_variation(levels(real[name]), levels(other[name])) for name in columns.categorical}


def _kolmogorov(first: Array, second: Array) -> float:
    """Largest gap of the two distribution functions; missing values are one value above all others."""
    first, second = (np.sort(np.where(np.isnan(v), np.inf, v)) for v in (first, second))
    at = np.concatenate([first, second])
    gaps = np.searchsorted(first, at, side="right") / len(first) - np.searchsorted(second, at, side="right") / len(second)
    # Just below the missing values both functions count every present value.
    present = np.isfinite(first).mean() - np.isfinite(second).mean()
    return float(max(np.abs(gaps).max(), abs(present)))


def _total_variation(first: Array, second: Array) -> float:
    shares = [pd.Series(v, dtype=object).value_counts(normalize=True) for v in (first, second)]
    return float(shares[0].sub(shares[1], fill_value=0.0).abs().sum() / 2)
