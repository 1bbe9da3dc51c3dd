"""Which effects there are, and which of them an outcome shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.prompts.schedule import Format
from fusionprog.search.effects import columns as effects_columns
from fusionprog.search.effects.columns import AMOUNTS, FEW_TASKS, MOST_COLUMNS, Column, Columns, Shown, nearest_amount

FORMATS: tuple[Format, ...] = ("chat", "json", "xml")


def columns_of(nodes: int = 2, items: int = 3, tasks: int = 7, size: int = 2) -> Columns:
    return Columns(
        {f"n{node}": [f"item{item}" for item in range(items)] for node in range(nodes)},
        {f"t{task}": tuple(float(task - place) / 3 for place in range(size)) for task in range(tasks)},
        FORMATS,
    )


def row_of(columns: Columns, task: str, shown: dict[str, Shown]) -> Any:
    return columns.row(task, columns.atoms(shown))


def kinds(columns: Columns) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind, *_ in columns.names:
        found[kind] = found.get(kind, 0) + 1
    return found


SHAPES = st.builds(columns_of, st.integers(1, 4), st.integers(0, 60), st.integers(1, 12), st.integers(0, 4))


@given(SHAPES)
def test_every_column_is_there_once_and_known_by_its_place(columns: Columns) -> None:
    assert columns.names[0] == ("level",)
    assert len(set(columns.names)) == len(columns.names) == len(columns.index)
    assert all(columns.names[place] == name for name, place in columns.index.items())


@given(SHAPES)
def test_groups_that_would_be_too_many_are_left_out_the_most_particular_first(columns: Columns) -> None:
    nodes, tasks = len(columns.nodes), len(columns.embeddings)
    items = len(columns.nodes["n0"])
    size = min(tasks // 3, len(columns.embeddings["t0"]))  # a direction must be seen in several tasks
    counts = {"at_node": nodes * items if nodes > 1 else 0}
    counts["by_task_kind"] = nodes * items * size if tasks > FEW_TASKS else 0
    counts["in_task"] = tasks * nodes * items if tasks > 1 else 0
    expected = {"level": 1, "task": tasks, "everywhere": items, "format": 2 * nodes, "amount": 3 * nodes}
    for group, count in counts.items():
        if sum(expected.values()) + count <= MOST_COLUMNS:
            expected[group] = count
    assert kinds(columns) == {kind: count for kind, count in expected.items() if count}


def test_what_is_left_out_goes_from_the_single_task_to_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for most in (10_000, 120, 70, 40):
        monkeypatch.setattr(effects_columns, "MOST_COLUMNS", most)
        found.append({"at_node", "by_task_kind", "in_task"} & kinds(columns_of(2, 10, 7)).keys())
    assert found == [{"at_node", "by_task_kind", "in_task"}, {"at_node", "by_task_kind"}, {"at_node"}, set()]


@pytest.mark.parametrize(("tasks", "there"), [(1, False), (FEW_TASKS, False), (FEW_TASKS + 1, True)])
def test_with_few_tasks_there_are_no_kinds_of_task(tasks: int, there: bool) -> None:
    assert ("by_task_kind" in kinds(columns_of(tasks=tasks))) == there


def test_a_single_node_or_task_has_no_effects_of_its_own() -> None:
    assert {"at_node", "in_task"} & kinds(columns_of(nodes=1, tasks=1)).keys() == set()
    assert {"at_node", "in_task"} & kinds(columns_of(nodes=1, tasks=2)).keys() == {"in_task"}
    assert {"at_node", "in_task"} & kinds(columns_of(nodes=2, tasks=1)).keys() == {"at_node"}


def test_a_row_is_the_level_the_task_and_what_every_node_shows() -> None:
    columns = columns_of()
    shown = {"n0": Shown(frozenset({"item1"}), "json", 0.5), "n1": Shown(frozenset({"item1", "item2"}))}
    row = columns.row("t4", columns.atoms(shown))
    expected: dict[Column, float] = {
        ("level",): 1.0,
        ("task", "t4"): 1.0,
        ("everywhere", "item1"): 2.0,
        ("everywhere", "item2"): 1.0,
        **{("at_node", node, item): 1.0 for node, item in [("n0", "item1"), ("n1", "item1"), ("n1", "item2")]},
        **{
            ("by_task_kind", node, item, str(kind)): (4 - kind) / 3
            for node, item in [("n0", "item1"), ("n1", "item1"), ("n1", "item2")]
            for kind in range(2)
        },
        **{("in_task", "t4", node, item): 1.0 for node, item in [("n0", "item1"), ("n1", "item1"), ("n1", "item2")]},
        ("format", "n0", "json"): 1.0,
        ("amount", "n0", "0.5"): 1.0,
    }
    assert {columns.names[place]: row[place] for place in np.flatnonzero(row)} == expected


@given(SHAPES, st.data())
def test_a_row_is_the_sum_of_its_items_effects(columns: Columns, data: Any) -> None:
    task = data.draw(st.sampled_from(sorted(columns.embeddings)))
    subsets = {
        node: st.frozensets(st.sampled_from(items)) if items else st.just(frozenset())
        for node, items in columns.nodes.items()
    }
    shown = {node: data.draw(subset) for node, subset in subsets.items()}
    effects = np.random.default_rng(0).normal(size=len(columns.names))
    bare = row_of(columns, task, {node: Shown(frozenset()) for node in shown})
    expected = 0.0
    for node, items in shown.items():
        places, values = columns.parts(task, node)
        assert places.shape == values.shape and len(places) == len(columns.nodes[node])
        known = dict(zip(columns.nodes[node], (effects[places] * values).sum(axis=1).tolist(), strict=True))
        expected += sum(known[item] for item in items)
    row = row_of(columns, task, {node: Shown(items) for node, items in shown.items()})
    assert (row - bare) @ effects == pytest.approx(expected, abs=1e-9)


def test_pinned_and_unknown_items_have_no_column() -> None:
    columns = columns_of()
    alone = row_of(columns, "t0", {"n0": Shown(frozenset({"item0"}))})
    more = row_of(columns, "t0", {"n0": Shown(frozenset({"item0", "pinned", "of another pool"}))})
    assert np.array_equal(alone, more)


def test_the_usual_format_has_no_column() -> None:
    columns = columns_of()
    bare = row_of(columns, "t0", {})
    assert np.array_equal(row_of(columns, "t0", {"n0": Shown(frozenset(), "chat")}), bare)
    assert not np.array_equal(row_of(columns, "t0", {"n0": Shown(frozenset(), "xml")}), bare)


@given(st.floats(0.001, 1.0))
def test_an_amount_is_taken_for_the_nearest_in_proportion(amount: float) -> None:
    nearest = nearest_amount(amount)
    assert nearest in AMOUNTS
    assert all(abs(math.log(nearest / amount)) <= abs(math.log(each / amount)) for each in AMOUNTS)


def test_a_node_that_does_not_always_run_has_a_column_for_that_it_ran() -> None:
    columns = Columns({"draft": ["k"], "repair": ["k"]}, {"a": ()}, ("chat",), frozenset({"repair"}))
    assert [name for name in columns.names if name[0] == "ran"] == [("ran", "repair")]
    place = columns.index["ran", "repair"]
    shown = {"draft": Shown(frozenset({"k"})), "repair": Shown(frozenset())}
    assert row_of(columns, "a", shown)[place] == 1.0
    assert row_of(columns, "a", {"draft": shown["draft"]})[place] == 0.0
