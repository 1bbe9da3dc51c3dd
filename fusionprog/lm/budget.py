"""Budgets, and the ledger that counts against them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from fusionprog.errors import BudgetError
from fusionprog.lm.model import Completion


@dataclass(frozen=True)
class Budget:
    """What a compile may spend. A limit that is not given does not bind.

    Calls, tokens and dollars are *logical*: a call counts when this compile first uses it, whether it was paid now
    or came from the store, so that what is found does not depend on what the store holds. The test report is not
    part of it.

    Attributes:
        calls: Model calls.
        tokens: Tokens of prompts and answers.
        usd: Dollars; refused for models whose price is unknown.
        seconds: Wall-clock time of the search; a compile that is cut by it depends on the machine's speed.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if value is not None and not (number and value > 0):
                raise BudgetError(f"the budget's {each.name} must be a number above 0", found=repr(value))

    @property
    def bounded(self) -> bool:
        """Whether any limit is set."""
        return any(getattr(self, each.name) is not None for each in fields(self))


@dataclass
class Ledger:
    """Counts a study's logical spending: each call once, at its first use.

    Attributes:
        calls: Distinct calls so far.
        tokens: Their tokens.
        usd: Their dollars; calls without a price add nothing.
        phase: The part of the compile that calls are booked under.
        phases: Part of the compile → its calls.
    """

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    phase: str = ""
    phases: Counter[str] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)

    def charge(self, used: Mapping[str, Completion]) -> int:
        """Enters the calls of one finished piece of work and returns how many of them are new."""
        new = [key for key in used if key not in self._seen]
        for key in new:
            self._seen.add(key)
            self.calls += 1
            self.tokens += used[key].tokens
            self.usd += used[key].usd or 0.0
        self.phases[self.phase] += len(new)
        return len(new)

    def exhausted(self, budget: Budget, calls_ahead: int, share: float = 1.0) -> str | None:
        """Returns which limit the next ``calls_ahead`` calls could pass, at the mean cost so far; else ``None``.

        Args:
            budget: The limits.
            calls_ahead: Calls to come before the next check, and those that must stay possible after it.
            share: The part of the budget that may be spent by then, in (0, 1].
        """
        growth = (self.calls + calls_ahead) / max(1, self.calls)
        expected = {
            "calls": self.calls + calls_ahead,
            "tokens": self.tokens * growth,
            "usd": self.usd * growth,
        }
        for name, spent in expected.items():
            limit = getattr(budget, name)
            if limit is not None and spent > limit * share:
                return name
        return None
