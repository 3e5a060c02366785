"""Strategy `varied`: shots are mirrored and take other colours in training, and what is said of them changes alike.

A few pictures tie what a word means to whatever else they happen to share: with four rings of which two are green, green pictures
get a hole. Copies with other colours and places under captions that stay true undo that, where a caption says so much.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from scarce.contract import Plan, PlanContext, Prompt, State, StrategySpec, TermContext, hookimpl
from scarce.errors import PlanError, TrainingError
from scarce_datadream.config import Varied as VariedOptions

VARIED = "varied"
Swap = tuple[str, str]


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
            raise PlanError(what, hint=f"--set '{ctx.path}.colours={{}}' only mirrors pictures")
        words = {word for group in (*(o.sides if o.mirror else ()), o.colours) for word in group}
        if changed := sorted(words & {str(label).lower() for label in ctx.classes}):
            what = f"{ctx.path}: a varied picture would be of another class, '{changed[0]}' is one"
            raise PlanError(what, hint=f"--set '{ctx.path}.colours={{}}' or --set {ctx.path}.mirror=false")
        for leaf in plan.leaves():
            terms = (t.with_(loss=f"{ctx.path}:{VARIED}") if t.loss == "denoise" and t.condition != "null" else t for t in leaf.terms)
            plan = plan.replace(leaf.name, terms=tuple(terms))
        return plan

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """[b] losses of a variation of each row, drawn anew in every step, under its caption; TrainingError for rows without prompts."""
        prompts, (flips, drawn) = ctx.prompts(), ctx.cut(torch.rand, 2).unbind(1)
        if ctx.encode is None or len(prompts) < len(ctx.rows):
            raise TrainingError("strategy varied: what streamed rows ask for is not held", hint="run without data.hold")
        turned = (flips < 0.5) & self.options.mirror
        swaps = [self._swap(prompt, u) for prompt, u in zip(prompts, drawn.tolist(), strict=True)]
        asked = [self._asked(*row) for row in zip(prompts, turned.tolist(), swaps, strict=True)]
        x = mirrored(ctx.x0.num, turned)
        if any(swaps):
            x = recoloured(x, torch.stack([self._recolouring(swap) for swap in swaps]))
        losses: Tensor = ctx.denoise(ctx.encode(asked), State(x, ctx.x0.cat, ctx.x0.mask))
        return losses

    def _swap(self, prompt: Prompt, u: float) -> Swap | None:
        """The colour word of a caption and the one that replaces it; None where it has none or several, or keeps its own."""
        words = list(self.options.colours)
        named = [word for word in words if re.search(rf"\b{re.escape(word)}\b", prompt.text or "", re.IGNORECASE)]
        other = words[int(u * len(words))] if len(named) == 1 else None
        return None if other is None or other == named[0] else (named[0], other)

    def _recolouring(self, swap: Swap | None) -> Tensor:
        if swap is None:
            return torch.eye(3, dtype=torch.float64)
        source, target = (rgb(self.options.colours[word]) for word in swap)
        return recolouring(source, target)

    def _asked(self, prompt: Prompt, flip: bool, swap: Swap | None) -> Prompt:
        """The prompt that is true of a variation; properties say nothing of it, so they are left out where the words change."""
        pairs = self.options.sides if flip else ()
        words = {a: b for pair in pairs for a, b in (pair, pair[::-1])} | ({} if swap is None else {swap[0]: swap[1]})
        text = None if prompt.text is None else said_of(prompt.text, words)
        return prompt if text == prompt.text else replace(prompt, text=text, props={})


def rgb(code: str) -> Tensor:
    """[3] in 0-1 of a colour like "#2699e6"."""
    return torch.tensor([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=torch.float64)


def recolouring(source: Tensor, target: Tensor) -> Tensor:
    """[3, 3] M with M grey = grey and M source = target, colours [3] that are no greys.

    So what is drawn on a grey ground in one colour, its thin and soft edges too, looks as if drawn in the other. M turns and scales what is
    at right angles to both as much as the colour itself.
    """
    grey = torch.ones(3, dtype=torch.float64)
    before, after = (torch.stack([grey, colour, torch.linalg.cross(grey, colour)], 1) for colour in (source, target))
    out: Tensor = after @ torch.linalg.inv(before)
    return out


def recoloured(pictures: Tensor, maps: Tensor) -> Tensor:
    """[b, 3, h, w] in [-1, 1] through a map of colours each; maps [b, 3, 3] keep greys, so they act on -1 to 1 as on 0 to 1."""
    out: Tensor = torch.einsum("bij,bjhw->bihw", maps.to(pictures), pictures).clamp(-1, 1)
    return out


def mirrored(pictures: Tensor, turned: Tensor) -> Tensor:
    """[b, c, h, w] pictures, mirrored where `turned` [b]."""
    return torch.where(turned.to(pictures.device)[:, None, None, None], pictures.flip(-1), pictures)


def said_of(text: str, words: Mapping[str, str]) -> str:
    """The text with whole words replaced, all at once; words are in lower case and found in any."""
    if not words:
        return text
    found: Sequence[str] = sorted(words, key=len, reverse=True)
    return re.sub(rf"\b({'|'.join(map(re.escape, found))})\b", lambda m: words[m[0].lower()], text, flags=re.IGNORECASE)
