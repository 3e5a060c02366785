"""The teacher: a transformer over the tokens of a record and those of its view, trained with cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Budget, Draw, Fitting, Phase, Runtime, Term
from scarce.contract.frozen import Frozen
from scarce.contract.protocols import Array
from scarce_lugpi import config
from scarce_lugpi.sides import Side

WATCH = 20  # steps between looks at the validation records


class Lesson(Frozen):
    """What teachers of one arm learn from: both sides of n records, whose first `trained` are training ones; codes [n]."""

    own: Side
    view: Side
    codes: Tensor
    trained: int
    classes: int

    @property
    def validation(self) -> Tensor:
        """Positions of the validation records."""
        return torch.arange(self.trained, len(self.codes))


class Said(NamedTuple):
    """What a teacher says of records: probabilities [n, k], embedding [n, width], and the gate on the view [n]."""

    probabilities: Array
    embedding: Array
    gate: Array


class Paced(nn.Linear):
    """A linear layer that begins as any other and whose output moves `pace` times as far in a step.

    Adam moves each weight as far, so that what few channels say is learned the more slowly the fewer they are: a view of w
    channels beside a record of v takes the pace v / w.
    """

    def __init__(self, width: int, out: int, pace: float) -> None:
        """width, out: channels in and out."""
        super().__init__(width, out)
        self.pace = pace
        with torch.no_grad():
            self.weight.div_(pace)

    def forward(self, x: Tensor) -> Tensor:
        """[.., out] of [.., width]."""
        return F.linear(self.pace * x, self.weight, self.bias)


class Fusion(nn.Module):
    """[CLS], tokens of the record and tokens of the view, each side with its own projection, type and places.

    The tokens of a view are multiplied by a gate in 0-1, by a linear layer on the means of both sides, or fixed. Without
    layers it is linear: the means of both sides, added.
    """

    def __init__(self, own: int, view: int, classes: int, options: config.Fusion) -> None:
        """own, view: widths of the two sides' tokens."""
        super().__init__()
        width, self.options = options.width, options
        self.own, self.view = nn.Linear(own, width), Paced(view, width, pace=max(1.0, own / view))
        self.kinds = nn.Parameter(0.02 * torch.randn(2, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(2, options.tokens, width))
        self.start = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.share = nn.Parameter(torch.zeros(width))
        self.gate = nn.Linear(2 * width, 1)
        self.mixer: nn.Module | None = None
        if options.layers:
            layer = nn.TransformerEncoderLayer(
                width, options.heads, 2 * width, options.dropout, "gelu", batch_first=True, norm_first=True,
            )  # fmt: skip
            self.mixer = nn.TransformerEncoder(layer, options.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, own: Side, view: Side) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [b, k], embedding [b, width] and gate [b] of records and their views."""
        sides = [self.own(own.tokens), self.view(view.tokens)]
        masks = [own.mask if self.options.sees == "both" else torch.zeros_like(own.mask), view.mask]
        gate = self._gate([_mean(x, mask) for x, mask in zip(sides, masks, strict=True)])
        sides[1] = sides[1] * gate.view(-1, 1, 1)
        embed = _mean(sides[0], masks[0]) + _mean(sides[1], masks[1])
        if self.mixer is None:
            return self.head(embed), embed, gate
        placed = [x + kind + place[: x.shape[1]] for x, kind, place in zip(sides, self.kinds, self.places, strict=True)]
        x = torch.cat([self.start.expand(len(gate), -1, -1), *placed], 1)
        hidden = torch.cat([torch.zeros(len(gate), 1, dtype=torch.bool, device=x.device), *(~mask for mask in masks)], 1)
        embed = embed + self.share * self.mixer(x, src_key_padding_mask=hidden)[:, 0]
        return self.head(embed), embed, gate

    def _gate(self, means: list[Tensor]) -> Tensor:
        if self.options.view_weight is not None:
            return torch.full((len(means[0]),), self.options.view_weight, device=means[0].device)
        return torch.sigmoid(self.gate(torch.cat(means, 1)))[:, 0]


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """[b, width] mean of the tokens that exist; 0 where none does."""
    weight = mask.unsqueeze(-1).to(tokens)
    return (tokens * weight).sum(1) / weight.sum(1).clamp_min(1)


def without(side: Side, rows: Tensor) -> Side:
    """The side without the tokens of the rows [b] bool."""
    return Side(side.tokens, side.mask & ~rows.to(side.mask.device).unsqueeze(1))


def train_teacher(lesson: Lesson, rows: Tensor, options: config.Fusion, runtime: Runtime, label: str, index: int) -> Fusion:
    """A teacher fitted on the rows, with the best cross-entropy on the validation records where there are any.

    index: of the fold; equal ones begin at equal weights, whatever the arm.
    """
    device = runtime.device
    with runtime.seeded("lugpi.teacher", index):
        model = Fusion(lesson.own.tokens.shape[2], lesson.view.tokens.shape[2], lesson.classes, options).to(device)
    own, view = (Side(s.tokens.to(device), s.mask.to(device)) for s in (lesson.own, lesson.view))
    codes, held = lesson.codes.to(device), lesson.validation

    def loss(draw: Draw) -> Tensor:
        a, b, lost = own[draw.rows], view[draw.rows], torch.rand(len(draw.rows), generator=draw.generator)
        if options.sees == "both" and bool(b.mask.any()):
            share = options.modality_dropout / 2
            a, b = without(a, (lost >= share) & (lost < 2 * share)), without(b, lost < share)
        return F.cross_entropy(model(a, b)[0], codes[draw.rows], reduction="none")

    def watched() -> float:
        model.eval()
        with torch.no_grad():
            value = float(F.cross_entropy(model(own[held], view[held])[0], codes[held]))
        model.train()
        return value

    budget = Budget(steps=options.steps, batch=min(options.batch, len(rows)), rate=options.rate, weight_decay=options.weight_decay, ema=0.0)
    phase = Phase(name="teacher", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
    validate: Callable[[], float] | None = watched if len(held) else None
    runtime.fit(
        Fitting(
            phase=phase, model=model, losses={"supervised": loss}, pools={"all": rows}, label=label, validate=validate,
            validate_every=WATCH, patience=options.patience,
        )
    )  # fmt: skip
    return model.eval().requires_grad_(False)


def ask(model: Fusion, lesson: Lesson, rows: Tensor, blind: bool = False) -> Said:
    """What the teacher says of the rows; blind: without their views."""
    device = next(model.parameters()).device
    own, view = (Side(s.tokens[rows].to(device), s.mask[rows].to(device)) for s in (lesson.own, lesson.view))
    with torch.no_grad():
        logits, embed, gate = model(own, view.absent() if blind else view)
    return Said(*(x.double().cpu().numpy() for x in (logits.softmax(1), embed, gate)))


def turned(embedding: Array, own: Array, other: Array) -> Array:
    """An embedding [n, e] rotated as `own` [m, e] must be to lie nearest to `other` [m, e] (orthogonal Procrustes)."""
    u, _, v = np.linalg.svd(own.T @ other)
    rotated: Array = embedding @ (u @ v)
    return rotated
