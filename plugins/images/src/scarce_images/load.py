"""Pictures as people have them, decoded, checked, cut to one size, with duplicates kept together."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import ImageColor
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scarce.contract import Dataset, LoadContext, find_column, plain
from scarce.errors import DataError
from scarce_images.config import Images
from scarce_images.datasets import BuiltinPictures
from scarce_images.pictures import BrokenPicture, Pixels, formats, read_picture, scale_of
from scarce_images.rest import Further, drawn, part_of
from scarce_images.sources import FORMS, Source, arrays_of, from_folder, from_npz, from_table, from_tar, read_table, text_columns
from scarce_images.tars import shards_of

Array = npt.NDArray[Any]
NAMED, MOST_CLASSES = 10, 1000  # how many a note names


def load_images(ctx: LoadContext, options: Images) -> Dataset:
    """A data set of pictures with stable ids; raises DataError saying what is wrong, where, and what to do."""
    if ctx.schema is not None:
        raise DataError("pictures take no schema file", hint="--set data.options.path=COLUMN says where the pictures are")
    try:
        ImageColor.getrgb(options.background)
    except ValueError:
        raise DataError(f"'{options.background}' is no colour", hint="--set data.options.background=white, or #ff8800") from None
    source, options = _read(ctx, options)
    if ctx.group is not None:
        find_column(source.table.columns, ctx.group, source.name, "data.group")
    try:
        scale = scale_of(arrays) if (arrays := arrays_of(source, options)) else None
    except BrokenPicture as error:
        raise DataError(f"{source.name}: {error}", hint="divide the arrays by their largest value") from None
    if ctx.hold is None or len(source.cells) <= ctx.hold:
        return _dataset(source, options, ctx, scale)[0]
    held, others = drawn(source, ctx.hold, ctx.seed)
    data, keys, given = _dataset(replace(part_of(source, held), notes=source.notes), options, ctx, scale)
    note = f"{len(held):,} of {len(source.cells):,} pictures are held, drawn at random; the others are for the generator's training alone"
    tolerant = options.model_copy(update={"max_broken": 1.0})
    rest = Further(source, others, data, options.size, lambda part: _dataset(part, tolerant, ctx, scale, data.classes), keys, given)
    return replace(data, notes=(*data.notes, note), rest=rest)


def _dataset(
    source: Source, options: Images, ctx: LoadContext, scale: float | None, classes: tuple[Any, ...] | None = None
) -> tuple[Dataset, list[str], list[Any]]:
    """Decoded pictures with their hashes and groups; classes: what they are where that is known already."""
    pictures, keys, kept, broken = _decoded(source, options, ctx.seed, scale)
    notes = _broken(source, broken, options)
    table = source.table.iloc[kept].reset_index(drop=True)
    ids = _ids(keys if isinstance(ctx.source, pd.DataFrame) else [source.names[i] for i in kept])
    every = _objects(plain(v) for v in source.table[source.target]) if source.target else np.full(len(source.cells), None)
    values = every[kept]
    classes, more = _classes(values, source, _lost(every, kept, broken)) if classes is None else (classes, [])
    given = None if ctx.group is None else [plain(v) for v in table[ctx.group]]
    data = Dataset(
        name=source.name, ids=ids, records=_frame(pictures, table, values, source.target),
        task="classification" if source.target else "none", target_name=source.target, target=values if source.target else None,
        classes=classes, labelled=np.array([v is not None or not source.target for v in values], dtype=bool),
        split=np.full(len(ids), "", dtype="<U10"), groups=_groups(ids, keys, given),
        notes=(*source.notes, *notes, *_duplicates(ids, keys, values), *more),
        schema={"size": options.size, "fit": options.fit, "target": source.target},
    )  # fmt: skip
    return data, keys, given or [None] * len(ids)


def _read(ctx: LoadContext, options: Images) -> tuple[Source, Images]:
    if isinstance(ctx.source, pd.DataFrame):
        source = from_table("DataFrame", ctx.source, options, ctx.target)
        # Kept beside a run they are PNG files without a path, and must be the same records when it is resumed.
        return replace(source, names=[f"row {i}" for i in range(len(source.cells))]), options
    if ctx.builtin is not None:
        found: BuiltinPictures = ctx.builtin()
        options = Images(**{**found.options, **options.model_dump(include=options.model_fields_set)})
        target = found.target if ctx.target is None else ctx.target
        source = from_table(found.name, read_table(found.path, found.name), options, target)
        return Source(**{**source.__dict__, "notes": (found.note, *source.notes)}), options
    path = Path(str(ctx.source))
    if not path.exists():
        raise DataError(f"{path} does not exist", hint="scarce run RECIPE --data FOLDER, or scarce data list")
    suffix = path.suffix.lower()
    if shards := shards_of(path):
        return from_tar(path.stem, shards, options, ctx.target), options
    if path.is_dir() or suffix == ".zip":
        return from_folder(path, options, ctx.target), options
    if suffix == ".npz":
        return from_npz(path, options, ctx.target), options
    if suffix in (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".pq"):
        frame = read_table(path, str(path), text_columns(options, ctx.target))
        return from_table(path.stem, frame, options, ctx.target, path.parent), options
    raise DataError(f"{path}: pictures are read from {FORMS}, not '{suffix}'", hint=f"--data {path.parent}, with a sub-folder per class")


def _decoded(source: Source, options: Images, seed: int, scale: float | None) -> tuple[list[Pixels], list[str], list[int], dict[int, str]]:
    """Pictures, their pixels' hashes, the rows they are of, and by row why others can't be read."""
    pictures, keys, kept, broken = list[Pixels](), list[str](), list[int](), dict[int, str]()
    for i, (cell, name) in enumerate(zip(source.cells, source.names, strict=True)):
        where = _fraction(f"{seed}/{name}") if options.fit == "random" else None
        try:
            pixels, key = read_picture(cell, options, where=where, scale=scale)
        except BrokenPicture as error:
            broken[i] = str(error)
            continue
        pictures.append(pixels)
        keys.append(key)
        kept.append(i)
    return pictures, keys, kept, broken


def _broken(source: Source, broken: dict[int, str], options: Images) -> list[str]:
    """A note on pictures that can't be read; DataError above the share that is let pass."""
    if not broken:
        return []
    shown = "; ".join(f"{source.names[i]} ({why})" for i, why in list(broken.items())[:NAMED])
    shown += f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    none = len(broken) == len(source.cells)
    what = f"{len(broken)} of {len(source.cells)} pictures can't be read"
    if (none and options.max_broken < 1) or len(broken) > options.max_broken * len(source.cells):
        hint = _advice(set(broken.values())) if none else "--set data.options.max_broken=0.5 goes on without them"
        raise DataError(f"{source.name}: {what}: {shown}", hint=hint)
    return [f"{what} and are left out: {shown}"]


def _lost(values: Array, kept: list[int], broken: dict[int, str]) -> list[str]:
    """The classes of which no picture can be read, each with why the first one can't."""
    there = {values[i] for i in kept} | {None}
    lost: dict[Any, str] = {}
    for i, why in broken.items():
        if values[i] not in there:
            lost.setdefault(values[i], why)
    return [f"{value} ({why})" for value, why in lost.items()]


def _advice(reasons: set[str]) -> str:
    """What to do where no picture at all can be read, by why."""
    if reasons == {"no such file"}:
        return "paths are relative to the table"
    if all("data.options.max_pixels" in why for why in reasons):
        return "--set data.options.max_pixels=NUMBER, or make the pictures smaller"
    if all(why.startswith("a value of") for why in reasons):
        return "numpy.nan_to_num(ARRAY) has numbers alone"
    return f"open one of them in another program, and save it again; what is read are {', '.join(formats())}"


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") / 2.0**64


def _ids(names: list[str]) -> npt.NDArray[np.str_]:
    """Names, counted on where one comes twice."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        out.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return np.array(out, dtype=str)


def _classes(values: Array, source: Source, lost: list[str]) -> tuple[tuple[Any, ...], list[str]]:
    """The classes in order and notes on rare and `lost` ones; DataError for fewer than two, or for values that are no classes."""
    if not source.target:
        return (), []
    counts = Counter(v for v in values if v is not None)
    known = sum(counts.values())
    if len(counts) < 2:
        only = f" ('{next(iter(counts))}')" if counts else ""
        what = f"{source.name}: target '{source.target}' has {len(counts)} class{'es' * (len(counts) != 1)}{only}"
        if lost:
            raise DataError(
                f"{what}; no picture can be read of {_named(lost)}",
                hint="save those pictures again; --set data.target='' learns pictures without classes",
            )
        raise DataError(what, hint="--set data.target='' learns pictures without classes; or give at least two")
    if len(counts) > MOST_CLASSES or (len(counts) > known / 2 and known > 20):
        what = f"{source.name}: target '{source.target}' has {len(counts)} values in {known} pictures, which are no classes"
        raise DataError(what, hint="--set data.target='' for none")
    classes = tuple(sorted(counts, key=lambda v: (str(type(v)), v)))
    single = [str(c) for c in classes if counts[c] == 1]
    notes = [f"one picture alone: {_named(single)}; it can be trained on or tested on, not both"] if single else []
    if lost:
        notes.append(f"left out is each class of which no picture can be read: {_named(lost)}")
    if known < len(values):
        notes.append(f"{len(values) - known} of {len(values)} pictures have no class")
    return classes, notes


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _duplicates(ids: Array, keys: list[str], values: Array) -> list[str]:
    """Notes on pictures of equal pixels, and on those among them that have different classes."""
    same: defaultdict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        same[key].append(i)
    twice = [rows for rows in same.values() if len(rows) > 1]
    if not twice:
        return []
    copies = sum(len(rows) - 1 for rows in twice)
    notes = [f"{copies} pictures are exact copies of others ({ids[twice[0][1]]} of {ids[twice[0][0]]}); copies share a split"]
    torn = [rows for rows in twice if len({values[i] for i in rows}) > 1]
    if torn:
        i, j = torn[0][0], next(j for j in torn[0] if values[j] != values[torn[0][0]])
        notes.append(f"{len(torn)} pictures appear under more than one class ({ids[i]}: {values[i]}, {ids[j]}: {values[j]})")
    return notes


def _groups(ids: Array, keys: list[str], given: list[Any] | None) -> npt.NDArray[np.str_]:
    """[n] what shares a split: equal pixels, and the group where one is given; each is called by its first id in order."""
    if not len(ids):
        return np.zeros(0, dtype="<U1")
    own = [f"id/{i}" if given is None or given[n] is None else f"group/{given[n]}" for n, i in enumerate(ids)]
    places = {name: k for k, name in enumerate(dict.fromkeys([*own, *(f"key/{k}" for k in keys)]))}
    edges = [(places[o], places[f"key/{k}"]) for o, k in zip(own, keys, strict=True)]
    ones, (left, right) = np.ones(len(edges)), np.array(edges).T
    _, parts = connected_components(coo_array((ones, (left, right)), shape=(len(places), len(places))), directed=False)
    first: dict[int, str] = {}
    for i, part in zip(ids.tolist(), parts[left].tolist(), strict=True):
        first[part] = min(first.get(part, i), i)
    return np.array([first[part] for part in parts[left].tolist()], dtype=str)


def _frame(pictures: list[Pixels], table: pd.DataFrame, values: Array, target: str) -> pd.DataFrame:
    """image, target, caption, then any other columns."""
    out: dict[str, Any] = {"image": pd.Series(pictures, dtype=object)}
    if target:
        out[target] = pd.Series(values, dtype=object)
    order = [c for c in ("caption",) if c in table.columns and c != target]
    rest = [c for c in table.columns if c not in (*order, target)]
    return pd.DataFrame(out | {c: table[c] for c in (*order, *rest)})


def _objects(values: Any) -> Array:
    listed = list(values)
    out = np.empty(len(listed), dtype=object)
    out[:] = listed
    return out
