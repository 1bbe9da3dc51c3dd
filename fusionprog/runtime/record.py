"""What a compile recorded: scores with their uncertainty, cost, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Score:
    """A mean score.

    Attributes:
        mean: Mean over examples.
        se: Its standard error.
        n: Number of examples.
    """

    mean: float
    se: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """Before and after on the same examples.

    Attributes:
        before: The program as written.
        after: The compiled program.
        gain: Mean of the paired differences.
        se: Its standard error.
    """

    before: Score
    after: Score
    gain: float
    se: float


@dataclass(frozen=True)
class TaskRecord:
    """What is known about one task.

    Attributes:
        confirmation: On the part of val that nothing was searched on.
        test: On test, where there is one.
        metric: The metric's name and arguments; enough to rebuild one of ``fusionprog.metrics``.
        cost: Tokens and dollars per 1,000 calls, ``before`` and ``after``.
        sizes: Split → number of rows.
        data: Split → digest of its rows.
    """

    confirmation: Comparison
    test: Comparison | None
    metric: Mapping[str, Any]
    cost: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CompileRecord:
    """What a compile did.

    Attributes:
        tasks: Task → its record.
        improved: Whether anything beat the program as written.
        reason: Why the search ended.
        trials: Trials that were told.
        spent: Logical ``calls``, ``tokens`` and ``usd``, without the test report.
        phases: Part of the compile → its logical calls; ``test`` are those of the test report.
        seed: The seed.
        optimizer: Name and arguments of the optimizer.
        models: Node → name of its model.
        versions: Package → version.
        fingerprint: Of program, data, pool, models and settings.
        notes: What the compiler said, line by line.
    """

    tasks: Mapping[str, TaskRecord]
    improved: bool
    reason: str
    trials: int
    spent: Mapping[str, float]
    phases: Mapping[str, int]
    seed: int
    optimizer: Mapping[str, Any]
    models: Mapping[str, str]
    versions: Mapping[str, str]
    fingerprint: str
    notes: tuple[str, ...] = ()
