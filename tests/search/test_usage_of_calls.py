"""What a call of a candidate takes, measured and estimated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.constraints import Usage, broken, estimated_usage, mean_usage, point, usage_of
from fusionprog.search.objective import Objective


def test_what_a_call_takes_is_a_mean_over_rows() -> None:
    rows = [Outcome("1", 1.0, tokens=10, usd=0.1, written=4), Outcome("2", 0.0, tokens=30, usd=0.3, written=8)]
    assert usage_of({"a": rows, "b": []}) == {"a": Usage(20.0, 0.2, 6.0)}
    assert usage_of({"a": [*rows, Outcome("3", 1.0, tokens=20)]})["a"].usd is None


def test_tasks_are_averaged_and_one_unknown_price_makes_all_unknown() -> None:
    usage = {"a": Usage(10.0, 0.1, 2.0), "b": Usage(30.0, 0.3, 4.0)}
    assert mean_usage(usage) == Usage(20.0, 0.2, 3.0)
    assert mean_usage({**usage, "c": Usage(20.0, None, 3.0)}).usd is None
    assert mean_usage({}) == Usage(0.0, 0.0, 0.0)


def test_an_estimate_adds_what_the_prompts_are_longer() -> None:
    class Bench:
        def prompts(self, schedule: Schedule, task: str) -> dict[str, Any]:
            return {"n": SimpleNamespace(most_tokens=1200 if schedule.everywhere else 400)}

    bench: Any = Bench()
    written = {"a": Usage(150.0, 0.3, 5.0), "b": Usage(100.0, None, 5.0)}
    assert estimated_usage(bench, Schedule(), written) == written
    longer = estimated_usage(bench, Schedule(everywhere={"x": 1.0}), written)
    assert longer == {"a": Usage(350.0, 0.7, 5.0), "b": Usage(300.0, None, 5.0)}


def test_axes_are_the_higher_the_better_with_quality_first() -> None:
    usage = Usage(100.0, None, 5.0)
    assert point(Objective(pareto=("tokens", "quality", "latency")), 0.5, usage) == (0.5, -100.0, -5.0)
    assert point(Objective(pareto=("quality", "usd")), 0.5, usage) == (0.5, 0.0)


def test_nothing_is_broken_where_nothing_is_asked_for() -> None:
    assert broken(Objective(), {"a": 0.0}, {"a": Usage(1e9, 1e9, 1e9)}) == {}


def test_what_is_just_kept_to_is_not_broken() -> None:
    objective = Objective(floors={"a": 0.3}, most_tokens=100, most_usd=0.1)
    assert broken(objective, {"a": 0.1 + 0.2}, {"a": Usage(100.0, 0.1, 0.0)}) == {}
    assert list(broken(objective, {"a": 0.2}, {"b": Usage(150.0, 0.3, 0.0)}).values()) == pytest.approx([0.1, 0.5, 2.0])
