"""`scarce explain`: who supplies what in a recipe, and why others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scarce.cli.common import parser, show, table

if TYPE_CHECKING:
    from scarce.tools.explain import Explanation


def main(argv: list[str]) -> int:
    """Run `explain RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--json]`; 1 when the recipe would be refused."""
    text = "Who supplies what in a recipe, in the order of calling, and why other installed components have no part in it."
    asked = parser("explain", text, "recipe", "--data", "--set", "--preset", "--json").parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.runs.parents import settled
    from scarce.runs.recipe import data_overrides, find_recipe, parse_set, resolve
    from scarce.tools.explain import explain_recipe

    catalogue = read_catalogue()
    name, raw = find_recipe(asked.recipe, catalogue)
    overrides = [*data_overrides(asked.data), *(parse_set(text) for text in asked.set)]
    found = explain_recipe(settled(resolve(raw, preset=asked.preset, overrides=overrides), catalogue), catalogue)
    show({"recipe": name, **found.to_json()}, _text(found), as_json=asked.json)
    return int(bool(found.refused))


def _text(found: Explanation) -> str:
    cells = [(p.stage, p.path, f"{p.role} '{p.name}'", f"{p.distribution} {p.version}".strip(), p.why) for p in found.parts]
    lines = [table(("stage", "path", "part", "distribution", "why"), cells)]
    needs = [(s.capability, ", ".join(s.needed_by), ", ".join(s.supplied_by) or "nobody") for s in found.supplies]
    lines += ["", table(("capability", "needed by", "supplied by"), needs)] if needs else []
    unfit = [(f"{o.role} '{o.name}'", f"{o.distribution} {o.version}", o.why) for o in found.others if not o.fits]
    lines += ["", table(("can not take part", "distribution", "why"), unfit)] if unfit else []
    fit: dict[str, list[str]] = {}
    for other in found.others:
        if other.fits:
            fit.setdefault(other.role, []).append(other.name)
    lines += ["", table(("could, not named", "names"), [(role, ", ".join(names)) for role, names in fit.items()])] if fit else []
    if found.refused:
        lines += ["", f"refused: {found.refused}", *([f"  try: {found.hint}"] if found.hint else [])]
    return "\n".join(lines)
