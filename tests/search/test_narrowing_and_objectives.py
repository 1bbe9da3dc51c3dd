"""Narrowing to finalists, and how tasks' scores become one number."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.errors import FusionProgError
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.search.narrowing import narrow
from fusionprog.search.objective import objective_registry

ROWS = {task: [Row({"text": f"{task} {index}"}) for index in range(6)] for task in ("a", "b")}
mean = objective_registry.get("mean")
worst = objective_registry.get("worst")


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


def run(
    bench: Any, ranked: Sequence[Schedule], contenders: int = 8, finalists: int = 3, objective: Any = mean
) -> list[Schedule]:
    return asyncio.run(narrow(bench, objective, UNSURE, ranked, ROWS, contenders=contenders, finalists=finalists))


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
        narrowed = asyncio.run(narrow(bench, mean, strategy, ranked, ROWS, contenders=8, finalists=1))  # type: ignore[arg-type]
        assert narrowed == [opening(first)]
        assert strategy.told == ranked


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
    assert run(planted_bench(score, list(ROWS)), ranked, objective=worst)[0] == opening("even")


SCORES = st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), min_size=1, max_size=5)


@given(SCORES)
def test_the_mean_lies_between_the_lowest_and_the_highest(tasks: dict[str, float]) -> None:
    assert min(tasks.values()) - 1e-12 <= mean(tasks) <= max(tasks.values()) + 1e-12


@given(SCORES, st.floats(0.01, 1))
def test_both_objectives_rise_with_the_worst_task(tasks: dict[str, float], more: float) -> None:
    lowest = min(tasks, key=lambda task: tasks[task])
    better = {**tasks, lowest: tasks[lowest] + more}
    assert mean(better) > mean(tasks)
    assert worst(better) > worst(tasks)


def test_worst_prefers_the_better_worst_task_and_then_the_better_mean() -> None:
    assert worst({"a": 0.4, "b": 0.4}) > worst({"a": 1.0, "b": 0.3})
    assert worst({"a": 0.4, "b": 0.9}) > worst({"a": 0.4, "b": 0.4})


def test_an_unknown_objective_is_refused_with_the_known_ones() -> None:
    assert list(objective_registry) == ["mean", "worst"]
    with pytest.raises(FusionProgError, match=r"no objective called 'median'.*'mean', 'worst'"):
        objective_registry.get("median")
