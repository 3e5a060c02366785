"""Options, and ways to get them wrong."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

from scarce.contract.options import Options


class Fine(Options):
    scale: float = 1.0
    name_of: str | None = None


class Doubling(Options):
    model_config = ConfigDict(validate_default=True)
    scale: float = 1.0

    @field_validator("scale")
    @classmethod
    def _double(cls, value: float) -> float:
        return 2 * value


class Loose(BaseModel):
    model_config = ConfigDict(frozen=True)
    scale: float = 1.0


class Thawed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scale: float = 1.0
