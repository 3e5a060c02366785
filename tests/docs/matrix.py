"""docs/compatibility.md from the manifests: `python tests/docs/matrix.py` writes it, `--check` only compares.

The verdicts are those of the check that every recipe passes before anything is imported; tests/contract/test_pairs.py runs
each pair that works and forces each that is refused.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
sys.path.insert(0, str(ROOT / "tests" / "contract"))

from tiny import ALONE, BEFORE, ELSEWHERE, KINDS, MIXES, Pair, Verdict, named, tree, verdict  # noqa: E402

HEAD = """# What goes with what

Every modality with every strategy, acquisition and learner of the distributions here, as the check of a recipe sees them before anything
is imported. The page is written from the manifests by `make matrix`. Tests run every pair that works, at its smallest: a few steps of
training, a few samples, one evaluation. Every pair that is refused is run all the same, past the check, and has to fail.

`scarce explain RECIPE` says the same of one recipe and of everything that is installed; [capabilities](plugins.md#capabilities) says what
the names mean.
"""
TITLES = {
    "strategy": "A strategy changes how weights are trained, so it needs something that is generated.",
    "acquisition": "`ascend` moves embeddings uphill and needs gradients all the way; what can do that can also `select` among samples.",
    "learner": "A learner reads records, or the features that a modality's codec makes of them.",
}


def cell(pair: Pair, found: Verdict) -> str:
    """One verdict in words."""
    if found.works:
        only = ALONE.get((pair.modality, pair.name))
        return " ".join(filter(None, ("works", found.how and f"(`{found.how}`)", only and f"({only})")))
    need = re.search(r"needs ([\w.]+:[\w-]+)", found.why)
    return f"refused: needs `{need[1]}`" if need else "refused: its records are never generated"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def page() -> str:
    """The whole page."""
    catalogue = tree()
    modalities = [row.name for row in named(catalogue, "modality")]
    parts = [HEAD.strip()]
    for kind in KINDS:
        rows = []
        for row in named(catalogue, kind):
            if row.name in ELSEWHERE:
                continue
            before = f" after `{BEFORE[row.name][0]}`" if kind == "strategy" and row.name in BEFORE else ""
            pairs = (Pair(modality, kind, row.name) for modality in modalities)
            rows.append([f"`{row.name}`{before}", row.distribution, *(cell(pair, verdict(pair, catalogue)) for pair in pairs)])
        parts += [f"## Modality and {kind}", TITLES[kind], table([kind, "distribution", *(f"`{m}`" for m in modalities)], rows)]
        parts += [f"`{row.name}` {ELSEWHERE[row.name]}." for row in named(catalogue, kind) if row.name in ELSEWHERE]
    mixes = [[name, what, number] for name, (what, number) in MIXES.items()]
    parts += ["## Mixes", "Parts of several distributions in one run, end to end, each to a number that a test holds against a bound.",
              table(["mix", "what runs", "number"], mixes)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Rewrite, or with --check say that the page is stale."""
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{PAGE.relative_to(ROOT)} is stale: make matrix")


if __name__ == "__main__":
    main()
