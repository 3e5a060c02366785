"""`scarce schema`: JSON Schema of recipes, for editors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scarce.cli.common import parser


def main(argv: list[str]) -> None:
    """Run `schema [-o FILE]`."""
    arguments = parser("schema", "JSON Schema (2020-12) of a recipe, with the options of every installed component.")
    arguments.add_argument("-o", "--out", type=Path, metavar="FILE", help="write here instead of printing")
    asked = arguments.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.files import write_json
    from scarce.tools.schema import recipe_schema

    schema, notes = recipe_schema(read_catalogue())
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(write_json(asked.out, schema) if asked.out is not None else json.dumps(schema, indent=2, ensure_ascii=False))
