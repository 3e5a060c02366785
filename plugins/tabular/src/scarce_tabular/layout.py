"""What the columns of a table are to a codec: its numbers, flags, levels and gaps in the order of the encoded blocks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scarce.contract import Block, Space
from scarce_tabular import constraints
from scarce_tabular import fields as f
from scarce_tabular.constraints import Rules
from scarce_tabular.joint import Joint
from scarce_tabular.ordered import Gap, as_stored

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """Columns of a table and the space that they are encoded in.

    fields: one per column in order; label: the classification target, which is a condition. missing: "keep" (missing values
    are generated too) or "regress" (they are imputed, so none are generated); rules: constraints every decoded row keeps;
    joints: columns that share one code.
    """

    fields: tuple[f.Field, ...]
    label: f.Levels | None
    missing: str
    rules: Rules = field(default_factory=Rules)
    joints: tuple[Joint, ...] = ()
    space: Space = field(init=False)

    def __post_init__(self) -> None:
        blocks = [Block(name=str(n.column.name), kind="continuous", size=1, clip=f.CLIP) for n in self.numbers]
        names = {str(c.column.name) for c in self.fields}
        flags = [(str(n.column.name), _fresh(f"{n.column.name} missing", names)) for n in self.flagged]
        blocks += [Block(name=name, kind="categorical", size=2, column=column) for column, name in flags]
        own = len(self.levels) - len(self.joints)
        shown = [_fresh(str(c.column.name), names if i >= own else ()) for i, c in enumerate(self.levels)]
        blocks += [Block(name=name, kind="categorical", size=c.size) for name, c in zip(shown, self.levels, strict=True)]
        object.__setattr__(self, "space", Space(layout="vector", blocks=tuple(blocks)))

    @property
    def numbers(self) -> tuple[f.Number, ...]:
        """Numeric columns, in order of the continuous blocks; those of a joint code are not among them."""
        return tuple(c for c in self.fields if isinstance(c, f.Number) and str(c.column.name) not in self.rules.joined)

    @property
    def flagged(self) -> tuple[f.Number, ...]:
        """Numeric columns whose missing values are generated: each has a two-level block."""
        return tuple(n for n in self.numbers if n.column.missing and self.missing == "keep")

    @property
    def levels(self) -> tuple[f.Levels, ...]:
        """Categorical columns of the space, then joint codes; the label is not among them."""
        own = [c for c in self.fields if isinstance(c, f.Levels) and c is not self.label and str(c.column.name) not in self.rules.joined]
        return (*own, *(j.levels for j in self.joints))

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Columns above others, each after all that are below it."""
        made = {str(c.column.name): c for c in self.fields if isinstance(c, Gap)}
        return tuple(made[name] for name in constraints.layers(self.rules) if name in made)

    def decode_numbers(self, num: npt.NDArray[np.float64], cat: npt.NDArray[np.int64]) -> tuple[dict[str, f.Floats], dict[str, Mask]]:
        """Name -> [n] values as the column's type holds them, and where they are missing."""
        place = {str(c.column.name): i for i, c in enumerate(self.numbers)}
        flag = {str(c.column.name): i for i, c in enumerate(self.flagged)}
        absent = {name: cat[:, flag[name]] == 1 if name in flag else np.zeros(len(num), dtype=bool) for name in place}
        plain_ = (c for c in self.numbers if not isinstance(c, Gap))
        values = {str(c.column.name): as_stored(c.decode(num[:, place[str(c.column.name)]]), c.column) for c in plain_}
        for gap in self.gaps:
            name = str(gap.column.name)
            values[name], over = gap.above(values, absent, num[:, place[name]])
            absent[name] = absent[name] | (over if name in flag else False)
        return values, absent


def _fresh(name: str, taken: Collection[str]) -> str:
    """The name, marked until no column is called so."""
    while name in taken:
        name += "*"
    return name
