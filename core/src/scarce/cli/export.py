"""`scarce export`: a run's generator in a format for other programs."""

from __future__ import annotations

from pathlib import Path

from scarce.cli.common import parser, show


def main(argv: list[str]) -> None:
    """Run `export RUN --to FORMAT -o FOLDER [--half] [--json]`."""
    text = "Write a run's generator in another format (scarce plugins list --role exporter); of arms or seeds the first is taken."
    arguments = parser("export", text, "run", "--json")
    arguments.add_argument("--to", metavar="FORMAT", required=True, help="generator, or a format that a plugin brings")
    arguments.add_argument("-o", "--out", metavar="FOLDER", type=Path, required=True, help="a folder that is empty or not there yet")
    arguments.add_argument("--half", action="store_true", help="weights in 16 bits")
    asked = arguments.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.runs.exporting import export

    written = export(asked.run, asked.to, asked.out, read_catalogue(), half=asked.half)
    show({"folder": str(written)}, str(written), as_json=asked.json)
