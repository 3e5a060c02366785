"""Clips of files, folders, built-in data sets and DataFrames, as they were recorded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import LoadContext, find_column
from scarce.errors import DataError
from scarce_motion.bvh import read_bvh
from scarce_motion.clip import Clip
from scarce_motion.config import Motion
from scarce_motion.datasets import BuiltinMotion
from scarce_motion.deepmimic import read_deepmimic
from scarce_motion.npzfile import read_npz, split_actions
from scarce_motion.rotations import Floats
from scarce_motion.skeleton import POINT, Skeleton, difference, skeleton_of

SUFFIXES = (".bvh", ".txt", ".json", ".npz")
SHEET = "captions.csv"


def read_clips(ctx: LoadContext, options: Motion) -> tuple[str, list[Clip], Motion, list[str]]:
    """Name, clips, the options of a built-in data set where a person sets none, and notes; DataError saying what is wrong."""
    if ctx.builtin is not None:
        table: BuiltinMotion = ctx.builtin()
        options = Motion(**{**table.options, **options.model_dump(include=options.model_fields_set)})
        return table.name, table.read(), options, [table.note]
    path = Path(str(ctx.source))
    if not path.exists():
        raise DataError(f"{path} does not exist", hint="scarce run RECIPE --data FILE_OR_FOLDER, or scarce data list")
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} has no motion files", hint=f"files end in {', '.join(SUFFIXES)}")
    clips = [replace(c, actions=c.actions or (named(c.name),)) for file in files for c in read_file(file, options)]
    if path.is_dir() and (path / SHEET).is_file():
        clips = described(clips, path / SHEET)
    return path.stem, clips, options, []


def read_file(path: Path, options: Motion) -> list[Clip]:
    """The clips of one file, in the format of its suffix."""
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        return [read_bvh(path, options.scale)]
    if suffix == ".npz":
        return read_npz(path)
    if suffix in (".txt", ".json"):
        return [read_deepmimic(path)]
    raise DataError(f"{path}: motions are read from {', '.join(SUFFIXES)} and .parquet, not '{suffix}'", hint="convert it to .bvh")


def named(stem: str) -> str:
    """What a file's name says is done: "golf_swing-02" is "golf swing"."""
    return re.sub(r"[\s_\-.]+", " ", re.sub(r"[\s_\-.]*\d+$", "", stem)).strip().lower() or stem.lower()


def described(clips: Sequence[Clip], path: Path) -> list[Clip]:
    """Clips with what a sheet of columns `file`, `action` and `caption` says of them (the last two may be left out)."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}", hint="columns: file,action,caption") from None
    files = table[find_column(table.columns, "file", str(path), "data.source")]
    rows = {Path(str(name)).stem: i for i, name in enumerate(files)}
    if unknown := [name for name in rows if name not in {c.name for c in clips}]:
        raise DataError(f"{path} speaks of '{unknown[0]}', which is no motion file beside it", hint=f"ls {path.parent}")
    out = []
    for clip in clips:
        row: dict[str, Any] = dict(table.iloc[rows[clip.name]]) if clip.name in rows else {}
        actions = split_actions(row.get("action", "")) or clip.actions
        out.append(replace(clip, actions=actions, caption=row.get("caption") or clip.caption))
    return out


def same_skeleton(clips: Sequence[Clip]) -> Skeleton:
    """The one skeleton of all clips; DataError naming a clip that has another than most, and what sets it apart."""
    usual, _ = Counter(c.skeleton.names for c in clips).most_common(1)[0]
    first = next(c for c in clips if c.skeleton.names == usual)
    for clip in clips:
        if clip.skeleton is not first.skeleton and (why := difference(first.skeleton, clip.skeleton)):
            what = f"clips have different skeletons: '{clip.name}' {why}, compared with '{first.name}'"
            raise DataError(what, hint="put each skeleton's clips into a folder of their own, or retarget them to one")
    return first.skeleton


def frame_skeleton(frame: pd.DataFrame) -> tuple[Skeleton, float | None]:
    """Skeleton and rate that travel with a DataFrame of records (`attrs`); without them one point that moves."""
    said = frame.attrs.get("motion")
    if said:
        data = json.loads(said) if isinstance(said, str) else said
        return skeleton_of(data["skeleton"]), float(data["fps"])
    width = next((len(cell[0]) for cell in frame["motion"] if len(cell)), 3)
    if width not in (2, 3):
        what = f"a frame of motion has {width} numbers and nothing says of which skeleton"
        raise DataError(what, hint='frame.attrs["motion"] = {"skeleton": {…}, "fps": 20}, or give .bvh or .npz files')
    return POINT, None


def rows_as_clips(frame: pd.DataFrame, fps: float) -> list[Clip]:
    """The records of a DataFrame: column `motion`, and `actions`, `caption` and `source` where it has them."""
    if "motion" not in frame.columns or len(frame) == 0:
        columns = ", ".join(map(str, frame.columns))
        raise DataError(f"records of motion have a column `motion`; there are {columns} in {len(frame)} rows", hint="see docs/motion.md")
    skeleton, rate = frame_skeleton(frame)
    cells = {name: frame[name].tolist() if name in frame.columns else [None] * len(frame) for name in ("actions", "caption", "source")}
    return [
        Clip(
            name=str(cells["source"][i] or i), skeleton=skeleton, frames=table_of(cell, i), fps=rate or fps,
            actions=split_actions(cells["actions"][i]), caption=cells["caption"][i] if isinstance(cells["caption"][i], str) else None,
        )
        for i, cell in enumerate(frame["motion"])
    ]  # fmt: skip


def table_of(cell: Any, row: int) -> Floats:
    """[t, w] numbers of a cell, positions in the plane with a third coordinate 0; DataError for frames of different lengths."""
    try:
        values = np.array([np.asarray(step, dtype=np.float64) for step in cell], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"motion {row} is no table of numbers", hint="every frame has as many numbers") from None
    if values.ndim == 2 and values.shape[1] == 2:
        values = np.concatenate([values, np.zeros((len(values), 1))], 1)
    return values
