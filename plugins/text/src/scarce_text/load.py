"""Texts as people have them: cleaned, checked, with duplicates together, official splits kept, and leaks said."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce.contract import Dataset, LoadContext, find_column, plain
from scarce.errors import DataError
from scarce_text.clean import body_of, tidy, without_markup
from scarce_text.config import Text
from scarce_text.datasets import BuiltinTexts
from scarce_text.leaks import label_note, word_note
from scarce_text.parts import with_parts
from scarce_text.sources import LABELS, SPLITS, TEXTS, Source, from_frame, joined, read_path

Array = npt.NDArray[Any]
SPLIT = "\x00split"  # no column of a file is called so
NAMED, MOST_CLASSES, LONG = 10, 1000, 512  # how many a note names; words of a text that is called long


def load_texts(ctx: LoadContext, options: Text) -> Dataset:
    """A data set of texts with stable ids; raises DataError saying what is wrong, where, and what to do."""
    if ctx.schema is not None:
        raise DataError("texts take no schema file", hint="--set data.options.text=COLUMN says where the texts are")
    source, options, wanted = _read(ctx, options)
    frame, target, given = _columns(source, options, ctx, wanted)
    frame, names, notes = _cleaned(frame, source, options)
    values = _objects(plain(v) for v in frame[target]) if target else np.full(len(frame), None)
    found = Dataset(
        name=source.name, ids=_ids(names, frame), records=frame, target_name=target, target=values,
        labelled=np.array([v is not None or not target for v in values]), split=np.full(len(frame), "", dtype="<U10"),
        groups=_grouped(frame, ctx.group),
    )  # fmt: skip
    if given:
        found, more = with_parts(found, SPLIT, ctx.seed, options.test_rows)
        notes += more
    classes, more = _classes(found)
    notes += [*more, *_duplicates(found), *_long(found.records), *label_note(found), *word_note(found.records)]
    return replace(
        found, records=_frame(found, given), task="classification" if target else "none", target=found.target if target else None,
        classes=classes, notes=(*source.notes, *notes),
        schema={"target": target, "text": "text", "word": "word" if "word" in frame.columns else None, "official": given},
    )  # fmt: skip


def _read(ctx: LoadContext, options: Text) -> tuple[Source, Text, str | None]:
    """What was found, the options with a built-in set's own beneath, and the target that is asked for."""
    wanted = ctx.target
    if isinstance(ctx.source, pd.DataFrame):
        source = from_frame("DataFrame", ctx.source)
    elif ctx.builtin is not None:
        found: BuiltinTexts = ctx.builtin()
        options = Text(**{**found.options, **options.model_dump(include=options.model_fields_set)})
        source = from_frame(found.name, pd.read_parquet(found.path), (found.note,))
        wanted = found.target if wanted is None else wanted
    else:
        source = read_path(Path(str(ctx.source)), options.encoding)
    if options.test is not None:
        source = joined(source, read_path(Path(options.test), options.encoding))
        options = options.model_copy(update={"split": "split"})
    return source, options, wanted


def _columns(source: Source, options: Text, ctx: LoadContext, wanted: str | None) -> tuple[pd.DataFrame, str, bool]:
    """The table with texts in `text`, target words in `word` and given splits in SPLIT; the target ("": none); are splits given?"""
    frame, name = source.table, source.name
    target = wanted if wanted is not None else next((c for c in LABELS if c in frame.columns), "")
    for asked, setting in ((target, "target"), (ctx.group, "group"), (options.word, "options.word"), (options.split, "options.split")):
        if asked:
            find_column(frame.columns, asked, name, f"data.{setting}")
    split = options.split if options.split is not None else "split"
    given = split in frame.columns and {str(v).lower() for v in frame[split].dropna()} <= set(SPLITS)
    if options.split and not given:
        seen = ", ".join(sorted({str(v) for v in frame[split]})[:5])
        raise DataError(f"{name}: column '{split}' holds {seen}; splits are {', '.join(SPLITS)}", hint="--set data.options.split=COLUMN")
    text = options.text or next((c for c in TEXTS if c in frame.columns and c != target), "")
    others = [c for c in frame.columns if c not in (target, ctx.group, options.word, *([split] if given else []))]
    if not text and len(others) == 1:
        text = str(others[0])
    if not text:
        what = f"{name}: which column holds the texts? It has {', '.join(map(str, frame.columns[:20]))}"
        raise DataError(what, hint="--set data.options.text=COLUMN")
    moved = {find_column(frame.columns, text, name, "data.options.text"): "text"}
    moved |= {options.word: "word"} if options.word else {}
    moved |= {split: SPLIT} if given else {}
    if {target, ctx.group} & set(moved) or target in ("text", "word"):
        what = f"{name}: a target or group can't be the column of texts, words or splits, or be called 'text' or 'word'"
        raise DataError(what, hint="--set data.target=COLUMN")
    taken = [new for old, new in moved.items() if old != new and new in frame.columns and new not in moved]
    return frame.drop(columns=taken).rename(columns=moved), target, given


def _cleaned(frame: pd.DataFrame, source: Source, options: Text) -> tuple[pd.DataFrame, list[str] | None, list[str]]:
    """Texts without markup and without empty ones, the names of those that stay, and notes."""
    raw = ["" if (v := plain(cell)) is None else str(v) for cell in frame["text"]]
    texts = [body_of(t) for t in raw] if options.mail else raw
    bare = [without_markup(t) for t in texts] if options.markup == "strip" else texts
    notes = [f"{n} texts held HTML markup, which is stripped"] if (n := sum(a != b for a, b in zip(texts, bare, strict=True))) else []
    notes += [f"{n} messages held headers, quotes or signatures, which are cut"] if (n := _differ(raw, texts)) else []
    frame = frame.assign(text=pd.Series([tidy(t) for t in bare], dtype=object))
    if "word" in frame.columns:
        frame["word"] = pd.Series([tidy("" if (v := plain(w)) is None else str(v)) for w in frame["word"]], dtype=object)
    full = np.array([bool(t) for t in frame["text"]]) & np.array([bool(w) for w in frame.get("word", frame["text"])])
    empty = np.flatnonzero(~full)
    if len(empty):
        called = [source.names[i] if source.names else f"row {i + 1}" for i in empty[:NAMED]]
        shown = ", ".join(called) + (f" and {len(empty) - NAMED} more" if len(empty) > NAMED else "")
        what = f"{len(empty)} of {len(frame)} texts are empty" + (" or name no word" if "word" in frame.columns else "")
        if len(empty) > options.max_empty * len(frame):
            hint = "--set data.options.max_empty=0.5 goes on without them" if full.any() else "--set data.options.text=COLUMN"
            raise DataError(f"{source.name}: {what}: {shown}", hint=hint)
        notes.append(f"{what} and are left out: {shown}")
    names = None if source.names is None else [source.names[i] for i in np.flatnonzero(full)]
    return frame[full].reset_index(drop=True), names, notes


def _differ(first: list[str], second: list[str]) -> int:
    """How many differ in more than white space at their end."""
    return sum(a.rstrip() != b.rstrip() for a, b in zip(first, second, strict=True))


def _words(frame: pd.DataFrame) -> list[str]:
    return frame["word"].tolist() if "word" in frame.columns else [""] * len(frame)


def _key(text: str) -> str:
    """What counts as equal: the same words, whatever their case and the space between them."""
    return " ".join(text.casefold().split())


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _ids(names: list[str] | None, frame: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Paths, or hashes of what is in a row; counted on where one comes twice."""
    if names is None:
        names = [_hash(f"{word}\x00{text}" if word else text) for text, word in zip(frame["text"], _words(frame), strict=True)]
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        out.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return np.array(out, dtype=str)


def _grouped(frame: pd.DataFrame, group: str | None) -> npt.NDArray[np.str_]:
    """[n] what shares a split: equal texts, and the rows of a group where one is given; called by one of its texts' hash."""
    keys = [_hash(_key(text)) for text in frame["text"]]
    if group is None:
        return np.array(keys, dtype=str)
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    for key, value in zip(keys, map(plain, frame[group]), strict=True):
        if value is not None:
            first, second = sorted((root(key), root(f"~{value}")))  # "~" comes after every hash, so that a hash gives the name
            parent[second] = first
    return np.array([root(key) for key in keys], dtype=str)


def _classes(data: Dataset) -> tuple[tuple[Any, ...], list[str]]:
    """The classes in order, and a note on texts without one; DataError for fewer than two, or for values that are no classes."""
    if not data.target_name or data.target is None:
        return (), []
    counts = Counter(v for v in data.target if v is not None)
    known, where = sum(counts.values()), f"{data.name}: target '{data.target_name}'"
    if len(counts) < 2:
        only = f" ('{next(iter(counts))}')" if counts else ""
        what = f"{where} has {len(counts)} class{'es' * (len(counts) != 1)}{only}"
        raise DataError(what, hint="--set data.target=COLUMN with at least two classes; '' for none")
    if len(counts) > MOST_CLASSES or (len(counts) > known / 2 and known > 20):
        what = f"{where} has {len(counts)} values in {known} texts, which are no classes"
        raise DataError(what, hint="--set data.target=COLUMN, or '' for none")
    classes = tuple(sorted(counts, key=lambda v: (str(type(v)), v)))
    return classes, [f"{len(data) - known} of {len(data)} texts have no class"] if known < len(data) else []


def _duplicates(data: Dataset) -> list[str]:
    """Notes on equal texts, and on those among them that have different classes; of words in one sentence only how many there are."""
    rows: dict[str, list[int]] = {}
    for i, text in enumerate(data.records["text"]):
        rows.setdefault(_key(text), []).append(i)
    twice = [same for same in rows.values() if len(same) > 1]
    if not twice:
        return []
    if "word" in data.records.columns:
        return [f"{sum(map(len, twice))} records share their sentence with another one; they share a split"]
    copies, first = sum(len(same) - 1 for same in twice), twice[0]
    notes = [f"{copies} texts are copies of others ({data.ids[first[1]]} of {data.ids[first[0]]})"]
    said = [] if data.target is None else data.target.tolist()
    differing = [same for same in twice if len({said[i] for i in same} - {None}) > 1]
    if differing:
        text = data.records["text"].iloc[differing[0][0]]
        notes.append(f"{len(differing)} texts appear under more than one class, the first of them '{text[:80]}'")
    return notes


def _long(frame: pd.DataFrame) -> list[str]:
    words = [len(t.split()) for t in frame["text"]]
    many = sum(n > LONG for n in words)
    return [f"{many} texts have over {LONG} words, the longest {max(words):,}: encoders read their beginning"] if many else []


def _frame(data: Dataset, given: bool) -> pd.DataFrame:
    """text, word, target, then any other columns; a given split is told by the data set itself."""
    frame: pd.DataFrame = data.records.drop(columns=SPLIT) if given else data.records
    first = {c: frame[c] for c in ("text", "word") if c in frame.columns}
    first |= {data.target_name: pd.Series(data.target, dtype=object)} if data.target_name else {}
    return pd.DataFrame(first | {c: frame[c] for c in frame.columns if c not in first})


def _objects(values: Any) -> Array:
    listed = list(values)
    out = np.empty(len(listed), dtype=object)
    out[:] = listed
    return out
