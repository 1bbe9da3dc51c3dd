"""Trials of one fold's search: measured as far as the budget goes, and remembered."""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from fusionprog._internal.canonical import digest
from fusionprog.lm.budget import Cost
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, Outcomes, Rows, block, mean_tokens, task_means, task_values
from fusionprog.search.racing import Racing, projected
from fusionprog.search.scoring import Scoring
from fusionprog.search.shares import RowShares
from fusionprog.search.stopping import Progress, Stopping
from fusionprog.search.strategy import Strategy

_LAST = 16  # trials whose scores are shown together
_KEPT = 64  # schedules that are kept: many tasks, nodes and items make them large


@dataclass(frozen=True)
class Tried:
    """A schedule that was tried.

    Attributes:
        schedule: What was tried.
        value: Its objective.
        tokens: Mean tokens of a row.
        number: The trial.
    """

    schedule: Schedule
    value: float
    tokens: float
    number: int

    @property
    def order(self) -> tuple[float, float, int]:
        """The better the smaller: value first, then tokens."""
        return -round(self.value, 9), self.tokens, self.number


@dataclass(frozen=True)
class _UnderWay:
    schedule: Schedule
    outcomes: Outcomes
    worst: Cost


class Trials:
    """Runs trials on a bench.

    Args:
        bench: Where to measure.
        strategy: What parameters mean; it is told what was measured.
        scoring: How the tasks' scores become one number; it is told what was measured.
        rows: Task → all rows of the search, in the shared order.
        size: Rows of every task in a trial, on average over tasks.
        baseline: Task → mean value of the program as written.
        racing: Decides which trials are stopped before all of their rows are measured.
        stopping: Decides whether the search ends before all trials are done.
        halfway: The number of trials after which the strategy may hand over; never, if not given.
        keep: Returns what the budget must still have after a trial.
        time_left: Returns the seconds that are left for trials.
        finished: Is told of each trial, and of the tasks' means to show.

    Attributes:
        told_so_far: Trials that were told.
        best: The best of them that differ in some prompt, best first.
        shown: Task → mean score of the best candidate so far; of the last trials together, where trials move on to
            other rows and cannot be compared.
        ended_by: Why a trial could not be done to its end.
        stopped: How many trials were stopped before all of their rows were measured.
        handed_over: Why another strategy should do the rest; ``None`` where it should not.
    """

    def __init__(
        self,
        bench: Bench,
        strategy: Strategy,
        scoring: Scoring,
        rows: Rows,
        size: int,
        baseline: Mapping[str, float],
        *,
        racing: Racing,
        stopping: Stopping,
        halfway: int | None = None,
        keep: Callable[[], Cost],
        time_left: Callable[[], float],
        finished: Callable[[optuna.trial.FrozenTrial, Mapping[str, float]], None],
    ) -> None:
        self.told_so_far = 0
        self.best: list[Tried] = []
        self._candidates: set[str] = set()
        self.shown = dict(baseline)
        self.ended_by = ""
        self.stopped = 0
        self.handed_over: str | None = None
        self._racing = racing
        self._stopping = stopping
        self._halfway = halfway
        self._bench = bench
        self._strategy = strategy
        self._scoring = scoring
        self._rows = rows
        self._shares = RowShares(rows, size)
        self._block = size
        self._last: deque[dict[str, float]] = deque(maxlen=_LAST)
        self._keep = keep
        self._time_left = time_left
        self._finished = finished
        self._baseline = baseline
        self._best_value = scoring(baseline)
        self._best_at = 0  # trials that were told with the best one; 0 for the program as written
        self._told: dict[int, tuple[Mapping[str, float], float]] = {}  # means of the tasks, and the excess over caps
        self._moved = False
        self._waiting: dict[int, Schedule] = {}  # a trial that there was no room for
        self._under_way: dict[int, _UnderWay] = {}
        self._in_pieces = False
        self._leader: Outcomes | None = None  # those of the best trial so far, where all have the same rows
        self._stopped_by: dict[int, Outcomes] = {}  # the leader of a trial that was stopped and is not told yet

    def begin(self, number: int, params: Mapping[str, Any], *, alone: bool) -> Coroutine[Any, Any, bool] | None:
        """Returns the work of a trial; see ``TrialRunner``.

        Its worst case is set aside until it is told. Where the budget has no room for it even alone, its rows are
        measured in pieces, and no other trial begins beside it.
        """
        if self._in_pieces:
            return None
        schedule = self._waiting.pop(number, None) or self._strategy.schedule(number, params)
        counts = self._shares.counts(self._scoring.weights)
        rows = self._shares.look(counts) if self._strategy.moves_on else block(self._rows, 0, self._block)
        worst = self._bench.worst_case([schedule], rows)
        if self._bench.ledger.short_of(worst, keep=self._keep()) is None:
            self._bench.ledger.reserve(worst)
            self._shares.move_on(counts)
            return self._measure(number, schedule, rows, worst, self._leader)
        if not alone:
            self._waiting[number] = schedule
            return None
        self._in_pieces = True
        self._shares.move_on(counts)
        return self._measure_in_pieces(number, schedule, rows)

    def value(self, number: int) -> float:
        """Returns what a trial that was measured comes to under the weights of now."""
        outcomes = self._under_way[number].outcomes
        leader = self._stopped_by.pop(number, None)
        values = task_values(outcomes) if leader is None else projected(outcomes, leader)
        self._told[number] = values, self._scoring.excess(outcomes)
        return self._value(number)

    def told(self, trial: optuna.trial.FrozenTrial) -> str | None:
        """Books a trial; returns why the search must end, if it must."""
        done, value = self._under_way.pop(trial.number), trial.value or 0.0
        self._bench.charge(done.schedule, done.outcomes)
        self._bench.ledger.settle(done.worst)
        self._strategy.observe(done.schedule, done.outcomes)
        self._remember(Tried(done.schedule, value, mean_tokens(done.outcomes), trial.number))
        self._lead(done.outcomes, value)
        self._show(task_means(done.outcomes), value, self.told_so_far)
        self._finished(trial, self.shown)
        if self._scoring.add(done.outcomes):
            self._value_again()
        if self._time_left() <= 0:
            return used_up("seconds")
        if self.told_so_far == self._halfway:
            self.handed_over = self._strategy.hands_over()
        since_best = None if self._strategy.moves_on else self.told_so_far - self._best_at
        progress = Progress(self.told_so_far, since_best, self._strategy.regret())
        return self.handed_over or self._stopping.reason(progress)

    def moved(self) -> Mapping[int, float] | None:
        """Returns what all told trials come to now; ``None`` if that has not changed since it was asked for last."""
        if not self._moved:
            return None
        self._moved = False
        return {number: self._value(number) for number in self._told}

    def ranked(self) -> list[Schedule]:
        """Returns the strategy's candidates, the most promising first."""
        least = self._scoring(self._baseline)
        good = [each for each in self.best if self._strategy.moves_on or each.value >= least]
        return self._strategy.ranked([each.schedule for each in good], [each.value for each in good])

    def _value(self, number: int) -> float:
        means, excess = self._told[number]
        return self._scoring(means) - excess

    def _value_again(self) -> None:
        """The weights have moved: what is remembered is put in the order that it has under those of now."""
        self._moved = True
        self.best = [replace(each, value=self._value(each.number)) for each in self.best]
        self.best.sort(key=lambda each: each.order)
        if not self._strategy.moves_on:
            values = {number: self._value(number) for number in self._told}
            first = max(values, key=lambda number: (round(values[number], 9), -number))
            self._best_value, self.shown, self._best_at = self._scoring(self._baseline), dict(self._baseline), 0
            self._show(dict(self._told[first][0]), values[first], first + 1)

    def _remember(self, tried: Tried) -> None:
        self.told_so_far += 1
        candidate = digest([self._bench.candidate(tried.schedule, task) for task in self._rows])
        if candidate in self._candidates:
            return
        self._candidates.add(candidate)
        bisect.insort(self.best, tried, key=lambda each: each.order)
        del self.best[_KEPT:]

    def _lead(self, outcomes: Outcomes, value: float) -> None:
        """Whom later trials are raced against; whoever was stopped is not ahead of anybody."""
        if not self._strategy.moves_on and value > self._best_value:
            whole = all(len(mine) == min(self._block, len(self._rows[task])) for task, mine in outcomes.items())
            self._leader = outcomes if whole else self._leader

    def _show(self, means: dict[str, float], value: float, told: int) -> None:
        if self._strategy.moves_on:
            self._last.append(means)
            self.shown = {task: sum(each[task] for each in self._last) / len(self._last) for task in means}
        elif value > self._best_value:
            self._best_value, self.shown, self._best_at = value, means, told

    async def _measure(self, number: int, schedule: Schedule, rows: Rows, worst: Cost, leader: Outcomes | None) -> bool:
        patience = max(0.0, self._time_left())
        try:
            async with asyncio.timeout(patience if self._bench.ledger.budget.seconds else None):
                outcomes = await self._raced(number, schedule, rows, leader)
        except TimeoutError:
            self._bench.ledger.settle(worst)
            self.ended_by = used_up("seconds")
            return False
        self._under_way[number] = _UnderWay(schedule, outcomes, worst)
        return True

    async def _raced(self, number: int, schedule: Schedule, rows: Rows, leader: Outcomes | None) -> Outcomes:
        """Measures all rows, or the first of them where these show that the leader cannot be reached."""
        first = None if leader is None else self._racing.first(rows)
        if leader is None or first is None:
            return await self._bench.measure(schedule, rows)
        begun = await self._bench.measure(schedule, first)
        if self._racing.is_behind(begun, leader):
            self.stopped += 1
            self._stopped_by[number] = leader
            return begun
        others = await self._bench.measure(schedule, {task: mine[len(first[task]) :] for task, mine in rows.items()})
        return {task: [*mine, *others[task]] for task, mine in begun.items()}

    async def _measure_in_pieces(self, number: int, schedule: Schedule, rows: Rows) -> bool:
        (outcomes,) = await self._bench.measure_all([schedule], rows, keep=self._keep())
        self._in_pieces = False
        if self._bench.ended_by is not None:
            self.ended_by = used_up(self._bench.ended_by)
            return False
        self._under_way[number] = _UnderWay(schedule, outcomes, Cost())
        return True


def used_up(limit: str) -> str:
    """Returns why work ended, in words."""
    return f"the budget's {limit} are used up"
