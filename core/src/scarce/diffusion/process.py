"""The forward process of a space: Gaussian channels and multinomial columns, their losses, and x_T."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract.space import Space, State
from scarce.diffusion import schedules
from scarce.diffusion.categorical import Categories
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.priors import Prior
from scarce.diffusion.schedules import Level
from scarce.errors import DataError

Network = Callable[[State, Tensor], State]
Penalty = Callable[[State, State], Tensor]


class Process(nn.Module):
    """x_0 -> x_t -> x_T for every block of a space; holds buffers only.

    Networks see continuous channels whitened by the prior, and codes of categories; they predict the target of
    the whitened channels and logits of x_0's categories. Times are 0..steps-1; -1 is clean data.
    """

    table: Tensor
    weights: Tensor
    bounds: Tensor
    coordinates: Tensor
    sizes: Tensor
    size_labels: Tensor

    def __init__(self, *, space: Space, options: DiffusionOptions, n_sizes: int = 0, n_classes: int = 0) -> None:
        super().__init__()
        self.space, self.options = space, options
        self.axis = 1 if space.layout == "image" else -1
        table = schedules.levels(options.schedule, options.steps, options.shift)
        self._levels = [Level(*row) for row in table.tolist()]
        whitens = options.prior == "diagonal" or space.layout == "vector"
        kind, self.n_classes = options.prior if whitens and space.width else "standard", n_classes
        self.prior = Prior(kind=kind, width=space.width, axis=self.axis, classes=n_classes)
        self.categories = Categories(space.levels)
        bounds = torch.tensor([float("inf") if c is None else c for c in space.clips])
        coordinates = [float(b.kind == "coordinates") for b in space.blocks if b.kind != "categorical" for _ in range(b.size)]
        self.bounded, self.centred = bool(torch.isfinite(bounds).any()), any(coordinates)
        weights = schedules.loss_weights(options.weighting, options.target, table)
        self.register_buffer("table", table.float(), persistent=False)
        self.register_buffer("weights", weights.float(), persistent=False)
        self.register_buffer("bounds", bounds, persistent=False)
        self.register_buffer("coordinates", torch.tensor(coordinates), persistent=False)
        self.register_buffer("sizes", torch.zeros(n_sizes, dtype=torch.int64))
        self.register_buffer("size_labels", torch.full((n_sizes,), -1))

    @classmethod
    def fit(cls, space: Space, options: DiffusionOptions, x0: State, labels: Tensor | None = None) -> Process:
        """The process of training data: prior mean and covariance, category frequencies, and the law of sizes.

        labels: [n] class codes (-1 unknown), for a prior per class, and kept beside each sample's size so that `start` can
        draw sizes per class.
        """
        variable = space.variable and x0.mask is not None
        n_classes = 0 if labels is None or options.prior != "per-class" else int(labels.max()) + 1
        process = cls(space=space, options=options, n_sizes=len(x0) if variable else 0, n_classes=n_classes)
        exists = slice(None) if x0.mask is None else x0.mask.reshape(-1)
        with torch.no_grad():
            if space.width:
                rows = x0.num.movedim(process.axis, -1).reshape(-1, space.width)
                process.prior.fit(rows[exists], process.coordinates, labels)
            if space.levels and options.categorical_prior == "marginal":
                process.categories.fit(x0.cat.reshape(-1, len(space.levels))[exists])
            if variable and x0.mask is not None:
                process.sizes.copy_(x0.mask.flatten(1).sum(1))
                if labels is not None:
                    process.size_labels.copy_(labels)
        return process

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back; tensors travel in `state_dict`."""
        facts = {"n_sizes": len(self.sizes), "n_classes": self.n_classes}
        return {"space": self.space.to_json(), "options": self.options.model_dump(), **facts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Process:
        """The process written by `to_json`, ready for `load_state_dict`."""
        options = DiffusionOptions(**data["options"])
        return cls(space=Space.from_json(data["space"]), options=options, n_sizes=data["n_sizes"], n_classes=data.get("n_classes", 0))

    def level(self, t: int) -> Level:
        """Signal, noise and keep probability at time t; -1 is clean data."""
        return self._levels[t + 1]

    def loss(
        self, network: Network, x0: State, generator: torch.Generator, labels: Tensor | None = None, *, start: int = 0, of: int = 0,
        penalty: Penalty | None = None,
    ) -> Tensor:  # fmt: skip
        """[b] losses of clean samples: mean squared error of the target plus the mean over categorical columns.

        labels: [b] class codes the network is told (-1: none), which choose the prior where classes have their own.
        Times are stratified over the batch; every draw comes from `generator` (CPU). Masked positions don't count. start, of: x0
        are rows `start` on of a batch of `of` (0: the whole batch), and get the draws that they get in the whole. penalty: a
        network's own loss on the clean samples that its prediction means (`protocols.Backbone`), added.
        """
        device, rows, mine = x0.num.device, of or len(x0), slice(start, start + len(x0))
        t = self._times(rows, generator)[mine].to(device)
        noise = torch.randn((rows, *x0.num.shape[1:]), generator=generator)[mine].to(device)
        uniform = torch.rand((2, rows, *x0.cat.shape[1:]), generator=generator)[:, mine].to(device)
        with torch.autocast(device.type, enabled=False):
            a, s, keep = self.table[t + 1].view(-1, *[1] * (x0.num.ndim - 1), 3).unbind(-1)
            eps = self.project(noise, x0.mask)
            w0 = self.project(self.prior.whiten(x0.num, labels), x0.mask)
            cat = self.categories.corrupt(x0.cat, keep, uniform) if self.space.levels else x0.cat
            x_t = State(a * w0 + s * eps, cat, x0.mask)
        predicted = network(x_t, t)
        with torch.autocast(device.type, enabled=False):
            total = torch.zeros(len(x0), device=device)
            if self.space.width:
                p, q = schedules.coefficients(self.options.target, a, s)
                error = self.project(predicted.num.float(), x0.mask) - (p * w0 + q * eps)
                total = total + self.weights[t] * self._mean(error**2, x0.mask, self.axis)
                if penalty is not None:
                    w0_hat = self.project((q * x_t.num - s * predicted.num.float()) / (a * q - s * p), x0.mask)
                    total = total + penalty(State(self.prior.unwhiten(w0_hat, labels), x0.cat, x0.mask), x0)
            if self.space.levels:
                total = total + self._categorical_loss(predicted.cat, x0, cat, t)
        return total

    def start(
        self, n: int, generator: torch.Generator, device: torch.device | str, labels: Tensor | None = None, size: int | None = None
    ) -> State:
        """x_T of n samples, continuous channels whitened; sizes follow the data's law, given `labels` [n] if any.

        size: that of every sample instead; DataError when samples can't have it.
        """
        shape, width = self.space.shape, self.space.width
        mask = self._draw_sizes(n, generator, labels) if size is None else self._of_size(n, size)
        mask = None if mask is None else mask.to(device)
        num = torch.randn((n, width, *shape) if self.axis == 1 else (n, *shape, width), generator=generator).to(device)
        uniform = torch.rand(n, *shape, len(self.space.levels), generator=generator).to(device)
        cat = self.categories.noise(uniform) if self.space.levels else uniform.long()
        return State(self.project(num, mask), cat if mask is None else cat * mask.unsqueeze(-1), mask)

    def noised(self, x0: State, t: int, generator: torch.Generator, labels: Tensor | None = None) -> State:
        """x_t of clean samples at one time: continuous channels whitened, codes of categories."""
        level, device = self.level(t), x0.num.device
        eps = self.project(torch.randn(x0.num.shape, generator=generator).to(device), x0.mask)
        uniform = torch.rand(2, *x0.cat.shape, generator=generator).to(device)
        w0 = self.project(self.prior.whiten(x0.num, labels), x0.mask)
        cat = self.categories.corrupt(x0.cat, torch.tensor(level.keep, device=device), uniform) if self.space.levels else x0.cat
        return State(level.a * w0 + level.s * eps, cat, x0.mask)

    def project(self, num: Tensor, mask: Tensor | None) -> Tensor:
        """Zero where no position exists, and coordinates moved to zero centre of mass."""
        if mask is not None:
            num = num * mask.unsqueeze(self.axis)
        if not self.centred:
            return num
        positions = [d for d in range(1, num.ndim) if d != self.axis % num.ndim]
        exists = torch.ones_like(num[:, :1] if self.axis == 1 else num[..., :1])
        exists = exists if mask is None else mask.unsqueeze(self.axis).to(num.dtype)
        centre = num.sum(positions, keepdim=True) / exists.sum(positions, keepdim=True).clamp(min=1)
        return num - centre * self.prior.shaped(self.coordinates, num) * exists

    def clip(self, x: Tensor) -> Tensor:
        """Data coordinates bounded to the codec's range."""
        if not self.bounded:
            return x
        bounds = self.prior.shaped(self.bounds, x)
        return torch.maximum(torch.minimum(x, bounds), -bounds)

    def _times(self, b: int, generator: torch.Generator) -> Tensor:
        offset = torch.rand((), generator=generator, dtype=torch.float64)
        u = (torch.arange(b) / b + offset) % 1
        if self.options.times == "logit-normal":
            u = torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)).sigmoid()
        return (u * self.options.steps).long()

    def _categorical_loss(self, logits: Tensor, x0: State, x_t: Tensor, t: Tensor) -> Tensor:
        keep = None
        if self.options.cat_loss_scale != "ce":
            spread = t.repeat_interleave(torch.Size(self.space.shape).numel()) if self.space.shape else t
            keep = (self.table[spread + 1, 2], self.table[spread, 2])
        losses = self.categories.loss(logits.float(), x0.cat, x_t, keep)
        scale = self.options.steps if self.options.cat_loss_scale == "code" else 1.0
        return scale * self._mean(losses.unsqueeze(-1), x0.mask, -1)

    def _mean(self, values: Tensor, mask: Tensor | None, axis: int) -> Tensor:
        """[b] mean over channels and existing positions."""
        if mask is None:
            return values.flatten(1).mean(1)
        values = values * mask.unsqueeze(axis)
        return values.flatten(1).sum(1) / (mask.flatten(1).sum(1).clamp(min=1) * values.shape[axis])

    def _of_size(self, n: int, size: int) -> Tensor | None:
        positions = torch.arange(torch.Size(self.space.shape).numel())
        if not len(self.sizes) and size != len(positions):
            raise DataError(f"samples of length {size} were asked; all of this generator have {len(positions)}", hint="leave --length out")
        if not 1 <= size <= len(positions):
            raise DataError(f"samples of length {size} were asked; the generator has room for 1 to {len(positions)}", hint="--length 1")
        return (positions < size).expand(n, -1).view(n, *self.space.shape) if len(self.sizes) else None

    def _draw_sizes(self, n: int, generator: torch.Generator, labels: Tensor | None) -> Tensor | None:
        """[n, *shape] masks whose sizes are those of training samples, of the same label if asked and there are any."""
        if not len(self.sizes):
            return None
        pick, sizes, known = torch.rand(n, generator=generator), self.sizes.cpu(), self.size_labels.cpu()
        rows = (pick * len(sizes)).long()
        asked = torch.full((n,), -1) if labels is None else labels.cpu()
        for label in set(asked.tolist()) & set(known.tolist()) - {-1}:
            own = (known == label).nonzero().flatten()
            rows[asked == label] = own[(pick[asked == label] * len(own)).long()]
        positions = torch.arange(torch.Size(self.space.shape).numel())
        return (positions < sizes[rows][:, None]).view(n, *self.space.shape)
