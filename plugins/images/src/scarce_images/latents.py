"""Pictures as latents of an autoencoder, around the modality's own codec of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from scarce.contract import Block, Codec, Known, Runtime, Space, State, take
from scarce.errors import RecipeError

MOST_PIXELS = 8 * 512 * 512  # of the pictures that pass the autoencoder at once


class LatentCodec:
    """See `contract.Codec`. A record is the mean of its posterior (no draw), shifted and scaled as its diffusion was trained."""

    def __init__(self, pixels: Codec, vae: nn.Module, runtime: Runtime) -> None:
        """vae: diffusers' AutoencoderKL in float32; RecipeError for sides that it does not divide."""
        config: Any = vae.config
        self.pixels, self.vae, self.runtime = pixels, vae.requires_grad_(False).eval(), runtime
        self.factor, self.channels = 2 ** (len(config.block_out_channels) - 1), int(config.latent_channels)
        mean, spread = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        shaped = [None if v is None else torch.tensor(v).view(1, -1, 1, 1) for v in (mean, spread)]
        self.shift: Tensor | float = (getattr(config, "shift_factor", None) or 0.0) if shaped[0] is None else shaped[0]
        self.scale: Tensor | float = config.scaling_factor if shaped[1] is None else config.scaling_factor / shaped[1]
        sides = pixels.space.shape
        if any(side % self.factor for side in sides):
            size = max(1, round(sides[0] / self.factor)) * self.factor
            what = f"backbone: pictures of {sides[0]} x {sides[1]} pixels; sides must be multiples of the autoencoder's {self.factor}"
            raise RecipeError(what, hint=f"--set data.options.size={size}")

    @cached_property
    def space(self) -> Space:
        """One continuous block of the latent channels, `factor` times smaller than the picture and without bounds."""
        block = Block(name="latent", kind="continuous", size=self.channels)
        return Space(layout="image", blocks=(block,), shape=tuple(side // self.factor for side in self.pixels.space.shape))

    def encode(self, records: Any) -> State:
        """num [n, c, h, w] float32 on the CPU."""
        pieces = [torch.zeros(0, self.channels, *self.space.shape)]
        with torch.no_grad(), self.runtime.resident(self.vae):
            for rows in self._batches(len(records)):
                x = self.pixels.encode(take(records, np.arange(rows.start, rows.stop))).num.to(self.runtime.device)
                with torch.autocast(x.device.type, enabled=False):
                    mean = self.vae.encode(x).latent_dist.mean  # type: ignore[operator]
                pieces.append((mean.cpu() - self.shift) * self.scale)
        return self._state(torch.cat(pieces))

    def soft(self, state: State) -> Tensor:
        """The modality's own soft features of the decoded pictures; differentiable."""
        return self.pixels.soft(self._state(self._decoded(state.num)))

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> Any:
        """Records by the modality's codec."""
        with torch.no_grad():
            made = [self._decoded(state.num[rows]).cpu() for rows in self._batches(len(state))]
        empty = torch.zeros(0, self.pixels.space.width, *self.pixels.space.shape)
        return self.pixels.decode(self._state(torch.cat([empty, *made])), labels, seed)

    def vectors(self, records: Any) -> npt.NDArray[np.float64]:
        """Those of pixels."""
        return self.pixels.vectors(records)

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """What the modality's codec knows of labels; parts of a picture can't be imposed on its latent."""
        return None, self.pixels.known(where, n, seed)[1]

    def save(self, folder: Path) -> None:
        """The modality's codec; the autoencoder stays with its checkpoint."""
        self.pixels.save(folder)

    def _decoded(self, num: Tensor) -> Tensor:
        """[n, 3, H, W] pixels around [-1, 1], where the latents are."""
        with self.runtime.resident(self.vae), torch.autocast(self.runtime.device.type, enabled=False):
            scale, shift = (v.to(num.device) if isinstance(v, Tensor) else v for v in (self.scale, self.shift))
            z = (num.float() / scale + shift).to(self.runtime.device)
            out: Tensor = self.vae.decode(z, return_dict=False)[0]  # type: ignore[operator]
            return out.to(num.device)

    def _batches(self, n: int) -> Iterator[slice]:
        height, width = self.pixels.space.shape
        most = max(1, MOST_PIXELS // (height * width))
        return (slice(i, min(n, i + most)) for i in range(0, n, most))

    @staticmethod
    def _state(num: Tensor) -> State:
        return State(num, torch.zeros(len(num), *num.shape[2:], 0, dtype=torch.int64, device=num.device))
