"""How sets of pictures are made comparable: one feature space, equal numbers, and the real pictures they are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import EvaluatorContext, Metric
from scarce_images import config
from scarce_images.codec import make_codec
from scarce_images.distances import frechet, principal
from scarce_images.encoder import Space, Vectors
from scarce_images.sides import FEWEST, NAN, Side


def space_of(ctx: EvaluatorContext, options: config.Spaced) -> Space:
    """The named feature space, of pictures as the modality's own codec reads them."""
    return Space(options.space, options.resolution, make_codec(ctx.dataset), ctx.runtime)


def equal(ctx: EvaluatorContext, train: Side, held: Side, sides: Mapping[str, Side], most: int) -> tuple[Side, Side, dict[str, Side], int]:
    """Training, hold-out and each source's pictures, at most `most`; all but the hold-out are n of them, the number returned.

    Distances of samples grow as samples shrink, so each source is judged by as many; those with too few are left out.
    """
    enough = {name: found for name, found in sides.items() if len(found) >= FEWEST}
    n = min([most, len(train), *map(len, enough.values())])
    return train.some(n, ctx.seed), held.some(most, ctx.seed), {name: s.some(n, ctx.seed) for name, s in enough.items()}, n


def too_few(name: str, source: str, found: Side) -> Metric:
    """A failed row of a source without enough pictures."""
    return Metric(name=name, value=NAN, source=source, error=f"needs {FEWEST} valid pictures, found {len(found)}")


class Judged:
    """Real hold-out and training features, and Fréchet distances to the former along principal components of both."""

    def __init__(self, held: Vectors, train: Vectors, dimensions: int) -> None:
        self.held, self.train = held, train
        # Half the pictures of the smaller set: a covariance of more directions than that is mostly shrinkage.
        most = max(1, min(dimensions, len(held) // 2, len(train) // 2))
        self.centre, self.directions = principal(np.concatenate([held, train]), most)
        self.dimensions = self.directions.shape[1]
        self.floor = self.frechet(train)

    def frechet(self, rows: Vectors) -> float:
        """Fréchet distance of rows to the hold-out pictures."""
        return frechet((rows - self.centre) @ self.directions, (self.held - self.centre) @ self.directions)


def shuffled(records: Any, seed: int) -> pd.DataFrame:
    """Pictures whose pixels each change places at random: what data without any shape look like."""
    rng = np.random.default_rng([seed, 7])
    cells = [cell.reshape(-1, 3)[rng.permutation(cell.shape[0] * cell.shape[1])].reshape(cell.shape) for cell in records["image"]]
    return pd.DataFrame({"image": pd.Series(cells, dtype=object)})
