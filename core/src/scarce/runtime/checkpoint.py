"""Atomic checkpoints whose file name carries their own hash; the last few are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from scarce.errors import RunError
from scarce.files import file_hash, read_tensors, write_tensors

KEEP = 2


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write `step-STEP-HASH.safetensors`, then drop all but the last KEEP."""
    draft = write_tensors(folder / ".draft.safetensors", tensors, {**facts, "step": step})
    digest = file_hash(draft)[:16]
    path = folder / f"step-{step:08d}-{digest}.safetensors"
    draft.replace(path)
    for old in sorted(folder.glob("step-*.safetensors"))[:-KEEP]:
        old.unlink()
    return path


def last_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint, or None when there is none; a damaged one is a RunError naming the file."""
    found = sorted(folder.glob("step-*.safetensors"))
    if not found:
        return None
    path = found[-1]
    if file_hash(path)[:16] != path.stem.rsplit("-", 1)[-1]:
        earlier = f"continue from {found[-2].name}" if len(found) > 1 else "train this phase from its start"
        said = f"checkpoint {path} is damaged: its content does not match its name"
        raise RunError(said, hint=f"rm {path}, then scarce resume will {earlier}")
    return read_tensors(path)


def set_aside_damaged(folder: Path, say: Callable[[str], None]) -> None:
    """Rename damaged checkpoints, the newest first, until one is sound, and say what the fit goes on from."""
    while True:
        try:
            last_checkpoint(folder)
            return
        except RunError as error:
            newest = sorted(folder.glob("step-*.safetensors"))[-1]
            newest.replace(folder / f".damaged-{newest.name}")
            left = sorted(folder.glob("step-*.safetensors"))
            say(f"{error.message}; the phase goes on from {left[-1].name if left else 'its start'}")
