"""Checks of modalities: records in, tensors, records out, and what is written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scarce.contract import BaselineContext, CaptionContext, Codec, CodecContext, Dataset, DrawContext, State, WriteContext, take
from scarce.runs.split import split
from scarce.runs.where import parse_where
from scarce.testing.bench import Bench
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.prints import fingerprint, largest_difference
from scarce.testing.report import Fatal, Flaw, Skip


def fit(bench: Bench, dataset: Dataset) -> Codec:
    """A fresh codec of a data set."""
    return bench.scope().modality_codec(CodecContext(dataset=dataset, seed=0))


def answers(bench: Bench) -> None:
    """Records with ids that are theirs alone and stay the same, masks of their length, and a codec that encodes them."""
    data, n = bench.loaded, len(bench.loaded.ids)
    if n < 12:
        raise Fatal(f"{n} records are too few to check a modality: give a Data with at least 12")
    for name in ("labelled", "split", "groups"):
        if len(getattr(data, name)) != n or len(data.records) != n:
            raise Fatal(f"{name} has {len(getattr(data, name))} entries, records {len(data.records)}, ids {n}")
    if len(set(data.ids.tolist())) != n:
        raise Fatal("two records have one id")
    if data.task != "none" and (data.target is None or len(data.target) != n):
        raise Fatal(f"a task of {data.task} has a target for every record")
    state = bench.codec.encode(bench.dataset.records)
    if len(state) != len(bench.dataset):
        raise Fatal(f"{len(bench.dataset)} records are encoded as {len(state)}")


def stable_ids(bench: Bench) -> None:
    """The same records have the same ids when they are loaded again."""
    again = replace(bench)
    if again.loaded.ids.tolist() != bench.loaded.ids.tolist():
        raise Flaw("loaded again, records have other ids")


def space(bench: Bench) -> None:
    """Encoded records are what the space says: layout, channels, codes, bounds, mask."""
    asked, state = bench.codec.space, bench.codec.encode(bench.dataset.records)
    claimed = [name for name in bench.row.provides if name.startswith("space:")]
    if claimed and f"space:{asked.layout}" not in claimed:
        raise Flaw(f"the manifest says {', '.join(claimed)}, and the codec's layout is {asked.layout}")
    n = len(bench.dataset)
    num = [n, asked.width, *asked.shape] if asked.layout == "image" else [n, *asked.shape, asked.width]
    cat = [n, *asked.shape, len(asked.levels)]
    if list(state.num.shape) != num or list(state.cat.shape) != cat:
        raise Flaw(f"num must be {num} and cat {cat}, not {list(state.num.shape)} and {list(state.cat.shape)}")
    if state.num.dtype != torch.float32 or state.cat.dtype != torch.int64 or not bool(torch.isfinite(state.num).all()):
        raise Flaw(f"num must be finite float32 and cat int64, not {state.num.dtype} and {state.cat.dtype}")
    for column, levels in enumerate(asked.levels):
        codes = state.cat[..., column]
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < levels:
            raise Flaw(f"codes of categorical block {column} leave 0 to {levels - 1}")
    channels = state.num.movedim(1 if asked.layout == "image" else -1, 0)[:, torch.from_numpy(bench.dataset.rows("train"))]
    for channel, clip in enumerate(asked.clips):
        if clip is not None and float(channels[channel].abs().max()) > clip + 1e-4:
            raise Flaw(f"channel {channel} of a training record leaves its bound {clip:g}")
    if (state.mask is not None) != asked.variable:
        raise Flaw("samples carry a mask where, and only where, the space is variable")


def round_trip(bench: Bench) -> None:
    """Training records decoded from their own encoding are encoded alike, with the same columns."""
    codec, data = bench.codec, bench.dataset.part(bench.dataset.rows("train"))
    state = codec.encode(data.records)
    labels = None if data.task != "classification" or data.target is None else data.target.tolist()
    back = codec.decode(state, labels, 0)
    if len(back) != len(data):
        raise Flaw(f"{len(data)} encoded records are decoded as {len(back)}")
    if hasattr(data.records, "columns") and list(back.columns) != list(data.records.columns):
        raise Flaw(f"decoded records have the columns {list(back.columns)}, and the data {list(data.records.columns)}")
    again = codec.encode(back)
    moved = largest_difference(state.num, again.num)
    if moved > bench.tolerance or not torch.equal(state.cat, again.cat):
        raise Flaw(f"a number moves by {moved:.3g} in encoded units (allowed: {bench.tolerance:g}), or a category by a code")


def one_record(bench: Bench) -> None:
    """One record alone is encoded and decoded."""
    data = bench.dataset.part(np.arange(1))
    state = bench.codec.encode(data.records)
    labels = None if data.target is None or data.task != "classification" else data.target.tolist()
    if len(state) != 1 or len(bench.codec.decode(state, labels, 0)) != 1:
        raise Flaw(f"one record is encoded as {len(state)}")


def missing(bench: Bench) -> None:
    """A missing number is encoded as something finite, and the record comes back."""
    data = bench.loaded
    if not hasattr(data.records, "columns"):
        raise Skip("records are no table whose cells could be missing")
    names = [n for n in data.records.columns if n != data.target_name and data.records[n].dtype.kind == "f"]
    records = data.records.copy()
    if names:
        records.loc[records.index[::5], names[0]] = np.nan
    elif not _holes(records, data.target_name):
        raise Skip("no cell of these records could be missing")
    again = replace(bench, data=bench.data.with_(source=records, target=data.target_name or None))
    state = again.codec.encode(again.dataset.records)
    if not bool(torch.isfinite(state.num).all()):
        raise Flaw("a missing number becomes one that is not finite")
    labels = again.dataset.target.tolist() if again.dataset.task == "classification" and again.dataset.target is not None else None
    if len(again.codec.decode(state, labels, 0)) != len(again.dataset):
        raise Flaw("records with a missing number do not come back")


def _holes(records: Any, target: str) -> bool:
    """Put a hole into every fifth float array of the first column that has such; False when there is none."""
    for name in records.columns:
        cells = list(records[name])
        if name != target and all(isinstance(c, np.ndarray) and c.dtype.kind == "f" and len(c) > 2 for c in cells):
            for i in range(0, len(cells), 5):
                cells[i] = cells[i].copy()
                cells[i][1] = np.nan
            column = np.empty(len(cells), dtype=object)
            column[:] = cells
            records[name] = column
            return True
    return False


def train_only(bench: Bench) -> None:
    """The codec is fitted on training records: other hold-out records leave it as it is."""
    data = bench.dataset
    rows, train = np.arange(len(data)), data.rows("train")
    rows[data.rows("validation", "test")] = train[0]
    other = replace(data, records=take(data.records, rows), target=None if data.target is None else data.target[rows])
    seen = take(data.records, train)
    if fingerprint(fit(bench, other).encode(seen)) != fingerprint(bench.codec.encode(seen)):
        raise Flaw("the codec changes with records that are not for training")


def save_load(bench: Bench) -> None:
    """A codec that was saved and read back is the same one."""
    folder = bench.folder / f"codec-{id(bench)}"
    folder.mkdir(exist_ok=True)
    bench.codec.save(folder)
    if strange := [f.name for f in folder.rglob("*") if f.is_file() and f.suffix not in (".json", ".safetensors")]:
        raise Flaw(f"a codec is saved as JSON and safetensors, not as {strange[0]}")
    for dataset in (None, bench.dataset):
        again = bench.scope().modality_codec(CodecContext(dataset=dataset, seed=0, saved=folder))
        if again.space != bench.codec.space or fingerprint(again.encode(bench.dataset.records)) != fingerprint(bench.x0):
            raise Flaw("the codec that was read back encodes otherwise")


def baselines(bench: Bench) -> None:
    """As many records as asked of every baseline, all of which can be encoded, a bootstrap copy among them."""
    ctx = BaselineContext(dataset=bench.dataset, codec=bench.codec, seed=0, n=9)
    found = bench.scope().modality_baselines(ctx)
    if "bootstrap" not in found:
        raise Flaw(f"'bootstrap' must be among the baselines (there are {', '.join(found) or 'none'})")
    for name, records in found.items():
        records = getattr(records, "records", records)
        if len(records) != 9 or len(bench.codec.encode(records)) != 9:
            raise Flaw(f"baseline '{name}' has {len(records)} records where 9 were asked")


def write(bench: Bench) -> None:
    """Records are written whole, and nothing is left beside them."""
    path = bench.folder / f"written-{id(bench)}" / "records.parquet"
    out = bench.scope().modality_write(WriteContext(records=bench.dataset.records, path=path, schema=bench.dataset.schema))
    if not out.exists() or (out.is_file() and out.stat().st_size == 0):
        raise Flaw(f"nothing was written at {out.name}")
    if beside := [f.name for f in out.parent.iterdir() if f != out]:
        raise Flaw(f"{beside[0]} is left beside what was written")


def captions(bench: Bench) -> None:
    """One caption per record, with a text, the same ones every time."""
    if not bench.data.style:
        raise Skip("no caption style was named: Data(style=…)")
    records = take(bench.dataset.records, np.arange(8))
    ctx = CaptionContext(records=records, style=bench.data.style, seed=0, codec=bench.codec)
    first, again = (bench.scope().modality_caption(ctx) for _ in range(2))
    if len(first) != 8 or not all(caption.text.strip() for caption in first) or first != again:
        raise Flaw("8 records must have 8 captions with a text, the same for the same seed")


def draw(bench: Bench) -> None:
    """Figures of real beside synthetic records, and beside none."""
    if not bench.scope().has("modality", "modality_draw"):
        raise Skip("it draws nothing")
    for synthetic in (bench.twin, take(bench.twin, np.arange(0))):
        ctx = DrawContext(real=bench.dataset.records, synthetic=synthetic, dataset=bench.dataset, codec=bench.codec, seed=0)
        bench.scope().modality_draw(ctx)


def soft(bench: Bench) -> None:
    """Soft features are floats, one row per sample, and pass gradients; codes and their one-hots have the same."""
    codec, state = bench.codec, bench.codec.encode(take(bench.dataset.records, np.arange(6)))
    leaf = state.num.clone().requires_grad_(True)
    hot = _hot(codec, state)
    out = codec.soft(State(leaf, hot, state.mask))
    if len(out) != 6 or not out.is_floating_point():
        raise Flaw("soft features are floats with one row per sample")
    if state.num.numel():
        found = torch.autograd.grad(out.sum(), leaf, allow_unused=True)[0] if out.requires_grad else None
        if found is None or not bool(found.abs().sum() > 0):
            raise Flaw("no gradient reaches the encoded numbers through the soft features")
    if largest_difference(codec.soft(state).float(), out) > 1e-5:
        raise Flaw("categories as codes and as one-hots have other soft features")


def _hot(codec: Codec, state: State) -> torch.Tensor:
    levels: Sequence[int] = codec.space.levels
    parts = [torch.nn.functional.one_hot(state.cat[..., c], k).float() for c, k in enumerate(levels)]
    return torch.cat(parts, -1) if parts else state.cat


def vectors(bench: Bench) -> None:
    """Vectors are finite, equal for equal records, and apart for different ones."""
    rows = bench.codec.vectors(take(bench.dataset.records, np.array([0, 1, 2, 3, 0])))
    if rows.ndim != 2 or len(rows) != 5 or not np.isfinite(rows).all():
        raise Flaw(f"5 records must have 5 finite vectors, not {list(rows.shape)}")
    if np.abs(rows[0] - rows[4]).max() > 1e-9 or np.abs(rows[:4] - rows[0]).max() == 0:
        raise Flaw("equal records must have equal vectors, and different ones others")


def known(bench: Bench) -> None:
    """A class that is asked is told to every sample, and a number that is asked is imposed."""
    data, codec = bench.dataset, bench.codec
    if data.classes and data.target_name:
        labels = codec.known(parse_where([f"{data.target_name}={data.classes[0]}"]), 5, 0)[1]
        if labels is None or [str(v) for v in labels] != [str(data.classes[0])] * 5:
            raise Flaw(f"{data.target_name}={data.classes[0]} was asked for 5 samples, and they were told {labels}")
    numbers = [str(b.column or b.name) for b in codec.space.blocks if b.kind == "continuous"]
    fields = [name for name in numbers if name in getattr(data.records, "columns", ())]
    if fields:
        imposed = codec.known(parse_where([f"{fields[0]}={data.records[fields[0]].median()}"]), 5, 0)[0]
        if imposed is None or len(imposed.state) != 5 or not bool(imposed.num_mask.any()):
            raise Flaw(f"a value of '{fields[0]}' was asked for 5 samples, and nothing is imposed")


def work(bench: Bench) -> Worked:
    """A fresh codec, what it encodes and decodes, and the baselines."""
    made = bench.built()
    scope, data = made.scope, bench.dataset
    codec = scope.modality_codec(CodecContext(dataset=data, seed=0))
    state = codec.encode(data.records)
    decoded = codec.decode(state, None, 3)
    found = scope.modality_baselines(BaselineContext(dataset=data, codec=codec, seed=0, n=9))
    bare = {name: getattr(records, "records", records) for name, records in found.items()}
    return Worked(held=[made.loaded[bench.path].instance], result=[state, decoded, bare])


def inputs_kept(bench: Bench) -> None:
    """Records are as they were after they were encoded, measured and copied."""
    data = bench.dataset
    before = fingerprint([data.records, data.target])
    work(bench)
    bench.codec.vectors(data.records)
    if fingerprint([data.records, data.target]) != before:
        raise Flaw("records were changed in place")


def stream(bench: Bench) -> None:
    """Records beyond those that are held come in parts, each once, at every pass, and what is held encodes them."""
    if not isinstance(bench.source, str | Path):
        raise Skip("the records are in memory: name a file or a built-in data set, Data(source=…)")
    whole, held = len(bench.read()), bench.read(12)
    if whole <= 12:
        raise Skip(f"{whole} records are all held: give a Data with more than 12")
    parts = [] if held.rest is None else list(held.rest)
    if len(held) > 12 or len(held) + sum(map(len, parts)) != whole:
        raise Flaw(f"of {whole} records 12 are to be held and the others to stream, not {len(held)} and {sum(map(len, parts))}")
    ids = [name for part in parts for name in part.ids.tolist()]
    if len(set(ids)) != len(ids) or held.rest is None or [name for part in held.rest for name in part.ids.tolist()] != ids:
        raise Flaw("streamed records have ids of their own, the same at every pass")
    codec = fit(bench, split(held, 0, (0.6, 0.2, 0.2)))
    if any(part.classes != held.classes or len(codec.encode(part.records)) != len(part) for part in parts):
        raise Flaw("a part has the classes of what is held, and its codec encodes every record")


CHECKS: dict[str, Check] = {
    "answers": answers,
    "stable-ids": stable_ids,
    "space": space,
    "round-trip": round_trip,
    "one-record": one_record,
    "missing": missing,
    "train-only": train_only,
    "save-load": save_load,
    "baselines": baselines,
    "write": write,
    "captions": captions,
    "draw": draw,
    "inputs-kept": inputs_kept,
    "codec:soft": soft,
    "codec:vectors": vectors,
    "codec:known": known,
    "data:stream": stream,
    **of_work(work),
}
