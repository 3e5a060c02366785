"""From bytes to readable text: encodings, HTML markup, and what surrounds the body of a message."""

from __future__ import annotations

import codecs
import html
import re

from scarce.errors import DataError

TAGS = (
    "a abbr address article aside b big blockquote body br button caption center cite code col dd del div dl dt em figure font footer form "
    "frame h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label li link main mark meta nav object ol option p pre q s "
    "section select small span strike strong sub sup table tbody td textarea tfoot th thead title tr tt u ul video"
)
UNSEEN = re.compile(r"<!--.*?-->|<(script|style)\b[^<>]*>.*?</\1\s*>|<!doctype[^<>]*>", re.IGNORECASE | re.DOTALL)
TAG = re.compile(rf"</?(?:{'|'.join(TAGS.split())})(?=[\s/>])[^<>]*>", re.IGNORECASE)  # of known names: "a < b" is no tag
ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
SPACES = re.compile(r"[^\S\n]+")
HEADER = re.compile(r"[\w-]+:( |\t|$)")
QUOTE = re.compile(r"(writes?|wrote|says?)(\s+in\s.*)?:\s*$|^\s*(in article\b|quoted from\b|[>|])", re.IGNORECASE)
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
OLD = ("cp1252", "latin-1")  # every byte means something in the last one


def decoded(data: bytes, name: str, encoding: str | None = None) -> tuple[str, str]:
    """The text of a file's bytes, and its encoding where that had to be guessed ("" where it is sure); raises DataError.

    A byte order mark says it; else it is UTF-8; else, without zero bytes, Windows' cp1252, or latin-1 where that fails.
    """
    sure = encoding or next((known for mark, known in MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(sure), ""
    except LookupError:
        raise DataError(f"'{encoding}' is no encoding", hint="--set data.options.encoding=utf-8, latin-1 or utf-16") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        where = f"byte 0x{data[error.start]:02x} at line {line}"
    if encoding or sure != "utf-8" or b"\x00" in data:
        what = f"{name} is not {sure}: {where}" + (
            " (it has zero bytes: it is no text, or UTF-16 without a mark)" if b"\x00" in data else ""
        )
        raise DataError(what, hint="--set data.options.encoding=NAME, such as utf-16-le or cp1250")
    for guess in OLD:
        try:
            return data.decode(guess), guess
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 decodes every byte")


def without_markup(text: str) -> str:
    """Text without tags, comments, scripts and styles of HTML, its entities read; what merely looks like a tag stays."""
    text = TAG.sub(lambda m: "\n" if m[0][:3].lower() == "<br" or m[0][:3].lower() in ("<p>", "</p") else " ", UNSEEN.sub(" ", text))
    return ENTITY.sub(lambda m: html.unescape(m[0]), text)


def body_of(message: str) -> str:
    """The body of a mail or news message: no headers, no quoted lines and what introduces them, no signature."""
    head, _, rest = message.partition("\n\n")
    lines = head.splitlines()
    if rest and lines and all(HEADER.match(line) or line[:1].isspace() for line in lines):
        message = rest
    kept = [line for line in message.splitlines() if not QUOTE.search(line)]
    signature = next((i for i, line in enumerate(kept) if line.rstrip() in ("--", "-- ")), len(kept))
    return "\n".join(kept[:signature])


def tidy(text: str) -> str:
    """Without zero bytes, with one space where there were several, and no empty lines around."""
    return "\n".join(SPACES.sub(" ", line).strip() for line in text.replace("\x00", "").splitlines()).strip()
