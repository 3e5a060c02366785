"""The kit's own table of three columns, and one that is wrong for every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scarce.contract import (
    BaselineContext,
    Caption,
    CaptionContext,
    Codec,
    CodecContext,
    Dataset,
    DrawContext,
    Figure,
    LoadContext,
    State,
    WriteContext,
    hookimpl,
)
from scarce.files import read_json
from scarce.testing.toys import ToyCodec, Vectors

KEPT: list[object] = []


class Good(Vectors):
    kind: Any = ToyCodec

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> ToyCodec:
        if ctx.saved is not None:
            return self.kind(**read_json(ctx.saved / "codec.json"))
        made = super().modality_codec(ctx)
        return self.kind(layout=made.layout, mean=made.mean, sd=made.sd, classes=made.classes)


def spec(kind: type) -> type:
    """A plugin class around a codec."""
    return type(kind.__name__.removeprefix("_"), (Good,), {"kind": kind, "__module__": __name__})


class Twins(Good):
    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        found = super().modality_load(ctx)
        return replace(found, ids=np.array(["one"] * len(found)))


class NewNames(Good):
    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        found = super().modality_load(ctx)
        start = int(np.random.default_rng().integers(10**9))
        return replace(found, ids=np.array([f"{start + i}" for i in range(len(found))]))


class _Double(ToyCodec):
    def encode(self, records: Any) -> State:
        state = super().encode(records)
        return state.with_(num=state.num.double())


class _Drifts(ToyCodec):
    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> Any:
        return super().decode(state.with_(num=1.1 * state.num), labels, seed)


class _Several(ToyCodec):
    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> Any:
        return super().decode(state.with_(num=state.num.squeeze()), labels, seed)


class _Holes(ToyCodec):
    def encode(self, records: Any) -> State:
        state = super().encode(records)
        gaps = torch.from_numpy(np.stack([np.isnan(records[name].to_numpy()) for name in ("size", "weight")], 1))
        return state.with_(num=torch.where(gaps, torch.nan, state.num))


class AllRows(Good):
    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> ToyCodec:
        if ctx.dataset is not None and ctx.saved is None:
            ctx = replace(ctx, dataset=replace(ctx.dataset, split=np.full(len(ctx.dataset), "train")))
        return super().modality_codec(ctx)


class _Partly(ToyCodec):
    def save(self, folder: Path) -> None:
        super(type(self), replace_sd(self)).save(folder)


def replace_sd(codec: ToyCodec) -> ToyCodec:
    """The codec with another spread."""
    return _Partly(layout=codec.layout, mean=codec.mean, sd=(1.0, 1.0), classes=codec.classes)


class NoBootstrap(Good):
    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        return {"again": super().modality_baselines(ctx)["bootstrap"]}


class Litter(Good):
    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        out = super().modality_write(ctx)
        (out.parent / "half.tmp").write_text("half")
        return out


class Silent(Good):
    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        return super().modality_caption(ctx)[1:]


class Draws(Good):
    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        return [Figure(name="mean", title=f"{np.stack(list(ctx.synthetic['size'])).mean():.2f}")]


class Changes(Good):
    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        assert ctx.dataset.target is not None
        ctx.dataset.target[:] = np.roll(ctx.dataset.target, 1)
        return super().modality_baselines(ctx)


class _Stopped(ToyCodec):
    def soft(self, state: State) -> Tensor:
        return super().soft(state).detach()


class _Shaky(ToyCodec):
    def vectors(self, records: Any) -> Any:
        return super().vectors(records) + np.random.default_rng().normal(0, 0.1, (len(records), 1))


class _Unseeded(ToyCodec):
    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> Any:
        return super().decode(state, labels, int(np.random.default_rng().integers(10**6)))


class _Global(ToyCodec):
    def encode(self, records: Any) -> State:
        np.random.rand()
        return super().encode(records)


class Remembered(Good):
    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> Codec:
        KEPT.append(self)
        return super().modality_codec(ctx)


class Rest:
    """All of some records but the last."""

    mark = "rest"

    def __init__(self, whole: Dataset, held: int) -> None:
        self.whole, self.held, self.rows = whole, held, len(whole) - held

    def __iter__(self):
        yield self.whole.part(np.arange(self.held, len(self.whole) - 1))


class Forgets(Good):
    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        found = super().modality_load(ctx)
        if ctx.hold is None:
            return found
        return replace(found.part(np.arange(ctx.hold)), rest=Rest(found, ctx.hold))


class Imposes(Good):
    """Claims that fields can be imposed."""


Double, Drifts, Several, Holes, Partly, Stopped = map(spec, (_Double, _Drifts, _Several, _Holes, _Partly, _Stopped))
Shaky, Unseeded, Global = map(spec, (_Shaky, _Unseeded, _Global))
WRONG = {
    "Good": "", "Twins": "answers", "NewNames": "stable-ids", "Double": "space", "Drifts": "round-trip", "Several": "one-record",
    "Holes": "missing", "AllRows": "train-only", "Partly": "save-load", "NoBootstrap": "baselines", "Litter": "write",
    "Silent": "captions", "Draws": "draw", "Changes": "inputs-kept", "Stopped": "codec:soft", "Shaky": "codec:vectors",
    "Imposes": "codec:known", "Forgets": "data:stream", "Unseeded": "same-seed", "Global": "global-random", "Remembered": "memory",
}  # fmt: skip
PROVIDES = {name: [check] for name, check in WRONG.items() if ":" in check}
PROVIDES["Good"] = ["space:vector", "codec:soft", "codec:vectors"]
