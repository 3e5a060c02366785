"""Motions to files, in the format the suffix names, whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scarce.errors import DataError
from scarce.files import write_bytes
from scarce_motion.bvh import bvh_text
from scarce_motion.clip import Clip
from scarce_motion.codec import as_frames
from scarce_motion.npzfile import npz_bytes, split_actions
from scarce_motion.skeleton import skeleton_of
from scarce_motion.sources import frame_skeleton


def write_motion(frame: pd.DataFrame, path: Path, schema: Mapping[str, Any]) -> Path:
    """Write .npz (all motions), .bvh (one motion, or NAME-001.bvh and on) or .parquet; DataError for another suffix.

    Without a schema the skeleton is the one that travels with the frame.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return write_bytes(path, _parquet(frame, schema))
    if suffix not in (".npz", ".bvh"):
        raise DataError(f"{path}: motions are written as .npz, .bvh or .parquet, not '{suffix}'", hint="-o motion.bvh")
    clips = as_clips(frame, schema)
    if suffix == ".npz":
        return write_bytes(path, npz_bytes(clips, clips[0].skeleton, clips[0].fps))
    if len(clips) == 1:
        return write_bytes(path, bvh_text(clips[0]).encode())
    for i, clip in enumerate(clips, start=1):
        write_bytes(path.with_name(f"{path.stem}-{i:03d}.bvh"), bvh_text(clip).encode())
    return path.with_name(f"{path.stem}-001.bvh")


def as_clips(frame: pd.DataFrame, schema: Mapping[str, Any]) -> list[Clip]:
    """Clips of records; DataError without any."""
    if len(frame) == 0:
        raise DataError("there is no motion to write", hint="ask for at least one")
    if "skeleton" in schema:
        skeleton, fps = skeleton_of(schema["skeleton"]), float(schema["fps"])
    else:
        skeleton, rate = frame_skeleton(frame)
        fps = rate or 20.0
    cells = {name: frame[name].tolist() if name in frame.columns else [None] * len(frame) for name in ("actions", "caption", "source")}
    return [
        Clip(
            name=str(cells["source"][i] or f"motion-{i + 1}"), skeleton=skeleton, frames=as_frames(cell), fps=fps,
            actions=split_actions(cells["actions"][i]), caption=cells["caption"][i] if isinstance(cells["caption"][i], str) else None,
        )
        for i, cell in enumerate(frame["motion"])
    ]  # fmt: skip


def _parquet(frame: pd.DataFrame, schema: Mapping[str, Any]) -> bytes:
    buffer, out = io.BytesIO(), frame.copy()
    out["motion"] = pd.Series([as_lists(cell) for cell in frame["motion"]], index=frame.index, dtype=object)
    said = {"skeleton": schema["skeleton"], "fps": schema["fps"]} if "skeleton" in schema else frame.attrs.get("motion")
    out.attrs = {"motion": said if isinstance(said, str) else json.dumps(said)} if said else {}
    out.to_parquet(buffer)
    return buffer.getvalue()


def as_lists(cell: Any) -> list[list[float]]:
    """Frames as nested lists, which Parquet holds."""
    return [[float(v) for v in row] for row in cell]
