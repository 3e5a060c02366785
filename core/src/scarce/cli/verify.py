"""`scarce verify`: is a run still what it was?"""

from __future__ import annotations

from scarce.cli.common import parser, show, table

WORDS = {"ok": "ok", "failed": "FAILED", "unchecked": "could not be checked"}


def main(argv: list[str]) -> int:
    """Run `verify RUN [--quick] [--json]`; 1 when a check failed."""
    text = "Check a run: files, plugins, data, parents, and a part of it computed again. Exit code 1 when a check failed."
    arguments = parser("verify", text, "run", "--json")
    arguments.add_argument("--quick", action="store_true", help="compute nothing again")
    asked = arguments.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.tools.verify import verify

    found = verify(asked.run, read_catalogue(), quick=asked.quick)
    rows = [(check.name, check.where or ".", WORDS[check.state], check.said) for check in found]
    show([vars(check) for check in found], table(("check", "where", "result", "why"), rows), as_json=asked.json)
    return int(any(check.state == "failed" for check in found))
