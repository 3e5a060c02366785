"""`scarce plugins new`: a small whole distribution that installs, passes the conformance kit, and says what to change."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from scarce.catalogue import API, Catalogue
from scarce.catalogue.catalogue import normal
from scarce.errors import PluginError, did_you_mean

TEMPLATES = Path(__file__).with_name("templates")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SUFFIX = ".j2"


def template_roles() -> dict[str, Any]:
    """Role -> what its template says of it, for every role that has one."""
    found: dict[str, Any] = tomllib.loads((TEMPLATES / "roles.toml").read_text(encoding="utf-8"))
    return found


def new_plugin(role: str, name: str, out: Path | None, catalogue: Catalogue) -> Path:
    """Write the distribution `name` with one component of the same name into a folder, `./NAME` unless told, and return it.

    Raises PluginError for a role without a template, a name that can't be one or is taken, and a folder that is not empty; then
    nothing is written.
    """
    roles = template_roles()
    if role not in roles:
        raise PluginError(f"there is no template of role '{role}'{did_you_mean(role, roles)}", hint=f"one of {', '.join(roles)}")
    check_name(role, name, catalogue)
    folder = out or Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(f"{folder} is there already and is not an empty folder", hint=f"scarce plugins new {role} {name} --out DIR")
    files = rendered(role, name, roles[role])
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for relative, text in files.items():
            (beside / relative).parent.mkdir(parents=True, exist_ok=True)
            (beside / relative).write_text(text, encoding="utf-8")
        beside.chmod(0o755)
        beside.replace(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return folder


def check_name(role: str, name: str, catalogue: Catalogue) -> None:
    """Raise PluginError unless a distribution, its package and its component can be called `name`."""
    hint = f"scarce plugins new {role} acme-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'first'}"
    package = name.replace("-", "_")
    if not NAME.fullmatch(name) or keyword.iskeyword(package):
        raise PluginError(f"'{name}' can't be a name: lower case letters and digits, in words joined by dashes, a letter first", hint=hint)
    known = {normal(dist) for dist in (*catalogue.installable(), *(row.distribution for row in catalogue.rows))}
    if normal(name) in known:
        raise PluginError(f"there is a distribution '{name}' already", hint=hint)
    if any((row.role, row.name) == (role, name) for row in catalogue.rows):
        article = "an" if role[0] in "ae" else "a"
        raise PluginError(f"there is {article} {role} '{name}' already, and a second one would be in conflict with it", hint=hint)
    if find_spec(package) is not None:
        raise PluginError(f"there is a Python package '{package}' already, which yours would hide", hint=hint)


def rendered(role: str, name: str, facts: Mapping[str, Any]) -> dict[Path, str]:
    """Path in the distribution -> text, of every file."""
    package, kind = name.replace("-", "_"), "".join(word.capitalize() for word in name.split("-"))
    words = {"role": role, "name": name, "package": package, "kind": kind, "api": ".".join(map(str, API))}
    entries = {group: target.format(kind=kind) for group, target in facts["entries"].items()}
    own = TEMPLATES / role
    config = (own / "src" / "PACKAGE" / f"config.py{SUFFIX}").is_file()
    use = facts["use"].format(name=name)
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    out = {}
    for home in (TEMPLATES / "common", own):
        for file in sorted(home.rglob(f"*{SUFFIX}")):
            relative = str(file.relative_to(home)).removesuffix(SUFFIX).replace("PACKAGE", package)
            template = environment.from_string(file.read_text(encoding="utf-8"))
            out[Path(relative)] = template.render({**facts, **words, "entries": entries, "config": config, "use": use})
    return out
