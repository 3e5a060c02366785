"""Three lights - usable, similar, private - and one sentence why; and which baselines copy their training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from scarce.contract.frozen import Frozen
from scarce.report.margins import conclusion
from scarce.report.statistics import FEWEST_SEEDS, MAIN_METRIC, METRICS, TOO_FEW, Child, Row, find, paired, summarise

Light = Literal["green", "amber", "red", "grey"]
FEWEST_TEST_ROWS = 30
USABLE, NEARLY_USABLE = 0.95, 0.85
SIMILAR, NEARLY_SIMILAR = 1.25, 2.0
NEAR_DCR, MOST_SHARE, FAR_SHARE = 0.85, 0.55, 0.6
MOST_AUC, FAR_AUC = 0.53, 0.6


class Verdict(Frozen):
    """lights: "usable", "similar", "private" to a colour; reasons: why, by the same names; sentence: all in one."""

    lights: Mapping[str, Light]
    sentence: str
    reasons: Mapping[str, str]


class Flag(Frozen):
    """A source that lies too near its training rows: word is "copies" or "too near", reason the numbers."""

    arm: str
    source: str
    word: str
    reason: str


_PHRASES: Mapping[str, Mapping[str, str]] = {
    "usable": {
        "green": "train a model as well as real rows do",
        "amber": "train a model nearly as well as real rows do",
        "red": "train a worse model than real rows do",
    },
    "similar": {"green": "look like real ones", "amber": "look roughly like real ones", "red": "don't look like real ones"},
    "private": {"green": "show no sign of copying", "amber": "may lie near to training rows", "red": "lie too near to training rows"},
}


def judge(children: Sequence[Child], task: str, arm: str | None = None) -> Verdict:
    """The verdict on one arm's synthetic data (default: the first arm)."""
    arm = arm if arm is not None or not children else children[0].arm
    own = [c for c in children if c.arm == arm]
    rows = summarise(own)
    found = {"usable": _usable(own, rows, task), "similar": _similar(rows), "private": _private(rows, "synthetic")}
    lights = {name: light for name, (light, _) in found.items()}
    reasons = {name: reason for name, (_, reason) in found.items()}
    told = "" if find(rows, MAIN_METRIC.get(task, "")) else conclusion(own)
    sentence = told or _plain(rows, task) or _sentence(lights, reasons, len({c.seed for c in own}))
    return Verdict(lights=lights, reasons=reasons, sentence=sentence)


def _plain(rows: Sequence[Row], task: str) -> str:
    """What a run that generates nothing has to say: the score of a model of real records; nothing of another run."""
    real = find(rows, MAIN_METRIC.get(task, ""), "real")
    if real is None or any(row.source == "synthetic" for row in rows):
        return ""
    return f"Nothing was generated; {METRICS[MAIN_METRIC[task]]} is {real.value:.3f} trained on real records."


def _sentence(lights: Mapping[str, Light], reasons: Mapping[str, str], seeds: int) -> str:
    said = [_PHRASES[name][light] for name, light in lights.items() if light != "grey"]
    text = f"The synthetic rows {' and '.join([', '.join(said[:-1]), said[-1]] if said[1:] else said)}." if said else ""
    if seeds < FEWEST_SEEDS:
        return f"{seeds} of at least {FEWEST_SEEDS} runs: {TOO_FEW} whether they help a model. {text}".rstrip()
    return text or "Nothing can be said of the synthetic rows."


def _usable(own: Sequence[Child], rows: Sequence[Row], task: str) -> tuple[Light, str]:
    metric = MAIN_METRIC.get(task)
    if metric is None:
        return "grey", "the data has no target, so no model was trained on it"
    synthetic, real = find(rows, metric), find(rows, metric, "real")
    if synthetic is None or real is None:
        return "grey", f"{METRICS[metric]} could not be measured on synthetic and on real rows"
    values = f"{METRICS[metric]} {synthetic.value:.3f} trained on synthetic, {real.value:.3f} on real"
    if real.n < FEWEST_TEST_ROWS:
        return "grey", f"too few real records for a claim ({real.n} test rows): {values}"
    if real.value <= max(0.0, real.ceiling or 0.0):
        return "grey", f"the model trained on real rows predicts no better than a constant: {values}"
    ratio = synthetic.value / real.value
    reason = f"{values} ({100 * ratio:.0f} % of real)" + _help(own, metric)
    if synthetic.n_seeds < FEWEST_SEEDS:
        return "grey", f"{TOO_FEW} ({synthetic.n_seeds} of {FEWEST_SEEDS}): {reason}"
    return ("green" if ratio >= USABLE else "amber" if ratio >= NEARLY_USABLE else "red"), reason


def _help(own: Sequence[Child], metric: str) -> str:
    """Whether adding the synthetic rows to the real ones helps."""
    both = paired(own, "both", "real", metric)
    if both.n == 0:
        return ""
    interval = "" if both.low is None or both.high is None else f" [{both.low:+.3f}, {both.high:+.3f}]"
    return f"; real + synthetic against real alone {both.mean:+.3f}{interval}: {both.verdict}"


def _similar(rows: Sequence[Row]) -> tuple[Light, str]:
    detection, distance = find(rows, "c2st_auc"), find(rows, "correlation_distance")
    also = f"; a classifier tells them from real with area {detection.value:.2f} (0.5: not at all)" if detection else ""
    if distance is None or not distance.floor:
        return "grey", "no distance to the real data with its noise floor was measured" + also
    ratio = distance.value / distance.floor
    reason = f"correlation distance {distance.value:.3f}, {ratio:.2f} × that of real hold-out rows{also}"
    return ("green" if ratio <= SIMILAR else "amber" if ratio <= NEARLY_SIMILAR else "red"), reason


def _private(rows: Sequence[Row], source: str) -> tuple[Light, str]:
    measures = {"exact_copies": _copies, "dcr_median": _distance, "holdout_share": _share, "membership_auc": _membership}
    found = {name: find(rows, name, source) for name in measures}
    checks = [measures[name](row) for name, row in found.items() if row is not None and (name != "dcr_median" or row.floor is not None)]
    if not checks:
        return "grey", "privacy was not measured"
    order: tuple[Light, ...] = ("red", "amber", "green")
    checks.sort(key=lambda check: order.index(check[0]))
    return checks[0][0], "; ".join(reason for _, reason in checks)


def _copies(row: Row) -> tuple[Light, str]:
    real = row.floor or 0.0
    reason = f"{100 * row.value:.1f} % exact copies (real rows: {100 * real:.1f} %)"
    # A row or two of chance collisions in a small table is not a copying generator.
    return ("green" if row.value <= real else "amber" if row.value <= real + max(0.01, 1.5 / max(row.n, 1)) else "red"), reason


def _distance(row: Row) -> tuple[Light, str]:
    floor = row.floor or 0.0
    reason = f"median distance to the nearest training row {row.value:.3g} (real hold-out rows: {floor:.3g})"
    return ("green" if row.value >= NEAR_DCR * floor else "amber" if row.value >= 0.5 * floor else "red"), reason


def _share(row: Row) -> tuple[Light, str]:
    reason = f"{100 * row.value:.0f} % lie nearer to training than to hold-out rows (ideal 50 %)"
    low = row.value - 0.98 / math.sqrt(max(row.n, 1)) if row.low is None else row.low
    # Nearer to the hold-out than to the training rows betrays nobody, so only the upper side is a light.
    meets, small = low <= MOST_SHARE, row.value < FAR_SHARE
    return ("green" if meets and small else "amber" if meets or small else "red"), reason


def _membership(row: Row) -> tuple[Light, str]:
    # One seed says so much of an area of n against n; over few seeds the t-interval alone would excuse anything.
    low = max(row.value - 0.8 / math.sqrt(max(row.n, 1)), -math.inf if row.low is None else row.low)
    reason = f"an attacker tells training from hold-out rows with area {row.value:.2f} (0.5: not at all)"
    return ("green" if low <= MOST_AUC else "amber" if low <= FAR_AUC else "red"), reason


def flags(children: Sequence[Child]) -> list[Flag]:
    """Sources whose privacy light would be red, synthetic data and baselines alike; a bootstrap copy is always one."""
    found = []
    for arm in dict.fromkeys(child.arm for child in children):
        rows = summarise([c for c in children if c.arm == arm])
        for source in dict.fromkeys(r.source for r in rows if r.name in ("exact_copies", "dcr_median", "membership_auc")):
            light, reason = _private(rows, source)
            copied = find(rows, "exact_copies", source)
            word = "copies" if copied and _copies(copied)[0] == "red" else "too near"
            found += [Flag(arm=arm, source=source, word=word, reason=reason)] if light == "red" else []
    return found
