"""The books of one compile: what is spent, what must be left for later, and who is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fusionprog.lm.budget import Cost, Ledger
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, block
from fusionprog.search.events import Callback, Event, Note, PhaseStarted
from fusionprog.search.preflight import Job


class Books:
    """Keeps the ledger of a compile and tells its callbacks.

    Args:
        job: What is compiled.
        callbacks: Are told what happens.

    Attributes:
        ledger: What was spent.
        trials: Trials that were told, in all folds.
        notes: What was noted, in order.
        cut: Why the first part that could not be done to its end was not; ``None`` if all were.
    """

    def __init__(self, job: Job, callbacks: Sequence[Callback]) -> None:
        self.ledger = Ledger(job.budget)
        self.trials = 0
        self.notes: list[str] = []
        self.cut: str | None = None
        self._job = job
        self._callbacks = callbacks

    def tell(self, event: Event) -> None:
        """Hands an event to every callback; spending is booked under the phase that runs."""
        if isinstance(event, PhaseStarted):
            self.ledger.phase = event.phase
        for callback in self._callbacks:
            callback(event)

    def note(self, text: str) -> None:
        """Tells something that the user should know, and keeps it for the record."""
        self.notes.append(text)
        self.tell(Note(text))

    def keep_for_later(self, bench: Bench, fold: int, rows: int, *, most: float = 1.0) -> Cost:
        """Returns what must be left for the rest of a fold, and for the folds to come.

        Tokens and dollars are taken at their mean so far, and at their worst for the first row. Calls need nothing
        here, since the plan cannot pass them.

        Args:
            bench: Where it is measured.
            fold: The fold's number.
            rows: Rows of every task, over all candidates, that the fold has still to measure.
            most: The share of the budget that is kept for them at most, in (0, 1].
        """
        plan, budget = self._job.plan, self._job.budget
        if not budget.by_size:
            return Cost()
        schedules = [Schedule()] * (plan.finalists + 1)
        first = bench.worst_case(schedules, block(self._job.folds[fold].confirmation, 0, 1))
        tokens, usd = budget.tokens or math.inf, budget.usd or math.inf
        later, mean = rows * bench.calls_per_row, self.ledger.mean
        folds = 1 - (fold + 1) / len(self._job.folds)
        return Cost(
            0,
            min(later * mean.tokens, most * tokens) + first.tokens + folds * (budget.tokens or 0),
            min(later * mean.usd, most * usd) + first.usd + folds * (budget.usd or 0.0),
        )

    def time_left(self, bench: Bench, fold: int, rows: int) -> float:
        """Returns the seconds that are left for a fold's trials, if the rest goes on at the pace so far.

        Args:
            bench: As in ``keep_for_later``.
            fold: The fold's number.
            rows: As in ``keep_for_later``.
        """
        if self._job.budget.seconds is None:
            return math.inf
        later = self._job.budget.seconds * (1 - (fold + 1) / len(self._job.folds))
        return self.ledger.time_left(rows * bench.calls_per_row) - later
