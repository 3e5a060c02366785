"""Strategy `varied`: shots are mirrored and take other colours in training, and what is said of them changes alike.

A few pictures tie what a word means to whatever else they happen to share: with four rings of which two are green, green pictures
get a hole. Copies with other colours and places under captions that stay true undo that, where a caption says so much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from scarce.contract import Plan, PlanContext, Prompt, State, StrategySpec, TermContext, hookimpl
from scarce.errors import PlanError, TrainingError
from scarce_datadream.changes import mirrored, recoloured, recolouring, rgb
from scarce_datadream.config import Varied as VariedOptions

VARIED = "varied"
Swap = tuple[str, str]


class Varied(StrategySpec):
    """E ||target - eps(x'_t, c', t)||^2 of a random variation x' of each shot and the caption c' that is true of it."""

    def __init__(self, options: VariedOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """Denoising terms that give conditions see variations; PlanError where nothing can, or a class would change."""
        o, plan = self.options, ctx.plan
        if ctx.space is not None and (ctx.space.layout != "image" or (o.colours and ctx.space.width != 3)):
            what = f"{ctx.path}: an encoded record is a {ctx.space.layout} of {ctx.space.width} channels, not a picture in three colours"
            raise PlanError(what, hint=f"--set '{ctx.path}.colours={{}}' only mirrors pictures")
        words = {word for group in (*(o.sides if o.mirror else ()), o.colours) for word in group}
        if changed := [(label, said[0]) for label in ctx.classes if (said := named_in(str(label).replace("_", " "), words))]:
            what = f"{ctx.path}: a varied picture would be of another class, '{changed[0][0]}' says '{changed[0][1]}'"
            raise PlanError(what, hint=f"--set '{ctx.path}.colours={{}}' or --set {ctx.path}.mirror=false")
        for leaf in plan.leaves():
            mine = [t for t in leaf.terms if t.loss == "denoise" and t.condition != "null"]
            if not mine:
                what = f"{ctx.path}: phase '{leaf.name}' has no term under conditions whose loss is not another strategy's already"
                raise PlanError(what, hint="name one of them alone, or this one last")
            plan = plan.replace(leaf.name, terms=tuple(t.with_(loss=f"{ctx.path}:{VARIED}") if t in mine else t for t in leaf.terms))
        return plan

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """[b] losses of a variation of each row, drawn anew in every step, under its caption; TrainingError for rows without prompts."""
        prompts, (flips, hues) = ctx.prompts(), ctx.cut(torch.rand, 2).unbind(1)
        if ctx.encode is None or len(prompts) < len(ctx.rows):
            raise TrainingError("strategy varied: what streamed rows ask for is not held", hint="run without data.hold")
        turned = (flips < 0.5) & self.options.mirror
        colours = [swap(prompt, self.options.colours, u) for prompt, u in zip(prompts, hues.tolist(), strict=True)]
        asked = [self._asked(*row) for row in zip(prompts, turned.tolist(), colours, strict=True)]
        x = mirrored(ctx.x0.num, turned)
        if any(colours):
            x = recoloured(x, torch.stack([self._recolouring(change) for change in colours]))
        losses: Tensor = ctx.denoise(ctx.encode(asked), State(x, ctx.x0.cat, ctx.x0.mask))
        return losses

    def _recolouring(self, change: Swap | None) -> Tensor:
        if change is None:
            return torch.eye(3, dtype=torch.float64)
        source, target = (rgb(self.options.colours[word]) for word in change)
        return recolouring(source, target)

    def _asked(self, prompt: Prompt, flip: bool, change: Swap | None) -> Prompt:
        """The prompt that is true of a variation; properties say nothing of it, so they are left out where the words change."""
        pairs = self.options.sides if flip else ()
        words = {a: b for pair in pairs for a, b in (pair, pair[::-1])} | dict([change] if change else [])
        text = None if prompt.text is None else said_of(prompt.text, words)
        return prompt if text == prompt.text else replace(prompt, text=text, props={})


def swap(prompt: Prompt, words: Iterable[str], u: float) -> Swap | None:
    """The one of the words that a caption has, and that which replaces it by u in [0, 1); None for none or several, or where it stays."""
    known = list(words)
    named = list(dict.fromkeys(named_in(prompt.text or "", known)))
    other = known[int(u * len(known))] if len(named) == 1 else None
    return None if other is None or other == named[0] else (named[0], other)


def named_in(text: str, words: Iterable[str]) -> list[str]:
    """Which of the words a text has, in order and in lower case; of words within words the longest."""
    return [found[0].lower() for found in _pattern(words).finditer(text)]


def said_of(text: str, words: Mapping[str, str]) -> str:
    """The text with whole words replaced, all at once; words are in lower case and found in any."""
    return _pattern(words).sub(lambda found: words[found[0].lower()], text) if words else text


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first)) or '(?!)'})\b", re.IGNORECASE)
