"""What the kit found: one outcome per check, and the whole of it as a table or as an error."""

from __future__ import annotations

from typing import Any, Literal

from scarce.contract.frozen import Frozen

Result = Literal["passed", "failed", "known", "skipped"]


class Flaw(Exception):
    """A check found something wrong; the message says what was asked and what came."""


class Fatal(Flaw):
    """A flaw after which nothing else of the component can be looked at."""


class Skip(Exception):
    """A check has nothing to look at here; the message says why."""


class Outcome(Frozen):
    """One check. said: what is wrong, why it is skipped, or for a known failure the author's reason; seconds: of CPU time."""

    check: str
    result: Result
    said: str = ""
    seconds: float = 0.0


class Report(Frozen):
    """Every check of one component, in the order they were made."""

    role: str
    name: str
    distribution: str = ""
    version: str = ""
    outcomes: tuple[Outcome, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed and were not declared to."""
        return tuple(o.check for o in self.outcomes if o.result == "failed")

    @property
    def passed(self) -> bool:
        """Whether nothing failed that was not declared to."""
        return not self.failed

    @property
    def seconds(self) -> float:
        """CPU seconds of all checks."""
        return sum(o.seconds for o in self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with `passed`."""
        facts = {key: getattr(self, key) for key in ("role", "name", "distribution", "version", "passed")}
        return {**facts, "outcomes": [o.to_json() for o in self.outcomes]}

    def text(self) -> str:
        """One line per check that did not simply pass, under a head."""
        lines = [f"{self.role} '{self.name}' of {self.distribution} {self.version}".rstrip()]
        lines += [f"  {o.result:<8}{o.check}: {o.said}" for o in self.outcomes if o.result in ("failed", "known")]
        reasons = dict.fromkeys(o.said for o in self.outcomes if o.result == "skipped")
        for said in reasons:
            lines.append(f"  skipped {', '.join(o.check for o in self.outcomes if (o.result, o.said) == ('skipped', said))}: {said}")
        return "\n".join([*lines, f"  {sum(o.result == 'passed' for o in self.outcomes)} checks passed in {self.seconds:.1f} CPU s"])

    def require(self) -> None:
        """Raise AssertionError with `text` unless the component passed."""
        if not self.passed:
            raise AssertionError(self.text())
