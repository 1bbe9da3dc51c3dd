"""What a compile tells its callbacks while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from fusionprog.lm.budget import Budget
from fusionprog.lm.client import Paid
from fusionprog.runtime.record import CompileRecord

if TYPE_CHECKING:
    from fusionprog.search.preflight import Job


@dataclass(frozen=True)
class Spent:
    """Where the money stands.

    Attributes:
        calls: Logical calls so far.
        stored: How many of them the store had from earlier runs.
        usd: Logical dollars so far.
        budget: What may be spent.
        paid: What this run really paid.
    """

    calls: int
    stored: int
    usd: float
    budget: Budget
    paid: Paid = field(default_factory=Paid)


@dataclass(frozen=True)
class Planned:
    """Everything passed its checks; nothing was asked or written yet. What a callback raises now ends it there.

    Attributes:
        job: What will be done, with its plan and its estimate.
    """

    job: Job


@dataclass(frozen=True)
class PhaseStarted:
    """A part of the compile begins: bootstrap, embedding, probing, screening, search, narrowing, confirmation or test.

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
        baseline: Task → mean score of the program as written; empty where it is known on too few examples to tell.
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
    """The compile is done.

    Attributes:
        record: What it recorded; the same on every run of the same compile.
        paid: What this run really paid; nothing, where all answers were stored.
    """

    record: CompileRecord
    paid: Paid = field(default_factory=Paid)


Event: TypeAlias = Planned | PhaseStarted | StepDone | Note | Finished
Callback: TypeAlias = Callable[[Event], None]
