"""How a budget is shared out over the parts of a compile, before anything is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fusionprog.errors import BudgetError
from fusionprog.lm.budget import Budget

FINALISTS = 3
CONTENDERS = 8
DEFAULT_TRIALS = 64
_CONFIRMATION, _BOOTSTRAP, _SCREENING, _NARROWING = 0.35, 0.05, 0.2, 0.2
_MIN_TRIALS, _MIN_CONFIRMATION_ROWS = 8, 8
_LEAST_BLOCK, _USUAL_BLOCK, _MAX_BLOCK = 4, 8, 16
_USUAL_CONFIRMATION = 100
_LEAST_WINDOW, _MOST_WINDOW, _ROWS_IN_FLIGHT = 4, 8, 96


@dataclass(frozen=True)
class Plan:
    """What a compile will do at most, in rows per task and calls.

    Attributes:
        trials: Trials of the search.
        more_trials: Trials that can be made in the place of screening, where a budget is to be used.
        block: Rows of every task in a trial.
        window: Trials in flight at once: enough to keep a model busy where a trial has few rows.
        confirmation: Rows of every task on which finalists are compared.
        finalists: Candidates that are compared there with the program as written.
        contenders: Candidates that are measured again on more rows to find the finalists.
        narrowing: Rows of every task on which they are, where trials have measured the first block of them already.
        fresh_narrowing: The same, where contenders are measured there for the first time.
        bootstrap: Training rows of every task that the program as written is run on, for families that need it.
        screening_calls: Calls for trying items alone.
        calls: All calls at most, without the test report.
        test_calls: Calls of the test report at most.
    """

    trials: int
    more_trials: int
    block: int
    window: int
    confirmation: int
    finalists: int
    contenders: int
    narrowing: int
    fresh_narrowing: int
    bootstrap: int
    screening_calls: int
    calls: int
    test_calls: int

    def rows_to_narrow(self, moves_on: bool) -> int:
        """Returns the rows of every task on which contenders are measured.

        Args:
            moves_on: Whether every trial takes the next rows, so that contenders are new to those of narrowing.
        """
        return self.fresh_narrowing if moves_on else self.narrowing

    def rows_after_search(self, moves_on: bool) -> int:
        """Returns the rows of every task, over all candidates, that a fold measures when its trials are done.

        Args:
            moves_on: As in ``rows_to_narrow``.
        """
        fresh = self.fresh_narrowing if moves_on else self.narrowing - self.block
        return self.contenders * fresh + self.rows_to_confirm

    @property
    def rows_to_confirm(self) -> int:
        """Rows of every task, over all finalists and the program as written, on which a fold compares them."""
        return (self.finalists + 1) * self.confirmation


@dataclass(frozen=True)
class Sizes:
    """What the plan depends on.

    Attributes:
        calls_per_row: Model calls that one row of every task needs together.
        search_rows: Rows of the search part of the task that has most.
        confirmation_rows: Rows of the confirmation part of the task that has most.
        items: Items to screen, over all nodes.
        folds: 1, or 2 where val is cross-fitted.
        traces: Whether a family needs runs of the program as written.
        test_calls: Calls of the test report.
        tasks: How many tasks there are.
    """

    calls_per_row: int
    search_rows: int
    confirmation_rows: int
    items: int
    folds: int
    traces: bool
    test_calls: int
    tasks: int = 1


def make_plan(budget: Budget, trials: int | None, sizes: Sizes) -> Plan:
    """Shares a budget out.

    Without a limit on calls, the search gets 64 trials (or ``trials``) and everything else its usual share.

    Raises:
        BudgetError: if the budget cannot pay for at least 8 trials and a comparison on 8 rows per task.
    """
    folds = sizes.folds
    total = budget.calls if budget.calls is not None else _usual_calls(trials or DEFAULT_TRIALS, sizes)
    share = total / folds / sizes.calls_per_row  # in rows of every task, per fold
    most = sizes.confirmation_rows if budget.calls is not None else min(sizes.confirmation_rows, _USUAL_CONFIRMATION)
    confirmation = min(most, int(share * _CONFIRMATION / (FINALISTS + 1)))
    bootstrap = int(share * folds * _BOOTSTRAP) if sizes.traces else 0
    left = share - confirmation * (FINALISTS + 1) - bootstrap / folds
    screening = left * _SCREENING if sizes.items > 1 else 0.0
    narrowing = min(sizes.search_rows, int(left * _NARROWING / (CONTENDERS + 1)))
    left -= screening + narrowing * (CONTENDERS + 1)
    wanted = trials or DEFAULT_TRIALS
    block = max(1, min(_MAX_BLOCK, sizes.search_rows, int(left / (wanted + 1))))
    if trials is None:  # fewer trials that can be told apart are better than many of a row each
        block = max(block, min(_LEAST_BLOCK, sizes.search_rows, int(left / (2 * _MIN_TRIALS + 1))))
    affordable = int(left / block) - 1
    count = min(trials, affordable) if trials is not None else affordable
    if trials is None and budget.calls is None:
        count = min(count, DEFAULT_TRIALS)
    needed = min(_MIN_CONFIRMATION_ROWS, sizes.confirmation_rows)
    if count < min(_MIN_TRIALS, trials or _MIN_TRIALS) or confirmation < needed:
        raise BudgetError(
            "the budget is too small for a search",
            expected=f"at least {_least_calls(trials, sizes)} calls: {_MIN_TRIALS} trials, screening, and finalists "
            f"and your program on {needed} rows of every task",
            found=f"{total} calls",
            fix=f"Pass budget=fusionprog.Budget(calls={_least_calls(trials, sizes)}) or more",
        )
    # Without screening, and where no trial has measured the rows of narrowing: what both would have cost.
    spare = screening + narrowing * (CONTENDERS + 1)
    fresh = max(narrowing, min(block, int(spare / CONTENDERS)))
    more = int((spare - fresh * CONTENDERS) / block) if trials is None and budget.calls is not None else 0
    return Plan(
        trials=count,
        more_trials=more,
        block=block,
        window=max(_LEAST_WINDOW, min(_MOST_WINDOW, math.ceil(_ROWS_IN_FLIGHT / (block * sizes.tasks)))),
        confirmation=confirmation,
        finalists=FINALISTS,
        contenders=CONTENDERS,
        narrowing=max(block, narrowing),
        fresh_narrowing=fresh,
        bootstrap=bootstrap,
        screening_calls=int(screening * sizes.calls_per_row),
        calls=total,
        test_calls=sizes.test_calls,
    )


def _usual_calls(trials: int, sizes: Sizes) -> int:
    """Calls that let every part have a full share: blocks of 8 rows, at most 100 rows to confirm on."""
    block = min(_USUAL_BLOCK, sizes.search_rows)
    search = (trials + 1) * block / (1 - _SCREENING - _NARROWING)
    confirmation = min(sizes.confirmation_rows, _USUAL_CONFIRMATION) * (FINALISTS + 1)
    rows = max(search + confirmation, confirmation / _CONFIRMATION) / (1 - _BOOTSTRAP)
    return math.ceil(rows * sizes.folds * sizes.calls_per_row)


def _least_calls(trials: int | None, sizes: Sizes) -> int:
    """The smallest budget that is not refused."""
    rows = min(_MIN_CONFIRMATION_ROWS, sizes.confirmation_rows)
    by_confirmation = rows * (FINALISTS + 1) / _CONFIRMATION
    rest = 1 - _CONFIRMATION - _BOOTSTRAP
    by_search = (min(_MIN_TRIALS, trials or _MIN_TRIALS) + 2) / (rest * (1 - _SCREENING - _NARROWING))
    return math.ceil((max(by_confirmation, by_search) + 1) * sizes.folds * sizes.calls_per_row)
