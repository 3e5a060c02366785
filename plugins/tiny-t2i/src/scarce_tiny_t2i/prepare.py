"""Emoji of the npm packages emoji-datasource-google and -twitter as a table of pictures that a recipe can read.

`npm install emoji-datasource-google emoji-datasource-twitter`, then `python -m scarce_tiny_t2i.prepare node_modules -o emoji.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from scarce.errors import DataError
from scarce.files import write_bytes

STYLES = {"noto": "google", "twemoji": "twitter"}
LEFT_OUT = ("Component", "Flags")  # skin tones alone, and pictures that only a name of a country tells apart


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table; raises DataError for a package that is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", type=Path, help="the folder node_modules")
    parser.add_argument("-o", "--out", type=Path, default=Path("emoji.jsonl"))
    asked = parser.parse_args(arguments)
    lines = [line for style, folder in STYLES.items() for line in rows(asked.modules / f"emoji-datasource-{folder}", style, folder)]
    write_bytes(asked.out, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode())
    print(f"{asked.out}: {len(lines)} captioned pictures")


def rows(package: Path, style: str, folder: str) -> list[dict[str, str]]:
    """One row per emoji that has a picture: path, caption, class (subcategory), category, style, and its code as group.

    Every second emoji has another row, whose caption names its class instead, so that a class can be asked for too.
    """
    listed = package / "emoji.json"
    if not listed.is_file():
        raise DataError(f"{listed} is missing", hint=f"npm install {package.name}")
    out = []
    for item in json.loads(listed.read_text(encoding="utf-8")):
        file = package / "img" / folder / "64" / item["image"]
        if item[f"has_img_{folder}"] and item["category"] not in LEFT_OUT and file.is_file():
            name = (item["name"] or item["short_name"]).replace("_", " ").lower()
            facts = {"class": item["subcategory"], "category": item["category"], "style": style, "code": item["unified"]}
            captions = [name, item["subcategory"].replace("-", " ")][: 1 + crc32(item["unified"].encode()) % 2]
            out += [{"path": str(file.resolve()), "caption": f"{text}, {style}", **facts} for text in captions]
    return out


if __name__ == "__main__":
    main()
