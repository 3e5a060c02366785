"""Frozen values: what contexts, plans and results are made of."""

from __future__ import annotations

from dataclasses import Field, asdict, dataclass, field, replace
from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Frozen:
    """Every subclass is a frozen dataclass whose fields are keyword-only unless it is declared with `kw_only=False`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls, *, kw_only: bool = True) -> None:
        dataclass(frozen=True, kw_only=kw_only)(cls)

    def to_json(self) -> Any:
        """Plain data."""
        return asdict(self)

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields replaced."""
        return replace(self, **changes)
