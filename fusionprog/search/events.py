"""What a compile tells its callbacks while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fusionprog.lm.budget import Budget
from fusionprog.runtime.record import CompileRecord


@dataclass(frozen=True)
class Spent:
    """Where the money stands.

    Attributes:
        calls: Logical calls so far.
        stored: How many answers came from the store.
        usd: Logical dollars so far.
        budget: What may be spent.
    """

    calls: int
    stored: int
    usd: float
    budget: Budget


@dataclass(frozen=True)
class PhaseStarted:
    """A part of the compile begins: bootstrap, screening, search, narrowing, confirmation or test.

    Attributes:
        steps: How many steps it has, where that is known.
    """

    phase: str
    steps: int | None = None


@dataclass(frozen=True)
class StepDone:
    """A step of the running phase is done (in ``search``: a trial was told).

    Attributes:
        step: Its number, from 1.
        baseline: Task → mean score of the program as written.
        best: Task → mean score of the best candidate so far, on the same examples.
    """

    phase: str
    step: int
    baseline: Mapping[str, float]
    best: Mapping[str, float]
    spent: Spent


@dataclass(frozen=True)
class Note:
    """Something the user should know."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The compile is done."""

    record: CompileRecord


Event: TypeAlias = PhaseStarted | StepDone | Note | Finished
Callback: TypeAlias = Callable[[Event], None]
