"""Pictures as numbers in [-1, 1], three channels on a square, and back to bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from scarce.contract import Block, Dataset, Known, Space, State
from scarce.errors import DataError, RunError
from scarce.files import read_json, write_json
from scarce_images.config import Images
from scarce_images.pictures import fitted

FORMAT = 1
SIDE = 16  # of the pictures whose distance is the distance of records


@dataclass(frozen=True, kw_only=True)
class ImageCodec:
    """See `contract.Codec`. Nothing in it is fitted: the size, and the target's name ("" for none) and values."""

    size: int
    target: str = ""
    classes: tuple[Any, ...] = ()

    @cached_property
    def space(self) -> Space:
        """One continuous block of three channels on size x size pixels."""
        return Space(layout="image", blocks=(Block(name="rgb", kind="continuous", size=3, clip=1.0),), shape=(self.size, self.size))

    def pixels(self, records: pd.DataFrame) -> npt.NDArray[np.uint8]:
        """[n, size, size, 3]; the centre square of a picture of another size, resampled."""
        out = np.empty((len(records), self.size, self.size, 3), dtype=np.uint8)
        for i, cell in enumerate(records["image"]):
            same = cell.shape == out.shape[1:]
            out[i] = cell if same else fitted(Image.fromarray(cell).convert("RGB"), Images(size=self.size))
        return out

    def encode(self, records: pd.DataFrame) -> State:
        """num [n, 3, h, w] float32 in [-1, 1]."""
        return State(
            as_numbers(torch.from_numpy(self.pixels(records))), torch.zeros(len(records), self.size, self.size, 0, dtype=torch.int64)
        )

    def soft(self, state: State) -> Tensor:
        """[n, 3, h, w] in [-1, 1]; a value outside counts as the nearest inside, as it does in a decoded picture."""
        return state.num.clamp(-1, 1)

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """Pictures of 8 bits and the classes asked for, None where there was none; captions no generated record has."""
        bytes_ = ((state.num.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        pictures = list(bytes_.permute(0, 2, 3, 1).contiguous().numpy())
        out: dict[str, Any] = {"image": pd.Series(pictures, dtype=object)}
        if self.target:
            out[self.target] = pd.Series([None] * len(pictures) if labels is None else list(labels), dtype=object)
        return pd.DataFrame(out)

    def vectors(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """[n, d] mean colours in [0, 1] of at most 16 x 16 areas, over the root of d.

        So the distance of two records is the root mean square difference of colour: 0 for equal ones, 1 for black and white.
        """
        parts = [self._means(records.iloc[i : i + 1000]) for i in range(0, len(records), 1000)]
        side = min(self.size, SIDE)
        return np.concatenate(parts) if parts else np.zeros((0, 3 * side * side))

    def _means(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        num = torch.from_numpy(self.pixels(records)).permute(0, 3, 1, 2).double() / 255
        small = F.adaptive_avg_pool2d(num, min(self.size, SIDE)).flatten(1)
        return np.asarray((small / small.shape[1] ** 0.5).numpy())

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Nothing to impose, and the class of each picture where the target is asked; DataError for any other field."""
        labels = None
        for name, asked in where.items():
            if not self.target or name != self.target:
                what = f"--where: '{name}' is no field of a picture" + (f"; '{self.target}' is" if self.target else "")
                raise DataError(what, hint="scarce sample RUN --prompt TEXT, where a generator follows captions")
            named = {str(v): v for v in self.classes}
            wanted = [str(v) for v in (asked.values if hasattr(asked, "values") else [getattr(asked, "value", None)])]
            unknown = [v for v in wanted if v not in named]
            if unknown:
                raise DataError(f"--where: {name} has no value '{unknown[0]}'", hint=f"one of {', '.join(list(named)[:20])}")
            chosen = np.random.default_rng(seed).integers(len(wanted), size=n)
            labels = [named[wanted[i]] for i in chosen]
        return None, labels

    def save(self, folder: Path) -> None:
        """codec.json."""
        write_json(folder / "codec.json", {"format": FORMAT, "size": self.size, "target": self.target, "classes": self.classes})


def as_numbers(pixels: Tensor) -> Tensor:
    """[n, 3, h, w] float32 in [-1, 1] of bytes [n, h, w, 3]."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 127.5 - 1


def make_codec(dataset: Dataset) -> ImageCodec:
    """The codec of a data set of pictures; without a schema (views of other records) the first one says how large they are."""
    size = dataset.schema["size"] if "size" in dataset.schema else len(dataset.records["image"].iloc[0])
    return ImageCodec(size=int(size), target=dataset.target_name, classes=dataset.classes)


def read_codec(folder: Path) -> ImageCodec:
    """The codec written by `ImageCodec.save`."""
    data = read_json(folder / "codec.json")
    if data.pop("format", None) != FORMAT:
        raise RunError(f"{folder}/codec.json is not of format {FORMAT}", hint="run the recipe again with the installed version")
    return ImageCodec(size=data["size"], target=data["target"], classes=tuple(data["classes"]))
