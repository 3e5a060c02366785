"""An acquisition function over one fitted learner: on encoded samples with gradients, or on finished records."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract.contexts import ScoreContext
from scarce.contract.protocols import Codec
from scarce.contract.space import State
from scarce.host.hooks import Scope
from scarce.runtime.runtime import SharedRuntime

PASSES = 10
FLOOR = 1e-6  # of a probability, so that its logarithm is finite


class Scorer:
    """The score at one recipe path, of what a fitted learner says; features and passes where the learner has them.

    labelled: records whose features the score may ask for (coreset), or None.
    """

    def __init__(self, scope: Scope, path: str, learner: Any, codec: Codec, runtime: SharedRuntime, labelled: Any = None) -> None:
        self.scope, self.path, self.learner, self.codec, self.runtime = scope, path, learner, codec, runtime
        embeds = labelled is not None and len(labelled) > 0 and hasattr(learner, "embed")
        self.labelled = self._embed(labelled) if embeds else None

    def of_state(self, state: State, y: Tensor) -> Tensor:
        """[n] scores of encoded samples, differentiable: the learner must have `logits`."""
        soft = self.codec.soft(state).to(self.runtime.device)
        passes = self.learner.passes(soft, PASSES, self.runtime.derive("passes") % 2**31) if hasattr(self.learner, "passes") else None
        features = self.learner.embed(soft) if hasattr(self.learner, "embed") else None
        return self._score(self.learner.logits(soft), passes, features, y.to(soft.device))

    def of_records(self, records: Any, y: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """[n] scores of finished records; any learner with probabilities will do."""
        said = self.learner.predict(records).probabilities
        logits = torch.from_numpy(np.log(np.maximum(np.asarray(said, dtype=np.float64), FLOOR))).float()
        passes = features = None
        if hasattr(self.learner, "passes") or hasattr(self.learner, "embed"):
            with torch.no_grad():
                soft = self.codec.soft(self.codec.encode(records)).to(self.runtime.device)
                if hasattr(self.learner, "passes"):
                    passes = self.learner.passes(soft, PASSES, self.runtime.derive("passes") % 2**31).cpu()
                features = self._embed(records)
        return self._score(logits, passes, features, torch.from_numpy(y)).detach().double().cpu().numpy()

    def _score(self, logits: Tensor, passes: Tensor | None, features: Tensor | None, y: Tensor) -> Tensor:
        labelled = None if self.labelled is None or features is None else self.labelled.to(features.device)
        random = self.runtime.generator(f"score/{self.path}")
        return self.scope.acquisition_score(
            self.path, ScoreContext(logits=logits, passes=passes, features=features, labelled=labelled, y=y, generator=random)
        )

    def _embed(self, records: Any) -> Tensor | None:
        if not hasattr(self.learner, "embed"):
            return None
        with torch.no_grad():
            found: Tensor = self.learner.embed(self.codec.soft(self.codec.encode(records)).to(self.runtime.device)).float().cpu()
        return found
