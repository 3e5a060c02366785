"""Hook implementations held against the specs: names, parameters and annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from scarce.catalogue import ROLES
from scarce.contract import specs
from scarce.errors import did_you_mean


def hook_flaws(instance: Any, role: str) -> list[str]:
    """What is wrong with the marked methods of an instance, one line each."""
    known, out = ROLES[role].hooks, []
    spec = getattr(specs, ROLES[role].spec.partition(":")[2])
    for name, function in marked(instance).items():
        if name not in known:
            out.append(f"{name} is no hook of {role}{did_you_mean(name, known)}; there are {', '.join(known)}")
        else:
            out += [f"{name}: {flaw}" for flaw in _signature_flaws(function, getattr(spec, name))]
    return out


def marked(instance: Any) -> dict[str, Callable[..., Any]]:
    """The functions that carry @hookimpl, by name."""
    found = {name: inspect.getattr_static(instance, name, None) for name in dir(instance)}
    return {name: f for name, f in found.items() if callable(f) and isinstance(getattr(f, "scarce_impl", None), dict)}


def _signature_flaws(function: Callable[..., Any], spec: Callable[..., Any]) -> list[str]:
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    if names != ["ctx"]:
        return [f"it must take one context called ctx (it takes {', '.join(names) or 'nothing'})"]
    try:
        mine, asked = get_type_hints(function), get_type_hints(spec)
    except NameError as error:
        return [f"its annotations can't be read: {error}; import what they name at run time"]
    out = []
    for name, what in (("ctx", "ctx"), ("return", "what it returns")):
        if name not in mine:
            out.append(f"{what} has no annotation; it is {shown(asked[name])}")
        elif not (fits(mine[name], asked[name]) if name == "return" else fits(asked[name], mine[name])):
            out.append(f"{what} is annotated {shown(mine[name])}, and the spec says {shown(asked[name])}")
    return out


def fits(found: Any, asked: Any) -> bool:
    """Whether every value of type `found` is one of type `asked`, as far as names and structure tell."""
    if found == asked or Any in (found, asked) or asked is object:
        return True
    if get_origin(found) in (Union, UnionType):
        return all(fits(part, asked) for part in get_args(found))
    if get_origin(asked) in (Union, UnionType):
        return any(fits(found, part) for part in get_args(asked))
    kinds = (get_origin(found) or found, get_origin(asked) or asked)
    if not all(isinstance(kind, type) for kind in kinds):
        return False
    if getattr(kinds[1], "_is_protocol", False) and kinds[1].__module__.startswith("scarce."):
        return all(hasattr(kinds[0], name) or name in _annotated(kinds[0]) for name in _members(kinds[1]))
    mine, theirs = get_args(found), get_args(asked)
    return issubclass(*kinds) and (len(mine) != len(theirs) or all(map(fits, mine, theirs)))


def _members(protocol: type) -> set[str]:
    return {n for base in protocol.__mro__[:-1] for n in (*vars(base), *vars(base).get("__annotations__", ())) if not n.startswith("_")}


def _annotated(kind: type) -> set[str]:
    return {name for base in kind.__mro__ for name in vars(base).get("__annotations__", ())}


def shown(annotation: Any) -> str:
    """An annotation as a person would write it."""
    return str(annotation) if get_origin(annotation) else getattr(annotation, "__name__", str(annotation))
