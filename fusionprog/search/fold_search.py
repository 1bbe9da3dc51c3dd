"""The search of one fold: screening where the strategy wants it, then trials."""

from __future__ import annotations

from collections.abc import Mapping

import optuna

from fusionprog.lm.budget import Cost
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, block, task_means
from fusionprog.search.books import Books
from fusionprog.search.events import PhaseStarted, StepDone
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.plan import Plan
from fusionprog.search.scoring import Scoring
from fusionprog.search.screening import Screened, screen
from fusionprog.search.space import Space
from fusionprog.search.split import Fold
from fusionprog.search.strategy import Strategy
from fusionprog.search.study import run_study
from fusionprog.search.trials import Trials, used_up


async def search_fold(
    fold: Fold,
    number: int,
    *,
    plan: Plan,
    space: Space,
    bench: Bench,
    strategy: Strategy,
    scoring: Scoring,
    books: Books,
    kept: KeptStudy,
) -> list[Schedule]:
    """Returns the candidates of one fold's search, best first; none if the budget ended before it began.

    Args:
        fold: Its rows.
        number: Its number.
        plan: What may be done.
        space: The items in play.
        bench: Where to measure.
        strategy: Proposes trials.
        scoring: How the tasks' scores become one number.
        books: Are told of trials, and of what cut the search short.
        kept: Keeps the trials.
    """
    later = plan.rows_after_search(strategy.moves_on)
    planned = later * bench.calls_per_row / plan.calls  # calls that are dearer than planned must leave some trials

    def keep() -> Cost:
        return books.keep_for_later(bench, number, later, most=planned)

    screened, count = Screened({}, {}), plan.trials + plan.more_trials
    if strategy.screens:
        count = plan.trials
        books.tell(PhaseStarted("screening"))
        screened = await screen(
            bench,
            space,
            fold.search,
            plan.screening_calls,
            keep=keep,
            stepped=lambda step: books.tell(StepDone("screening", step, {}, {}, bench.spent)),
        )
    books.tell(PhaseStarted("search", count))
    (baseline,) = await bench.measure_all([Schedule()], block(fold.search, 0, plan.block), keep=keep())
    if bench.ended_by is not None:
        books.cut = used_up(bench.ended_by)
        return []
    strategy.observe(Schedule(), baseline)
    scoring.begin(baseline)
    before = task_means(baseline)

    def finished(trial: optuna.trial.FrozenTrial, shown: Mapping[str, float]) -> None:
        kept.keep(number, trial)
        books.trials += 1
        books.tell(StepDone("search", trial.number + 1, before, shown, bench.spent))

    trials = Trials(
        bench,
        strategy,
        scoring,
        fold.search,
        plan.block,
        before,
        keep=keep,
        time_left=lambda: books.time_left(bench, number, later),
        finished=finished,
    )
    _, reason = await run_study(
        strategy=strategy,
        starts=strategy.starts(screened.effects),
        trials=count,
        window=plan.window,
        runner=trials,
    )
    if trials.told_so_far < count:
        books.cut = books.cut or reason
    return trials.ranked()
