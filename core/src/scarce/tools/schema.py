"""`scarce schema`: JSON Schema (2020-12) of a recipe, with the options of everything installed."""

from __future__ import annotations

from typing import Any

from pydantic import PydanticUserError

from scarce.catalogue.catalogue import Catalogue, Row
from scarce.catalogue.roles import ROLES
from scarce.contract.options import nested_parts
from scarce.errors import PluginError
from scarce.host.loading import load_config
from scarce.runs.sections import Recipe

REF = "#/$defs/"


def recipe_schema(catalogue: Catalogue) -> tuple[dict[str, Any], list[str]]:
    """The schema, and a note per component that is left out because it can't be used.

    A role is a `oneOf` over the components of that role, told apart by their `name`.
    """
    out = Recipe.model_json_schema()
    out["$schema"], out["title"] = "https://json-schema.org/draft/2020-12/schema", "A recipe of scarce"
    defs, notes = out["$defs"], list[str]()
    for role in (role.name for role in ROLES.values() if role.spec):
        shapes: list[Any] = []
        for row in (row for row in catalogue.rows if row.role == role):
            try:
                shapes.append(_component(row, defs))
            except (PluginError, PydanticUserError) as err:
                notes.append(f"{role} '{row.name}' of {row.distribution} is left out: {getattr(err, 'message', err)}")
        defs[f"role.{role}"] = {"oneOf": shapes or [False]}
    for key, field in out["properties"].items():
        out["properties"][key] = _refer(field, f"{REF}Named", f"{REF}role.{key}")
    defs["Acquisition"] = _refer(defs["Acquisition"], f"{REF}Named", f"{REF}role.learner")
    for section, key, role in (("Data", "modality", "modality"), ("Acquisition", "name", "acquisition")):
        cases = [_options(shape, key) for shape in defs[f"role.{role}"]["oneOf"] if shape]
        defs[section]["allOf"] = cases
        defs[section]["properties"][key]["enum"] = [case["if"]["properties"][key]["const"] for case in cases]
    out["properties"]["preset"] = {"type": "object", "additionalProperties": {"type": "object"}, "description": "overrides by preset"}
    defs.pop("Named", None)
    return out, notes


def _component(row: Row, defs: dict[str, Any]) -> dict[str, Any]:
    """The table that names a component; definitions it needs go to `defs` under its own prefix. Raises PluginError."""
    if row.status != "ready":
        raise PluginError(row.reason)
    config, prefix = load_config(row), f"{row.role}.{row.name}."
    shape: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    if config is not None:
        shape = config.model_json_schema(ref_template=f"{REF}{prefix}{{model}}")
        defs |= {prefix + name: inner for name, inner in shape.pop("$defs", {}).items() if name != "Named"}
        for field, part in nested_parts(config).items():
            option = config.model_fields[field].alias or field
            shape["properties"][option] = _refer(shape["properties"][option], f"{REF}{prefix}Named", f"{REF}role.{part.role}")
    named = {"name": {"const": row.name, "description": row.summary}, **shape.get("properties", {})}
    return {**shape, "title": row.name, "properties": named, "required": ["name", *shape.get("required", [])]}


def _options(shape: dict[str, Any], key: str) -> dict[str, Any]:
    """`[data]` and `[acquisition]` name their component in a key of their own and have its options in a table."""
    properties = dict(shape["properties"])
    name = properties.pop("name")["const"]
    options = {**shape, "properties": properties, "required": [key for key in shape["required"] if key != "name"]}
    when = {"properties": {key: {"const": name}}, "required": [key]}
    return {"if": when, "then": {"properties": {"options": options}}}


def _refer(node: Any, old: str, new: str) -> Any:
    """The node with references to one definition turned to another."""
    if isinstance(node, dict):
        return {key: new if key == "$ref" and value == old else _refer(value, old, new) for key, value in node.items()}
    return [_refer(item, old, new) for item in node] if isinstance(node, list) else node
