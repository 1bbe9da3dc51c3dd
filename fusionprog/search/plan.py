"""How a budget is shared out over the parts of a compile, before anything is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from fusionprog.errors import BudgetError
from fusionprog.lm.budget import Budget

FINALISTS = 1
CONTENDERS = 8
DEFAULT_TRIALS = 64
_CONFIRMATION, _BOOTSTRAP, _SCREENING = 0.25, 0.05, 0.2
_NARROWING, _FRESH_NARROWING = 0.2, 0.1
_MIN_TRIALS, _MIN_CONFIRMATION = 8, 12
_MIN_VOUCHED_TRIALS, _MIN_VOUCHED_CONFIRMATION = 4, 2
_LEAST_BLOCK, _USUAL_BLOCK, _MAX_BLOCK = 4, 8, 16
# Where every trial takes the next rows, more trials teach more than more rows a trial do, up to so many; as soon as
# each has a few rows, half as many trials of twice the rows teach as much, at half the cost of new prompts.
_MANY_TRIALS, _FEW_ROWS, _ENOUGH_TRIALS, _MAX_MOVING_BLOCK = 128, 4, 64, 64
_USUAL_CONFIRMATION = 100
_LEAST_WINDOW, _MOST_WINDOW, _ROWS_IN_FLIGHT = 4, 8, 96


@dataclass(frozen=True)
class Shape:
    """How a search uses its calls.

    Attributes:
        trials: Trials at most.
        block: Rows of every task in a trial.
        window: Trials in flight at once: enough to keep a model busy where a trial has few rows.
        narrowing: Rows of every task on which contenders are measured; 0 where what the search learned chooses.
        screening_calls: Calls for trying items alone.
    """

    trials: int
    block: int
    window: int
    narrowing: int
    screening_calls: int


@dataclass(frozen=True)
class Plan:
    """What a compile will do at most, in rows per task and calls.

    Attributes:
        same: A search whose trials are compared on the same rows: what contenders have in narrowing begins with them.
        moving: A search whose every trial takes the next rows, and which needs no screening.
        confirmation: Rows of every task on which finalists are compared with the program as written.
        finalists: Candidates that are.
        compared: These, the program as written, and what the tasks follow so far.
        contenders: Candidates that are measured in narrowing to find the finalists.
        bootstrap: Training rows of every task that the program as written is run on, for families that need it.
        calls: All calls at most, without the test report.
        test_calls: Calls of the test report at most.
        placing: Those of the calls that say how tasks differ, before the search.
    """

    same: Shape
    moving: Shape
    confirmation: int
    finalists: int
    compared: int
    contenders: int
    bootstrap: int
    calls: int
    test_calls: int
    placing: int = 0

    def shape(self, moves_on: bool) -> Shape:
        """Returns how a search uses its calls, by whether every trial takes the next rows."""
        return self.moving if moves_on else self.same

    def rows_after_search(self, moves_on: bool) -> int:
        """Returns the rows of every task, over all candidates, that a fold measures when its trials are done.

        Args:
            moves_on: Whether every trial takes the next rows.
        """
        known = 0 if moves_on else self.same.block
        return self.contenders * max(0, self.shape(moves_on).narrowing - known) + self.rows_to_confirm

    @property
    def rows_to_confirm(self) -> int:
        """Rows of every task, over all finalists and the program as written, on which a fold compares them."""
        return self.compared * self.confirmation


@dataclass(frozen=True)
class Parts:
    """The parts of a compile that it can do without; their calls then go to trials.

    Attributes:
        screening: Whether items are tried alone, where a search begins with that.
        narrowing: Whether contenders are measured, where a search cannot forecast what they score.
    """

    screening: bool = True
    narrowing: bool = True


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
        finalists: Candidates that are compared with the program as written.
        narrows: Whether the finalists of a search that forecasts what candidates score must be measured all the same.
        vouched: Whether other compiles say what to expect, so that few calls can do.
        incumbents: Programs that are compared beside the finalists and the program as written.
        placing: Calls that it takes to say how tasks differ, before the search.
        parts: What is done beside trials.
    """

    calls_per_row: int
    search_rows: int
    confirmation_rows: int
    items: int
    folds: int
    traces: bool
    test_calls: int
    tasks: int = 1
    finalists: int = FINALISTS
    narrows: bool = False
    vouched: bool = False
    incumbents: int = 0
    placing: int = 0
    parts: Parts = field(default_factory=Parts)

    @property
    def compared(self) -> int:
        """Programs that are compared on the confirmation part."""
        return self.finalists + 1 + self.incumbents

    @property
    def least_confirmation(self) -> int:
        """Rows of every task without which nothing can be confirmed: enough over all tasks together."""
        rows = _MIN_VOUCHED_CONFIRMATION if self.vouched else _MIN_CONFIRMATION
        return min(self.confirmation_rows, max(2, math.ceil(rows / self.tasks)))

    @property
    def least_trials(self) -> int:
        """Trials without which there is no search."""
        return _MIN_VOUCHED_TRIALS if self.vouched else _MIN_TRIALS


def make_plan(budget: Budget, trials: int | None, sizes: Sizes) -> Plan:
    """Shares a budget out.

    Without a limit on calls, the search gets as many as 64 trials of 8 rows (or ``trials`` of them) need, and
    everything else its usual share.

    Raises:
        BudgetError: if the budget cannot pay for at least 8 trials and a comparison on some 12 rows.
    """
    folds = sizes.folds
    total = budget.calls if budget.calls is not None else _usual_calls(trials or DEFAULT_TRIALS, sizes)
    share = max(0, total - sizes.placing) / folds / sizes.calls_per_row  # in rows of every task, per fold
    most = sizes.confirmation_rows if budget.calls is not None else min(sizes.confirmation_rows, _USUAL_CONFIRMATION)
    confirmation = min(most, int(share * _CONFIRMATION / sizes.compared))
    bootstrap = int(share * folds * _BOOTSTRAP) if sizes.traces else 0
    left = share - confirmation * sizes.compared - bootstrap / folds
    same, moving = _same(left, budget, trials, sizes), _moving(left, trials, sizes)
    least = min(sizes.least_trials, trials or sizes.least_trials)
    if min(same.trials, moving.trials) < least or confirmation < sizes.least_confirmation:
        raise BudgetError(
            "the budget is too small for a search",
            expected=f"at least {_least_calls(trials, sizes)} calls: {least} trials, screening, and "
            f"{sizes.finalists} of the candidates and your program on {sizes.least_confirmation} rows of every task",
            found=f"{total} calls",
            fix=f"Pass budget=fusionprog.Budget(calls={_least_calls(trials, sizes)}) or more",
        )
    return Plan(
        same=same,
        moving=moving,
        confirmation=confirmation,
        finalists=sizes.finalists,
        compared=sizes.compared,
        contenders=CONTENDERS,
        bootstrap=bootstrap,
        calls=total,
        test_calls=sizes.test_calls,
        placing=sizes.placing,
    )


def _same(left: float, budget: Budget, trials: int | None, sizes: Sizes) -> Shape:
    """Screening, then trials that can be told apart on the same rows, then narrowing from these rows on."""
    screening = left * _SCREENING if sizes.items > 1 and sizes.parts.screening else 0.0
    narrowing = min(sizes.search_rows, int(left * _NARROWING / (CONTENDERS + 1))) if sizes.parts.narrowing else 0
    left -= screening + narrowing * (CONTENDERS + 1)
    block = _block(left / ((trials or DEFAULT_TRIALS) + 1), sizes)
    if trials is None:  # fewer trials that can be told apart are better than many of a row each
        block = max(block, min(_LEAST_BLOCK, sizes.search_rows, int(left / (2 * sizes.least_trials + 1))))
    count = int(left / block) - 1
    most = trials if trials is not None or budget.calls is not None else DEFAULT_TRIALS
    return Shape(
        trials=count if most is None else min(count, most),
        block=block,
        window=_window(block, sizes),
        narrowing=max(block, narrowing) if sizes.parts.narrowing else 0,
        screening_calls=int(screening * sizes.calls_per_row),
    )


def _moving(left: float, trials: int | None, sizes: Sizes) -> Shape:
    """Trials of few rows, since what is learned from a row holds for all prompts; each begins where the last ended.

    What is learned is also what chooses the finalist: the rows of narrowing tell more as trials.
    """
    narrowing = max(1, min(sizes.search_rows, int(left * _FRESH_NARROWING / CONTENDERS))) if sizes.narrows else 0
    left -= narrowing * CONTENDERS
    wanted = trials or (_MANY_TRIALS if left < _FEW_ROWS * (_MANY_TRIALS + 1) else _ENOUGH_TRIALS)
    block = _block(left / (wanted + 1), sizes, most=_MAX_MOVING_BLOCK)
    count = int(left / block) - 1
    return Shape(
        trials=count if trials is None else min(count, trials),
        block=block,
        window=_window(block, sizes),
        narrowing=narrowing,
        screening_calls=0,
    )


def _block(rows: float, sizes: Sizes, most: int = _MAX_BLOCK) -> int:
    return max(1, min(most, sizes.search_rows, int(rows)))


def _window(block: int, sizes: Sizes) -> int:
    return max(_LEAST_WINDOW, min(_MOST_WINDOW, math.ceil(_ROWS_IN_FLIGHT / (block * sizes.tasks))))


def _usual_calls(trials: int, sizes: Sizes) -> int:
    """Calls that let every part have a full share: blocks of 8 rows, at most 100 rows to confirm on."""
    block = min(_USUAL_BLOCK, sizes.search_rows)
    search = (trials + 1) * block / (1 - _SCREENING - _NARROWING)
    confirmation = min(sizes.confirmation_rows, _USUAL_CONFIRMATION) * sizes.compared
    rows = max(search + confirmation, confirmation / _CONFIRMATION) / (1 - _BOOTSTRAP)
    return max(math.ceil(rows * sizes.folds * sizes.calls_per_row) + sizes.placing, _least_calls(trials, sizes))


def _least_calls(trials: int | None, sizes: Sizes) -> int:
    """The smallest budget that is not refused."""
    by_confirmation = sizes.least_confirmation * sizes.compared / _CONFIRMATION
    rest = 1 - _CONFIRMATION - _BOOTSTRAP
    least = min(sizes.least_trials, trials or sizes.least_trials) + 1
    by_search = max((least + 1) / (1 - _SCREENING - _NARROWING), least + CONTENDERS + 1) / rest
    return math.ceil((max(by_confirmation, by_search) + 1) * sizes.folds * sizes.calls_per_row) + sizes.placing
