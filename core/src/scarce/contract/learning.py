"""What learners of classes share: the rows they can use, their loss, and predictions from probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract.dataset import Dataset, Rows, take
from scarce.contract.protocols import Array, Guidance, Predictions, Runtime, TrainingPart
from scarce.errors import DataError


def usable_parts(dataset: Dataset, parts: Sequence[TrainingPart]) -> list[tuple[Any, Rows, TrainingPart]]:
    """Records and class codes of every part with a weight, without rows of unknown class, and what is left of the part itself.

    Raises DataError when there is no class to learn, or not one usable row.
    """
    if dataset.task != "classification":
        raise DataError(f"data set '{dataset.name}' has no classes to learn", hint="--set data.target=COLUMN")
    out = []
    for part in parts:
        if part.weight <= 0 or len(part.records) == 0:
            continue
        codes = dataset.codes_of(part.target)
        rows = np.flatnonzero(codes >= 0)
        if len(rows) == len(codes):
            out.append((part.records, codes, part))
        elif len(rows):
            ids = None if part.ids is None else part.ids[rows]
            kept = replace(part, records=take(part.records, rows), target=part.target[rows], ids=ids)
            out.append((kept.records, codes[rows], kept if part.guide is None else replace(kept, guide=part.guide.part(rows))))
    if not out:
        raise DataError(f"no training record has a known class of '{dataset.target_name}'", hint="scarce data inspect FILE")
    return out


def as_predictions(dataset: Dataset, probabilities: Array) -> Predictions:
    """The most probable class of each row; probabilities [n, k] in the order of the classes."""
    values = np.empty(len(probabilities), dtype=object)
    values[:] = [dataset.classes[i] for i in probabilities.argmax(axis=1)]
    return Predictions(values=values, probabilities=probabilities)


def thinned(head: nn.Module, embed: Tensor, dropout: float, count: int, seed: int) -> Tensor:
    """[count, n, k] logits of the last layer `head` on its inputs [n, d], each pass with one dropout mask for all rows.

    A pass is one thinned network (Gal and Ghahramani, arXiv 1506.02142), so it doesn't depend on how rows are batched.
    """
    generator = torch.Generator().manual_seed(seed)
    masks = torch.bernoulli(torch.full((count, 1, embed.shape[1]), 1 - dropout), generator=generator) / (1 - dropout)
    out: Tensor = head(embed * masks.to(embed))
    return out


class Supervision(nn.Module):
    """The loss of a learner of classes: weighted cross-entropy, and agreement with a teacher where a part has one.

    Per row CE(y, p_S) + alpha tau^2 CE(p_T, p_S) + beta |e_T - P e_S|^2 / e, the probabilities p softened by tau (LUGPI, arXiv
    2309.15238; the squares of tau keep gradients of one size, arXiv 1503.02531). P is a linear map that trains with the
    learner, none where both embeddings are equally wide. A teacher of weight 0 leaves no trace: not one random number.

    codes: [n] int64, weights: [n] of mean 1, over all usable rows, on the run's device.
    """

    codes: Tensor
    weights: Tensor
    alpha: Tensor
    beta: Tensor
    said: Tensor
    embedding: Tensor

    def __init__(self, usable: Sequence[tuple[Any, Rows, TrainingPart]], width: int, runtime: Runtime) -> None:
        """`usable`: as `usable_parts` gives them; width: of the learner's embedding."""
        super().__init__()
        weights = torch.cat([torch.full((len(codes),), part.weight) for _, codes, part in usable])
        self.register_buffer("codes", torch.from_numpy(np.concatenate([codes for _, codes, _ in usable])), persistent=False)
        self.register_buffer("weights", weights / weights.mean(), persistent=False)
        guides = [part.guide for _, _, part in usable]
        acting = [guide for guide in guides if guide is not None and (guide.alpha > 0 or guide.beta > 0)]
        if len({guide.tau for guide in acting}) > 1:
            raise DataError("parts are guided at different temperatures", hint="give every Guidance the same tau")
        self.tau = acting[0].tau if acting else 1.0
        self.guided = bool(acting)
        if acting:
            self._teach(guides, [len(codes) for _, codes, _ in usable], width, runtime)
        self.to(runtime.device)

    def _teach(self, guides: Sequence[Guidance | None], sizes: Sequence[int], width: int, runtime: Runtime) -> None:
        """Keep what is said of every row: zeros, of weight 0, where nothing is."""
        acting = [g for g in guides if g is not None]
        classes = acting[0].probabilities.shape[1]
        wide = max([0, *(g.embedding.shape[1] for g in acting if g.embedding is not None and g.beta > 0)])
        alpha, beta, said, embedding = [], [], [], []
        for guide, n in zip(guides, sizes, strict=True):
            known = np.zeros(n) if guide is None else np.ones(n) if guide.known is None else np.asarray(guide.known, dtype=float)
            near = guide is not None and guide.embedding is not None
            alpha.append(known * (guide.alpha if guide else 0.0))
            beta.append(known * (guide.beta if guide is not None and near else 0.0))
            said.append(np.asarray(guide.probabilities, dtype=float) if guide else np.full((n, classes), 1 / classes))
            embedding.append(np.asarray(guide.embedding) if guide is not None and near and wide else np.zeros((n, wide)))
        for name, parts in (("alpha", alpha), ("beta", beta), ("embedding", embedding)):
            self.register_buffer(name, torch.from_numpy(np.concatenate(parts)).float(), persistent=False)
        logits = torch.from_numpy(np.concatenate(said)).clamp_min(1e-12).log() / self.tau
        self.register_buffer("said", logits.softmax(1).float(), persistent=False)
        self.projection: nn.Module | None = None
        if wide:
            with runtime.seeded("learner.projection"):
                self.projection = nn.Identity() if wide == width else nn.Linear(width, wide)

    def forward(self, rows: Tensor, logits: Tensor, embed: Tensor) -> Tensor:
        """[b] losses of the rows; logits [b, k], embed [b, width]."""
        loss = F.cross_entropy(logits, self.codes[rows], reduction="none")
        if self.guided:
            agreed = F.cross_entropy(logits / self.tau, self.said[rows], reduction="none")
            loss = loss + self.alpha[rows] * self.tau**2 * agreed
            if self.projection is not None:
                loss = loss + self.beta[rows] * (self.projection(embed) - self.embedding[rows]).square().mean(1)
        return self.weights[rows] * loss
