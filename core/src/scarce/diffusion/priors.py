"""The law N(mu, Sigma) of x_T as a whitening transform: diffusion runs on w = L^-1 (x - mu), Sigma = L L^T.

Ordinary diffusion of w with N(0, I) is identical to PriorGrad (arXiv 2106.06406) on x, so samplers don't change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

FEWEST = 5  # rows per channel that a class needs for a covariance of its own


def ledoit_wolf(x: Tensor) -> Tensor:
    """[d, d] covariance of [n, d] rows, shrunk towards its mean variance (Ledoit & Wolf 2004)."""
    n, d = x.shape
    x = x - x.mean(0)
    sample = x.T @ x / n
    scale = sample.diagonal().mean()
    spread = ((sample - scale * torch.eye(d, dtype=x.dtype)) ** 2).sum()
    error = ((x**2).sum(1) ** 2).sum() / n**2 - (sample**2).sum() / n
    shrinkage = (error / spread).clamp(0, 1) if spread > 0 else torch.zeros((), dtype=x.dtype)
    return (1 - shrinkage) * sample + shrinkage * scale * torch.eye(d, dtype=x.dtype)


def symmetric_roots(covariance: Tensor, floor: float = 1e-4) -> tuple[Tensor, Tensor]:
    """L and L^-1 with L = L^T, L L = covariance, eigenvalues floored at `floor` times their mean."""
    values, vectors = torch.linalg.eigh(covariance)
    root = values.clamp(min=max(floor * float(values.mean()), 1e-12)).sqrt()
    return (vectors * root) @ vectors.T, (vectors / root) @ vectors.T


class Prior(nn.Module):
    """Whitening of the continuous channels; `axis` is where they lie.

    mean: [w]; factor, inverse: L and L^-1, [w, w] for "full" (vectors only), [w] otherwise. "per-class" has one full
    prior per class: mean [1 + k, w], factor, inverse [1 + k, w, w], the first of which serves rows without a label and
    classes of too few rows.
    """

    mean: Tensor
    factor: Tensor
    inverse: Tensor

    def __init__(self, *, kind: str, width: int, axis: int, classes: int = 0) -> None:
        super().__init__()
        self.kind, self.axis = kind, axis
        unit = torch.eye(width) if kind in ("full", "per-class") else torch.ones(width)
        mean = torch.zeros(width)
        if kind == "per-class":
            unit, mean = unit.repeat(1 + classes, 1, 1), mean.repeat(1 + classes, 1)
        self.register_buffer("mean", mean)
        self.register_buffer("factor", unit)
        self.register_buffer("inverse", unit.clone())

    def fit(self, x: Tensor, coordinates: Tensor, labels: Tensor | None = None) -> None:
        """Fit mean and covariance on [n, w] rows; channels where `coordinates` [w] is 1 keep mean 0 and share a scale.

        labels: [n] class codes for "per-class"; a class of at most FEWEST * w rows has the prior of all rows.
        """
        if self.kind == "standard":
            return
        if self.kind == "per-class":
            self._fit_classes(x.double(), labels)
            return
        x, mean = x.double(), x.double().mean(0)
        if self.kind == "full":
            factor, inverse = symmetric_roots(ledoit_wolf(x))
        else:
            factor, tied = x.std(0, correction=0), coordinates > 0
            if tied.any():
                mean, factor[tied] = mean.where(~tied, 0.0), x[:, tied].square().mean().sqrt()
            factor = factor.clamp(min=1e-2)
            inverse = 1 / factor
        self.mean.copy_(mean)
        self.factor.copy_(factor)
        self.inverse.copy_(inverse)

    def _fit_classes(self, x: Tensor, labels: Tensor | None) -> None:
        for place in range(len(self.mean)):
            rows = x if labels is None or place == 0 else x[labels == place - 1]
            rows = rows if len(rows) > FEWEST * x.shape[1] else x
            factor, inverse = symmetric_roots(ledoit_wolf(rows))
            for kept, found in ((self.mean, rows.mean(0)), (self.factor, factor), (self.inverse, inverse)):
                kept[place].copy_(found)

    def groups(self, n: int, labels: Tensor | None) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Rows of a batch of n that share a full prior, with its mean, factor and inverse."""
        device = self.mean.device
        if self.kind == "full":
            return [(torch.arange(n, device=device), self.mean, self.factor, self.inverse)]
        places = torch.zeros(n, dtype=torch.int64) if labels is None else labels.to(device) + 1
        found = [((places == i).nonzero().flatten().to(device), i) for i in torch.unique(places).tolist()]
        return [(rows, self.mean[i], self.factor[i], self.inverse[i]) for rows, i in found]

    def shaped(self, channels: Tensor, like: Tensor) -> Tensor:
        """[w] per-channel values that broadcast against `like`."""
        return channels if self.axis == -1 else channels.view(-1, *[1] * (like.ndim - 2))

    def whiten(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """w = L^-1 (x - mu), with the prior of each row's label [b] (-1: none) where classes have their own."""
        if self.kind in ("full", "per-class"):
            return self._by_group(x, labels, lambda part, mean, _, inverse: (part - mean) @ inverse.T)
        return x if self.kind == "standard" else (x - self.shaped(self.mean, x)) * self.shaped(self.inverse, x)

    def unwhiten(self, w: Tensor, labels: Tensor | None = None) -> Tensor:
        """x = mu + L w; labels as in `whiten`."""
        if self.kind in ("full", "per-class"):
            return self._by_group(w, labels, lambda part, mean, factor, _: torch.addmm(mean, part, factor.T))
        return w if self.kind == "standard" else self.shaped(self.mean, w) + w * self.shaped(self.factor, w)

    def _by_group(self, x: Tensor, labels: Tensor | None, act: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        if self.kind == "full":  # the rows as they are, without a copy
            return act(x, self.mean, self.factor, self.inverse)
        out = torch.zeros_like(x)
        for rows, *law in self.groups(len(x), labels):
            out = out.index_copy(0, rows, act(x[rows], *law))
        return out
