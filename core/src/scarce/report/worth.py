"""What synthetic rows were worth in real ones: where their score lies on the learning curve of the real rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from scarce.contract.frozen import Frozen
from scarce.contract.results import Figure
from scarce.report.statistics import FEWEST_SEEDS, MAIN_METRIC, TOO_FEW, Child, label, number, t_interval

Numbers = npt.NDArray[np.float64]
WHAT = {"synthetic": "The synthetic rows", "both": "Real and synthetic rows together"}


class Curve(Frozen):
    """One seed: numbers of real rows, rising to all of them, what each scores [k], and the score of a source."""

    rows: Numbers
    scores: Numbers
    score: float

    def worth(self) -> float:
        """Real rows that score as much, on the curve made monotone in log rows; 0 below it, infinite at its top or above."""
        rising = IsotonicRegression().fit_transform(np.log(self.rows), self.scores)
        if self.score < rising[0]:
            return 0.0
        return math.inf if self.score >= rising[-1] else float(np.exp(np.interp(self.score, rising, np.log(self.rows))))


def _score(child: Child, metric: str, source: str) -> float:
    return next((number(m["value"]) for m in child.metrics if m["name"] == metric and m["source"] == source), math.nan)


def curves(children: Sequence[Child], task: str, source: str) -> list[Curve]:
    """The curve of each child whose learner was scored on subsets of the real rows and on the source."""
    found, metric = [], MAIN_METRIC.get(task, "")
    for child in children:
        points = {int(p["rows"]): number(p["value"]) for p in child.curve if p["name"] == metric}
        points |= {int(child.counts["labelled"]): _score(child, metric, "real")} if points else {}
        rows = sorted(n for n, value in points.items() if math.isfinite(value))
        score = _score(child, metric, source)
        if len(rows) > 1 and math.isfinite(score):
            found.append(Curve(rows=np.array(rows, dtype=np.float64), scores=np.array([points[n] for n in rows]), score=score))
    return found


def statement(found: Sequence[Curve], source: str) -> str:
    """One sentence on what a source was worth over seeds, whose curves are `found`; empty without any.

    The mean and its 95 % t-interval are of log rows. A seed outside the curve counts as the curve's end, so the
    sentence then gives a bound only.
    """
    if not found:
        return ""
    what, values = WHAT[source], [curve.worth() for curve in found]
    least, most = (f"{np.mean([curve.rows[end] for curve in found]):,.0f}" for end in (0, -1))
    if len(found) < FEWEST_SEEDS:
        said = ", ".join({0.0: f"fewer than {least}", math.inf: f"at least {most}"}.get(v, f"{v:,.0f}") for v in values)
        return f"{what} were worth: {TOO_FEW} ({len(found)} of {FEWEST_SEEDS}; so far {said} of {most} real rows)."
    rise = t_interval([float(c.scores[-1] - c.scores[0]) for c in found])
    if rise is None or rise[0] <= 0:
        return f"No evidence that {most} real rows teach more than {least}: what other rows are worth can't be told in real ones."
    above, below = values.count(math.inf), values.count(0.0)
    if above == len(found):
        return f"{what} were worth at least all {most} real rows, outside the curve, in each of {above} seeds."
    if below == len(found):
        return f"{what} were worth fewer than {least} real rows, the smallest subset, in each of {below} seeds."
    if above and below:
        outside = f"fewer than {least} real rows in {below} of {len(found)} seeds and at least all {most} in {above}"
        return f"{what} were worth {outside}: no mean can be given."
    return _between(found, what, above, below)


def _between(found: Sequence[Curve], what: str, above: int, below: int) -> str:
    """The sentence where at most one side of the curve was left."""
    least, most = (float(np.mean([curve.rows[end] for curve in found])) for end in (0, -1))
    logs = [math.log(min(max(curve.worth(), curve.rows[0]), curve.rows[-1])) for curve in found]
    low, high = (math.exp(end) for end in t_interval(logs) or (-math.inf, math.inf))
    bottom = f"{low:,.0f}" if low >= least else f"below {least:,.0f}"
    top = f"{high:,.0f}" if high <= most else f"above {most:,.0f}"
    bound, span, outside = "", f"{bottom} to {top}", ""
    if above:
        bound, span, outside = "at least ", f"from {bottom} up", f", {above} of them at or above the whole curve"
    if below:
        bound, span, outside = "at most ", f"up to {top}", f", {below} of them below the curve, which begins at {least:,.0f}"
    mean = math.exp(float(np.mean(logs)))
    return f"{what} were worth {bound}about {mean:,.0f} of {most:,.0f} real rows (95 % interval {span}; {len(found)} seeds{outside})."


def statements(children: Sequence[Child], task: str) -> list[str]:
    """What synthetic rows were worth, alone and beside the real ones, for each arm."""
    arms = list(dict.fromkeys(child.arm for child in children))
    said = [(arm, statement(curves(_of(arm, children), task, source), source)) for arm in arms for source in WHAT]
    return list(dict.fromkeys(f"{arm}: {text}" if arms[1:] else text for arm, text in said if text))


def _of(arm: str, children: Sequence[Child]) -> list[Child]:
    return [child for child in children if child.arm == arm]


def curve_figure(children: Sequence[Child], task: str) -> Figure | None:
    """The learning curve of the real rows with every seed, and the score of the synthetic rows as a level."""
    arms = list(dict.fromkeys(child.arm for child in children))
    traces: list[dict[str, Any]] = []
    for arm in arms:
        prefix = f"{arm} · " if arms[1:] else ""
        found = {source: curves(_of(arm, children), task, source) for source in ("real", *WHAT)}
        for source, own in found.items():
            traces += _curve(own, prefix) if source == "real" and own else [_level(own, prefix, source)] if own else []
    if not traces:
        return None
    metric = label(MAIN_METRIC[task])
    axes = {"xaxis": {"type": "log", "title": {"text": "real rows the model was trained on"}}, "yaxis": {"title": {"text": metric}}}
    caption = "The line is the mean over seeds, dots are seeds. Where a dashed level meets the line, so many real rows score as much."
    title = f"{metric} by how many real rows there are"
    return Figure(name="worth", title=title, caption=caption, traces=traces, layout={**axes, "height": 340}, section="utility")


def _level(found: Sequence[Curve], prefix: str, source: str) -> dict[str, Any]:
    """The mean score of a source, from one end of the curve to the other."""
    ends, score = [float(np.mean([c.rows[end] for c in found])) for end in (0, -1)], float(np.mean([c.score for c in found]))
    line = {"dash": "dash"} if prefix else {"dash": "dash", "color": {"synthetic": "#d9622b", "both": "#8d6bb8"}[source]}
    return {"type": "scatter", "mode": "lines", "name": prefix + label(source), "x": ends, "y": [score, score], "line": line}


def _curve(found: Sequence[Curve], prefix: str) -> list[dict[str, Any]]:
    """Dots of every seed, and the mean of the seeds that have as many points as the first."""
    alike = [c for c in found if len(c.rows) == len(found[0].rows)]
    x, y = (np.mean([getattr(c, part) for c in alike], axis=0).tolist() for part in ("rows", "scores"))
    dots = {"x": np.concatenate([c.rows for c in found]).tolist(), "y": np.concatenate([c.scores for c in found]).tolist()}
    faint = {"color": "rgba(20,20,20,.45)", "size": 5}
    line = {} if prefix else {"line": {"color": "#2f6fb0"}}
    return [
        {"type": "scatter", "mode": "lines+markers", "name": prefix + label("real"), "x": x, "y": y, **line},
        {"type": "scatter", "mode": "markers", "showlegend": False, "name": "one seed", **dots, "marker": faint},
    ]
