"""The generated parts of the documentation: `python tests/docs/pages.py` rewrites them, `--check` only compares.

A part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. In tables of options, key, type and default come from
the code; the meaning is written in the page and kept, unless the code gives a description.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import sys
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from known import FILE as KNOWN
from known import known_index
from plots import text2data_svg
from pydantic import BaseModel

from scarce.catalogue import GLOSSARY, ROLES, Row, read_catalogue
from scarce.contract import contexts, plan, specs
from scarce.contract.options import Named
from scarce.runs.sections import Arm, Factor, Recipe

ROOT = Path(__file__).parents[2]
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
Meanings = dict[str, str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def type_name(annotation: Any, limits: str = "") -> str:
    """How a type reads in a table: `"a"`, `"b"`; int ≥ 1; list of text."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in args)
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(a) for a in args if a is not type(None)) + limits
    if origin is Annotated:
        return type_name(args[0], limits or limits_of(args[1]))
    if origin is tuple:
        return f"list of {type_name(args[0])}"
    if origin in (dict, Mapping):
        return "table" if args[1:] != (str,) else "table of text"
    known = {str: "text", int: "whole number", float: "number", bool: "true or false", Named: "table with `name`", Arm: "table with `name`"}
    known |= {Factor: "table with `name` and `level`"}
    return known.get(annotation, getattr(annotation, "__name__", str(annotation))) + limits


def limits_of(info: Any) -> str:
    """The bounds of a field, such as " ≥ 1, < 2"."""
    found = []
    for mark in getattr(info, "metadata", ()):  # `Part` is a mark without limits
        for key, sign in SIGNS.items():
            value = getattr(mark, key, None)
            if value is not None:
                found.append(f"{sign} {value}")
    return " " + ", ".join(found) if found else ""


def default_of(info: Any) -> str:
    """The default as TOML would write it."""
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def option_rows(model: type[BaseModel], prefix: str, meanings: Meanings) -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and meaning of each field that is no table of its own."""
    for name, info in model.model_fields.items():
        key = f"`{prefix}{info.alias or name}`"
        if section_of(info.annotation) is None:
            said = info.description or meanings.get(key, "")
            yield key, type_name(info.annotation, limits_of(info)), default_of(info), said


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The table of its own that a key of a recipe is, optional or not; a named component is a table of its plugin's."""
    kinds = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
    return kinds[0] if kinds and kinds[0] is not Named and get_origin(annotation) is not tuple else None


def meanings_in(text: str) -> Meanings:
    """Key -> last cell of the tables in a text."""
    rows = (re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in text.splitlines() if line.startswith("|"))
    return {cells[0].strip(): cells[-1].strip().replace("\\|", "|") for cells in rows}


OPTION_HEAD = ("key", "type", "default", "meaning")


def recipe_part(old: str) -> str:
    """Every key of a recipe, one table per section."""
    meanings = meanings_in(old)
    parts = [table(OPTION_HEAD, option_rows(Recipe, "", meanings))]
    for name, info in Recipe.model_fields.items():
        if (section := section_of(info.annotation)) is not None:
            parts += [f"### `[{name}]`", table(OPTION_HEAD, option_rows(section, f"{name}.", meanings))]
    return "\n\n".join(parts)


def rows_of(distribution: str) -> list[Row]:
    """Catalogue rows of a distribution, in the order of roles."""
    found = [r for r in read_catalogue(only={distribution}, block=set()).rows if r.distribution == distribution]
    return sorted(found, key=lambda r: [*ROLES].index(r.role))


def listed(names: Iterable[str]) -> str:
    """Names in code style."""
    return ", ".join(f"`{name}`" for name in names)


def components_part(distribution: str) -> Callable[[str], str]:
    """What a distribution offers, then the options of each component."""

    def part(old: str) -> str:
        rows = [r for r in rows_of(distribution) if r.summary]
        cells = [(r.role, f"`{r.name}`", r.summary, listed(r.provides), listed(r.requires)) for r in rows]
        out = [table(("role", "name", "what it is", "provides", "needs"), cells)]
        for role in ("dataset", "recipe"):
            names = [r.name for r in rows_of(distribution) if r.role == role]
            out += [f"{role.capitalize()}s: {listed(names)}."] if names else []
        for row in rows:
            if row.config:
                module, _, name = row.config.partition(":")
                heading = f"### Options of {row.role} `{row.name}`"
                shown = list(option_rows(getattr(importlib.import_module(module), name), "", meanings_under(old, heading)))
                out += [heading, table(OPTION_HEAD, shown) if shown else "None."]
        return "\n\n".join(out)

    return part


def meanings_under(text: str, heading: str) -> Meanings:
    """Meanings in the tables under one heading."""
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^###? |\Z)", text, re.MULTILINE | re.DOTALL)
    return meanings_in(found[1]) if found else {}


def distributions_part(old: str) -> str:
    """Every distribution of this tree with its components."""
    cells = []
    for file in [ROOT / "core" / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]:
        name = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"]
        folder = file.parent.relative_to(ROOT)
        by_role: dict[str, list[str]] = {}
        for row in rows_of(name):
            by_role.setdefault(row.role, []).append(f"`{row.name}`")
        for i, (role, names) in enumerate(by_role.items()):
            cells.append((f"[`{name}`]({folder}/README.md)" if i == 0 else "", role, ", ".join(names)))
    return table(("distribution", "role", "offers"), cells)


def roles_part(old: str) -> str:
    """The table of roles."""
    cells = [
        (f"`{r.name}`", f"`{r.group}`", "several" if r.many else "one", listed(r.hooks) or "none")
        for r in ROLES.values()
    ]  # fmt: skip
    return table(("role", "entry-point group", "in a recipe", "hooks"), cells)


def glossary_part(old: str) -> str:
    """The glossary of capabilities."""
    return table(("capability", "meaning"), [(f"`{name}`", meaning) for name, meaning in GLOSSARY.items()])


def annotation(text: Any) -> str:
    """An annotation as written, without the module alias of the specs."""
    return re.sub(r"\bc\.", "", text if isinstance(text, str) else getattr(text, "__name__", str(text)))


def hooks_part(old: str) -> str:
    """Every hook with its exact signature, then the fields of every context and of the plan."""
    out = []
    for role in ROLES.values():
        if not role.spec:
            continue
        spec = getattr(specs, role.spec.partition(":")[2])
        out += [f"## {role.name}: `{spec.__name__}`", inspect.getdoc(spec) or ""]
        for hook in role.hooks:
            method = getattr(spec, hook)
            context = inspect.signature(method).parameters["ctx"].annotation
            returns = annotation(inspect.signature(method).return_annotation)
            out += [f"```text\n{hook}(self, ctx: {annotation(context)}) -> {returns}\n```", inspect.getdoc(method) or ""]
    out.append("## Contexts and what they hold")
    named = {get_type_hints(getattr(specs, r.spec.partition(":")[2]).__dict__[h])["ctx"] for r in ROLES.values() if r.spec for h in r.hooks}
    made = [contexts.UpdateResult, plan.Plan, plan.Phase, plan.Term, plan.Adapter, plan.Measure, plan.Budget]
    for kind in [*(k for k in vars(contexts).values() if isinstance(k, type) and k in named), *made]:
        lines = [f"{f.name}: {annotation(f.type)}{_default(f)}" for f in dataclasses.fields(kind)]
        out += [f"### {kind.__name__}", inspect.getdoc(kind) or "", "```text\n" + "\n".join(lines) + "\n```"]
    return "\n\n".join(out)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f" = {getattr(field.default_factory, '__name__', '…')}()"
    if field.default is dataclasses.MISSING:
        return ""
    return f" = {field.default!r}" if isinstance(field.default, str | int | float | bool | None) else " = …"


def measured(group: str) -> list[dict[str, Any]]:
    """The kept rows of a benchmark; none before it was run."""
    path = ROOT / "tests" / "benchmarks" / "results" / f"{group}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []


def spread(value: float, low: float | None, high: float | None) -> str:
    """A difference with its interval."""
    return "" if low is None or high is None else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def number(value: float | None, unit: str = "") -> str:
    """A whole number, or a dash where nothing was counted."""
    return f"{value:.0f}{unit}" if value is not None and value == value else "–"


def tldr_part(old: str) -> str:
    """BERT and MLP on three tables, as `make bench ONLY=tldr` kept them."""
    arms = {
        "bert": "BERT",
        "bert-3": "BERT, 3 rows per row",
        "mlp": "MLP",
        "mlp-slow": "MLP, BERT's steps",
        "mlp-long": "MLP, as many CPU seconds",
    }
    cells = [
        (r["table"], arms[r["arm"]], f"{r['score']:.3f} ± {r['sd']:.3f}", f"{r['real']:.3f}", f"{100 * r['of real']:.0f} %",
         "" if r["arm"] == "bert" else f"{spread(r['minus bert'], r['low'], r['high'])}: {r['verdict']}",
         f"{r['corr']:.3f} / {r['corr floor']:.3f}", f"{r['share']:.3f}", f"{r['attack']:.3f}", f"{r['c2st']:.2f}",
         f"{r['rate']:g}", number(r["trainable"] / 1000, " k"), f"{number(r['train cpu s'])} + {r['sample cpu s']:.0f}")
        for r in measured("tldr")
    ]  # fmt: skip
    head = ("table", "network", "synthetic", "real only", "of real", "minus BERT, 95 % interval", "correlation distance / floor")
    return table((*head, "hold-out share", "attack AUC", "C2ST", "rate", "trainable", "CPU s"), cells)


def suite_part(group: str) -> Callable[[str], str]:
    """Rank or network on one table, as `make bench ONLY=suite` and `ONLY=weights` kept them."""
    return lambda old: _points(measured(group))


def _points(rows: list[dict[str, Any]]) -> str:
    cells = [
        (r["point"], f"{r['score']:.3f} [{r['low']:.3f}, {r['high']:.3f}]", f"{r['corr']:.3f}", f"{r['share']:.3f}",
         f"{r['trainable'] / 1000:.1f} k", f"{r['score per 10k']:.4f} [{r['per 10k low']:.4f}, {r['per 10k high']:.4f}]",
         f"{r['train cpu s']:.1f}")
        for r in rows
    ]  # fmt: skip
    head = ("point", "macro-F1, 95 % interval", "correlation distance", "hold-out share", "trainable", "score per 10,000 parameters")
    return table((*head, "training CPU s"), cells)


def priors_part(old: str) -> str:
    """Full against standard prior, as `make bench ONLY=priors` kept it."""
    cells = [
        (r["table"], str(r["steps"]), f"{r['standard']:.4f}", f"{r['full, half the steps']:.4f}",
         f"{r['difference']:+.4f} [{r['low']:+.4f}, {r['high']:+.4f}]: {r['verdict']}", f"{r['per class, half']:.4f}", f"{r['floor']:.4f}")
        for r in measured("priors")
    ]  # fmt: skip
    head = ("table", "steps", "standard, all steps", "full, half of them", "full minus standard, 95 % interval", "per class, half of them")
    return table((*head, "floor"), cells)


def text2data_part(old: str) -> str:
    """The barrier and the other arms, as `make bench ONLY=text2data` kept them."""

    def cell(row: dict[str, Any], name: str) -> str:
        if f"{name} low" not in row:
            return f"{row[name]:.3f}" if name in row else ""
        verdict = "" if row["arm"] == "barrier" else f": {row[f'{name} verdict']}"
        return f"{row[name]:.3f} [{row[f'{name} low']:.3f}, {row[f'{name} high']:.3f}]{verdict}"

    names = ("forgetting", "error", "correlation", "moved")
    rows = measured("text2data")
    cells = [(r["data"], r["arm"], *(cell(r, n) for n in names), f"{r['cpu s']:.0f}" if "cpu s" in r else "") for r in rows]
    head = ("data", "arm", "loss without condition / stage 1", "error asked to measured", "correlation", "weights moved")
    return table((*head, "CPU s of stage 2"), cells)


def text2data_sweep_part(old: str) -> str:
    """rho, alpha and beta, as `make bench ONLY=text2data-sweep` kept them."""

    def cell(row: dict[str, Any], name: str) -> str:
        verdict = f": {row[f'{name} verdict']}" if row[f"{name} verdict"] else ""
        return f"{row[name]:.3f} [{row[f'{name} low']:.3f}, {row[f'{name} high']:.3f}]{verdict}"

    rows = measured("text2data-sweep")
    names = ("rho", "alpha", "beta")
    cells = [(*(r[n] for n in names), cell(r, "forgetting"), cell(r, "error"), "yes" if r["front"] else "") for r in rows]
    return table((*names, "loss without condition / stage 1", "error asked to measured", "on the front"), cells)


def galot_part(old: str) -> str:
    """Rounds of every arm, as `make bench ONLY=galot` kept them."""

    def cell(row: dict[str, Any], name: str) -> str:
        return f"{row[name]:.3f} [{row[f'{name} low']:.3f}, {row[f'{name} high']:.3f}]"

    rows = [r for group in ("galot", "galot-shapes") for r in measured(group) if "aubc" in r]

    def gap(row: dict[str, Any]) -> str:
        said = f"{row['minus random']:+.4f} [{row['minus low']:+.4f}, {row['minus high']:+.4f}]: {row['verdict']}"
        return said if row["verdict"] else ""

    cells = [(r["data"], r["arm"], cell(r, "aubc"), gap(r), *(cell(r, n) for n in ("gain", "labels", "labels before"))) for r in rows]
    head = ("data", "arm", "AUBC", "minus random", "score gain, round 3", "labels kept, round 3", "labels kept, not moved")
    return table(head, cells)


def datadream_part(old: str) -> str:
    """Distances and labels, as `make bench ONLY=datadream` kept them."""

    def moved(row: dict[str, Any], name: str) -> str:
        return f"{row[f'{name} before']:.2e} → {row[f'{name} after']:.2e}" if f"{name} before" in row else ""

    cells = []
    for r in (r for r in measured("datadream") if "labels before" in r):
        labels = f"{r['labels before']:.3f} → {r['labels after']:.3f}"
        cells.append((r["what"], *(moved(r, n) for n in ("kernel, pixels,", "kernel, ink,")), labels, f"{r['nearly copies']:.3f}"))
    return table(("style", "kernel distance, pixels", "kernel distance, ink", "labels right", "nearly copies of shots"), cells)


def emoji_part(old: str) -> str:
    """Emoji of an unseen style, as `make bench ONLY=datadream-emoji` kept them."""
    cells = []
    for r in measured("datadream-emoji"):
        scores = [f"{r[n]:.3f}" for n in ("real", "augmented copies", "real + un-adapted", "real + adapted")]
        moved = [f"{r[f'kernel, {s}, before']:.3g} → {r[f'kernel, {s}, after']:.3g}" for s in ("pixels", "efficientnet-lite0")]
        gaps = [f"{r[f'over {n}']:+.3f} [{r[f'over {n} low']:+.3f}, {r[f'over {n} high']:+.3f}]: {r[f'over {n} verdict']}"
                for n in ("real", "real + un-adapted")]  # fmt: skip
        cells.append((*scores, *gaps, *moved))
    head = ("real", "augmented copies", "real + un-adapted", "real + adapted", "gain over real", "gain over un-adapted")
    return table((*head, "kernel distance, pixels", "kernel distance, EfficientNet-Lite0"), cells)


def shots_part(old: str) -> str:
    """Accuracy over shots and pictures, as `make bench ONLY=datadream-sweep` kept it."""
    names = ("real", "augmented copies", "real + synthetic", "labels", "nearly copies")
    cells = [
        (r["what"], *(f"{r[n]:.3f}" for n in names), ", ".join(f"{v:.2f}" for v in r["real + synthetic by seed"]))
        for r in measured("datadream-sweep")
    ]
    return table(("outlined shapes", *names[:3], "labels right", "nearly copies of shots", "real + synthetic, by seed"), cells)


def transfer_part(old: str) -> str:
    """The same pictures under other classifiers, as `make bench ONLY=galot-reuse` kept them."""
    names = ("real", "random, with real", "margin, with real")
    cells = [
        (r["what"], *(f"{r[n]:.3f}" for n in names), f"{r['margin - random']:+.3f} [{r['low']:+.3f}, {r['high']:+.3f}]: {r['verdict']}")
        for r in measured("galot-reuse") if r["what"].startswith("transfer")
    ]  # fmt: skip
    return table(("classifier", *names, "margin minus random"), cells)


PARTS: dict[str, dict[str, Callable[[str], str]]] = {
    "README.md": {"distributions": distributions_part},
    "core/README.md": {"components": components_part("scarce")},
    "plugins/tabular/README.md": {"components": components_part("scarce-tabular")},
    "plugins/lora/README.md": {"components": components_part("scarce-lora")},
    "plugins/tldr/README.md": {"components": components_part("scarce-tldr")},
    "plugins/molecules/README.md": {"components": components_part("scarce-molecules")},
    "plugins/timeseries/README.md": {"components": components_part("scarce-timeseries")},
    "plugins/motion/README.md": {"components": components_part("scarce-motion")},
    "plugins/images/README.md": {"components": components_part("scarce-images")},
    "plugins/datadream/README.md": {"components": components_part("scarce-datadream")},
    "plugins/galot/README.md": {"components": components_part("scarce-galot")},
    "plugins/ray/README.md": {"components": components_part("scarce-ray")},
    "plugins/tiny-t2i/README.md": {"components": components_part("scarce-tiny-t2i")},
    "plugins/text2data/README.md": {"components": components_part("scarce-text2data")},
    "plugins/text/README.md": {"components": components_part("scarce-text")},
    "plugins/lugpi/README.md": {"components": components_part("scarce-lugpi")},
    "docs/datadream.md": {"datadream": datadream_part, "shots": shots_part, "emoji": emoji_part},
    "docs/galot.md": {"measured": galot_part, "transfer": transfer_part},
    "docs/text2data.md": {"measured": text2data_part, "sweep": text2data_sweep_part},
    "docs/tldr.md": {"measured": tldr_part, "parts": suite_part("suite"), "weights": suite_part("weights"), "priors": priors_part},
    "docs/recipes.md": {"keys": recipe_part},
    "docs/plugins.md": {"roles": roles_part, "capabilities": glossary_part},
    "docs/hooks.md": {"hooks": hooks_part},
}


def fresh(page: str) -> str:
    """The page as it should be."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, part in PARTS[page].items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, mark, rest = text.partition(begin)
        old, mark_end, after = rest.partition(end)
        if not (mark and mark_end):
            raise SystemExit(f"{page} lacks {begin.strip()} … {end}")
        text = f"{before}{begin}\n{part(old).strip()}\n\n{end}{after}"
    return text


def main() -> None:
    """Rewrite, or with --check say what is stale or has no meaning."""
    wrong = []
    for name, make in {"docs/text2data.svg": text2data_svg, KNOWN: known_index}.items():
        if not (ROOT / name).is_file() or (ROOT / name).read_text(encoding="utf-8") != make():
            if "--check" in sys.argv:
                wrong.append(f"{name} is stale: python tests/docs/pages.py")
            else:
                (ROOT / name).write_text(make(), encoding="utf-8")
    for page in PARTS:
        text, path = fresh(page), ROOT / page
        wrong += [f"{page}: {line.split('|')[1].strip()} has no meaning" for line in text.splitlines() if re.match(r"\| `.*\|  \|$", line)]
        if text != path.read_text(encoding="utf-8"):
            if "--check" in sys.argv:
                wrong.append(f"{page} is stale: python tests/docs/pages.py")
            else:
                path.write_text(text, encoding="utf-8")
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
