"""Strategy `varied`: shots are mirrored and their colours exchanged in training, and what is said of them changes alike.

A few pictures tie what a word means to whatever else they happen to share: with four rings of which two are green, green pictures
get a hole. Copies with other colours and places under captions that stay true undo that, where a caption says so much.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from scarce.contract import Plan, PlanContext, Prompt, State, StrategySpec, TermContext, hookimpl
from scarce.errors import PlanError, TrainingError
from scarce_datadream.config import Varied as VariedOptions

VARIED = "varied"
ORDERS = tuple(itertools.permutations(range(3)))  # of the channels red, green and blue; the first leaves them as they are


class Varied(StrategySpec):
    """E ||target - eps(x'_t, c', t)||^2 of a random variation x' of each shot and the caption c' that is true of it."""

    def __init__(self, options: VariedOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """Denoising terms that give conditions see variations; PlanError for classes that change with the words, or other spaces."""
        o, plan = self.options, ctx.plan
        if ctx.space is not None and (ctx.space.layout != "image" or (o.colours and ctx.space.width != 3)):
            what = f"{ctx.path}: an encoded record is a {ctx.space.layout} of {ctx.space.width} channels, not a picture in three colours"
            raise PlanError(what, hint=f"--set {ctx.path}.colours=[] only mirrors pictures")
        words = {word for group in (*(o.sides if o.mirror else ()), *o.colours) for word in group}
        if changed := sorted(words & {str(label).lower() for label in ctx.classes}):
            what = f"{ctx.path}: a varied picture would be of another class, '{changed[0]}' is one"
            raise PlanError(what, hint=f"--set {ctx.path}.colours=[] or --set {ctx.path}.mirror=false")
        for leaf in plan.leaves():
            terms = (t.with_(loss=f"{ctx.path}:{VARIED}") if t.loss == "denoise" and t.condition != "null" else t for t in leaf.terms)
            plan = plan.replace(leaf.name, terms=tuple(terms))
        return plan

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """[b] losses of a variation of each row, drawn anew in every step, under its caption; TrainingError for rows without prompts."""
        (flips, orders), prompts = self._draws(ctx), ctx.prompts()
        if ctx.encode is None or len(prompts) < len(ctx.rows):
            raise TrainingError("strategy varied: what streamed rows ask for is not held", hint="run without data.hold")
        asked = [self._asked(*row) for row in zip(prompts, flips.tolist(), orders.tolist(), strict=True)]
        losses: Tensor = ctx.denoise(ctx.encode(asked), State(varied(ctx.x0.num, flips, orders), ctx.x0.cat, ctx.x0.mask))
        return losses

    def _asked(self, prompt: Prompt, flip: bool, order: int) -> Prompt:
        """The prompt that is true of a variation; properties say nothing of it, so they are left out where the words change."""
        text = None if prompt.text is None else said_of(prompt.text, self._words(flip, order))
        return prompt if text == prompt.text else replace(prompt, text=text, props={})

    def _draws(self, ctx: TermContext) -> tuple[Tensor, Tensor]:
        """[b] whether each row is mirrored, and the place in ORDERS of its channels' order."""
        u = ctx.cut(torch.rand, 2)
        flips = (u[:, 0] < 0.5) & self.options.mirror
        return flips, (u[:, 1] * (len(ORDERS) if self.options.colours else 1)).long()

    def _words(self, flip: bool, order: int) -> Mapping[str, str]:
        """What each word becomes."""
        pairs = self.options.sides if flip else ()
        out = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
        return out | {triple[ORDERS[order][i]]: triple[i] for triple in self.options.colours for i in range(3)}


def varied(pictures: Tensor, flips: Tensor, orders: Tensor) -> Tensor:
    """[b, c, h, w] pictures, mirrored where `flips` [b], channel i of each now channel ORDERS[order][i] of before; orders: [b]."""
    flips = flips.to(pictures.device)[:, None, None, None]
    out = torch.where(flips, pictures.flip(-1), pictures)
    if not bool(orders.any()):
        return out
    channels = torch.tensor(ORDERS)[orders].to(pictures.device)
    return out.gather(1, channels[:, :, None, None].expand_as(out))


def said_of(text: str, words: Mapping[str, str]) -> str:
    """The text with whole words replaced, all at once; words are in lower case and found in any."""
    if not words:
        return text
    found: Sequence[str] = sorted(words, key=len, reverse=True)
    return re.sub(rf"\b({'|'.join(map(re.escape, found))})\b", lambda m: words[m[0].lower()], text, flags=re.IGNORECASE)
