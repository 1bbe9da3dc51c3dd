"""Trials of one fold's search: measured as far as the budget goes, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from fusionprog.lm.budget import Cost
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, Outcomes, Rows, mean_tokens, task_means
from fusionprog.search.objective import Objective
from fusionprog.search.space import Space


@dataclass(frozen=True)
class Tried:
    """A trial that was told.

    Attributes:
        schedule: What was tried.
        value: Its objective.
        tokens: Mean tokens of a row.
    """

    schedule: Schedule
    value: float
    tokens: float


class Trials:
    """Runs trials on a bench.

    Args:
        bench: Where to measure.
        space: What parameters mean.
        objective: How the tasks' scores become one number.
        rows: Task → rows of a trial.
        baseline: Task → mean score of the program as written on these rows.
        keep: Returns what the budget must still have after a trial.
        time_left: Returns the seconds that are left for trials.
        finished: Is told of each trial, and of the best tasks' means so far.

    Attributes:
        tried: Trial → what came of it, for the trials that were told.
        best: Task → mean score of the best candidate so far.
        ended_by: Why a trial could not be done to its end.
    """

    def __init__(
        self,
        bench: Bench,
        space: Space,
        objective: Objective,
        rows: Rows,
        baseline: Mapping[str, float],
        *,
        keep: Callable[[], Cost],
        time_left: Callable[[], float],
        finished: Callable[[optuna.trial.FrozenTrial, Mapping[str, float]], None],
    ) -> None:
        self.tried: dict[int, Tried] = {}
        self.best = dict(baseline)
        self.ended_by = ""
        self._bench = bench
        self._space = space
        self._objective = objective
        self._rows = rows
        self._keep = keep
        self._time_left = time_left
        self._finished = finished
        self._baseline = self._best_value = objective(baseline)
        self._under_way: dict[int, tuple[Schedule, Outcomes, Cost]] = {}
        self._in_pieces = False

    def begin(self, number: int, params: Mapping[str, Any], *, alone: bool) -> Coroutine[Any, Any, float | None] | None:
        """Returns the work of a trial; see ``TrialRunner``.

        Its worst case is set aside until it is told. Where the budget has no room for it even alone, its rows are
        measured in pieces, and no other trial begins beside it.
        """
        if self._in_pieces:
            return None
        schedule = self._space.schedule(params)
        worst = self._bench.worst_case([schedule], self._rows)
        if self._bench.ledger.short_of(worst, keep=self._keep()) is None:
            self._bench.ledger.reserve(worst)
            return self._measure(number, schedule, worst)
        if not alone:
            return None
        self._in_pieces = True
        return self._measure_in_pieces(number, schedule)

    def told(self, trial: optuna.trial.FrozenTrial) -> str | None:
        """Books a trial; returns why the search must end, if it must."""
        schedule, outcomes, worst = self._under_way.pop(trial.number)
        self._bench.charge(schedule, outcomes)
        self._bench.ledger.settle(worst)
        means, value = task_means(outcomes), trial.value or 0.0
        self.tried[trial.number] = Tried(schedule, value, mean_tokens(outcomes))
        if value > self._best_value:
            self._best_value, self.best = value, means
        self._finished(trial, self.best)
        return used_up("seconds") if self._time_left() <= 0 else None

    def ranked(self) -> list[Schedule]:
        """Returns the candidates that are no worse than the program as written, best first."""
        order = sorted(self.tried.items(), key=lambda item: (-round(item[1].value, 9), item[1].tokens, item[0]))
        return [each.schedule for _, each in order if each.value >= self._baseline]

    async def _measure(self, number: int, schedule: Schedule, worst: Cost) -> float | None:
        patience = max(0.0, self._time_left())
        try:
            async with asyncio.timeout(patience if self._bench.ledger.budget.seconds else None):
                outcomes = await self._bench.measure(schedule, self._rows)
        except TimeoutError:
            self._bench.ledger.settle(worst)
            self.ended_by = used_up("seconds")
            return None
        self._under_way[number] = schedule, outcomes, worst
        return self._objective(task_means(outcomes))

    async def _measure_in_pieces(self, number: int, schedule: Schedule) -> float | None:
        (outcomes,) = await self._bench.measure_all([schedule], self._rows, keep=self._keep())
        self._in_pieces = False
        if self._bench.ended_by is not None:
            self.ended_by = used_up(self._bench.ended_by)
            return None
        self._under_way[number] = schedule, outcomes, Cost()
        return self._objective(task_means(outcomes))


def used_up(limit: str) -> str:
    """Returns why work ended, in words."""
    return f"the budget's {limit} are used up"
