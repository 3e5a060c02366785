"""Texts made by rule, with a column `prompt` that a small generator understands: demonstrations whose truth is known.

A text speaks of a thing (or a course of events) in a scene; its class is the shape of that thing (the form of that course).
Labels of training and validation texts are those of a hurried reader, wrong in WRONG of them; test labels are right. The
prompt says in the generator's own words what the thing looks like: it stands for what a large generator knows of things. In
the blind twin it speaks of another thing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce.files import write_bytes
from scarce_lugpi.wording import COLOURS, COURSES, DETAILS, OPENINGS, PLACES, SIZES, SUBJECTS, THINGS, one

VERSION = "v2"
WRONG = 0.4
PARTS = {"train": 500, "validation": 200, "test": 800}
SERIES, STEPS = 600, 24
Floats = npt.NDArray[np.float64]
Sentence = Callable[[np.random.Generator, str], tuple[str, Callable[[str], str]]]
"""A text of a class, and the prompt of any class in that scene."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A built-in data set as modalities `text` and `timeseries` read theirs: a Parquet table, its target, a note, options."""

    name: str
    path: Path
    target: str
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


def thing(rng: np.random.Generator, shape: str) -> tuple[str, Callable[[str], str]]:
    """A sentence on a thing of that shape."""
    colour, place, size = (str(rng.choice(list(words))) for words in (COLOURS, PLACES, SIZES))
    said = f"a {one(rng, SIZES[size])} {one(rng, COLOURS[colour])} {one(rng, THINGS[shape])} {PLACES[place]}"
    return f"{one(rng, OPENINGS)} {said}, {one(rng, DETAILS)}.", lambda drawn: f"a {size} {colour} {drawn} at the {place}"


def course(rng: np.random.Generator, form: str) -> tuple[str, Callable[[str], str]]:
    """A sentence on a course of events of that form."""
    return f"The {one(rng, SUBJECTS)} {one(rng, COURSES[form])}, {one(rng, DETAILS)}.", lambda drawn: f"a {drawn} series"


def told(kinds: Mapping[str, str], say: Sentence, target: str, *, blind: bool, seed: int = 0) -> pd.DataFrame:
    """Columns text, `target`, split and prompt; blind: the prompt is that of a class drawn anew."""
    rng, other, names, rows = np.random.default_rng(seed), np.random.default_rng([seed, 1]), list(kinds), []
    for part in (part for part, n in PARTS.items() for _ in range(n)):
        true = str(rng.choice(names))
        text, prompt = say(rng, true)
        wrong = rng.random() < WRONG and part != "test"
        noted = str(rng.choice([name for name in names if name != true])) if wrong else true
        rows.append({"text": text, target: noted, "split": part, "prompt": prompt(str(other.choice(names)) if blind else true)})
    return pd.DataFrame(rows)


def drawn(form: str, rng: np.random.Generator) -> Floats:
    """[STEPS] a series of that form in about -2 to 2, with a little noise."""
    t, size, begin = np.linspace(0, 1, STEPS), rng.uniform(0.7, 1.3), rng.uniform(0, 1)
    made = {
        "rising": 2 * t - 1, "falling": 1 - 2 * t, "slow": np.sin(2 * np.pi * (1.5 * t + begin)),
        "fast": np.sin(2 * np.pi * (5 * t + begin)), "peaked": 2 * np.exp(-(((t - 0.25 - 0.5 * begin) / 0.06) ** 2)) - 0.5,
    }[form]  # fmt: skip
    return np.asarray(size * made + rng.normal(0, 0.08, STEPS))


def _kept(name: str, make: Callable[[], pd.DataFrame]) -> Path:
    """The table in the cache folder (SCARCE_CACHE, or ~/.cache/scarce)."""
    folder = Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "lugpi" / VERSION
    path = folder / f"{name}.parquet"
    if not path.is_file():
        buffer = io.BytesIO()
        make().to_parquet(buffer, index=False)
        write_bytes(path, buffer.getvalue())
    return path


def _note(what: str, prompts: str) -> str:
    return f"texts made by rule, the class is {what}; {WRONG:.0%} of training and validation labels are wrong, test labels right; {prompts}"


def told_shapes() -> Told:
    """1,500 texts on things; the prompt says how the thing looks."""
    path = _kept("told-shapes", lambda: told(THINGS, thing, "shape", blind=False))
    return Told(name="told-shapes", path=path, target="shape", note=_note("the shape of a thing", "prompts tell it"))


def told_blind() -> Told:
    """The same texts; the prompt says how another thing looks."""
    path = _kept("told-blind", lambda: told(THINGS, thing, "shape", blind=True))
    return Told(name="told-blind", path=path, target="shape", note=_note("the shape of a thing", "prompts know nothing of it"))


def told_courses() -> Told:
    """1,500 texts on courses of events; the prompt says how they look as a series."""
    path = _kept("told-courses", lambda: told(COURSES, course, "form", blind=False))
    return Told(name="told-courses", path=path, target="form", note=_note("the form of a course of events", "prompts tell it"))


def courses() -> Told:
    """600 series of five forms, with captions: what a generator of views for `told-courses` learns from."""

    def make() -> pd.DataFrame:
        rng, forms = np.random.default_rng(0), list(COURSES)
        chosen = [forms[i % len(forms)] for i in range(SERIES)]
        frame = pd.DataFrame([drawn(form, rng) for form in chosen], columns=[f"t{i}" for i in range(STEPS)])
        return frame.assign(caption=[f"a {form} series" for form in chosen])

    note, options = f"{SERIES} series of five forms, made from formulas", {"caption": "caption"}
    return Told(name="courses", path=_kept("courses", make), target="", note=note, options=options)
