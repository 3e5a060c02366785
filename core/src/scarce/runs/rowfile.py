"""Encoded training rows in a file, read a batch at a time, so that memory does not grow with their number."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract.space import State
from scarce.errors import PluginError, RunError
from scarce.files import append_line, read_lines
from scarce.runs.conditioning import Inputs

Rows = npt.NDArray[Any]
BLOCK = 1 << 20  # bytes that are hashed at a time


def layout_of(x0: State, inputs: Inputs) -> np.dtype[Any]:
    """What one row is in the file: its state, its condition's inputs, whether it is labelled, and its class code."""
    found = _columns(x0, inputs)
    sizes = [(name, value.dtype, value.shape[1:]) for name, value in found.items()]
    return np.dtype([*sizes, ("labelled", np.bool_), ("code", np.int32)])


def pack(layout: np.dtype[Any], x0: State, inputs: Inputs, labelled: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64]) -> Rows:
    """[n] rows of the file; PluginError where they are not shaped like the ones that are held."""
    out = np.zeros(len(x0), layout)
    for name, value in {**_columns(x0, inputs), "labelled": labelled, "code": codes}.items():
        if out[name].shape != value.shape:
            what = f"'{name}' of later records is {list(value.shape[1:])}, of those that are held {list(out[name].shape[1:])}"
            raise PluginError(f"records of this modality or conditioner can't be streamed: {what}", hint="leave data.hold out")
        out[name] = value
    return out


def unpack(rows: Rows) -> tuple[State, Inputs]:
    """State and inputs of [b] rows, on the CPU."""
    found = {name: torch.from_numpy(rows[name].copy()) for name in rows.dtype.names or ()}
    inputs = tuple(value for name, value in found.items() if name.startswith("input"))
    return State(found["num"], found["cat"].long(), found.get("mask")), inputs


def _columns(x0: State, inputs: Inputs) -> dict[str, npt.NDArray[Any]]:
    masks: dict[str, Tensor] = {} if x0.mask is None else {"mask": x0.mask}
    found = {"num": x0.num, "cat": x0.cat.int(), **masks, **{f"input{i}": value for i, value in enumerate(inputs)}}
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


class RowFile:
    """Rows of one layout in `rows.bin`, added in parts; `rows.jsonl` has a line with the hash of each.

    about: what decides the rows; parts that were written for something else count for nothing. A part that is damaged, and all
    after it, are written again.
    """

    def __init__(self, folder: Path, layout: np.dtype[Any], about: Mapping[str, Any]) -> None:
        self.path, self.log, self.layout = folder / "rows.bin", folder / "rows.jsonl", layout
        self.about = json.loads(json.dumps({**about, "layout": str(layout)}))
        folder.mkdir(parents=True, exist_ok=True)
        self.lines = self._whole()
        self._file: FileIO | None = None

    def __len__(self) -> int:
        return sum(int(line["rows"]) for line in self.lines)

    @property
    def whole(self) -> bool:
        """Whether the last part was written."""
        return bool(self.lines) and bool(self.lines[-1]["last"])

    def add(self, rows: Rows, *, last: bool = False, facts: Mapping[str, Any] | None = None) -> None:
        """Write a part behind those that are whole; it counts when its line is there. RunError where the disk is full."""
        data = rows.tobytes()
        try:
            with self.path.open("r+b" if self.path.exists() else "w+b") as file:
                file.seek(len(self) * self.layout.itemsize)
                file.truncate()
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(f"{self.path} can't be written: {error.strerror}", hint=f"df -h {self.path.parent}") from error
        line = {"rows": len(rows), "sha256": hashlib.sha256(data).hexdigest(), "last": last, **(facts or {}), "about": self.about}
        if not self.lines:
            self.log.unlink(missing_ok=True)
        append_line(self.log, line)
        self.lines.append(line)

    def read(self, places: npt.NDArray[np.int64]) -> Rows:
        """[b] rows at some places; RunError where the file has become too short."""
        if self._file is None:
            self._file = FileIO(self.path)
        size, number = self.layout.itemsize, self._file.fileno()
        data = b"".join([os.pread(number, size, place * size) for place in places.tolist()])
        if len(data) != size * len(places):
            raise RunError(f"{self.path} is damaged", hint=f"rm -r {self.path.parent}, then scarce resume the run")
        return np.frombuffer(data, self.layout)

    def column(self, name: str) -> npt.NDArray[Any]:
        """[n] numbers of one field of every row."""
        parts, at = [np.zeros(0, self.layout[name])], 0
        for line in self.lines:
            rows = np.fromfile(self.path, self.layout, int(line["rows"]), offset=at * self.layout.itemsize)
            parts.append(rows[name].copy())
            at += len(rows)
        return np.concatenate(parts)

    def _whole(self) -> list[dict[str, Any]]:
        """Lines of the parts that are there and undamaged, up to the first that isn't."""
        out: list[dict[str, Any]] = []
        if not self.path.is_file():
            return out
        with self.path.open("rb") as file:
            for line in read_lines(self.log):
                if line.get("about") != self.about or line["sha256"] != _hash(file, int(line["rows"]) * self.layout.itemsize):
                    return out
                out.append(line)
        return out


def _hash(file: Any, size: int) -> str:
    digest = hashlib.sha256()
    while size and (block := file.read(min(BLOCK, size))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
