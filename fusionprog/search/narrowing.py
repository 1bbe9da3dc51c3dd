"""Narrowing: which of the best candidates of a search become finalists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, Outcomes, task_values
from fusionprog.search.constraints import broken, estimated_usage, mean_usage, point, usage_of
from fusionprog.search.pareto import front, spread, staircase
from fusionprog.search.scoring import Scoring
from fusionprog.search.strategy import Strategy

_MISFIT = 0.05  # how far off a forecast may be for reasons that no model of single items sees, in units of score
_VARIANCE = 0.25  # of an outcome


class Narrowing(Protocol):
    """Chooses the finalists among contenders.

    Attributes:
        measures: Whether it measures them, so that a plan must have calls for it.
    """

    measures: ClassVar[bool]

    async def finalists(
        self,
        bench: Bench,
        scoring: Scoring,
        strategy: Strategy,
        contenders: Sequence[Schedule],
        rows: Mapping[str, Sequence[Row]],
        count: int,
        *,
        keep: Cost | None,
    ) -> list[Schedule]:
        """Returns up to ``count`` of the contenders, best first.

        Args:
            bench: Where to measure.
            scoring: How the tasks' scores become one number.
            strategy: What it learned counts, too.
            contenders: Candidates that differ, in the search's order.
            rows: Task → rows; none where the plan has no calls for it.
            count: How many are returned.
            keep: What the budget must still have after it.
        """
        ...


narrowing_registry: Registry[type[Narrowing]] = Registry("narrowing", FusionProgError)


@narrowing_registry.register("more_rows")
class MoreRows:
    """Measures them on more rows of the search part; ties go to the cheaper prompt.

    A strategy that can forecast what a candidate scores is told of these rows, too, and its forecast counts as much as
    it is more certain than so few rows are: with a forecast f, the mean m of n rows counts as
    ``f + s * (m - f)``, where ``s`` is the share of the forecasts' variance in that of both.

    What keeps to the objective's constraints, as measured, comes before what does not. Where quality is traded off,
    they lie along the front of what was measured. Where the budget leaves no room at all, the search's order stands.
    """

    measures: ClassVar[bool] = True

    async def finalists(
        self,
        bench: Bench,
        scoring: Scoring,
        strategy: Strategy,
        contenders: Sequence[Schedule],
        rows: Mapping[str, Sequence[Row]],
        count: int,
        *,
        keep: Cost | None,
    ) -> list[Schedule]:
        """Returns the best ones on these rows."""
        results = await bench.measure_all(contenders, rows, keep=keep)
        if not results or not all(any(mine for mine in outcomes.values()) for outcomes in results):
            return list(contenders[:count])
        for schedule, outcomes in zip(contenders, results, strict=True):
            strategy.observe(schedule, outcomes)
        values = [
            _with_forecast(strategy.forecast(schedule), scoring(task_values(mine)), sum(map(len, mine.values())))
            for schedule, mine in zip(contenders, results, strict=True)
        ]
        if scoring.objective.pareto:
            return [contenders[index] for index in _along_the_front(scoring, results, values, count)]
        places = range(len(contenders))
        order = sorted(places, key=lambda place: (*scoring.order(results[place], values[place]), place))
        return [contenders[place] for place in order[:count]]


@narrowing_registry.register("none")
class NoNarrowing:
    """The search's order stands: the calls go to trials."""

    measures: ClassVar[bool] = False

    async def finalists(
        self,
        bench: Bench,
        scoring: Scoring,
        strategy: Strategy,
        contenders: Sequence[Schedule],
        rows: Mapping[str, Sequence[Row]],
        count: int,
        *,
        keep: Cost | None,
    ) -> list[Schedule]:
        """Returns the first ones."""
        return list(contenders[:count])


async def narrow(
    bench: Bench,
    scoring: Scoring,
    strategy: Strategy,
    ranked: Sequence[Schedule],
    rows: Mapping[str, Sequence[Row]],
    *,
    narrowing: Narrowing,
    contenders: int,
    finalists: int,
    keep: Cost | None = None,
) -> list[Schedule]:
    """Returns the finalists among the best candidates, best first; the program as written is none of them.

    Args:
        bench: Where to measure.
        scoring: How the tasks' scores become one number.
        strategy: What it learned counts, too.
        ranked: Candidates of the search, best first; those that render alike count once.
        rows: Task → rows.
        narrowing: Chooses among them.
        contenders: How many it chooses among.
        finalists: How many are returned.
        keep: What the budget must still have after it.
    """
    distinct: dict[tuple[str, ...], Schedule] = {}
    written = tuple(bench.candidate(Schedule(), task) for task in bench.scorers)
    for schedule in ranked:
        if len(distinct) == contenders and not scoring.objective.is_priced:
            break
        key = tuple(bench.candidate(schedule, task) for task in bench.scorers)
        if key != written:
            distinct.setdefault(key, schedule)
    schedules = list(distinct.values())
    if scoring.objective.is_priced:
        schedules = _affordable(bench, scoring, schedules, contenders)
    return await narrowing.finalists(bench, scoring, strategy, schedules, rows, finalists, keep=keep)


def _with_forecast(forecast: float | None, measured: float, count: int) -> float:
    if forecast is None:
        return measured
    share = _MISFIT**2 / (_MISFIT**2 + _VARIANCE / count)
    return forecast + share * (measured - forecast)


def _affordable(bench: Bench, scoring: Scoring, ranked: Sequence[Schedule], count: int) -> list[Schedule]:
    """Those that keep to the caps by the length of their prompts first; from dear to cheap, where that is traded."""
    usage = [estimated_usage(bench, schedule, scoring.written) for schedule in ranked]
    over = [round(sum(broken(scoring.objective, {}, each).values()), 9) for each in usage]
    order = sorted(range(len(ranked)), key=lambda place: (over[place], place))
    if scoring.objective.pareto:
        fitting = [place for place in order if over[place] == 0] or order
        costs = [mean_usage(usage[place]).tokens for place in fitting]
        order = [fitting[step] for step in staircase(costs, count)]
    return [ranked[place] for place in order[:count]]


def _along_the_front(scoring: Scoring, results: Sequence[Outcomes], values: Sequence[float], count: int) -> list[int]:
    """The places of up to ``count`` contenders on the front, the best in quality first."""
    least = min(scoring.excess(outcomes) for outcomes in results)
    kept = [place for place, outcomes in enumerate(results) if scoring.excess(outcomes) <= least]
    points = [point(scoring.objective, values[place], mean_usage(usage_of(results[place]))) for place in kept]
    on_it = front(points)
    return [kept[on_it[step]] for step in spread([points[place] for place in on_it], count)]
