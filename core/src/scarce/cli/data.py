"""`scarce data`: built-in data sets, and what a file looks like to a modality."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scarce.cli.common import SHARED, parser, show, table


def main(argv: list[str]) -> None:
    """Run `data list [--json]` or `data inspect FILE [--target COLUMN] [--modality NAME] [--json] [-o schema.json]`."""
    arguments = parser("data", "Data sets that ship in packages, and a look at your own.")
    verbs = arguments.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="built-in data sets")
    listing.set_defaults(run=_list)
    look = verbs.add_parser("inspect", help="the inferred schema of a file or built-in data set")
    look.add_argument("file")
    look.add_argument("--modality", default="tabular")
    look.add_argument("--target", help="target column")
    look.add_argument("--schema", metavar="FILE", help="read the data by this edited schema")
    look.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the schema as JSON, to edit and use as data.schema_file")
    look.set_defaults(run=_inspect)
    for verb in (listing, look):
        verb.add_argument("--json", **SHARED["--json"])
    asked = arguments.parse_args(argv)
    asked.run(asked)


def _list(asked: argparse.Namespace) -> None:
    from scarce.catalogue import read_catalogue

    rows = [{"name": r.name, "distribution": r.distribution, "status": r.status} for r in read_catalogue().entries("datasets")]
    show(rows, table(("name", "distribution", "status"), [tuple(r.values()) for r in rows]), as_json=asked.json)


def _inspect(asked: argparse.Namespace) -> None:
    from scarce.catalogue import read_catalogue
    from scarce.files import write_json
    from scarce.runs.assembly import assemble_one
    from scarce.runs.loading import read_records
    from scarce.runs.sections import Data

    catalogue = read_catalogue()
    section = Data(modality=asked.modality, source=asked.file, target=asked.target or "", schema_file=asked.schema)
    dataset = read_records(section, 0, assemble_one(catalogue, "modality", asked.modality), catalogue)
    if asked.out is not None:
        print(write_json(asked.out, dict(dataset.schema)))
        return
    lines = [f"{dataset.name}: {len(dataset)} rows, target {dataset.target_name or 'none'} ({dataset.task})"]
    if columns := [_row(column) for column in dataset.schema.get("columns", [])]:
        lines.append(table(("column", "kind", "missing", "distinct", "details"), columns))
    lines += [f"note: {note}" for note in dataset.notes]
    facts = {"name": dataset.name, "rows": len(dataset), "task": dataset.task, "notes": dataset.notes, "schema": dataset.schema}
    show(facts, "\n".join(lines), as_json=asked.json)


def _row(column: dict[str, Any]) -> tuple[str, ...]:
    shown = {"name", "kind", "missing", "distinct"}
    rest = {k: v for k, v in column.items() if k not in shown and v not in (None, "", [], {}, False)}
    details = ", ".join(f"{k}={_short(v)}" for k, v in rest.items())
    return (str(column.get("name")), str(column.get("kind")), str(column.get("missing", "")), str(column.get("distinct", "")), details)


def _short(value: Any) -> str:
    text = "|".join(map(str, value[:6])) + ("…" if len(value) > 6 else "") if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
