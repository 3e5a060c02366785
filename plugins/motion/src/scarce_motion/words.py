"""Motions in words: phrases of actions, put together in the order in which they happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from scarce.contract import Caption, CaptionContext
from scarce.errors import RecipeError
from scarce_motion.npzfile import THEN, split_actions
from scarce_motion.parts import place

STYLES = ("actions", "plain", "user")
PEOPLE, HANDS = ("a person", "someone", "a figure"), ("a hand", "the hand", "someone's hand")

PHRASES: dict[str, tuple[str, ...]] = {
    "walk": ("walks", "walks forward", "strolls ahead"),
    "turn left": ("turns left", "walks in a curve to the left", "turns to the left"),
    "turn right": ("turns right", "walks in a curve to the right", "turns to the right"),
    "run": ("runs", "runs forward", "sprints ahead"),
    "jump": ("jumps", "jumps up", "leaps into the air"),
    "kick": ("kicks", "gives a kick", "kicks with one leg"),
    "punch": ("punches", "throws a punch", "boxes"),
    "dance": ("dances", "does a dance", "moves to music"),
    "cartwheel": ("does a cartwheel", "turns a cartwheel", "cartwheels"),
    "backflip": ("does a backflip", "flips over backwards", "performs a backflip"),
    "get up": ("gets up", "stands up from the floor", "rises from the ground"),
    "crawl": ("crawls", "crawls along the floor", "crawls on hands and knees"),
    "roll": ("rolls", "rolls over the floor", "does a forward roll"),
    "spin": ("spins", "spins around", "whirls around"),
    "spin kick": ("does a spin kick", "kicks while spinning", "performs a spinning kick"),
}
"""Action -> phrases for it, the plain one first; written by hand for the built-in clips. Others are "performs ACTION"."""

PAIRS: tuple[Callable[[str, str], str], ...] = (
    lambda a, b: f"{a}, then {b}",
    lambda a, b: f"{a} and then {b}",
    lambda a, b: f"first {a}, then {b}",
    lambda a, b: f"{a} and after that {b}",
)


def captions(ctx: CaptionContext) -> list[Caption]:
    """One caption per motion in a style; RecipeError for a style there is none of.

    "actions": a phrase for each action, subject, phrases and sentence chosen by seed and id; "plain": always the first of each;
    "user": the text a person gave, empty where there is none. `props` has "PLACE ACTION" = 1 for each action ("1 run", "2 jump").
    """
    if ctx.style not in STYLES:
        what = f"generate.prompt: motions have the caption styles {', '.join(STYLES)}, not '{ctx.style}'"
        raise RecipeError(what, hint="--set generate.prompt=actions")
    frame: pd.DataFrame = ctx.records
    ids = list(ctx.ids) or [str(i) for i in range(len(frame))]
    given = frame["caption"].tolist() if "caption" in frame.columns else [None] * len(frame)
    people = [len(cell[0]) > 3 for cell in frame["motion"]]
    out = []
    for key, actions, text, person in zip(ids, actions_of(frame), given, people, strict=True):
        props = {f"{i + 1} {action}": 1.0 for i, action in enumerate(actions)}
        said = (text if isinstance(text, str) else "") if ctx.style == "user" else sentence(actions, ctx.style, person, ctx.seed, key)
        out.append(Caption(text=said, props=props))
    return out


def actions_of(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """[n] what is done in each record, in order; nothing where that is not known."""
    cells: list[Any] = frame["actions"].tolist() if "actions" in frame.columns else [None] * len(frame)
    return [split_actions(cell) for cell in cells]


def sentence(actions: Sequence[str], style: str, person: bool, seed: int, key: str) -> str:
    """ "a person runs, then jumps": subject, and a phrase for each action."""

    def pick(options: Sequence[Any], what: str) -> Any:
        return options[0 if style == "plain" else int(place(seed, f"{key}/{what}") * len(options))]

    subject = pick(PEOPLE if person else HANDS, "subject")
    said = [pick(phrases(a, person), f"phrase {i}") for i, a in enumerate(actions)] or ["moves"]
    together = said[0]
    for i, phrase in enumerate(said[1:]):
        together = pick(PAIRS[: 2 if i else len(PAIRS)], f"pair {i}")(together, phrase)
    return f"{subject} {together}"


def phrases(action: str, person: bool) -> tuple[str, ...]:
    """Phrases for an action."""
    if action in PHRASES and person:
        return PHRASES[action]
    if not person:
        article = "an" if action[:1].lower() in "aeiou" else "a"
        return (f"makes {article} {action}", f"draws {article} {action}", f"moves in {article} {action}")
    return (f"performs {action}",)


def asked_name(actions: Sequence[str]) -> str:
    """ "run > jump"."""
    return THEN.join(actions)
