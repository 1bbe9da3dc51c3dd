"""Narrowing to finalists."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fusionprog.program.data import Row
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.search.narrowing import narrow
from fusionprog.search.objective import Objective, objective_of
from fusionprog.search.scoring import Scoring

ROWS = {task: [Row({"text": f"{task} {index}"}) for index in range(6)] for task in ("a", "b")}


def opening(*items: str, effect: float = 1.0) -> Schedule:
    return Schedule(at_node={"n": dict.fromkeys(items, effect)}, nodes={"n": NodeSettings(gates={"hint": 1.0})})


def scores(**by_item: float) -> Any:
    """The best of a candidate's items counts."""
    return lambda opened, task, row: max((by_item.get(item, 0.0) for _, item in opened), default=0.0)


def run(
    bench: Any, ranked: Sequence[Schedule], contenders: int = 8, finalists: int = 3, objective: str | Objective = "mean"
) -> list[Schedule]:
    scoring = Scoring(objective_of(objective), rows=6, seed=0)
    scoring.begin(asyncio.run(bench.measure(Schedule(), ROWS)))
    bench.measured.clear()
    return asyncio.run(narrow(bench, scoring, ranked, ROWS, contenders=contenders, finalists=finalists))


def test_the_best_on_more_rows_come_first(planted_bench: Any) -> None:
    bench = planted_bench(scores(low=0.2, high=0.9, middle=0.5), list(ROWS))
    ranked = [opening("low"), opening("middle"), opening("high")]
    assert run(bench, ranked, finalists=2) == [opening("high"), opening("middle")]
    assert bench.charged == bench.measured


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
