"""A judge of text against motion: two small networks that place a caption and its motion near each other.

It learns from real training records alone, by telling which of a batch's motions a caption belongs to (CLIP's symmetric
cross-entropy, arXiv 2103.00020), as the evaluators of text-to-motion do (Guo 2022).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Budget, Draw, Fitting, Phase, Runtime, Term
from scarce_motion.config import RPrecision as Options

CHANNELS, WORDS = 64, 48
TEMPERATURE = 0.1


class MotionTower(nn.Module):
    """Encoded motions to unit vectors: three convolutions that halve time, then a recurrent layer in both directions of time."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sizes = (channels, CHANNELS, CHANNELS, CHANNELS)
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 4, stride=2, padding=1) for a, b in pairwise(sizes))
        self.recurrent = nn.GRU(CHANNELS, CHANNELS, batch_first=True, bidirectional=True)
        self.out = nn.Linear(4 * CHANNELS, width)

    def forward(self, motions: Tensor) -> Tensor:
        """[b, width] of soft features [b, l, c]."""
        x = motions.transpose(1, 2)
        x = F.pad(x, (0, max(0, 8 - x.shape[2])))
        for layer in self.layers:
            x = F.silu(layer(x))
        h, _ = self.recurrent(x.transpose(1, 2))
        return F.normalize(self.out(torch.cat([h.mean(1), h.amax(1)], 1)), dim=1)


class TextTower(nn.Module):
    """Captions as words of its own vocabulary to unit vectors, by a recurrent layer in both directions."""

    def __init__(self, texts: Sequence[str], width: int) -> None:
        super().__init__()
        known = sorted({word for text in texts for word in words_of(text)})
        self.vocabulary = {word: i + 2 for i, word in enumerate(known)}  # 0: nothing, 1: a word never seen
        self.embed = nn.Embedding(len(known) + 2, WORDS, padding_idx=0)
        self.recurrent = nn.GRU(WORDS, CHANNELS, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * CHANNELS, width)

    def codes(self, texts: Sequence[str]) -> Tensor:
        """[n, w] places of words, 0 after the last."""
        rows = [torch.tensor([self.vocabulary.get(w, 1) for w in words_of(text)] or [1]) for text in texts]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True)

    def forward(self, codes: Tensor) -> Tensor:
        """[b, width] of places [b, w]."""
        h, _ = self.recurrent(self.embed(codes))
        exists = (codes > 0).unsqueeze(-1)
        return F.normalize(self.out(h.masked_fill(~exists, -1.0).amax(1)), dim=1)


class Judge(nn.Module):
    """Both towers."""

    def __init__(self, channels: int, texts: Sequence[str], options: Options) -> None:
        super().__init__()
        self.motion, self.text = MotionTower(channels, options.width), TextTower(texts, options.width)

    @torch.no_grad()
    def motions(self, features: Tensor) -> Tensor:
        """[n, width] on the CPU."""
        device = next(self.parameters()).device
        return torch.cat([self.motion(part.to(device)).cpu() for part in torch.split(features.float(), 256)])

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """[n, width] on the CPU."""
        device = next(self.parameters()).device
        out: Tensor = self.text(self.text.codes(texts).to(device)).cpu()
        return out


def words_of(text: str) -> list[str]:
    """Lower-case words."""
    return re.findall(r"[a-z0-9']+", text.lower())


def trained(features: Tensor, texts: Sequence[str], groups: Tensor, runtime: Runtime, options: Options) -> Judge:
    """A judge fitted to soft features [n, l, c] and their captions; groups: [n] rows of one group mean the same, and are no rivals."""
    with runtime.seeded("evaluator.towers"):
        judge = Judge(features.shape[-1], texts, options).to(runtime.device)
    x, codes, groups = features.float().to(runtime.device), judge.text.codes(texts).to(runtime.device), groups.to(runtime.device)

    def loss(draw: Draw) -> Tensor:
        rows = draw.rows.to(x.device)
        logits = judge.motion(x[rows]) @ judge.text(codes[rows]).T / TEMPERATURE
        own = torch.eye(len(rows), dtype=torch.bool, device=x.device)
        rivals = (groups[rows][:, None] != groups[rows][None]) | own
        logits, truth = logits.masked_fill(~rivals, -1e4), torch.arange(len(rows), device=x.device)
        return (F.cross_entropy(logits, truth, reduction="none") + F.cross_entropy(logits.T, truth, reduction="none")) / 2

    budget = Budget(steps=options.steps, batch=min(64, len(x)), rate=3e-3, weight_decay=1e-2, ema=0.98)
    phase = Phase(name="towers", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
    pools = {"all": torch.arange(len(x))}
    runtime.fit(Fitting(phase=phase, model=judge, losses={"supervised": loss}, pools=pools, label="evaluator.towers"))
    return judge.eval()
