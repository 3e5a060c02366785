"""Motions as people have them: checked, at one rate, split by clip, and only then varied and put together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Dataset, LoadContext, find_column, plain
from scarce.errors import DataError
from scarce_motion.augment import composed, fitting_pairs, mirrored, pool, varied
from scarce_motion.clip import Clip, at_rate, mended, part
from scarce_motion.codec import OWN
from scarce_motion.config import Motion
from scarce_motion.parts import clip_splits, generator_of, pair_splits
from scarce_motion.skeleton import travelling
from scarce_motion.sources import read_clips, rows_as_clips, same_skeleton
from scarce_motion.words import asked_name

ACTION = "action"
GIANT = 4.0  # metres from the root to a joint, more than a body has
Row = tuple[Clip, str, str, str]  # a record: motion, split, group, id


def load_motion(ctx: LoadContext, options: Motion) -> Dataset:
    """A data set of motions with stable ids; raises DataError saying what is wrong, where, and what to do."""
    if ctx.schema is not None:
        raise DataError("motions take no schema file", hint="a BVH or .npz file brings its skeleton")
    if isinstance(ctx.source, pd.DataFrame):
        return _of_frame("DataFrame", ctx.source, ctx, options)
    if ctx.builtin is None and Path(str(ctx.source)).suffix.lower() == ".parquet":
        return _of_frame(Path(str(ctx.source)).stem, _parquet(Path(str(ctx.source))), ctx, options)
    name, raw, options, notes = read_clips(ctx, options)
    if ctx.target not in (None, "", ACTION) or ctx.group is not None:
        raise DataError(f"{name}: motion files have the target '{ACTION}' and groups by clip", hint=f"--set data.target={ACTION}")
    clips, more = prepared(raw, options)
    rows, said = records(clips, options, ctx.seed)
    one = {c.actions[0] for c, *_ in rows if len(c.actions) == 1}
    target = "" if ctx.target == "" or len(one) < 2 else ACTION
    frame = table(rows, target)
    return _dataset(name, frame, rows, target, [*notes, *more, *said], options)


def prepared(raw: Sequence[Clip], options: Motion) -> tuple[list[Clip], list[str]]:
    """Clips of one skeleton with sound quaternions, at one rate; notes say what was changed."""
    if not raw:
        raise DataError("there is no clip", hint="scarce data list")
    same_skeleton(raw)
    clips = [mended(clip) for clip in raw]
    wrong = sum(c.mended for c in clips)
    notes = [f"{wrong} quaternions were not of length 1 and have been normalised"] if wrong else []
    if (reach := clips[0].skeleton.reach) > GIANT:
        notes.append(f"the skeleton reaches {reach:.3g} m from its root: if its files are in centimetres, set data.options.scale=0.01")
    gaps = sum(int((~np.isfinite(c.frames)).any(1).sum()) for c in raw)
    notes += [f"{gaps} frames had missing values, filled from their neighbours"] if gaps else []
    rates = sorted({round(c.fps, 2) for c in clips})
    if rates != [options.fps]:
        notes.append(f"resampled to {options.fps:g} frames per second from {', '.join(f'{r:g}' for r in rates[:6])} (slerp)")
    clips = [at_rate(c, options.fps) for c in clips]
    short = [c for c in clips if len(c.frames) < 2]
    if len(short) == len(clips):
        raise DataError(f"every clip has fewer than two frames at {options.fps:g} per second", hint="--set data.options.fps=30")
    notes += [f"{len(short)} clips of fewer than two frames are left out"] if short else []
    return [c for c in clips if len(c.frames) > 1], notes


def records(clips: Sequence[Clip], options: Motion, seed: int) -> tuple[list[Row], list[str]]:
    """What is learned from and judged by. Clips are split before anything is made of them, or left to the core where nothing is."""
    variants, pairs = options.variants or 1, options.compositions or 0
    if variants == 1 and not pairs:
        rows = [(piece, "", clip.name, piece.name) for clip in clips for piece in pieces(clip, options.length)]
        cut = len(rows) - len(clips)
        return _unique(rows), [f"clips longer than {options.length} frames are cut: {cut} records more"] if cut else []
    splits = clip_splits(clips, seed)
    rows = [row for clip, split in zip(clips, splits, strict=True) for row in _variants(clip, split, variants, options, seed)]
    notes = [
        f"{splits.count('test')} of {len(clips)} clips are held out, before augmentation; every clip has {variants} variants "
        "(mirrored, 0.85 to 1.2 times as fast, turned; short ones that wrap repeated)"
    ]
    if pairs:
        found = pool([c for c, s in zip(clips, splits, strict=True) if s == "train"])
        more, said = _compositions(found, pairs, options, seed)
        rows, notes = [*rows, *more], [*notes, said]
    elif "test" not in splits:
        raise DataError("no action has two clips, so none can be held out", hint="--set data.options.compositions=8")
    else:
        held = sorted({group for _, split, group, _ in rows if split == "test"})
        given = {group: "validation" if i % 3 == 1 else "test" for i, group in enumerate(held)}
        rows = [(clip, given.get(group, split), group, name) for clip, split, group, name in rows]
    return _unique(rows), notes


def pieces(clip: Clip, most: int) -> list[Clip]:
    """A clip, or equal parts of a longer one."""
    count = -(-len(clip.frames) // most)
    if count == 1:
        return [clip]
    edges = np.linspace(0, len(clip.frames), count + 1).round().astype(int)
    return [replace(part(clip, a, b), name=f"{clip.name}@{a}") for a, b in pairwise(edges.tolist())]


def _variants(clip: Clip, split: str, count: int, options: Motion, seed: int) -> list[Row]:
    rng = generator_of(seed, clip.name)
    other, out = mirrored(clip), list[Row]()
    for i in range(count):
        chosen = other if i % 2 and other is not None else clip
        made = varied(chosen, rng, options.length) if i else part(clip, 0, options.length)
        out.append((made, split, clip.name, f"{clip.name}#{i}"))
    return out


def _compositions(found: dict[str, list[Clip]], count: int, options: Motion, seed: int) -> tuple[list[Row], str]:
    """Pairs of actions, each in one split; all are made of training clips."""
    pairs = fitting_pairs(found)
    if not pairs:
        raise DataError("no two different actions fit one after the other", hint="--set data.options.compositions=0")
    splits, out = pair_splits(pairs, seed), list[Row]()
    blend = max(2, round(options.blend * options.fps))
    for (a, b), split in zip(pairs, splits, strict=True):
        rng = generator_of(seed, f"{a} > {b}")
        for i in range(count if split == "train" else max(1, count // 2)):
            first, second = (found[name][int(rng.integers(len(found[name])))] for name in (a, b))
            made = replace(composed(first, second, rng, options.length, blend), actions=(a, b))
            out.append((made, split, f"{a} > {b}", f"{a} > {b}#{i}"))
    shown = ", ".join(f"{splits.count(s)} in {s}" for s in ("train", "validation", "test"))
    return out, f"{len(pairs)} compositions of two actions, all made of training clips: {shown}; those of test are never trained on"


def _unique(rows: Sequence[Row]) -> list[Row]:
    seen: Counter[str] = Counter()
    out = []
    for clip, split, group, name in rows:
        out.append((clip, split, group, f"{name}-{seen[name]}" if seen[name] else name))
        seen[name] += 1
    return out


def table(rows: Sequence[Row], target: str) -> pd.DataFrame:
    """A record per row: frames, actions, a person's caption, the clips it was made of, and the class."""
    out: dict[str, list[Any]] = {
        "motion": [c.frames for c, *_ in rows], "actions": [asked_name(c.actions) or None for c, *_ in rows],
        "caption": [c.caption for c, *_ in rows], "source": [c.name for c, *_ in rows],
    }  # fmt: skip
    if target:
        out[target] = [c.actions[0] if len(c.actions) == 1 else None for c, *_ in rows]
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in out.items()})


def _dataset(name: str, frame: pd.DataFrame, rows: Sequence[Row], target: str, notes: list[str], options: Motion) -> Dataset:
    values = np.array(frame[target].tolist(), dtype=object) if target else None
    skeleton = rows[0][0].skeleton
    known = np.array([bool(c.actions or c.caption) for c, *_ in rows])
    frame.attrs.update(travelling(skeleton, options.fps))
    return Dataset(
        name=name, ids=np.array([key for *_, key in rows]), records=frame, task="classification" if target else "none",
        target_name=target, target=values, classes=_classes(name, values) if values is not None else (),
        labelled=known, split=np.array([split for _, split, *_ in rows], dtype="<U10"), groups=np.array([g for *_, g, _ in rows]),
        notes=tuple(notes), schema={"skeleton": skeleton.to_json(), "fps": options.fps, "target": target},
    )  # fmt: skip


def _classes(name: str, values: Any) -> tuple[Any, ...]:
    found = {v for v in values if v is not None}
    if len(found) < 2:
        raise DataError(f"{name}: the target has {len(found)} classes", hint="--set data.target='' for none")
    return tuple(sorted(found, key=lambda v: (str(type(v)), v)))


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}", hint=f"ls -l {path}") from None


def _of_frame(name: str, frame: pd.DataFrame, ctx: LoadContext, options: Motion) -> Dataset:
    """Records that are motions already: no variants, no compositions; they keep what columns they have."""
    frame = frame.reset_index(drop=True)
    clips, notes = prepared(rows_as_clips(frame, options.fps), options)
    if len(clips) < len(frame):
        raise DataError(f"{name} has motions of fewer than two frames", hint="leave them out")
    target = "" if ctx.target in (None, "") else find_column(frame.columns, ctx.target, name, "data.target")
    if target in OWN:
        raise DataError(f"{name}: a target can't be called '{target}'", hint="give the column another name")
    clips = [replace(c, frames=c.frames[: options.length]) for c in clips]
    keys = [hashlib.blake2b(np.ascontiguousarray(c.frames + 0.0).tobytes(), digest_size=8).hexdigest() for c in clips]
    given = None if ctx.group is None else frame[find_column(frame.columns, ctx.group, name, "data.group")].astype(str).tolist()
    named = frame["source"].tolist() if "source" in frame.columns else [None] * len(frame)
    groups = [str(g or key) for g, key in zip(given or named, keys, strict=True)]
    rows = _unique([(c, "", group, key) for c, group, key in zip(clips, groups, keys, strict=True)])
    made = table(rows, "").assign(source=pd.Series(named, dtype=object))
    if target:
        cells = [plain(v) for v in frame[target]]
        made[target] = pd.Series(cells, dtype=object)
    data = _dataset(name, made, rows, target, notes, options)
    labelled = np.array([v is not None for v in made[target]]) if target else np.ones(len(made), dtype=bool)
    return replace(data, labelled=labelled)
