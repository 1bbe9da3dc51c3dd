"""Narrowing: the best candidates of a search are measured on more rows, and the finalists kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, mean_tokens, task_values
from fusionprog.search.objective import Objective


async def narrow(
    bench: Bench,
    objective: Objective,
    ranked: Sequence[Schedule],
    rows: Mapping[str, Sequence[Row]],
    *,
    contenders: int,
    finalists: int,
    keep: Cost | None = None,
) -> list[Schedule]:
    """Returns the best candidates on ``rows``, best first; ties go to the cheaper prompt.

    Args:
        bench: Where to measure.
        objective: How the tasks' scores become one number.
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
    scored = [
        (-round(objective(task_values(outcomes)), 9), mean_tokens(outcomes), index)
        for index, outcomes in enumerate(results)
    ]
    return [schedules[index] for _, _, index in sorted(scored)[:finalists]]
