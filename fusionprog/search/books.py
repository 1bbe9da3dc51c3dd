"""The books of one compile: what is spent, what must be left for later, and who is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fusionprog.lm.budget import Cost, Ledger
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, block
from fusionprog.search.events import Callback, Event, PhaseStarted
from fusionprog.search.preflight import Job


class Books:
    """Keeps the ledger of a compile and tells its callbacks.

    Args:
        job: What is compiled.
        callbacks: Are told what happens.

    Attributes:
        ledger: What was spent.
        trials: Trials that were told, in all folds.
        cut: Why the first part that could not be done to its end was not; ``None`` if all were.
    """

    def __init__(self, job: Job, callbacks: Sequence[Callback]) -> None:
        self.ledger = Ledger(job.budget)
        self.trials = 0
        self.cut: str | None = None
        self._job = job
        self._callbacks = callbacks

    def tell(self, event: Event) -> None:
        """Hands an event to every callback; spending is booked under the phase that runs."""
        if isinstance(event, PhaseStarted):
            self.ledger.phase = event.phase
        for callback in self._callbacks:
            callback(event)

    def keep_for_later(self, bench: Bench, fold: int, *, moves_on: bool) -> Cost:
        """Returns what must be left when a fold's search ends: for its confirmation, and for the folds to come.

        Tokens and dollars are taken at their mean so far, and at their worst for the first row; at most they are the
        share of the budget that the plan has for that part, so that dear calls do not leave the search with nothing.
        Calls need nothing here, since the plan cannot pass them.

        Args:
            bench: Where it is measured.
            fold: The fold's number.
            moves_on: Whether every trial takes the next rows.
        """
        plan, budget = self._job.plan, self._job.budget
        if not budget.by_size:
            return Cost()
        schedules = [Schedule()] * (plan.finalists + 1)
        first = bench.worst_case(schedules, block(self._job.folds[fold].confirmation, 0, 1))
        share = 1 - (fold + 1) / len(self._job.folds)
        folds = Cost(0, share * (budget.tokens or 0), share * (budget.usd or 0.0))
        calls = plan.rows_after_search(moves_on) * bench.calls_per_row
        later, planned = calls * self.ledger.mean, calls / plan.calls
        later = Cost(
            0,
            min(later.tokens, planned * (budget.tokens or math.inf)),
            min(later.usd, planned * (budget.usd or math.inf)),
        )
        return replace(later + first + folds, calls=0)

    def time_left(self, bench: Bench, fold: int, *, moves_on: bool) -> float:
        """Returns the seconds that are left for a fold's trials, if the rest goes on at the pace so far.

        Args:
            bench: As in ``keep_for_later``.
            fold: The fold's number.
            moves_on: As in ``keep_for_later``.
        """
        if self._job.budget.seconds is None:
            return math.inf
        later = self._job.budget.seconds * (1 - (fold + 1) / len(self._job.folds))
        calls = self._job.plan.rows_after_search(moves_on) * bench.calls_per_row
        return self.ledger.time_left(calls) - later
