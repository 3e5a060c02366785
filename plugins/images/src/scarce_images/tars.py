"""Pictures in .tar files, as WebDataset lays them out: the files of one sample share a name up to its first dot."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from scarce.errors import DataError
from scarce_images.pictures import SUFFIXES


@dataclass(frozen=True)
class Member:
    """A file inside an uncompressed archive, read in place; nothing is ever unpacked to disk."""

    archive: Path
    name: str
    at: int
    size: int

    def open(self, mode: str) -> io.BytesIO:
        """Its bytes."""
        with self.archive.open("rb") as file:
            file.seek(self.at)
            return io.BytesIO(file.read(self.size))

    def is_file(self) -> bool:
        """Always."""
        return True


@dataclass
class Sample:
    """The files of one name: a picture, and what else is said of it."""

    picture: Member
    facts: dict[str, Any]


def shards_of(path: Path) -> list[Path]:
    """The archives that a .tar file, or a folder with nothing else, is; none for another path."""
    if path.suffix.lower() == ".tar" and path.is_file():
        return [path]
    inside = [p for p in path.iterdir() if not p.name.startswith((".", "_"))] if path.is_dir() else []
    return sorted(inside) if all(p.suffix.lower() == ".tar" and p.is_file() for p in inside) else []


def samples_of(shards: list[Path], label: str) -> Iterator[tuple[str, Sample]]:
    """Name and sample of every picture, archive by archive in the order of their names there.

    Facts: of the .json file, `label` of .cls, "caption" of .txt. Only regular files count: links, devices and folders are passed
    over. DataError for an archive or a .json file that can't be read.
    """
    for shard in shards:
        for key, files in _grouped(shard).items():
            pictures = [m for suffix, m in files.items() if suffix in SUFFIXES]
            if not pictures:
                continue
            facts = _facts(files, shard, label)
            name = f"{shard.stem}/{key}{PurePosixPath(pictures[0].name).suffix}" if len(shards) > 1 else pictures[0].name
            yield name, Sample(pictures[0], facts)


def _grouped(shard: Path) -> dict[str, dict[str, Member]]:
    """Name up to the first dot -> suffix -> file."""
    out: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            while (found := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # else it keeps all of them
                if found.isreg():
                    folder, _, base = found.name.rpartition("/")
                    key, dot, rest = base.partition(".")
                    member = Member(shard, found.name, found.offset_data, found.size)
                    out.setdefault(f"{folder}/{key}" if folder else key, {})[(dot + rest).lower()] = member
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{shard} is not a readable .tar file: {error}", hint=f"tar -tf {shard}; decompress it first") from None
    return {key: files for key, files in out.items() if key.rpartition("/")[2]}


def _facts(files: Mapping[str, Member], shard: Path, label: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if ".cls" in files:
        text = files[".cls"].open("rb").read().decode("utf-8", "replace").strip()
        said[label] = int(text) if text.lstrip("-").isdigit() else text
    if ".txt" in files:
        said["caption"] = files[".txt"].open("rb").read().decode("utf-8-sig", "replace").strip() or None
    if ".json" in files:
        try:
            more = json.loads(files[".json"].open("rb").read())
        except ValueError as error:
            raise DataError(f"{shard}: {files['.json'].name} is not JSON: {error}", hint="write the archive again") from None
        said |= more if isinstance(more, dict) else {}
    return said


def tar_bytes(frame: pd.DataFrame, files: Iterator[bytes], target: str) -> bytes:
    """An archive with a picture (`files`, PNG) and a .json of all other columns for each row, `.cls` where classes are numbers.

    The same records give the same bytes: members in order, without times and owners.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for i, (data, (_, row)) in enumerate(zip(files, frame.drop(columns="image").iterrows(), strict=True)):
            facts = {str(k): None if v is None or v != v else v for k, v in row.astype(object).items()}
            _put(archive, f"{i:06d}.png", data)
            if isinstance(facts.get(target), int | np.integer):
                _put(archive, f"{i:06d}.cls", str(facts[target]).encode())
            if facts.get("caption"):
                _put(archive, f"{i:06d}.txt", str(facts["caption"]).encode())
            _put(archive, f"{i:06d}.json", json.dumps(facts, ensure_ascii=False, default=_plain).encode())
    return buffer.getvalue()


def _put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
