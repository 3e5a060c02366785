"""Pictures beyond those that are held: named, and decoded a block at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.contract import Dataset
from scarce_images.sources import Source

BLOCK = 48_000_000  # bytes of a block of pictures, decoded and encoded
EACH = 3 * 5  # bytes of a pixel: decoded, and as floats

Places = npt.NDArray[np.int64]
Load = Callable[[Source], tuple[Dataset, list[str], list[Any]]]
"""Records of a source, the hash of each one's pixels, and its value of the group column (None without one)."""


def drawn(source: Source, hold: int, seed: int) -> tuple[Places, Places]:
    """Which pictures are held, and which are not: uniform under the seed, each in order."""
    held = np.sort(np.random.default_rng(seed).choice(len(source.cells), hold, replace=False))
    return held, np.setdiff1d(np.arange(len(source.cells)), held, assume_unique=True)


def part_of(source: Source, places: Places) -> Source:
    """The pictures at some places."""
    chosen = [int(i) for i in places]
    return replace(
        source, cells=[source.cells[i] for i in chosen], names=[source.names[i] for i in chosen], table=source.table.iloc[chosen],
        notes=(),
    )  # fmt: skip


@dataclass(frozen=True)
class Further:
    """Pictures of a source at the places that are not held; see `contract.Rest`.

    keys, given: of the held records, by which copies and members of their groups are known.
    """

    source: Source
    places: Places
    held: Dataset
    size: int
    load: Load
    keys: Sequence[str]
    given: Sequence[Any]

    @property
    def rows(self) -> int:
        """See `contract.Rest`."""
        return len(self.places)

    @cached_property
    def mark(self) -> str:
        """The hash of all names, and of what is known of each picture undecoded."""
        digest = hashlib.sha256()
        for name, cell in zip(self.source.names, self.source.cells, strict=True):
            digest.update(f"{name}\0{_known(cell)}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def __iter__(self) -> Iterator[Dataset]:
        by_key = dict(zip(self.keys, self.held.groups.tolist(), strict=True))
        by_given = {v: g for v, g in zip(self.given, self.held.groups.tolist(), strict=True) if v is not None}
        step = max(1, BLOCK // (EACH * self.size**2))
        for start in range(0, len(self.places), step):
            data, keys, given = self.load(part_of(self.source, self.places[start : start + step]))
            groups = []
            for key, value in zip(keys, given, strict=True):
                found = {by_key.get(key), by_given.get(value)} - {None}
                own = f"key/{key}" if value is None else f"group/{value}"
                groups.append(found.pop() if len(found) == 1 else own if not found else "")
            kept = [i for i, group in enumerate(groups) if group]  # one that would join two held groups is in neither
            named = replace(data.part(kept), groups=np.array([groups[i] for i in kept], dtype=str))
            yield replace(named, name=self.held.name, classes=self.held.classes, schema=self.held.schema)


def _known(cell: Any) -> str:
    """The size of a file, else a hash of what is there."""
    if hasattr(cell, "stat"):
        return str(cell.stat().st_size) if cell.is_file() else ""
    if hasattr(cell, "root"):  # in a .zip
        return str(cell.root.getinfo(cell.at).CRC)
    data = cell if isinstance(cell, bytes | bytearray) else cell.tobytes() if isinstance(cell, np.ndarray) else repr(cell).encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest()
