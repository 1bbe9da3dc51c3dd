"""Screening: every item alone, by sequential halving."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.items import Item
from fusionprog.search.screening import Screened, SequentialHalving, screen
from fusionprog.search.space import Space

keep_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def space_of(counts: Mapping[str, int]) -> Space:
    items: dict[str, dict[str, Item]] = {
        node: {
            f"{node}-{index}": fp.Fragment(f"{node}-{index}", f"Text {index}.", facet="hint") for index in range(count)
        }
        for node, count in counts.items()
    }
    return Space(items=items, directions={})


def rows_of(counts: Mapping[str, int]) -> dict[str, list[Row]]:
    return {task: [Row({"text": f"{task} {index}"}) for index in range(count)] for task, count in counts.items()}


def coin(*parts: Any) -> float:
    """A fair coin that falls alike in every run."""
    return float(seed_of(*parts) % 2)


def run(bench: Any, space: Space, rows: Mapping[str, list[Row]], calls: int) -> tuple[Screened, list[int]]:
    steps: list[int] = []
    halving = SequentialHalving()
    return asyncio.run(screen(bench, space, rows, calls, screening=halving, keep=Cost, stepped=steps.append)), steps


@keep_fixture
@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 40), min_size=1),
    st.integers(1, 3),
    st.integers(0, 3000),
)
def test_it_spends_at_most_its_calls_and_books_all_it_measures(
    planted_bench: Any, here: int, there: int, tasks: dict[str, int], each: int, calls: int
) -> None:
    bench = planted_bench(lambda opened, task, row: coin(sorted(opened), task, row.id), list(tasks), each)
    screened, steps = run(bench, space_of({"one": here, "two": there}), rows_of(tasks), calls)
    assert bench.calls <= calls
    assert bench.charged == bench.measured
    assert set(screened.effects) == set(screened.rows)
    assert bool(screened.effects) == bool(bench.measured) == bool(steps)
    assert steps == list(range(1, len(steps) + 1))
    assert all(1 <= count <= max(tasks.values()) for count in screened.rows.values())


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_items_are_tried_on_as_many_rows_as_there_are_calls_for(planted_bench: Any, count: int) -> None:
    bench = planted_bench(lambda opened, task, row: float(bool(opened)), ["a"])
    screened, steps = run(bench, space_of({"node": count}), rows_of({"a": 50}), 10 * (count + 1))
    assert set(screened.rows.values()) == {10}
    assert len(screened.effects) == count
    assert steps == [1]
    assert all(effect > 0 for effect in screened.effects.values())


def test_no_items_cost_nothing(planted_bench: Any) -> None:
    bench = planted_bench(lambda opened, task, row: 1.0, ["a"])
    screened, steps = run(bench, space_of({"node": 0}), rows_of({"a": 10}), 1000)
    assert screened == Screened({}, {}) and not steps and not bench.measured


def test_too_few_calls_for_a_row_of_every_item_try_nothing(planted_bench: Any) -> None:
    rows = rows_of({"a": 30, "b": 30})
    for calls, tried in ((2 * 11 - 1, 0), (2 * 11, 10)):
        bench = planted_bench(lambda opened, task, row: 1.0, list(rows))
        screened, _ = run(bench, space_of({"node": 10}), rows, calls)
        assert len(screened.effects) == tried


@pytest.mark.parametrize("planted", [3, 17])
def test_a_planted_good_item_comes_out_on_top_of_noise(planted_bench: Any, planted: int) -> None:
    good = ("node", f"node-{planted}")

    def score(opened: frozenset[tuple[str, str]], task: str, row: Row) -> float:
        luck = coin(sorted(opened - {good}), task, row.id)
        return 1.0 if good in opened and coin("helps", task, row.id) else luck

    bench = planted_bench(score, ["a", "b"])
    screened, _ = run(bench, space_of({"node": 20}), rows_of({"a": 60, "b": 60}), 1200)
    assert max(screened.effects, key=lambda arm: screened.effects[arm]) == good


def test_a_harmful_item_gets_an_effect_below_zero(planted_bench: Any) -> None:
    bad = ("node", "node-1")
    bench = planted_bench(lambda opened, task, row: float(bad not in opened), ["a"])
    screened, _ = run(bench, space_of({"node": 4}), rows_of({"a": 40}), 400)
    assert screened.effects[bad] < 0
    assert [arm for arm, effect in screened.effects.items() if effect != 0] == [bad]


def test_the_better_half_is_tried_on_more_rows(planted_bench: Any) -> None:
    good = {("node", f"node-{index}") for index in range(4)}
    bench = planted_bench(lambda opened, task, row: float(bool(opened & good)) * coin("row", row.id), ["a"])
    screened, steps = run(bench, space_of({"node": 8}), rows_of({"a": 60}), 300)
    assert len(steps) == 2
    assert {arm for arm, count in screened.rows.items() if count == max(screened.rows.values())} == good


def test_fewer_rows_shrink_an_effect_towards_zero(planted_bench: Any) -> None:
    effects: list[float] = []
    for count in (1, 2, 8, 30):
        bench = planted_bench(lambda opened, task, row: float(bool(opened)), ["a"])
        screened, _ = run(bench, space_of({"node": 1}), rows_of({"a": count}), 10_000)
        effects += screened.effects.values()
    assert effects == sorted(effects) and len(set(effects)) == 4
    assert 0 < effects[0] < 0.1 < effects[-1] < 1.0


def test_a_larger_gain_with_more_noise_is_not_ranked_below_a_small_sure_one(planted_bench: Any) -> None:
    """Six rows won and two lost of twelve are worth more than one won and none lost."""
    rows = rows_of({"a": 12})
    place = {row.id: index for index, row in enumerate(rows["a"])}

    def score(opened: frozenset[tuple[str, str]], task: str, row: Row) -> float:
        index = place[row.id]
        base = 1.0 if index < 2 else 0.0
        if ("node", "node-0") in opened:
            return {0: 0.0, 1: 0.0}.get(index, 1.0 if index < 8 else 0.0)
        if ("node", "node-1") in opened:
            return 1.0 if index < 3 else 0.0
        return base

    bench = planted_bench(score, ["a"])
    screened, _ = run(bench, space_of({"node": 2}), rows, 10_000)
    assert screened.rows["node", "node-0"] == 12
    assert screened.effects["node", "node-0"] > screened.effects["node", "node-1"] > 0


def test_a_task_with_few_rows_ends_early_and_the_others_go_on(planted_bench: Any) -> None:
    bench = planted_bench(lambda opened, task, row: float(bool(opened)), ["large", "small"])
    screened, _ = run(bench, space_of({"node": 2}), rows_of({"large": 30, "small": 3}), 2 * 3 * 30)
    assert set(screened.rows.values()) == {30}
    assert len({row for _, task, row in bench.measured if task == "small"}) == 3
