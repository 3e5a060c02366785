"""Modality `acme-points`: all six hooks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scarce.contract import (
    BaselineContext,
    Block,
    Caption,
    CaptionContext,
    CodecContext,
    Dataset,
    DrawContext,
    Figure,
    LoadContext,
    ModalitySpec,
    Space,
    State,
    WriteContext,
    hookimpl,
    take,
)
from scarce.errors import DataError
from scarce.files import read_json, write_bytes, write_json

COLUMNS = ["x", "y"]


class PointsCodec:
    """Standardised coordinates."""

    def __init__(self, mean, scale):
        self.mean, self.scale = np.asarray(mean), np.asarray(scale)

    @property
    def space(self):
        return Space(layout="vector", blocks=(Block(name="place", kind="continuous", size=2, clip=5.0),))

    def encode(self, records):
        num = (records[COLUMNS].to_numpy(dtype=float) - self.mean) / self.scale
        return State(torch.from_numpy(num).float(), torch.zeros(len(num), 0, dtype=torch.int64))

    def soft(self, state):
        return state.num

    def decode(self, state, labels, seed):
        out = pd.DataFrame(state.num.double().numpy() * self.scale + self.mean, columns=COLUMNS)
        return out.assign(kind=pd.Series([None] * len(out) if labels is None else list(labels), dtype=object))

    def vectors(self, records):
        return self.encode(records).num.double().numpy()

    def known(self, where, n, seed):
        if set(where) - {"kind"}:
            raise DataError(f"only kind can be asked for, not {', '.join(where)}", hint="--where kind=low")
        return None, [where["kind"].value] * n if "kind" in where else None

    def save(self, folder):
        write_json(folder / "points.json", {"mean": self.mean.tolist(), "scale": self.scale.tolist()})


class Points(ModalitySpec):
    """Records are rows of x, y and a kind."""

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        if ctx.builtin is not None:
            frame = ctx.builtin()
        elif isinstance(ctx.source, pd.DataFrame):
            frame = ctx.source
        elif Path(ctx.source).is_file():
            frame = pd.read_csv(ctx.source)
        else:
            raise DataError(f"{ctx.source} is not there", hint="ls")
        ids = np.array([hashlib.sha256(f"{x},{y}".encode()).hexdigest()[:12] for x, y in zip(frame["x"], frame["y"], strict=True)])
        target = frame["kind"].to_numpy(dtype=object)
        return Dataset(
            name="points", ids=ids, records=frame, task="classification", target_name="kind", target=target,
            classes=tuple(sorted(set(target))), labelled=np.ones(len(frame), dtype=bool), split=np.full(len(frame), "", dtype="U10"),
            groups=ids, schema={"columns": COLUMNS}, notes=("points of a plane",),
        )  # fmt: skip

    @hookimpl
    def modality_codec(self, ctx: CodecContext):
        if ctx.saved is not None:
            return PointsCodec(**read_json(ctx.saved / "points.json"))
        assert ctx.dataset is not None
        train = take(ctx.dataset.records, ctx.dataset.rows("train"))[COLUMNS].to_numpy(dtype=float)
        return PointsCodec(train.mean(0), train.std(0))

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        if ctx.style != "plain":
            raise DataError(f"there is no caption style '{ctx.style}'", hint="--set generate.prompt=plain")
        return [Caption(text=f"at {x:.1f}", props={"x": float(x)}) for x in ctx.records["x"]]

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        if ctx.path.suffix == ".csv":
            return write_bytes(ctx.path, ctx.records.to_csv(index=False).encode())
        ctx.path.parent.mkdir(parents=True, exist_ok=True)
        ctx.records.to_parquet(ctx.path)
        return ctx.path

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        traces = [
            {"type": "scatter", "mode": "markers", "x": part["x"].tolist(), "y": part["y"].tolist(), "name": name}
            for name, part in (("real", ctx.real), ("synthetic", ctx.synthetic))
        ]
        return [Figure(name="points", title="Points", traces=traces)]

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext):
        rng = np.random.default_rng(ctx.seed)
        train = take(ctx.dataset.records, ctx.dataset.rows("train"))
        copies = take(train, rng.integers(len(train), size=ctx.n))
        blurred = copies.assign(**{c: copies[c] + rng.normal(0, 0.1, ctx.n) for c in COLUMNS})
        return {"bootstrap": copies, "blurred": blurred}
