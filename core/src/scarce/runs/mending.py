"""What an unfinished run has made and what became of it: a damaged or lost part is set aside, said, and made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scarce.errors import RunError
from scarce.files import BOOK, booked, file_hash, read_book, read_json, write_json

BOOKED = (
    "model/", "samples/shards/", "rounds/", "recipe.resolved.json", "data.json", "parents.json", "plugins.lock.json", "plan.json",
    "input.parquet", "figures.json", "metrics.json", "phases/", "adapters/",
)  # fmt: skip
"""Beginnings of the names whose hashes are booked, in a run folder and in what arms share."""

ASIDE = ".damaged"
GIVEN = ("recipe.resolved.json", "input.parquet")
HELD = "model/checkpoint.json"  # what the weights of another are held against: as it stands
COMPUTED = (".safetensors", ".parquet", "data.json", "parents.json")  # the same bytes when they are made again

Digests = Mapping[str, Sequence[str]]


def damage(folder: Path) -> dict[str, str]:
    """Name -> "damaged" or "missing" of what was written in a folder and is no longer what it was.

    What the last line of the book names may never have been put in place, so it is not missed.
    """
    known = read_book(folder)
    last, found = next(reversed(known), ""), dict[str, str]()
    known.pop(HELD, None)
    for name, digests in known.items():
        if not (folder / name).is_file():
            found |= {} if name == last else {name: "missing"}
        elif file_hash(folder / name) not in digests:
            found[name] = "damaged"
    return found


def changed(folder: Path) -> list[str]:
    """What a finished run wrote once and is no longer what `hashes.json` says."""
    known: Mapping[str, str] = read_json(folder / "hashes.json")
    there = {name: folder / name for name in known if name.startswith(BOOKED)}
    return [name for name, path in there.items() if not path.is_file() or file_hash(path) != known[name]]


def mend(folder: Path, say: Callable[[str], None]) -> Digests:
    """Set aside what is damaged, drop the marks of stages that are no longer whole, and say what is made again.

    Returns the hashes that the parts had. RunError where what is lost was given to the run and can't be made again.
    """
    found = damage(folder)
    if given := [name for name in GIVEN if name in found]:
        what = f"{folder / given[0]} is {found[given[0]]}, and can't be made again from the rest of the run"
        raise RunError(what, hint="put it back from a copy, or run the recipe again in a new folder")
    known = read_book(folder)
    for name, how in found.items():
        mark, then = _stage(name)
        if how == "missing" and mark and mark not in known:
            continue  # of a stage that was never finished
        aside = folder / ASIDE / name
        if how == "damaged":
            aside.parent.mkdir(parents=True, exist_ok=True)
            (folder / name).replace(aside)
        for stale in filter(None, (mark, "metrics.json")):
            (folder / stale).unlink(missing_ok=True)
        say(f"{folder / name} is {how}{f' (now {aside})' if how == 'damaged' else ''}: {then}")
        (folder / "hashes.json").unlink(missing_ok=True)  # what is made again has times of its own
    return {name: known[name] for name in found}


def _stage(name: str) -> tuple[str, str]:
    """The mark by which the stage that wrote a file is known to be finished, and what happens without it."""
    parts = name.split("/")
    home = "model/" if parts[0] == "model" else ""
    inner = parts[1:] if home else parts
    if inner[0] == "codec":
        return "model/codec/done.json", "the codec is fitted again"
    if inner[0] in ("phases", "adapters"):
        phase = inner[1].split(".")[0] if inner[0] == "phases" else inner[1]
        return f"{home}phases/{phase}.json", f"phase '{phase}' is trained again"
    if home:
        return "model/generator.json", "the weights that training begins with are made again"
    if name.startswith("samples/"):
        return "", "these samples are drawn again"
    if parts[0] == "rounds":
        return "", f"this part of round {parts[1]} is made again"
    return "", "it is written again"


def hold(folder: Path, before: Digests, names: Iterable[str] | None = None) -> list[str]:
    """Parts that were made again and are not what they were before, of those that are the same bytes on an equal machine."""
    asked = before if names is None else [name for name in names if name in before]
    again = [name for name in asked if name.endswith(COMPUTED) and (folder / name).is_file()]
    return [name for name in again if file_hash(folder / name) not in before[name]]


@contextmanager
def parts_folder(folder: Path, about: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[Path]:
    """A folder of samples in parts and, inside, the place of its encoded shards, which go when all parts are there.

    about: what was asked, kept in `_asked.json`; RunError where the folder is of something else.
    """
    kept, shards = folder / "_asked.json", folder / ".shards"
    if folder.exists() and (not kept.is_file() or read_json(kept) != json.loads(json.dumps(about))):
        what = f"{folder} holds something else than these samples"
        raise RunError(what, hint="name a folder that does not exist yet")
    write_json(kept, about)
    mend(folder, say)
    with booked(folder, (".shards/",)):
        yield shards
    for made in (shards, folder / ASIDE):
        shutil.rmtree(made, ignore_errors=True)
    (folder / BOOK).unlink(missing_ok=True)
