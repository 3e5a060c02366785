"""Multinomial diffusion of categorical columns, all columns of similar cardinality in one padded tensor.

Inside, columns come first and rows last, [C, K, N]: gathers copy whole rows and reductions over K vectorise over N.
q(x_t | x_0) = Cat(keep_t x_0 + (1 - keep_t) pi); the posterior is marginalised exactly over the predicted x_0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PADDED = -1e9  # logit of a level that a column doesn't have
TINY = 1e-30


def bands(levels: Sequence[int]) -> list[list[int]]:
    """Columns by cardinality (up to 16, 128, 1024, ... levels), so that padding stays small."""
    edges = [16 * 8**i for i in range(8)]
    found = [[c for c, k in enumerate(levels) if low < k <= high] for low, high in zip([0, *edges], edges, strict=False)]
    return [columns for columns in found if columns]


def posterior(p: Tensor, x_t: Tensor, pi: Tensor, keep_t: Tensor | float, keep_s: Tensor | float) -> Tensor:
    """p(x_s | x_t) = sum_i q(x_s | x_t, x_0 = i) p_i for s < t; sums to one over levels.

    p, x_t: [C, K, N] probabilities of x_0 and (soft) one-hots of x_t; pi: [C, K]; keep_t, keep_s: scalars or [N].
    With w_i = p_i / q(x_t | x_0 = i) it is q(x_t | x_s = k) (keep_s w_k + (1 - keep_s) pi_k sum w).
    """
    pi = pi.unsqueeze(-1)
    drift = (pi * x_t).sum(1, keepdim=True)
    ratio = keep_t / keep_s
    w = p / (keep_t * x_t + (1 - keep_t) * drift)
    return (ratio * x_t + (1 - ratio) * drift) * (keep_s * w + (1 - keep_s) * (pi * w.sum(1, keepdim=True)))


def draw(p: Tensor, uniform: Tensor) -> Tensor:
    """[C, N] codes from [C, K, N] probabilities by inverse CDF; uniform: [C, N] in [0, 1)."""
    cdf = p.cumsum(1)
    return ((1 - uniform).unsqueeze(1) * cdf[:, -1:] > cdf).sum(1)


class Band(nn.Module):
    """Some categorical columns of a space in one padded tensor of K levels; holds their prior pi [C, K].

    columns: positions among the space's categorical columns; levels: K of every categorical column of the space.
    """

    pi: Tensor
    cdf: Tensor
    columns: Tensor
    rows: Tensor
    real: Tensor

    def __init__(self, *, columns: Sequence[int], levels: Sequence[int]) -> None:
        super().__init__()
        sizes = torch.tensor([levels[c] for c in columns])
        starts = torch.tensor([sum(levels[:c]) for c in columns])
        level = torch.arange(int(sizes.max()))
        real = level < sizes[:, None]
        self.register_buffer("pi", real / sizes[:, None])
        self.register_buffer("cdf", torch.ones(real.shape))
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.register_buffer("rows", torch.where(real, starts[:, None] + level, sum(levels)).flatten(), persistent=False)
        self.register_buffer("real", real, persistent=False)
        self.set_prior(self.pi)

    def set_prior(self, pi: Tensor) -> None:
        """Set pi [C, K] (zero on levels a column doesn't have)."""
        last = self.real.cumsum(1) == self.real.sum(1, keepdim=True)
        self.pi.copy_(pi)
        self.cdf.copy_(torch.where(last, 1.0, pi.double().cumsum(1)))

    def one_hot(self, codes: Tensor) -> Tensor:
        """[C, K, N] float one-hots of [C, N] codes."""
        zeros = torch.zeros(*self.pi.shape, codes.shape[1], device=codes.device, dtype=self.pi.dtype)
        return zeros.scatter_(1, codes.unsqueeze(1), 1.0)

    def padded(self, flat: Tensor, fill: float) -> Tensor:
        """[C, K, N] of these columns from [.., sum of all K] logits or one-hots."""
        rows = F.pad(flat.reshape(-1, flat.shape[-1]).T, (0, 0, 0, 1), value=fill)
        return rows.index_select(0, self.rows).view(*self.pi.shape, -1)

    def loss(self, logits: Tensor, x0: Tensor, x_t: Tensor, keep: tuple[Tensor, Tensor] | None) -> Tensor:
        """[C, N] KL(q(x_s | x_t, x_0) || p(x_s | x_t)), which is the negative log-likelihood of x_0 where keep_s = 1.

        x0, x_t: [C, N] codes; keep: (keep_t, keep_s), each [N], or None for the cross-entropy of x_0.
        """
        padded = self.padded(logits, PADDED)
        if keep is None:
            return F.nll_loss(F.log_softmax(padded, 1), x0, reduction="none")
        hot = self.one_hot(x_t)
        true = posterior(self.one_hot(x0), hot, self.pi, *keep)
        model = posterior(torch.softmax(padded, 1), hot, self.pi, *keep)
        return (torch.xlogy(true, true) - true * model.clamp(min=TINY).log()).sum(1)


class Categories(nn.Module):
    """All categorical columns of a space: bands of similar cardinality, split and joined."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.bands = nn.ModuleList(Band(columns=columns, levels=levels) for columns in bands(levels))
        columns = [c for band in self for c in band.columns.tolist()]
        rows = [r for band in self for r in band.rows[band.real.flatten()].tolist()]
        self.register_buffer("column_order", torch.tensor(columns, dtype=torch.int64).argsort(), persistent=False)
        self.register_buffer("level_order", torch.tensor(rows, dtype=torch.int64).argsort(), persistent=False)

    column_order: Tensor
    level_order: Tensor

    def __iter__(self) -> Iterator[Band]:
        return (band for band in self.bands if isinstance(band, Band))

    def fit(self, cat: Tensor) -> None:
        """pi from the frequencies in [n, C] codes, one pseudo-count per level."""
        for band, codes in zip(self, self.split(cat), strict=True):
            counts = (band.one_hot(codes).sum(-1).double() + 1) * band.real
            band.set_prior(counts / counts.sum(1, keepdim=True))

    def split(self, cat: Tensor) -> list[Tensor]:
        """Per band [C, N] of per-column values [.., C]."""
        rows = cat.reshape(-1, cat.shape[-1]).T
        return [rows.index_select(0, band.columns) for band in self]

    def join(self, codes: Sequence[Tensor], like: Tensor) -> Tensor:
        """[.., C] codes of all columns from per-band [C, N]; leading axes as in `like`."""
        return torch.cat(list(codes)).index_select(0, self.column_order).T.reshape(*like.shape[:-1], -1)

    def one_hots(self, cat: Tensor) -> list[Tensor]:
        """Per band [C, K, N] one-hots of integer codes [.., C], or of soft ones [.., sum K]."""
        if cat.is_floating_point():
            return [band.padded(cat, 0.0) for band in self]
        return [band.one_hot(codes) for band, codes in zip(self, self.split(cat), strict=True)]

    def join_one_hots(self, p: Sequence[Tensor], like: Tensor) -> Tensor:
        """[.., sum K] from per-band [C, K, N] probabilities or one-hots; leading axes as in `like`."""
        rows = torch.cat([q[band.real] for q, band in zip(p, self, strict=True)])
        return rows.index_select(0, self.level_order).T.reshape(*like.shape[:-1], -1)

    def probabilities(self, logits: Tensor) -> list[Tensor]:
        """Per band [C, K, N] probabilities of x_0 from [.., sum K] logits."""
        return [torch.softmax(band.padded(logits.float(), PADDED), 1) for band in self]

    def noise(self, uniform: Tensor) -> Tensor:
        """[.., C] codes from the prior by inverse CDF; uniform: [.., C] in [0, 1)."""
        return self.join([torch.searchsorted(band.cdf, 1 - u) for band, u in zip(self, self.split(uniform), strict=True)], uniform)

    def corrupt(self, cat: Tensor, keep: Tensor | float, uniform: Tensor) -> Tensor:
        """[.., C] codes, each kept with probability `keep` and else drawn from the prior; uniform: [2, .., C]."""
        return torch.where(uniform[0] < keep, cat, self.noise(uniform[1]))

    def posteriors(self, p: Sequence[Tensor], x_t: Sequence[Tensor], keep_t: float, keep_s: float) -> list[Tensor]:
        """Per band [C, K, N] law of x_s given x_t and probabilities p of x_0."""
        return [posterior(q, x, band.pi, keep_t, keep_s) for q, x, band in zip(p, x_t, self, strict=True)]

    def loss(self, logits: Tensor, x0: Tensor, x_t: Tensor, keep: tuple[Tensor, Tensor] | None) -> Tensor:
        """[..] mean over columns of `Band.loss`; x0, x_t: [.., C] codes; keep: [N] pairs over flattened positions."""
        columns = [band.loss(logits, i, j, keep) for band, i, j in zip(self, self.split(x0), self.split(x_t), strict=True)]
        return (torch.cat(columns).sum(0) / len(self.levels)).view(x0.shape[:-1])
