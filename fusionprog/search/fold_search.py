"""The search of one fold: screening where the strategy wants it, then trials."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import optuna

from fusionprog.lm.budget import Cost
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, Outcomes, block, task_means, task_values
from fusionprog.search.books import Books
from fusionprog.search.decisions import Decisions
from fusionprog.search.events import PhaseStarted, StepDone
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.learning import Learning
from fusionprog.search.plan import Plan
from fusionprog.search.scoring import Scoring
from fusionprog.search.screening import Arm, Screened, screen
from fusionprog.search.space import Space
from fusionprog.search.split import Fold
from fusionprog.search.strategy import Strategy
from fusionprog.search.study import run_study
from fusionprog.search.trials import Trials, used_up

SUCCESSOR = "tpe"  # what goes on where the effects model explains nothing
_PARAMETERS = 10  # that a successor can learn about from a trial, at most: with more of them it would only guess

_LATER = 0.25  # the share of a budget that is kept for later parts, if they need it

_ROWS_TO_SHOW = 8  # of a task, below which its score as written says little of where other rows began

Effects: TypeAlias = Mapping[Arm, float]


async def search_fold(
    fold: Fold,
    number: int,
    *,
    folds: int,
    plan: Plan,
    space: Space,
    bench: Bench,
    strategy: Strategy,
    decisions: Decisions,
    successor: Callable[[], Strategy],
    scoring: Scoring,
    books: Books,
    kept: KeptStudy,
    learning: Learning,
) -> list[Schedule]:
    """Returns the candidates of one fold's search, best first; none if the budget ended before it began.

    Args:
        fold: Its rows.
        number: Its number.
        folds: How many there are.
        plan: What may be done.
        space: The items in play.
        bench: Where to measure.
        strategy: Proposes trials.
        decisions: How calls are spent beside that.
        successor: Makes the strategy that does the rest where the first one hands over, in a study of its own.
        scoring: How the tasks' scores become one number.
        books: Are told of trials, and of what cut the search short.
        kept: Keeps the trials.
        learning: Keeps what is learned.
    """
    later = plan.rows_after_search(strategy.moves_on)
    # What is dearer than planned may cost the search some trials, and never all of them.
    planned = max(_LATER, later * bench.calls_per_row / plan.calls)

    def keep() -> Cost:
        return books.keep_for_later(bench, number, later, most=planned)

    shape = plan.shape(strategy.moves_on)
    screened, count = Screened({}, {}), shape.trials
    screening, racing = decisions.make_screening(), decisions.make_racing()
    if strategy.screens and screening.spends:
        books.tell(PhaseStarted("screening"))
        screened = await screen(
            bench,
            space,
            fold.search,
            shape.screening_calls,
            screening=screening,
            keep=keep,
            stepped=lambda step: books.tell(StepDone("screening", step, {}, {}, bench.spent)),
        )
    books.tell(PhaseStarted("search", count))
    (baseline,) = await bench.measure_all([Schedule()], block(fold.search, 0, shape.block), keep=keep())
    if bench.ended_by is not None:
        books.cut = used_up(bench.ended_by)
        return []
    strategy.observe(Schedule(), baseline)
    scoring.begin(baseline, count)
    before = task_means(baseline)
    shown_before = before if shape.block >= _ROWS_TO_SHOW or not strategy.moves_on else {}
    learning.begin(number, count, bench.ledger.calls, scoring(before))

    async def trials_of(
        mine: Strategy,
        part: int,
        starts: Effects,
        size: int,
        count: int,
        written: Outcomes,
        *,
        done: int = 0,
        halfway: int | None = None,
    ) -> tuple[Trials, optuna.Study]:
        """Runs ``count`` trials of ``size`` rows by a strategy, beside outcomes of the program as written."""

        def finished(trial: optuna.trial.FrozenTrial, shown: Mapping[str, float]) -> None:
            kept.keep(part, trial)
            books.trials += 1
            learning.told(done + trial.number + 1, bench.ledger.calls, scoring(shown), mine)
            books.tell(StepDone("search", done + trial.number + 1, shown_before, shown, bench.spent))

        trials = Trials(
            bench,
            mine,
            scoring,
            fold.search,
            size,
            task_values(written),
            racing=racing,
            stopping=decisions.make_stopping(),
            halfway=halfway,
            keep=keep,
            time_left=lambda: books.time_left(bench, number, later),
            finished=finished,
        )
        study, reason = await run_study(
            strategy=mine, starts=mine.starts(starts), trials=count, window=shape.window, runner=trials
        )
        if trials.handed_over is None and trials.told_so_far < count:
            books.cut = books.cut or reason
        for note in filter(None, ("" if done else scoring.scales, *mine.notes())):
            books.note(note)
        if trials.stopped:
            books.note(f"{trials.stopped} of {trials.told_so_far} trials were stopped halfway: {racing.finding}")
        return trials, study

    halfway, size = count // 2, plan.same.block  # what goes on compares trials on the same rows, enough of them each

    def left_after(told: int) -> int:
        return (count - told) * shape.block // size - 1

    able = left_after(halfway) * _PARAMETERS >= len(space.distributions)
    first, study = await trials_of(
        strategy, number, screened.effects, shape.block, count, baseline, halfway=halfway if able else None
    )
    second: list[Schedule] = []
    left = left_after(first.told_so_far)
    if first.handed_over is not None and left > 0:
        books.note(f"{first.handed_over}: the rest of the search is by {SUCCESSOR!r}")
        (again,) = await bench.measure_all([Schedule()], block(fold.search, 0, size), keep=keep())
        if bench.ended_by is None:
            more, _ = await trials_of(successor(), number + folds, {}, size, left, again, done=first.told_so_far)
            second = more.ranked()
        else:
            books.cut = used_up(bench.ended_by)
    learning.end(strategy, study)
    return [each for both in itertools.zip_longest(first.ranked(), second) for each in both if each]
