"""How near pictures lie to those they were learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.contract import EvaluatorContext
from scarce_images import config
from scarce_images.distances import TIE, Vectors, nearest
from scarce_images.likeness import space_of
from scarce_images.sides import Side, some

TRAINING = 5  # times `rows`: most training pictures among which the nearest is sought


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n (1927)."""
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def copies(pictures: Any, of: Any) -> npt.NDArray[np.bool_]:
    """[n] whether a picture equals one of `of` in shape and every byte."""
    known = {(cell.shape, cell.tobytes()) for cell in of}
    return np.array([(cell.shape, cell.tobytes()) in known for cell in pictures], dtype=bool)


def holdout_share(rows: Vectors, train: Vectors, held: Vectors) -> float:
    """Share of rows nearer to training than to as many hold-out pictures; a tie counts half."""
    to_train, to_held = nearest(rows, train)[0][:, 0], nearest(rows, held)[0][:, 0]
    tied = np.abs(to_train - to_held) <= TIE
    return float(np.mean(np.where(tied, 0.5, to_train < to_held)))


def too_near(distances: Vectors, usual: Vectors, quantile: float = 0.01) -> npt.NDArray[np.bool_]:
    """[n] whether a distance to the nearest training picture is one that only 1 % of unseen real pictures have, or less."""
    return np.asarray(distances <= np.quantile(usual, quantile) + TIE)


class Shots:
    """What pictures are measured against: training features, and how near hold-out pictures lie to them."""

    def __init__(self, ctx: EvaluatorContext, options: config.NearestShot, train: Side, held: Side) -> None:
        self.space, self.every = space_of(ctx, options), train.records
        self.copied = float(copies(held.records["image"], self.every["image"]).mean())
        train, held = train.some(TRAINING * options.rows, ctx.seed), held.some(options.rows, ctx.seed)
        self.records = train.records
        self.train, unseen = self.space.vectors(train.records), self.space.vectors(held.records)
        self.usual = nearest(unseen, self.train)[0][:, 0]
        n = min(len(self.train), len(unseen))
        self.equal = self.train[some(len(self.train), n, ctx.seed)], unseen[some(len(unseen), n, ctx.seed)]
