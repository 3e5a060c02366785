"""Quality of the packaged generator of emoji: do pictures of names it has never seen show what was asked?

Needs the pictures: `npm install emoji-datasource-google emoji-datasource-twitter`, `python -m scarce_tiny_t2i.prepare node_modules -o FILE`
and SCARCE_EMOJI=FILE. Concepts are those of the validation and test splits, whose pictures in both styles were held out.

Retrieval: a picture drawn as "NAME, noto" ranks the real twemoji pictures of 64 held-out concepts by cosine of centred features.
Classes: a linear classifier on features of real training pictures of the 8 largest subcategories, on held-out real and on generated ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.catalogue import read_catalogue
from scarce.contract import Dataset, Prompt
from scarce.errors import DataError
from scarce.runs.assembly import assemble
from scarce.runs.generating import generate
from scarce.runs.loading import load_data
from scarce.runs.opening import open_generator
from scarce.runs.parents import parent_folder
from scarce_images.codec import make_codec
from scarce_images.encoder import LITE, Space

CONCEPTS, TOP, BEST, CLASSES, DRAWS, SHARE = 64, 5, 3.0, 8, 3, 0.7
GUIDANCE = (1.5, 3.0, 5.0)


def run() -> list[dict[str, Any]]:
    """Rows {name, guidance, value, bound, ok, note}."""
    source = os.environ.get("SCARCE_EMOJI", "emoji.jsonl")
    if not Path(source).is_file():
        raise DataError(f"no table of emoji at '{source}'", hint="python -m scarce_tiny_t2i.prepare node_modules -o emoji.jsonl")
    catalogue = read_catalogue()
    generator, _, recipe = open_generator(parent_folder("generator:tiny-t2i", catalogue), catalogue)
    given = recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": source})})
    dataset = load_data(given, assemble(given, catalogue, name="quality"), catalogue)
    space = Space(LITE, 96, make_codec(dataset), generator.runtime)
    rows = []
    for guidance in GUIDANCE:
        generator.options = generator.options.model_copy(update={"guidance": guidance, "steps": 25})

        def draw(names: list[str], seed: int = 0) -> npt.NDArray[np.float64]:
            return space.vectors(generate(generator, [Prompt(text=name) for name in names], seed=seed))

        rows += [{"guidance": guidance, **row} for row in (retrieval(dataset, space, draw), classes(dataset, space, draw))]
    return rows


def named(dataset: Dataset, splits: tuple[Any, ...], style: str) -> dict[str, int]:
    """Caption -> row of the pictures in one style that are named, not described by their class."""
    rows = dataset.rows(*splits)
    frame = dataset.records.iloc[rows]
    plain = [caption != f"{kind.replace('-', ' ')}, {style}" for caption, kind in zip(frame["caption"], frame["class"], strict=True)]
    chosen = (frame["style"] == style).to_numpy() & np.array(plain)
    return {str(caption): int(row) for caption, row in zip(frame["caption"][chosen], rows[chosen], strict=True)}


def centred(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[n, d] less its mean, each of length 1."""
    x = x - x.mean(0)
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def retrieval(dataset: Dataset, space: Space, draw: Any) -> dict[str, Any]:
    """Share of held-out concepts whose drawing in one style finds its real picture in the other among the first five."""
    noto, twemoji = (named(dataset, ("validation", "test"), style) for style in ("noto", "twemoji"))
    names = [name for name in noto if name.replace(", noto", ", twemoji") in twemoji]
    order = np.random.default_rng(0).permutation(len(names))[:CONCEPTS]
    chosen = [names[i] for i in order]
    real = centred(space.vectors(dataset.records.iloc[[twemoji[n.replace(", noto", ", twemoji")] for n in chosen]].reset_index(drop=True)))
    other = centred(space.vectors(dataset.records.iloc[[noto[n] for n in chosen]].reset_index(drop=True)))

    def found(x: npt.NDArray[np.float64]) -> float:
        likeness = x @ real.T
        return float(np.mean((likeness > np.diag(likeness)[:, None]).sum(1) < TOP))

    value, bound = found(centred(draw(chosen))), BEST * TOP / len(chosen)
    note = f"{len(chosen)} held-out concepts; chance {TOP / len(chosen):.3f}; the real noto picture {found(other):.3f}"
    return {"name": f"top {TOP} of {len(chosen)}", "value": value, "bound": bound, "ok": value >= bound, "note": note}


def classes(dataset: Dataset, space: Space, draw: Any) -> dict[str, Any]:
    """Accuracy on generated pictures of held-out names over that on their real pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    kinds, counts = np.unique(np.asarray(dataset.records["class"])[dataset.rows("train")], return_counts=True)
    largest = [k for k in kinds[np.argsort(-counts)] if not k.startswith(("person", "face"))][:CLASSES]
    held = {n: r for s in ("noto", "twemoji") for n, r in named(dataset, ("validation", "test"), s).items()}
    held = {n: r for n, r in held.items() if dataset.records["class"].iloc[r] in largest}
    train = [r for s in ("noto", "twemoji") for r in named(dataset, ("train",), s).values() if dataset.records["class"].iloc[r] in largest]
    scale = StandardScaler().fit(x := space.vectors(dataset.records.iloc[train].reset_index(drop=True)))
    judge = LogisticRegression(C=0.01, max_iter=500).fit(scale.transform(x), dataset.records["class"].iloc[train])
    truth = dataset.records["class"].iloc[list(held.values())].to_numpy()
    real = float(np.mean(judge.predict(scale.transform(space.vectors(dataset.records.iloc[list(held.values())]))) == truth))
    made = float(np.mean([judge.predict(scale.transform(draw(list(held), seed))) == truth for seed in range(DRAWS)]))
    note = f"{made:.3f} over {real:.3f} on {len(held)} held-out pictures of {', '.join(largest)}; {DRAWS} drawings each"
    return {"name": "generated over real accuracy", "value": made / real, "bound": SHARE, "ok": made / real >= SHARE, "note": note}
