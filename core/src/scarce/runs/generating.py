"""What to generate, and generating it in shards that survive an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from scarce.contract.condition import Condition, Prompt
from scarce.contract.dataset import Dataset, concat, take
from scarce.contract.protocols import Codec
from scarce.contract.space import Known, State
from scarce.errors import DataError
from scarce.runs.assembly import Assembly
from scarce.runs.generator import TrainedGenerator
from scarce.runs.loading import labelled_rows, record_prompts
from scarce.runs.sections import Recipe
from scarce.runs.shards import keep_state, kept_state, spread
from scarce.runtime.seeds import derive


def asked_prompts(dataset: Dataset, recipe: Recipe, assembly: Assembly, codec: Codec) -> list[Prompt]:
    """What to generate: classes in the training proportions (or per class), or captions of labelled training records."""
    rows = dataset.rows("train")
    section = recipe.generate
    rng = np.random.default_rng(derive(recipe.seed, "prompts"))
    total = section.count or max(1, round(section.ratio * len(rows)))
    if dataset.classes and section.asking:
        counts = class_counts(train_counts(dataset), total, section.per_class)
        labels = [value for value, n in zip(dataset.classes, counts, strict=True) for _ in range(n)]
        texts = [text for value, n in zip(dataset.classes, counts, strict=True) for text in asked_texts(None, section.asking, [value] * n)]
        return [Prompt(label=labels[i], text=texts[i]) for i in rng.permutation(len(labels))]
    chosen = rng.permutation(np.resize(labelled_rows(dataset), total))
    return record_prompts(dataset, recipe, assembly, codec, chosen)


def asked_texts(prompt: str | Sequence[str] | None, templates: Sequence[str], labels: Sequence[Any]) -> list[str]:
    """One text per label: the prompts in turn, or the templates filled in, in turn, or nothing where there are none.

    Raises DataError for an empty prompt.
    """
    if prompt is None:
        return [templates[i % len(templates)].format(value) if templates else "" for i, value in enumerate(labels)]
    given = [prompt] if isinstance(prompt, str) else list(prompt)
    if not given or not all(text.strip() for text in given):
        raise DataError("a prompt is empty, so it asks for nothing", hint="leave --prompt out to draw without a text")
    return [given[i % len(given)] for i in range(len(labels))]


def shots(dataset: Dataset, recipe: Recipe, codec: Codec, prompts: Sequence[Prompt]) -> Callable[[slice], State] | None:
    """What generation begins at: for each prompt a labelled training record of its class; None where it begins at noise.

    Raises DataError for a class without such a record.
    """
    if recipe.generate.init == "noise":
        return None
    rows, codes, rng = labelled_rows(dataset), dataset.codes(), np.random.default_rng(derive(recipe.seed, "shots"))
    index = {value: code for code, value in enumerate(dataset.classes)}
    own = {code: rows[codes[rows] == code] for code in set(index.values())} | {-1: rows}
    asked = [index.get(p.label, -1) for p in prompts]
    if empty := [dataset.classes[code] for code in asked if not len(own[code])]:
        what = f"generate.init: no labelled training record of {dataset.target_name} = {empty[0]} to begin at"
        raise DataError(what, hint="--set generate.init=noise, or give that class a record")
    chosen = np.array([rng.choice(own[code]) for code in asked])
    return lambda part: codec.encode(take(dataset.records, chosen[part]))


def class_counts(shares: Sequence[int], total: int, per_class: int | None = None) -> list[int]:
    """Samples per class: `per_class` each, or `total` in the given proportions (largest remainders)."""
    if per_class is not None:
        return [per_class] * len(shares)
    exact = total * np.asarray(shares) / max(1, sum(shares))
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return [int(n) for n in counts]


def train_counts(dataset: Dataset) -> list[int]:
    """Labelled training rows of each class."""
    codes = dataset.codes()[dataset.rows("train")]
    return [int(n) for n in np.bincount(codes[codes >= 0], minlength=len(dataset.classes))]


def generate(
    generator: TrainedGenerator, prompts: Sequence[Prompt], *, seed: int, shards: Path | None = None, known: Known | None = None,
    length: int | None = None, init: Callable[[slice], State] | None = None, conditions: Condition | None = None,
) -> Any:  # fmt: skip
    """Finished records, one per prompt; with a folder for shards, finished ones are read back after an interruption.

    init: the clean samples that a slice of the prompts begins at. length: of every record (DataError where the generator has
    no room for it), else lengths follow the training records. conditions: [n], in the place of those of the prompts.
    """
    if shards is not None:
        spread(generator, shards, prompts, seed, known, length, init, conditions)
    made = drawn(generator, prompts, seed=seed, shards=shards, known=known, length=length, init=init, conditions=conditions)
    return concat([records for _, records in made])


class Asked(Sequence[Prompt]):
    """The prompts of many samples, made when they are looked at; texts as `asked_texts` gives them."""

    def __init__(self, labels: Sequence[Any], prompt: str | Sequence[str] | None, templates: Sequence[str]) -> None:
        self.labels, self.prompt, self.templates = labels, prompt, templates

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> Prompt: ...
    @overload
    def __getitem__(self, at: slice) -> list[Prompt]: ...
    def __getitem__(self, at: int | slice) -> Prompt | list[Prompt]:
        if isinstance(at, int):
            return self[at : at + 1][0]
        start, labels = at.indices(len(self))[0], self.labels[at]
        prompt = self.prompt if self.prompt is None or isinstance(self.prompt, str) else _turned(self.prompt, start)
        return [Prompt(label=v, text=t) for v, t in zip(labels, asked_texts(prompt, _turned(self.templates, start), labels), strict=True)]


def _turned(texts: Sequence[str], start: int) -> list[str]:
    """Texts that are asked in turn, those that come at place `start` first."""
    places = range(start, start + len(texts))
    return [texts[i % len(texts)] for i in places]


def drawn(
    generator: TrainedGenerator, prompts: Sequence[Prompt], *, seed: int, shards: Path | None = None, known: Known | None = None,
    length: int | None = None, init: Callable[[slice], State] | None = None, conditions: Condition | None = None,
) -> Iterator[tuple[int, Any]]:  # fmt: skip
    """The first row and the finished records of each shard in turn, so that no more than one need be held; see `generate`."""
    with generator.runtime.progress.track("generate", len(prompts)) as advance:
        for start in range(0, len(prompts), generator.options.shard):
            part = prompts[start : start + generator.options.shard]
            path = None if shards is None else shards / f"{start:08d}.safetensors"
            if path is not None and path.is_file():
                state = kept_state(path)
            else:
                rows = None if known is None else known[slice(start, start + len(part))]
                first = None if init is None else init(slice(start, start + len(part)))
                state = generator.shard(
                    part, seed=derive(seed, "shard", start), known=rows, length=length, init=first,
                    condition=None if conditions is None else conditions[slice(start, start + len(part))],
                )  # fmt: skip
            if path is not None and not path.is_file():
                keep_state(path, state)
            yield start, generator.finish(state, part, seed=derive(seed, "decode", start))
            advance(len(part))
