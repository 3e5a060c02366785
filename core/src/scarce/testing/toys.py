"""Tiny parts of every space that the kit sets beside the component it checks: three modalities and one network.

They are loaded by name like any plugin, from rows that the kit adds to the catalogue; a recipe can't name them otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import (
    BackboneContext,
    BackboneSpec,
    BaselineContext,
    Block,
    Caption,
    CaptionContext,
    CodecContext,
    Condition,
    Dataset,
    DrawContext,
    Figure,
    Known,
    LoadContext,
    ModalitySpec,
    Space,
    State,
    WriteContext,
    hookimpl,
    take,
)
from scarce.files import read_json, write_json

CLASSES = ("left", "right")
COLOURS = ("red", "green", "blue")
LONGEST, SIDE = 8, 16
WIDTH, LIFT = 24, 32


def vectors(n: int, seed: int = 0) -> pd.DataFrame:
    """n rows of two numbers and a colour that depend on the class in `side`."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % 2
    size = rng.normal(2.0 * code - 1.0, 0.7)
    colour = np.where(rng.random(n) < 0.7, code, 2)
    columns = {"size": size, "weight": 0.8 * size + rng.normal(0, 0.5, n), "colour": [COLOURS[c] for c in colour]}
    return pd.DataFrame({**columns, "side": _objects([CLASSES[c] for c in code])})


def sequences(n: int, seed: int = 0) -> pd.DataFrame:
    """n series of two channels and 5 to 8 steps that rise or fall with the class in `side`."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % 2
    cells = []
    for c in code:
        steps = np.linspace(-1, 1, int(rng.integers(5, LONGEST + 1)))
        slope = (2 * c - 1) * steps
        cells.append(np.stack([slope, np.cos(3 * steps) + 0.3 * slope], 1) + rng.normal(0, 0.25, (len(steps), 2)))
    return pd.DataFrame({"series": _objects(cells), "side": _objects([CLASSES[c] for c in code])})


def pictures(n: int, seed: int = 0) -> pd.DataFrame:
    """n pictures of 16 x 16 pixels, bright on the side that the class in `side` says."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % 2
    cells = []
    for c in code:
        cell = rng.normal(70, 25, (SIDE, SIDE, 3))
        cell[:, 8 * c : 8 * c + 8] += rng.normal(110, 15)
        cells.append(cell.clip(0, 255).astype(np.uint8))
    return pd.DataFrame({"image": _objects(cells), "side": _objects([CLASSES[c] for c in code])})


RECORDS: Mapping[str, Callable[[int, int], pd.DataFrame]] = {"vector": vectors, "sequence": sequences, "image": pictures}


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out


class ToyCodec:
    """See `contract.Codec`; mean and sd: of the numbers of training records."""

    def __init__(self, *, layout: str, mean: Sequence[float], sd: Sequence[float], classes: Sequence[Any], target: str = "side") -> None:
        self.layout, self.mean, self.sd = layout, tuple(mean), tuple(sd)
        self.classes, self.target = tuple(classes), target

    @property
    def space(self) -> Space:
        """Two numbers and a colour; two channels of up to 8 steps; three channels of 16 x 16 pixels."""
        if self.layout == "vector":
            numbers = tuple(Block(name=n, kind="continuous", size=1, clip=5.0, column=n) for n in ("size", "weight"))
            return Space(layout="vector", blocks=(*numbers, Block(name="colour", kind="categorical", size=3, column="colour")))
        if self.layout == "sequence":
            block = Block(name="series", kind="continuous", size=2, clip=5.0)
            return Space(layout="sequence", blocks=(block,), shape=(LONGEST,), variable=True)
        return Space(layout="image", blocks=(Block(name="rgb", kind="continuous", size=3, clip=1.0),), shape=(SIDE, SIDE))

    def encode(self, records: Any) -> State:
        """Standardised numbers and colour codes."""
        n = len(records)
        if self.layout == "vector":
            rows = (numbers_of(records, self.layout) - self.mean) / self.sd
            codes = [[COLOURS.index(c)] for c in records["colour"]]
            rows = np.where(np.isfinite(rows), rows, 0.0)
            return State(torch.tensor(rows, dtype=torch.float32).view(n, 2), torch.tensor(codes, dtype=torch.int64).view(n, 1))
        if self.layout == "sequence":
            num, mask = torch.zeros(n, LONGEST, 2), torch.zeros(n, LONGEST, dtype=torch.bool)
            for i, cell in enumerate(records["series"]):
                values = (np.asarray(cell, dtype=float) - self.mean) / self.sd
                num[i, : len(values)] = torch.from_numpy(np.where(np.isfinite(values), values, 0.0)).float()
                mask[i, : len(values)] = True
            return State(num, torch.zeros(n, LONGEST, 0, dtype=torch.int64), mask)
        cells = np.stack(list(records["image"])) if n else np.zeros((0, SIDE, SIDE, 3))
        pixels = torch.from_numpy(cells.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
        return State(pixels.contiguous(), torch.zeros(n, SIDE, SIDE, 0, dtype=torch.int64))

    def soft(self, state: State) -> Tensor:
        """[n, ...] numbers, and expected one-hots of the colour."""
        if self.layout != "vector":
            return state.num
        hot = state.cat if state.cat.is_floating_point() else F.one_hot(state.cat[:, 0], len(COLOURS))
        return torch.cat([state.num, hot.to(state.num)], 1)

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """Records with the classes asked for, others drawn at random."""
        drawn = np.random.default_rng(seed).integers(len(self.classes), size=len(state))
        given = [None] * len(state) if labels is None else list(labels)
        sides = [self.classes[int(d)] if v is None else v for v, d in zip(given, drawn, strict=True)]
        num = state.num.detach().double().numpy()
        if self.layout == "vector":
            plain = num * self.sd + self.mean
            cat = state.cat.argmax(1) if state.cat.is_floating_point() else state.cat[:, 0]
            columns = {"size": plain[:, 0], "weight": plain[:, 1], "colour": [COLOURS[int(c)] for c in cat]}
        elif self.layout == "sequence":
            masks = np.ones(num.shape[:2], dtype=bool) if state.mask is None else state.mask.numpy()
            columns = {"series": _objects([v[m] * self.sd + self.mean for v, m in zip(num, masks, strict=True)])}
        else:
            pixels = ((num.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
            columns = {"image": _objects(list(pixels.transpose(0, 2, 3, 1)))}
        return pd.DataFrame({**columns, self.target: _objects(sides)})

    def vectors(self, records: Any) -> npt.NDArray[np.float64]:
        """[n, d] encoded numbers, one-hots after them."""
        state = self.encode(records)
        out: npt.NDArray[np.float64] = self.soft(state).flatten(1).double().numpy()
        return out

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Nothing to impose; the class where it is asked."""
        return None, [where[self.target].value] * n if self.target in where else None

    def save(self, folder: Path) -> None:
        """codec.json."""
        write_json(folder / "codec.json", {k: getattr(self, k) for k in ("layout", "mean", "sd", "classes", "target")})


def numbers_of(records: Any, layout: str) -> npt.NDArray[np.float64]:
    """[.., channels] all numbers of records of one layout."""
    if layout == "vector":
        return np.stack([np.asarray(records[name], dtype=float) for name in ("size", "weight")], 1)
    return np.concatenate([np.asarray(cell, dtype=float) for cell in records["series"]])


class _Toy(ModalitySpec):
    """What the three toy modalities share."""

    layout = "vector"

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """A DataFrame as it is, or what a built-in data set gives; else 96 records that are always the same."""
        records = ctx.source if isinstance(ctx.source, pd.DataFrame) else ctx.builtin() if ctx.builtin else RECORDS[self.layout](96, 0)
        target = _objects(list(records["side"]))
        keys = [hashlib.sha256(f"{i}".encode()).hexdigest()[:12] for i in range(len(records))]
        ids, n = np.array(keys), len(records)
        return Dataset(
            name=f"kit-{self.layout}", ids=ids, records=records.reset_index(drop=True), task="classification", target_name="side",
            target=target, classes=CLASSES, labelled=np.ones(n, dtype=bool), split=np.full(n, "", dtype="<U10"), groups=ids,
        )  # fmt: skip

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> ToyCodec:
        """Mean and sd of the training records; a saved codec as it was."""
        if ctx.saved is not None:
            return ToyCodec(**read_json(ctx.saved / "codec.json"))
        assert ctx.dataset is not None
        if self.layout == "image":
            return ToyCodec(layout="image", mean=(0.0,), sd=(1.0,), classes=ctx.dataset.classes)
        numbers = numbers_of(take(ctx.dataset.records, ctx.dataset.rows("train")), self.layout)
        mean, sd = np.nanmean(numbers, 0), np.maximum(np.nanstd(numbers, 0), 1e-3)
        return ToyCodec(layout=self.layout, mean=mean.tolist(), sd=sd.tolist(), classes=ctx.dataset.classes)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """The class in words, and the mean of the record's numbers as a property."""
        assert isinstance(ctx.codec, ToyCodec)
        state = ctx.codec.encode(ctx.records)
        means = state.num.flatten(1).mean(1).tolist()
        return [Caption(text=f"a {s} one of {m:.1f}", props={"mean": m}) for s, m in zip(ctx.records["side"], means, strict=True)]

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """JSON lines."""
        ctx.path.parent.mkdir(parents=True, exist_ok=True)
        ctx.path.write_text(pd.DataFrame(ctx.records).to_json(orient="records", lines=True), encoding="utf-8")
        return ctx.path

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """No figures."""
        return []

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """Training records again."""
        return {"bootstrap": take(ctx.dataset.records, np.resize(ctx.dataset.rows("train"), ctx.n))}


class Vectors(_Toy):
    """Modality `kit-vector`."""


class Sequences(_Toy):
    """Modality `kit-sequence`."""

    layout = "sequence"


class Pictures(_Toy):
    """Modality `kit-image`."""

    layout = "image"


class ToyNet(nn.Module):
    """A network for any space: per position a layer on channels, time, condition and the mean of all positions."""

    lift: Tensor
    drop: Tensor
    periods: Tensor

    def __init__(self, *, space: Space, condition_width: int) -> None:
        super().__init__()
        self.space, self.levels = space, sum(space.levels)
        features, random = space.width + self.levels, torch.Generator().manual_seed(0)
        self.inward = nn.Linear(LIFT, WIDTH)
        self.time = nn.Linear(LIFT, WIDTH)
        self.pooled = nn.Linear(condition_width, WIDTH)
        self.tokens = nn.Linear(condition_width, WIDTH)
        self.body = nn.Linear(WIDTH, WIDTH)
        self.outward = nn.Linear(WIDTH, LIFT)
        # Fixed maps between features and layers that are wide enough for an adapter of any usual rank.
        self.register_buffer("lift", torch.randn(features, LIFT, generator=random) / features**0.5, persistent=False)
        self.register_buffer("drop", torch.randn(LIFT, features, generator=random) / LIFT**0.5, persistent=False)
        self.register_buffer("periods", torch.logspace(0, -2, LIFT // 2), persistent=False)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num like x_t.num, cat: [b, ..., sum K] logits."""
        rows = self._rows(x_t)
        exists = torch.ones_like(rows[..., :1]) if mask is None else mask.flatten(1).unsqueeze(-1).to(rows)
        angle = t.to(rows)[:, None] * self.periods
        heard = condition.mask.unsqueeze(-1).to(rows)
        tokens = (self.tokens(condition.tokens) * heard).sum(1) / heard.sum(1).clamp(min=1)
        told = self.time(torch.cat([angle.sin(), angle.cos()], 1)) + tokens
        told = told if condition.pooled is None else told + self.pooled(condition.pooled)
        h = self.inward(rows @ self.lift)
        h = h + told.unsqueeze(1) + (h * exists).sum(1, keepdim=True) / exists.sum(1, keepdim=True).clamp(min=1)
        out = self.outward(h + self.body(F.silu(h))) @ self.drop
        num, cat = out.split([self.space.width, self.levels], -1)
        shape = x_t.num.shape
        if self.space.layout == "image":
            return State(num.transpose(1, 2).reshape(shape), cat.view(len(num), *self.space.shape, -1), mask)
        return State(num.reshape(shape), cat.view(len(num), *self.space.shape, -1) if self.space.shape else cat[:, 0], mask)

    def _rows(self, x_t: State) -> Tensor:
        """[b, positions, channels] numbers and one-hots."""
        n = len(x_t)
        num = x_t.num.flatten(2).transpose(1, 2) if self.space.layout == "image" else x_t.num.view(n, -1, self.space.width)
        if not self.levels:
            return num
        if x_t.cat.is_floating_point():
            return torch.cat([num, x_t.cat.view(n, -1, self.levels).to(num)], -1)
        codes = x_t.cat.view(n, -1, len(self.space.levels))
        hot = [F.one_hot(codes[..., c], k).to(num) for c, k in enumerate(self.space.levels)]
        return torch.cat([num, *hot], -1)


class Network(BackboneSpec):
    """Backbone `kit-net`."""

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """A fresh `ToyNet`."""
        return ToyNet(space=ctx.space, condition_width=ctx.condition_width)
