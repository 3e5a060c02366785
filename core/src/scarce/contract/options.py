"""Base class of component options, and options that name another component."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


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


class Part(NamedTuple):
    """`Annotated[Named, Part("learner")]` as the type of an option: it names a learner, checked and loaded with the recipe.

    needs: capabilities that the named component must provide. The loaded instance reaches the owner's hooks as
    `ctx.parts[OPTION_NAME]`.
    """

    role: str
    needs: tuple[str, ...] = ()


class Component:
    """`Component["learner"]` is short for `Annotated[Named, Part("learner")]`."""

    def __class_getitem__(cls, role: str) -> Any:
        return Annotated[Named, Part(role)]


def nested_parts(options: type[BaseModel]) -> dict[str, Part]:
    """Option name -> what it may name, for each option that names a component (or None)."""
    return {name: mark for name, field in options.model_fields.items() for mark in _marks(field) if isinstance(mark, Part)}


def _marks(field: FieldInfo) -> list[Any]:
    return [*field.metadata, *(mark for part in get_args(field.annotation) for mark in getattr(part, "__metadata__", ()))]
