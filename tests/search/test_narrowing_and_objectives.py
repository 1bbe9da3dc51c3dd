"""Narrowing to finalists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fusionprog.program.data import Row
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.search.narrowing import MoreRows, narrow
from fusionprog.search.objective import Objective, objective_of
from fusionprog.search.scoring import Scoring

ROWS = {task: [Row({"text": f"{task} {index}"}) for index in range(6)] for task in ("a", "b")}


def opening(*items: str, effect: float = 1.0) -> Schedule:
    return Schedule(at_node={"n": dict.fromkeys(items, effect)}, nodes={"n": NodeSettings(gates={"hint": 1.0})})


def scores(**by_item: float) -> Any:
    """The best of a candidate's items counts."""
    return lambda opened, task, row: max((by_item.get(item, 0.0) for _, item in opened), default=0.0)


class Unsure:
    """A strategy that forecasts what it is told, or nothing."""

    def __init__(self, forecasts: Mapping[str, float] | None = None) -> None:
        self.told: list[Schedule] = []
        self._forecasts = forecasts

    def observe(self, schedule: Schedule, outcomes: Any) -> None:
        self.told.append(schedule)

    def forecast(self, schedule: Schedule) -> float | None:
        (item,) = schedule.at_node["n"] if self._forecasts else ("",)
        return self._forecasts[item] if self._forecasts else None


UNSURE: Any = Unsure()


def begun(bench: Any, objective: str | Objective = "mean") -> Scoring:
    scoring = Scoring(objective_of(objective), seed=0)
    scoring.begin(asyncio.run(bench.measure(Schedule(), ROWS)))
    bench.measured.clear()
    return scoring


def run(
    bench: Any,
    ranked: Sequence[Schedule],
    contenders: int = 8,
    finalists: int = 3,
    objective: str | Objective = "mean",
    strategy: Any = UNSURE,
) -> list[Schedule]:
    scoring = begun(bench, objective)
    how: Any = {"narrowing": MoreRows(), "contenders": contenders, "finalists": finalists}
    return asyncio.run(narrow(bench, scoring, strategy, ranked, ROWS, **how))


def test_the_best_on_more_rows_come_first(planted_bench: Any) -> None:
    bench = planted_bench(scores(low=0.2, high=0.9, middle=0.5), list(ROWS))
    ranked = [opening("low"), opening("middle"), opening("high")]
    assert run(bench, ranked, finalists=2) == [opening("high"), opening("middle")]
    assert bench.charged == bench.measured


def test_a_forecast_counts_where_rows_are_few_and_the_strategy_is_told_of_them(planted_bench: Any) -> None:
    """Twelve rows are less certain than a forecast: it wins over a small difference, and not over a large one."""
    for low, first in ((0.45, "low"), (0.1, "high")):
        bench = planted_bench(scores(low=low, high=0.6), list(ROWS))
        ranked, strategy = [opening("low"), opening("high")], Unsure({"low": 0.55, "high": 0.5})
        assert run(bench, ranked, finalists=1, strategy=strategy) == [opening(first)]
        assert strategy.told == ranked


def test_what_keeps_to_the_constraints_on_these_rows_comes_first_whatever_is_forecast(planted_bench: Any) -> None:
    def score(opened: Any, task: str, row: Row) -> float:
        return 0.5 if ("n", "even") in opened else float(task == "a")

    ranked = [opening("uneven"), opening("even")]
    strategy = Unsure({"uneven": 0.9, "even": 0.4})
    floor = Objective(floors={"b": 0.3})
    free, bound = (
        run(planted_bench(score, list(ROWS)), ranked, finalists=1, objective=each, strategy=strategy)
        for each in ("mean", floor)
    )
    assert (free, bound) == ([opening("uneven")], [opening("even")])


def test_a_forecast_counts_along_the_front_too(planted_bench: Any) -> None:
    """Two items cost more than one; the dear candidate is on the front only where it is better."""
    tradeoff = Objective(pareto=("quality", "tokens"))
    dear, cheap = opening("x", "y"), opening("z")
    scored = scores(x=0.52, z=0.5)

    class Doubting(Unsure):
        def forecast(self, schedule: Schedule) -> float:
            return 0.3 if schedule == dear else 0.5

    assert run(planted_bench(scored, list(ROWS)), [dear, cheap], objective=tradeoff) == [dear, cheap]
    assert run(planted_bench(scored, list(ROWS)), [dear, cheap], objective=tradeoff, strategy=Doubting()) == [cheap]


def test_ties_go_to_the_cheaper_prompt_and_then_to_the_earlier_one(planted_bench: Any) -> None:
    bench = planted_bench(scores(x=0.5, y=0.5, z=0.5), list(ROWS))
    assert run(bench, [opening("x", "y"), opening("z"), opening("x")]) == [
        opening("z"),
        opening("x"),
        opening("x", "y"),
    ]


def test_candidates_that_render_alike_count_once(planted_bench: Any) -> None:
    bench = planted_bench(scores(x=0.5), list(ROWS))
    assert run(bench, [opening("x"), opening("x", effect=0.3), opening("x", effect=0.7)]) == [opening("x")]
    assert len(bench.measured) == 12


def test_the_program_as_written_is_no_contender(planted_bench: Any) -> None:
    bench = planted_bench(scores(x=0.5), list(ROWS))
    shut = opening("x", effect=-1.0)
    assert run(bench, [shut, Schedule(), opening("x")]) == [opening("x")]
    assert run(bench, [shut, Schedule()]) == []
    assert run(bench, []) == []


def test_only_the_contenders_are_measured(planted_bench: Any) -> None:
    bench = planted_bench(scores(e=1.0), list(ROWS))
    chosen = run(bench, [opening(item) for item in "abcde"], contenders=4)
    assert opening("e") not in chosen
    assert len(bench.measured) == 4 * 12


def test_the_objective_decides(planted_bench: Any) -> None:
    def score(opened: Any, task: str, row: Row) -> float:
        if ("n", "even") in opened:
            return 0.5
        return 1.0 if task == "a" else 0.2

    ranked = [opening("even"), opening("uneven")]
    assert run(planted_bench(score, list(ROWS)), ranked)[0] == opening("uneven")
    assert run(planted_bench(score, list(ROWS)), ranked, objective="worst")[0] == opening("even")


def test_where_nothing_was_tried_there_is_no_finalist(planted_bench: Any) -> None:
    for objective in ("mean", Objective(pareto=("quality", "tokens"))):
        assert run(planted_bench(scores(), list(ROWS)), [], objective=objective) == []
