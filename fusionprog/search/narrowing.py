"""Narrowing: the best candidates of a search are measured on more rows, and the finalists kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, mean_tokens, task_values
from fusionprog.search.objective import Objective
from fusionprog.search.strategy import Strategy

_MISFIT = 0.05  # how far off a forecast may be for reasons that no model of single items sees, in units of score
_VARIANCE = 0.25  # of an outcome


async def narrow(
    bench: Bench,
    objective: Objective,
    strategy: Strategy,
    ranked: Sequence[Schedule],
    rows: Mapping[str, Sequence[Row]],
    *,
    contenders: int,
    finalists: int,
    keep: Cost | None = None,
) -> list[Schedule]:
    """Returns the best candidates on ``rows``, best first; ties go to the cheaper prompt.

    A strategy that can forecast what a candidate scores is told of these rows, too, and its forecast counts as much as
    it is more certain than so few rows are: with a forecast f, the mean m of n rows counts as
    ``f + s * (m - f)``, where ``s`` is the share of the forecasts' variance in that of both.

    Args:
        bench: Where to measure.
        objective: How the tasks' scores become one number.
        strategy: What it learned counts, too.
        ranked: Candidates of the search, best first; those that render alike count once.
        rows: Task → rows.
        contenders: How many are measured.
        finalists: How many are returned.
        keep: What the budget must still have after it; where that leaves no room at all, the search's order stands.
    """
    distinct: dict[tuple[str, ...], Schedule] = {}
    written = tuple(bench.candidate(Schedule(), task) for task in bench.scorers)
    for schedule in ranked:
        key = tuple(bench.candidate(schedule, task) for task in bench.scorers)
        if key != written and len(distinct) < contenders:
            distinct.setdefault(key, schedule)
    schedules = list(distinct.values())
    results = await bench.measure_all(schedules, rows, keep=keep)
    if not all(any(mine for mine in outcomes.values()) for outcomes in results):
        return schedules[:finalists]
    for schedule, outcomes in zip(schedules, results, strict=True):
        strategy.observe(schedule, outcomes)
    scored = []
    for index, (schedule, outcomes) in enumerate(zip(schedules, results, strict=True)):
        measured, count = objective(task_values(outcomes)), sum(len(mine) for mine in outcomes.values())
        value = _with_forecast(strategy.forecast(schedule), measured, count)
        scored.append((-round(value, 9), mean_tokens(outcomes), index))
    return [schedules[index] for _, _, index in sorted(scored)[:finalists]]


def _with_forecast(forecast: float | None, measured: float, count: int) -> float:
    if forecast is None:
        return measured
    share = _MISFIT**2 / (_MISFIT**2 + _VARIANCE / count)
    return forecast + share * (measured - forecast)
