"""Budgets, and the ledger that counts against them."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

from fusionprog.errors import BudgetError
from fusionprog.lm.model import Completion


@dataclass(frozen=True)
class Budget:
    """What a compile may spend. A limit that is not given does not bind.

    Calls, tokens and dollars are *logical*: a call counts when this compile first uses it, whether it was paid now
    or came from the store, so that what is found does not depend on what the store holds. They are reserved at the
    worst case before anything is asked, so that they are never exceeded. The test report is not part of it.

    Attributes:
        calls: Model calls.
        tokens: Tokens of prompts and answers.
        usd: Dollars; refused for models whose price is unknown.
        seconds: Wall-clock time without the test report; a compile that is cut by it depends on the machine's speed.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if value is not None and not (number and value > 0):
                raise BudgetError(f"the budget's {each.name} must be a number above 0", found=repr(value))

    @property
    def bounded(self) -> bool:
        """Whether any limit is set."""
        return any(getattr(self, each.name) is not None for each in fields(self))

    @property
    def by_size(self) -> bool:
        """Whether a limit depends on how long prompts and answers are."""
        return self.tokens is not None or self.usd is not None


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls, their tokens and their dollars."""

    calls: float = 0
    tokens: float = 0
    usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: Cost) -> Cost:
        return self + -1 * other

    def __rmul__(self, factor: float) -> Cost:
        return Cost(factor * self.calls, factor * self.tokens, factor * self.usd)


@dataclass
class Ledger:
    """Counts a study's logical spending: each call once, at its first use.

    Attributes:
        budget: What may be spent.
        calls: Distinct calls so far.
        tokens: Their tokens.
        usd: Their dollars; calls without a price add nothing.
        kept: How many of the calls the store had from earlier runs.
        phase: The part of the compile that calls are booked under.
        phases: Part of the compile → its calls.
    """

    budget: Budget = field(default_factory=Budget)
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    kept: int = 0
    phase: str = ""
    phases: Counter[str] = field(default_factory=Counter)
    _reserved: Cost = field(default_factory=Cost)
    _seen: set[bytes] = field(default_factory=set)
    _seen_before: set[bytes] = field(default_factory=set)
    _started: float = field(default_factory=time.monotonic)

    def charge(self, used: Mapping[bytes, Completion]) -> int:
        """Enters the calls of one finished piece of work and returns how many of them are new."""
        new = [key for key in used if key not in self._seen and key not in self._seen_before]
        self._seen.update(new)
        for key in new:
            answer = used[key]
            self.calls += 1
            self.tokens += answer.tokens
            self.usd += answer.usd or 0.0
            self.kept += answer.kept
        self.phases[self.phase] += len(new)
        return len(new)

    def apart(self) -> Ledger:
        """Returns a ledger of its own for what is outside of the budget; what was used here is not new there."""
        return Ledger(_seen_before=self._seen, phase=self.phase)

    @property
    def mean(self) -> Cost:
        """What a call cost so far, on average."""
        return 1 / max(1, self.calls) * Cost(self.calls, self.tokens, self.usd)

    def short_of(self, worst: Cost, *, keep: Cost | None = None) -> str | None:
        """Returns which limit could be passed by work that is not reserved yet; ``None`` if there is room for it.

        Args:
            worst: What the work costs at worst.
            keep: What must be left after it.
        """
        ahead = Cost(self.calls, self.tokens, self.usd) + self._reserved + worst + (keep or Cost())
        for name in ("calls", "tokens", "usd"):
            limit = getattr(self.budget, name)
            if limit is not None and getattr(ahead, name) > limit * (1 + 1e-12):
                return name
        return None

    def reserve(self, worst: Cost) -> None:
        """Sets aside what work costs at worst, until ``settle``."""
        self._reserved += worst

    def settle(self, worst: Cost) -> None:
        """Gives back what was set aside; the work has been charged, or was not done."""
        self._reserved -= worst

    @contextmanager
    def reserved(self, worst: Cost) -> Iterator[None]:
        """Sets aside what work costs at worst while it is done."""
        self.reserve(worst)
        try:
            yield
        finally:
            self.settle(worst)

    @property
    def elapsed(self) -> float:
        """Seconds since the ledger was opened."""
        return time.monotonic() - self._started

    def time_left(self, calls_ahead: float = 0.0) -> float:
        """Returns the seconds that are left when so many more calls have been made at the pace so far."""
        if self.budget.seconds is None:
            return math.inf
        return self.budget.seconds - self.elapsed * (1 + calls_ahead / max(1, self.calls))
