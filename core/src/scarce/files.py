"""Atomic files: a reader sees the old content or the new, never a half."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from scarce.errors import PluginError, RunError

BOOK = ".book.jsonl"
"""The hashes of what was written in a folder, a line per file; see `booked`."""

_books: ContextVar[tuple[tuple[Path, tuple[str, ...]], ...]] = ContextVar("books", default=())


@contextmanager
def booked(folder: Path, names: tuple[str, ...]) -> Iterator[None]:
    """Inside, the SHA-256 of every file that is written below `folder` goes into its book before the file is in place.

    names: beginnings of the names, relative to the folder, that are booked. So whoever continues can tell a damaged file.
    """
    token = _books.set(((folder, names), *_books.get()))
    try:
        yield
    finally:
        _books.reset(token)


def read_book(folder: Path) -> dict[str, list[str]]:
    """Name -> SHA-256 of everything that was ever written under it, the newest last."""
    out: dict[str, list[str]] = {}
    for line in read_lines(folder / BOOK):
        if isinstance(line, dict) and {"name", "sha256"} <= set(line):
            out.setdefault(line["name"], []).append(line["sha256"])
    return out


def _book(path: Path, data: bytes) -> None:
    for folder, names in _books.get():
        if path.is_relative_to(folder) and (name := path.relative_to(folder).as_posix()).startswith(names):
            append_line(folder / BOOK, {"name": name, "sha256": hashlib.sha256(data).hexdigest()})
            return


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A place that can't be written is a RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}", hint=f"ls -ld {path}; df -h {path.parent}") from error


def write_bytes(path: Path, data: bytes) -> Path:
    """Write beside `path`, flush to disk, then rename over it; a place that can't be written is a RunError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _book(path, data)
            os.replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
    return path


def append_line(path: Path, data: Any) -> Path:
    """Add a JSON object as a line, on a line of its own where the last write was cut short; RunError as `write_bytes`."""
    with _writing(path), path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            cut = file.read(1) != b"\n"
        else:
            cut = False
        file.write(b"\n" * cut + (json.dumps(data, default=_plain) + "\n").encode())
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def write_json(path: Path, data: Any) -> Path:
    """Write JSON atomically; numpy scalars become numbers, unknown objects their text."""
    return write_bytes(path, (json.dumps(data, indent=1, default=_plain, ensure_ascii=False) + "\n").encode())


@contextmanager
def _reading(path: Path, hint: str) -> Iterator[None]:
    """A missing or damaged file is a RunError naming it."""
    try:
        yield
    except FileNotFoundError:
        raise RunError(f"{path} is missing", hint=f"ls {path.parent}") from None
    except (SafetensorError, ValueError, KeyError) as error:
        raise RunError(f"{path} is damaged: {error}", hint=hint) from None


def read_json(path: Path) -> Any:
    """Read JSON; a missing or damaged file is a RunError naming it."""
    with _reading(path, "start the run again in a new folder"):
        found = json.loads(path.read_text(encoding="utf-8"))
    return found


def packaged(distribution: str, relative: str, *, install: str) -> Path:
    """A file or folder that an installed distribution brings, without importing it; PluginError with the pip words otherwise."""
    try:
        path = Path(str(metadata.distribution(distribution).locate_file(relative)))
    except metadata.PackageNotFoundError:
        what = f"this comes with the distribution {distribution}, which is not installed"
        raise PluginError(what, hint=f"pip install {install}") from None
    if not path.exists():
        raise PluginError(f"the installed '{distribution}' has no {relative}", hint=f"pip install --upgrade {install}")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object per line; none without a file, and none of a line that a killed process cut short."""
    out = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        with suppress(json.JSONDecodeError):
            out.append(json.loads(line))
    return out


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> Path:
    """Write tensors as safetensors with JSON facts in the header, atomically."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return write_bytes(path, save(plain, {"facts": json.dumps(facts or {})}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts written by `write_tensors`; a missing or damaged file is a RunError naming it."""
    with _reading(path, f"rm {path}, then scarce resume the run"):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["facts"])
        tensors = load(data)
    return tensors, facts


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of any safetensors file; a missing or damaged one is a RunError naming it."""
    with _reading(path, f"ls -l {path.parent}"):
        tensors: dict[str, Tensor] = load(path.read_bytes())
    return tensors


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
