"""Motions as standardised features of one length with a mask, and back to frames of the same skeleton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scarce.contract import Block, Dataset, Known, Space, State, take
from scarce.errors import DataError, RunError
from scarce.files import read_json, write_json
from scarce_motion import features as f
from scarce_motion.clip import Clip, sampled
from scarce_motion.rotations import Floats
from scarce_motion.skeleton import Skeleton, skeleton_of, travelling

FORMAT = 1
MARGIN = 1.2  # how far beyond the largest training value a sample may go
STILL = 1e-4  # channels of smaller standard deviation never move and are no part of the space
MOMENTS = 20  # of a motion that distances compare
OWN = ("motion", "actions", "caption", "source")


@dataclass(frozen=True, kw_only=True)
class MotionCodec:
    """See `contract.Codec`. mean: [c] of every feature; sd: [c], 0 for one that never moves; clip: one per part of a frame.

    floor: height of each foot when it stands; length: the longest training motion; shares: training frequencies of the
    classes; columns: those of a record, in order.
    """

    skeleton: Skeleton
    fps: float
    length: int
    variable: bool
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    clip: tuple[float, ...]
    floor: tuple[float, ...]
    target: str = ""
    classes: tuple[Any, ...] = ()
    shares: tuple[float, ...] = ()
    columns: tuple[str, ...] = OWN

    @cached_property
    def kept(self) -> list[int]:
        """Features that move and are channels of the space."""
        return np.flatnonzero(np.array(self.sd) > 0).tolist()

    @cached_property
    def space(self) -> Space:
        """One continuous block per part of a frame that moves: height, velocity, turn, each joint, contact."""
        blocks, place = [], 0
        for (name, size), clip in zip(f.parts_of(self.skeleton), self.clip, strict=True):
            moving = int((np.array(self.sd[place : place + size]) > 0).sum())
            blocks += [Block(name=name, kind="continuous", size=moving, clip=clip)] if moving else []
            place += size
        return Space(layout="sequence", blocks=tuple(blocks), shape=(self.length,), variable=self.variable)

    def frames(self, records: pd.DataFrame) -> list[Floats]:
        """[t, w] frames of each record, at most `length` (longer ones are played faster); DataError for another skeleton."""
        out = []
        for i, cell in enumerate(records["motion"]):
            values = as_frames(cell)
            if values.shape[1] != self.skeleton.width:
                what = f"motion {i} has frames of {values.shape[1]} numbers where training has {self.skeleton.width}"
                raise DataError(what, hint="give motions of the same skeleton")
            if len(values) > self.length:
                clip = Clip(name=str(i), skeleton=self.skeleton, frames=values, fps=self.fps)
                values = sampled(clip, np.linspace(0, len(values) - 1, self.length)).frames
            out.append(values)
        return out

    def features(self, records: pd.DataFrame) -> tuple[Floats, f.Lengths]:
        """[n, l, c] raw features of padded records, and [n] how many frames they have."""
        frames, lengths = f.padded(self.frames(records), self.length, self.skeleton.width)
        return f.encode(self.skeleton, frames, lengths, self.fps, np.array(self.floor)), lengths

    def encode(self, records: pd.DataFrame) -> State:
        """num [n, l, c] standardised features, 0 after a motion has ended."""
        values, lengths = self.features(records)
        mask = np.arange(self.length)[None] < lengths[:, None]
        kept = self.kept
        num = (values[..., kept] - np.array(self.mean)[kept]) / np.array(self.sd)[kept]
        if self.variable:
            num = num * mask[..., None]
        cat = torch.zeros(len(num), self.length, 0, dtype=torch.int64)
        return State(torch.from_numpy(num).float(), cat, torch.from_numpy(mask) if self.variable else None)

    def soft(self, state: State) -> Tensor:
        """[n, l, c] encoded values, and whether a frame exists as one more channel where lengths differ; differentiable."""
        if state.mask is None:
            return state.num
        exists = state.mask.unsqueeze(-1).to(state.num.dtype)
        return torch.cat([state.num * exists, exists], -1)

    def raw(self, num: Tensor) -> Tensor:
        """[n, l, c] features in their own units of standardised ones; differentiable."""
        mean, sd = (torch.tensor(v, dtype=num.dtype, device=num.device) for v in (self.mean, self.sd))
        out = mean.expand(*num.shape[:-1], len(self.mean)).clone()
        out[..., self.kept] = mean[self.kept] + num * sd[self.kept]
        return out

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """Motions that begin above the origin; `labels` None: classes drawn by training frequency. A text has none of them."""
        frames = f.decode(self.skeleton, self.raw(state.num.double()).numpy(), self.fps)
        values = list(frames) if state.mask is None else [v[m] for v, m in zip(frames, state.mask.numpy(), strict=True)]
        out: dict[str, Any] = dict.fromkeys(self.columns, [None] * len(values)) | {"motion": values}
        if self.target:
            out[self.target] = self.labels(labels, len(values), seed)
        made = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in out.items()})
        if self.target == "action" and "actions" in made.columns:
            made["actions"] = made[self.target]
        made.attrs.update(travelling(self.skeleton, self.fps))
        return made

    def labels(self, labels: Sequence[Any] | None, n: int, seed: int) -> list[Any]:
        """[n] the classes asked for, None for a motion without one; drawn by training frequency where nothing was asked."""
        if labels is not None:
            return list(labels)
        return [self.classes[i] for i in np.random.default_rng(seed).choice(len(self.classes), n, p=self.shares)]

    def moments(self, records: pd.DataFrame) -> Floats:
        """[n, 20, j, 3] metres: joints at evenly spaced moments, in the heading's frame above where the motion begins."""
        values, lengths = self.features(records)
        frames = f.decode(self.skeleton, values, self.fps)
        joints = f.positions(self.skeleton, *f.split_frames(frames))
        places = np.linspace(0, 1, MOMENTS)[None] * (lengths[:, None] - 1)
        low = np.floor(places).astype(np.int64)
        high, share = np.minimum(low + 1, lengths[:, None] - 1), (places - low)[..., None, None]
        rows = np.arange(len(low))[:, None]
        return np.asarray(joints[rows, low] + share * (joints[rows, high] - joints[rows, low]))

    def vectors(self, records: pd.DataFrame) -> Floats:
        """[n, d] such that a distance is the root mean square one, in metres, of joints at `moments`."""
        joints = self.moments(records)
        return np.asarray(joints.reshape(len(joints), -1) / np.sqrt(MOMENTS * len(self.skeleton.names)))

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Nothing to impose, and the class of each sample where the target is asked; DataError for any other field."""
        labels = None
        for name, asked in where.items():
            if not self.target or name != self.target:
                what = f"--where: '{name}' is no field of a motion" + (f"; '{self.target}' is" if self.target else "")
                raise DataError(what, hint='ask for it in words: --prompt "a person runs, then jumps"')
            named = {str(v): v for v in self.classes}
            wanted = [str(v) for v in (asked.values if hasattr(asked, "values") else [getattr(asked, "value", None)])]
            if unknown := [v for v in wanted if v not in named]:
                raise DataError(f"--where: {name} has no value '{unknown[0]}'", hint=f"one of {', '.join(list(named)[:20])}")
            labels = [named[wanted[i]] for i in np.random.default_rng(seed).integers(len(wanted), size=n)]
        return None, labels

    def save(self, folder: Path) -> None:
        """codec.json."""
        facts = {k: getattr(self, k) for k in self.__dataclass_fields__}
        write_json(folder / "codec.json", {"format": FORMAT, **facts, "skeleton": self.skeleton.to_json()})


def as_frames(cell: Any) -> Floats:
    """[t, w] frames of a cell: an array, or lists as a file holds them; at least one frame."""
    values = np.array([np.asarray(row, dtype=np.float64) for row in cell], dtype=np.float64)
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        raise DataError("a motion has no frames, or some that are no numbers", hint="frames are lists of root position and quaternions")
    return values


def fit_codec(dataset: Dataset) -> MotionCodec:
    """The codec of a data set's training rows; DataError where nothing in them moves."""
    rows = dataset.rows("train")
    skeleton, fps = skeleton_of(dataset.schema["skeleton"]), float(dataset.schema["fps"])
    cells = [as_frames(cell) for cell in take(dataset.records, rows)["motion"]]
    frames, lengths = f.padded(cells, max(map(len, cells)), skeleton.width)
    floor = f.floor_of(skeleton, frames, lengths)
    values = f.encode(skeleton, frames, lengths, fps, floor)
    steps = values[np.arange(values.shape[1])[None] < lengths[:, None]]
    mean, moves = steps.mean(0), steps.std(0)
    sd, clip, place = np.zeros_like(mean), [], 0
    for _, size in f.parts_of(skeleton):
        mine = slice(place, place + size)
        place += size
        kept = moves[mine] > STILL
        common = float(np.sqrt(np.mean(moves[mine][kept] ** 2))) if kept.any() else 0.0
        sd[mine] = np.where(kept, common, 0.0)
        beyond = np.abs(steps[:, mine][:, kept] - mean[mine][kept]).max() / common if kept.any() else 0.0
        clip.append(max(MARGIN * float(beyond), 0.1))
    if not (sd > 0).any():
        raise DataError(f"{dataset.name}: nothing moves in any training clip", hint="scarce data inspect FILE")
    codes = dataset.codes()[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(dataset.classes)).astype(float)
    counts = counts if counts.sum() else counts + 1
    return MotionCodec(
        skeleton=skeleton, fps=fps, length=int(lengths.max()), variable=bool(lengths.min() < lengths.max()), mean=tuple(mean.tolist()),
        sd=tuple(sd.tolist()), clip=tuple(clip), floor=tuple(floor.tolist()), target=dataset.target_name, classes=dataset.classes,
        shares=tuple((counts / counts.sum()).tolist()) if dataset.classes else (), columns=tuple(map(str, dataset.records.columns)),
    )  # fmt: skip


def read_codec(folder: Path) -> MotionCodec:
    """The codec written by `MotionCodec.save`."""
    data = read_json(folder / "codec.json")
    if data.pop("format", None) != FORMAT:
        raise RunError(f"{folder}/codec.json is not of format {FORMAT}", hint="run the recipe again with the installed version")
    skeleton = skeleton_of(data.pop("skeleton"))
    facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return MotionCodec(skeleton=skeleton, **facts)
