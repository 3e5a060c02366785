"""`scarce data`: built-in data sets, and what a file looks like to a modality."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scarce.cli.common import SHARED, parser, show, table
from scarce.errors import DataError

HEAD = ("column", "kind", "missing", "distinct", "details")
BATCH, WIDTH, COPIES = 512, 256, 14  # rows of a step, units of a default network, numbers kept per encoded one and row of a step


def main(argv: list[str]) -> None:
    """Run `data list [--json]` or `data inspect FILE [--target COLUMN] [--modality NAME] [--json] [-o schema.json | page.html]`."""
    arguments = parser("data", "Data sets that ship in packages, and a look at your own.")
    verbs = arguments.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="built-in data sets")
    listing.set_defaults(run=_list)
    look = verbs.add_parser("inspect", help="the inferred schema of a file or built-in data set, and what training it would take")
    look.add_argument("file")
    look.add_argument("--modality", default="tabular")
    look.add_argument("--target", help="target column")
    look.add_argument("--schema", metavar="FILE", help="read the data by this edited schema")
    out = "schema.json: to edit and use as data.schema_file; page.html: pictures of the data, offline"
    look.add_argument("-o", "--out", type=Path, metavar="FILE", help=out)
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
    import numpy as np

    from scarce.catalogue import read_catalogue
    from scarce.contract.contexts import CodecContext, DrawContext
    from scarce.contract.dataset import take
    from scarce.files import write_bytes, write_json
    from scarce.runs.assembly import assemble_one
    from scarce.runs.loading import read_records
    from scarce.runs.sections import Data

    catalogue = read_catalogue()
    scope = (assembly := assemble_one(catalogue, "modality", asked.modality)).scope
    section = Data(modality=asked.modality, source=asked.file, target=asked.target, schema_file=asked.schema)
    try:
        dataset = read_records(section, 0, assembly, catalogue)
    except DataError:
        if asked.target is not None:
            raise
        dataset = read_records(section.model_copy(update={"target": ""}), 0, assembly, catalogue)  # nobody has said which column it is
    page = asked.out is not None and asked.out.suffix.lower() in (".html", ".htm")
    if asked.out is not None and not page:
        show({"file": write_json(asked.out, dict(dataset.schema))}, str(asked.out), as_json=asked.json)
        return
    columns = [_row(column) for column in dataset.schema.get("columns", [])]
    lines = [f"{dataset.name}: {len(dataset)} rows, target {dataset.target_name or 'none'} ({dataset.task})"]
    encoded: dict[str, Any] = {}
    codec: Any = None
    if page or columns:
        whole = dataset.with_(split=np.full(len(dataset), "train", dtype="<U10"))
        codec = scope.modality_codec(CodecContext(dataset=whole, seed=0))
        encoded = _estimate(codec.space, len(dataset))
    said = [_sentence(encoded)] if columns else []
    said += [f"note: {note}" for note in dataset.notes]
    if page:
        from scarce.report.page import Block, render_page

        nothing = take(dataset.records, np.zeros(0, dtype=np.int64))
        figures = scope.modality_draw(DrawContext(real=dataset.records, synthetic=nothing, dataset=whole, codec=codec, seed=0))
        blocks = [Block(head=HEAD, rows=columns)] if columns else []
        write_bytes(asked.out, render_page(dataset.name, [*lines, *said], blocks, figures).encode())
        show({"file": asked.out}, str(asked.out), as_json=asked.json)
        return
    facts = {"name": dataset.name, "rows": len(dataset), "task": dataset.task, "notes": dataset.notes, "schema": dataset.schema}
    shown = [*lines, *([table(HEAD, columns)] if columns else []), *said]
    show({**facts, "encoded": encoded}, "\n".join(shown), as_json=asked.json)


def _estimate(space: Any, rows: int) -> dict[str, Any]:
    """Encoded numbers of one row, and about how much memory (MB) training takes beside Python and its libraries.

    The encoded table, one step of 512 rows, and a network of 256 units with its optimizer.
    """
    positions = 1
    for side in space.shape:
        positions *= side
    width = space.width + sum(space.levels)
    table_bytes = rows * positions * (4 * space.width + 8 * len(space.levels))
    step, network = BATCH * positions * width * 4 * COPIES, (16 * space.width + 2 * width + 1024) * WIDTH * 4 * 5
    numbers, levels = space.width * positions, len(space.levels) * positions
    return {"numbers": numbers, "categories": levels, "width": width * positions, "memory_mb": round((table_bytes + step + network) / 1e6)}


def _sentence(encoded: dict[str, Any]) -> str:
    parts = f"{encoded['numbers']} numbers and {encoded['categories']} categories"
    memory = f"about {max(encoded['memory_mb'], 1):,} MB beside Python's own"
    return f"encoded: {parts}, {encoded['width']:,} wide with one place per level; in training {memory}"


def _row(column: dict[str, Any]) -> tuple[str, ...]:
    shown = {"name", "kind", "missing", "distinct"}
    rest = {k: v for k, v in column.items() if k not in shown and v not in (None, "", [], (), {}, False)}
    details = ", ".join(f"{k}={_short(v)}" for k, v in rest.items())
    facts = (column.get("kind"), column.get("missing", ""), column.get("distinct", ""))
    return (_short(column.get("name")), *map(str, facts), details)


def _short(value: Any) -> str:
    text = "|".join(map(str, value[:6])) + ("…" if len(value) > 6 else "") if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
