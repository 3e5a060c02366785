"""Pictures in .tar files, as WebDataset lays them out: the files of one sample share a name up to its first dot."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from scarce.errors import DataError
from scarce_images.pictures import MOST_TEXT, SUFFIXES, UNREADABLE, BrokenPicture, Place


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
    """The files of one name: a picture, or why it can't be read, and what else is said of it."""

    picture: Member | BrokenPicture
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
    over. A picture with a .cls or .txt file that is too long is broken. DataError for an archive or a .json file that can't be read.
    """
    for shard in shards:
        for key, files in _grouped(shard).items():
            pictures = [m for suffix, m in files.items() if suffix in SUFFIXES]
            if not pictures:
                continue
            facts = _facts(files, shard, label)
            name = f"{shard.stem}/{key}{PurePosixPath(pictures[0].name).suffix}" if len(shards) > 1 else pictures[0].name
            wrong = [v for v in facts.values() if isinstance(v, BrokenPicture)]
            facts = {k: None if isinstance(v, BrokenPicture) else v for k, v in facts.items()}
            yield name, Sample(wrong[0] if wrong else pictures[0], facts)


def text_of(place: Place, name: str) -> str | BrokenPicture | None:
    """What a small file says, None for nothing; why the picture beside it is broken where it is too long or damaged."""
    try:
        with place.open("rb") as file:
            data: bytes = file.read(MOST_TEXT + 1)
    except UNREADABLE as error:
        return BrokenPicture(f"{name} beside it can't be read: {error}")
    if len(data) > MOST_TEXT:
        return BrokenPicture(f"{name} beside it has more than {MOST_TEXT:,} bytes")
    return data.decode("utf-8-sig", "replace").strip() or None


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
        text = _text(files[".cls"])
        said[label] = int(text) if isinstance(text, str) and text.lstrip("-").isdigit() else text
    if ".txt" in files:
        said["caption"] = _text(files[".txt"])
    if ".json" in files:
        try:
            more = json.loads(files[".json"].open("rb").read())
        except ValueError as error:
            raise DataError(f"{shard}: {files['.json'].name} is not JSON: {error}", hint="write the archive again") from None
        said |= more if isinstance(more, dict) else {}
    return said


def _text(member: Member) -> str | BrokenPicture | None:
    # One byte more than is allowed tells that there are more; the rest is not read.
    return text_of(replace(member, size=min(member.size, MOST_TEXT + 1)), member.name)


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
