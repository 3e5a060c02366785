"""An acquisition function over one fitted learner: on encoded samples with gradients, or on finished records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract.contexts import ScoreContext
from scarce.contract.protocols import Codec
from scarce.contract.space import State
from scarce.errors import DataError
from scarce.host.hooks import Scope
from scarce.runtime.runtime import SharedRuntime

PASSES = 10
FLOOR = 1e-6  # of a probability, so that its logarithm is finite


@dataclass
class Scorer:
    """The score at one recipe path, of what a fitted learner says; features and passes where the learner has them.

    drawn: codec of encoded samples; codec: of finished records; classes: how many there are; index: of the round, for scores that
    draw; labelled: records whose features the score may ask for (coreset), or None.
    """

    scope: Scope
    path: str
    learner: Any
    drawn: Codec
    codec: Codec
    runtime: SharedRuntime
    classes: int
    index: int = 0
    labelled: Any = None
    _known: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.labelled is not None and len(self.labelled) and hasattr(self.learner, "embed"):
            with torch.no_grad():
                self._known = self.learner.embed(self._soft(self.labelled)).float()

    def of_state(self, state: State, y: Tensor) -> Tensor:
        """[n] scores of encoded samples, differentiable: the learner must have `logits`."""
        soft = self.drawn.soft(state).to(self.runtime.device)
        return self._score(self.learner.logits(soft), soft, y)

    def of_records(self, records: Any, y: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """[n] scores of finished records; any learner with probabilities will do. Raises DataError for one without."""
        said = self.learner.predict(records).probabilities
        if said is None:
            raise DataError("the learner gives no probabilities, which every score reads", hint="scarce plugins list --role learner")
        logits = torch.from_numpy(np.log(np.maximum(np.asarray(said, dtype=np.float64), FLOOR))).float()
        more = hasattr(self.learner, "passes") or hasattr(self.learner, "embed")
        with torch.no_grad():
            soft = self._soft(records) if more else None
            return self._score(logits.to(self.runtime.device), soft, torch.from_numpy(y)).double().cpu().numpy()

    def _soft(self, records: Any) -> Tensor:
        return self.codec.soft(self.codec.encode(records)).to(self.runtime.device)

    def _score(self, logits: Tensor, soft: Tensor | None, y: Tensor) -> Tensor:
        """The hook on what the learner says of soft features (None: of a learner that has neither features nor passes)."""
        if logits.shape[1] != self.classes:
            what = f"the learner tells {logits.shape[1]} classes apart, the data have {self.classes}"
            raise DataError(what, hint="name another [learner], or --set acquisition=…")
        passes = features = None
        if soft is not None and hasattr(self.learner, "passes"):
            passes = self.learner.passes(soft, PASSES, self.runtime.derive("passes") % 2**31)
        if soft is not None and hasattr(self.learner, "embed"):
            features = self.learner.embed(soft)
        random = self.runtime.generator(f"score/{self.path}", self.index)
        ctx = ScoreContext(
            logits=logits, passes=passes, features=features, labelled=self._known, y=y.to(logits.device), generator=random
        )  # fmt: skip
        return self.scope.acquisition_score(self.path, ctx)
