"""Learner `text`: a classifier on a pretrained encoder of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import (
    Budget,
    Draw,
    Embedded,
    Fitting,
    Learner,
    LearnerContext,
    LearnerSpec,
    Phase,
    Predictions,
    Supervision,
    Term,
    TrainingPart,
    as_predictions,
    hookimpl,
    take,
    usable_parts,
)
from scarce.errors import RunError
from scarce_text.config import TextLearner
from scarce_text.encoder import BATCH, Encoder, Reader, load_encoder, pairs_of
from scarce_text.network import Head, Tuned, tuned

RATES = {"frozen": 3e-4, "last": 2e-4, "lora": 1e-3, "full": 5e-5}
Inputs = dict[str, Tensor]


class Text(LearnerSpec):
    """A head on an encoder's mean token state, the encoder frozen or tuned."""

    def __init__(self, options: TextLearner) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `OnFrozen` or `OnTuned`; the encoder is read now."""
        encoder = load_encoder(self.options.source)
        return OnFrozen(ctx, self.options, encoder) if self.options.tune == "frozen" else OnTuned(ctx, self.options, encoder)


class TextClassifier(ABC):
    """What both ways of tuning share: the loss, the budget, looks at the validation texts, and predictions."""

    def __init__(self, ctx: LearnerContext, options: TextLearner, encoder: Encoder) -> None:
        self.ctx, self.options, self.encoder = ctx, options, encoder
        self.reader = Reader(encoder, options.max_tokens, ctx.runtime)
        self.head: Head | None = None

    def tokens(self, records: pd.DataFrame) -> Embedded:
        """Token states of the encoder as it was pretrained, whatever is tuned."""
        said = self.reader.read(records, states=True)
        if not said:
            return Embedded(torch.zeros(0, 0, self.encoder.width), torch.zeros(0, 0, dtype=torch.bool), torch.zeros(0, self.encoder.width))
        states = [s.states for s in said if s.states is not None]
        lengths = torch.tensor([len(s) for s in states])
        found = nn.utils.rnn.pad_sequence([s.float() for s in states], batch_first=True)
        return Embedded(found, torch.arange(found.shape[1]) < lengths[:, None], torch.stack([s.pooled for s in said]))

    @abstractmethod
    def logits_of(self, records: pd.DataFrame) -> Tensor:
        """[n, k] logits of records on the CPU, as in use."""

    def predict(self, records: pd.DataFrame) -> Predictions:
        """Classes with probabilities; nothing but text and target word is looked at."""
        return as_predictions(self.ctx.dataset, torch.softmax(self.logits_of(records).double(), 1).numpy())

    def _fresh_head(self, seen: Tensor) -> Head:
        o = self.options
        with self.ctx.runtime.seeded("learner.text"):
            head = Head(seen, o.hidden, len(self.ctx.dataset.classes), o.dropout)
        return head.to(self.ctx.runtime.device)

    def _fitted(self) -> Head:
        if self.head is None:
            raise RunError("this learner was asked for an answer before it was fitted", hint="call fit first")
        return self.head

    def _train(self, model: nn.Module, loss: Callable[[Draw], Tensor], rows: int, validate: Callable[[], float] | None) -> None:
        o, label = self.options, "learner.text"
        rate, warmup = o.rate or RATES[o.tune], max(1, o.steps // 16)
        budget = Budget(steps=o.steps, batch=min(o.batch, rows), rate=rate, warmup=warmup, weight_decay=o.weight_decay, ema=0.98)
        phase = Phase(name="learner", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
        self.ctx.runtime.fit(
            Fitting(
                phase=phase, model=model.train(), losses={"supervised": loss}, pools={"all": torch.arange(rows)}, label=label,
                validate=validate, validate_every=max(1, o.steps // o.looks) if validate else 0, patience=o.patience,
            )
        )  # fmt: skip
        model.eval()

    def _validation(self, model: nn.Module, logits: Callable[[], Tensor], codes: Tensor) -> Callable[[], float]:
        def validate() -> float:
            model.eval()
            with torch.no_grad():
                found = float(F.cross_entropy(logits().float(), codes))
            model.train()
            return found

        return validate

    def _held(self) -> tuple[pd.DataFrame, Tensor] | None:
        """Validation texts with a class and their codes, where training may stop early and there are any."""
        data = self.ctx.dataset
        rows = data.rows("validation") if self.options.patience else np.zeros(0, dtype=np.int64)
        rows = rows[data.codes()[rows] >= 0]
        return (take(data.records, rows), torch.from_numpy(data.codes()[rows])) if len(rows) else None


class OnFrozen(TextClassifier):
    """A head on mean states that are computed once for each text of a run: a fit takes seconds."""

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train the head from scratch; test texts are never looked at."""
        usable, device = usable_parts(self.ctx.dataset, parts), self.ctx.runtime.device
        x = torch.cat([self.reader.pooled(records) for records, _, _ in usable]).to(device)
        head = self._fresh_head(x)
        supervision = Supervision(usable, head.width, self.ctx.runtime)
        model = nn.ModuleList([head, supervision])

        def loss(draw: Draw) -> Tensor:
            embed = head.embed(x[draw.rows])
            out: Tensor = supervision(draw.rows, head.logits(embed), embed)
            return out

        validate, held = None, self._held()
        if held is not None:
            seen = self.reader.pooled(held[0]).to(device)
            validate = self._validation(model, lambda: head(seen), held[1].to(device))
        self._train(model, loss, len(x), validate)
        self.head = head.requires_grad_(False)

    def logits_of(self, records: pd.DataFrame) -> Tensor:
        """[n, k] logits on the CPU."""
        head = self._fitted()
        with torch.no_grad():
            out: Tensor = head(self.reader.pooled(records).to(self.ctx.runtime.device))
        return out.float().cpu()


class OnTuned(TextClassifier):
    """A head, and an own copy of the encoder of which the last blocks, adapters or everything train with it."""

    network: Tuned

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train head and encoder from where it was pretrained; test texts are never looked at."""
        usable, runtime = usable_parts(self.ctx.dataset, parts), self.ctx.runtime
        inputs = self._inputs([pair for records, _, _ in usable for pair in pairs_of(records)])
        head = self._fresh_head(torch.cat([self.reader.pooled(records) for records, _, _ in usable]))
        with runtime.seeded("learner.text.encoder"):
            network = tuned(self.encoder, self.options).to(runtime.device)
        supervision = Supervision(usable, head.width, runtime)
        model = nn.ModuleList([head, network, supervision])

        def loss(draw: Draw) -> Tensor:
            rows = draw.rows.to(runtime.device)
            embed = head.embed(network({name: value[rows] for name, value in inputs.items()}))
            out: Tensor = supervision(rows, head.logits(embed), embed)
            return out

        validate, held = None, self._held()
        self.head, self.network = head, network
        if held is not None:
            records, codes = held
            validate = self._validation(model, lambda: self.logits_of(records), codes)
        self._train(model, loss, len(inputs["input_ids"]), validate)
        model.requires_grad_(False)

    def logits_of(self, records: pd.DataFrame) -> Tensor:
        """[n, k] logits on the CPU; texts of like length are read together."""
        head, pairs, runtime = self._fitted(), pairs_of(records), self.ctx.runtime
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][1]))
        out = torch.zeros(len(pairs), len(self.ctx.dataset.classes))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            inputs = {
                n: v.to(runtime.device) for n, v in self.encoder.tokenized([pairs[i] for i in some], self.options.max_tokens)[0].items()
            }
            with torch.no_grad(), runtime.autocast():
                out[some] = head(self.network(inputs)).float().cpu()
        return out

    def _inputs(self, pairs: list[tuple[str, str]]) -> Inputs:
        """Tokens of all training texts on the device."""
        inputs, cut = self.encoder.tokenized(pairs, self.options.max_tokens)
        if cut:
            self.ctx.runtime.say(f"note: {cut} of {len(pairs)} texts have over {self.options.max_tokens} tokens; their ends are not read")
        return {name: value.to(self.ctx.runtime.device) for name, value in inputs.items()}
