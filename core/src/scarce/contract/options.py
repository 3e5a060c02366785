"""Base class of component options, and options that name another component."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Options of one component: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(BaseModel):
    """A component named inside another's options: `name`, and the rest are its own options."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class _Role:
    def __init__(self, role: str) -> None:
        self.role = role


class Component:
    """`Component["learner"]` as the type of an option: it names a learner, checked and loaded with the recipe.

    The loaded instance reaches the owner's hooks as `ctx.parts[OPTION_NAME]`.
    """

    def __class_getitem__(cls, role: str) -> Any:
        return Annotated[Named, _Role(role)]


def nested_components(options: type[BaseModel]) -> dict[str, str]:
    """Option name -> role, for each option typed `Component[...]` (or `Component[...] | None`)."""
    found = {}
    for name, field in options.model_fields.items():
        marks = list(field.metadata)
        for part in getattr(field.annotation, "__args__", ()):
            marks += list(getattr(part, "__metadata__", ()))
        for mark in marks:
            if isinstance(mark, _Role):
                found[name] = mark.role
    return found
