"""What a compile recorded: scores with their uncertainty, cost, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fusionprog.runtime.break_even import BreakEven, break_even
from fusionprog.runtime.growth import Growth
from fusionprog.runtime.learned import Learned
from fusionprog.runtime.lineage import Lineage

Rung = Literal["zero-shot", "probed", "warm-started"]


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
class Adapted:
    """How a task was added to a program that had been compiled without it.

    Attributes:
        rung: ``"zero-shot"`` (by its embedding alone), ``"probed"`` (after a few calls) or ``"warm-started"`` (after a
            search).
        expected: The gain that was expected of its embedding alone, before anything was measured.
        se: How well that was known, as a standard deviation.
        sources: What the search started from → how much of it held here, together 1; what has no name is that nothing
            known did. Empty where nothing was measured.
    """

    rung: Rung
    expected: float
    se: float
    sources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskRecord:
    """What is known about one task.

    Attributes:
        confirmation: On the part of val that nothing was searched on; ``None`` where nothing was measured.
        test: On test, where there is one.
        metric: The metric's name and arguments; enough to rebuild one of ``fusionprog.metrics``.
        cost: Tokens and dollars per 1,000 calls, ``before`` and ``after``.
        sizes: Split → number of rows.
        data: Split → digest of its rows.
        adapted: How it was added; ``None`` where it was compiled with the program.
        replaced: What it followed before (of a task that was added, what its embedding alone says) against what it
            follows now, on the confirmation part; ``None`` where that was not measured.
    """

    confirmation: Comparison | None
    test: Comparison | None
    metric: Mapping[str, Any]
    cost: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    adapted: Adapted | None = None
    replaced: Comparison | None = None

    @property
    def measured(self) -> Comparison | None:
        """The comparison on test where there is one, else on confirmation; ``None`` where nothing was measured."""
        return self.test or self.confirmation


@dataclass(frozen=True)
class FrontPoint:
    """A program on the front of what is traded off, as confirmed.

    Attributes:
        program: Digest of its schedule; ``"as written"`` for the program as written.
        quality: What the tasks' scores come to, under the weights at the end.
        se: Its standard error.
        tokens: Tokens of a call, on average over tasks.
        usd: Its dollars; ``None`` where a price is unknown.
        latency: Tokens of its answers.
        chosen: Whether it is returned.
    """

    program: str
    quality: float
    se: float
    tokens: float
    usd: float | None
    latency: float
    chosen: bool


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
        weights: Task → how much it counted at the end, 1 on average; empty where all counted alike throughout.
        refused: Why finalists were not returned, line by line.
        front: What was traded off, the best in quality first; empty where nothing was.
        learned: What the search learned; ``None`` if it ended before it began.
        lineage: The programs that it was made from.
        growth: What tasks scored as the program grew; ``None`` where it did not.
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
    weights: Mapping[str, float] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    front: tuple[FrontPoint, ...] = ()
    learned: Learned | None = None
    lineage: Lineage = field(default_factory=Lineage)
    growth: Growth | None = None

    @property
    def break_even(self) -> BreakEven | None:
        """After how many calls the search has paid for itself; ``None`` where nothing improved.

        Gains are those on test, where all tasks have one, else those on confirmation.
        """
        if not self.improved:
            return None
        measured = [each for each in self.tasks.values() if each.confirmation is not None]
        tested = [each.test for each in measured if each.test is not None]
        gains = (
            tested if len(tested) == len(measured) else [each.confirmation for each in measured if each.confirmation]
        )
        costs = [each.cost for each in measured]
        return break_even(self.spent, costs, [(each.gain, each.se) for each in gains])
