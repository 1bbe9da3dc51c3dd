"""The schedule: effects add up, and only the embedding tells tasks apart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.prompts.items import FACETS, Content, DemoSet, Fragment, Item
from fusionprog.prompts.mixture import mix
from fusionprog.prompts.schedule import DEFAULT_TEMPERATURE, FORMATS, NodeSettings, Schedule

LAW = settings(deadline=None, max_examples=80, derandomize=True)
NUMBERS = st.floats(-2.0, 2.0, allow_nan=False)

ITEMS: dict[str, Item] = {
    item.id: item
    for item in (
        Fragment("careful", "Read with care.", facet="instruction"),
        Fragment("brief", "Be brief.", facet="instruction"),
        Fragment("house", "Be kind.", facet="constraint", pinned=True),
        DemoSet("shots", [{"question": "q", "answer": "a"}], node="answer"),
    )
}
OFFERED: dict[str, Content] = {
    "careful": "Read with care.",
    "brief": "Be brief.",
    "house": "Be kind.",
    "shots": ({"question": "q", "answer": "a"},),
}
OPEN = NodeSettings(1.0, dict.fromkeys(FACETS, 1.0), "json")


def used(schedule: Schedule, task: str, embedding: tuple[float, ...] = ()) -> set[str]:
    """What is in the prompt of the node ``answer``."""
    mixture = schedule.mixture("answer", task, embedding, ITEMS, OFFERED)
    return {each.id for facet in FACETS for each in mixture.chosen(facet)}


@LAW
@given(NUMBERS, NUMBERS, st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4), NUMBERS)
def test_an_effect_is_the_sum_of_its_four_parts(
    everywhere: float, here: float, kind: list[tuple[float, float]], alone: float
) -> None:
    schedule = Schedule(
        everywhere={"k": everywhere},
        at_node={"n": {"k": here}},
        directions={"n": {"k": tuple(one for one, _ in kind)}},
        in_task={"t": {"n": {"k": alone}}},
    )
    wanted = everywhere + here + math.fsum(one * other for one, other in kind) + alone
    embedding = tuple(other for _, other in kind)
    assert schedule.effect("n", "t", embedding, "k") == pytest.approx(wanted, abs=1e-5)


def test_each_part_reaches_only_as_far_as_it_says() -> None:
    schedule = Schedule(
        everywhere={"k": 0.5},
        at_node={"n": {"k": 0.25}},
        directions={"n": {"k": (0.125,)}},
        in_task={"t": {"n": {"k": 0.0625}}},
    )
    assert schedule.effect("n", "t", (1.0,), "k") == 0.9375
    assert schedule.effect("n", "t", (-1.0,), "k") == 0.6875
    assert schedule.effect("n", "other", (1.0,), "k") == 0.875
    assert schedule.effect("other", "t", (1.0,), "k") == 0.5
    assert schedule.effect("n", "t", (1.0,), "other") == 0.0


def test_the_default_schedule_leaves_all_but_pinned_items_out() -> None:
    assert used(Schedule(), "shop") == {"house"}
    assert Schedule().settings("answer", "shop") == NodeSettings(DEFAULT_TEMPERATURE, {}, "chat")


def test_a_node_without_settings_runs_as_written_however_large_the_effects() -> None:
    assert used(Schedule(everywhere=dict.fromkeys(ITEMS, 1.0), nodes={"other": OPEN}), "shop") == {"house"}


def test_a_task_as_written_keeps_nothing_but_pinned_items_and_the_default_format() -> None:
    schedule = Schedule(everywhere=dict.fromkeys(ITEMS, 1.0), nodes={"answer": OPEN}, as_written=("shop",))
    assert used(schedule, "shop") == {"house"}
    assert used(schedule, "bank") == set(ITEMS)
    assert schedule.settings("answer", "shop").format == "chat"
    assert schedule.settings("answer", "bank").format == "json"


def test_costs_are_shared_by_all_nodes_and_tasks() -> None:
    schedule = Schedule(
        everywhere={"careful": 0.5, "brief": 0.5}, costs={"careful": 0.5, "brief": 0.25}, nodes={"answer": OPEN}
    )
    assert used(schedule, "shop") == {"brief", "house"}


def test_a_mixture_is_made_of_the_effects_the_costs_and_the_nodes_settings() -> None:
    schedule = Schedule(
        everywhere={"careful": 0.5, "brief": 0.25},
        directions={"answer": {"brief": (0.5,)}},
        costs={"careful": 0.125},
        nodes={"answer": OPEN},
    )
    effects = {"careful": 0.5, "brief": 0.75, "house": 0.0, "shots": 0.0}
    assert schedule.mixture("answer", "shop", (1.0,), ITEMS, OFFERED) == mix(
        ITEMS, OFFERED, effects, {"careful": 0.125}, 1.0, OPEN.gates
    )


def test_tasks_are_told_apart_by_their_embedding_alone() -> None:
    schedule = Schedule(
        everywhere={"careful": 0.5, "brief": 0.5},
        directions={"answer": {"careful": (1.0,), "brief": (-1.0,)}},
        nodes={"answer": OPEN},
    )
    assert used(schedule, "shop", (1.0,)) == used(schedule, "never seen", (1.0,)) == {"careful", "house"}
    assert used(schedule, "shop", (-1.0,)) == {"brief", "house"}


@LAW
@given(st.dictionaries(st.sampled_from(["shop", "bank", "inn"]), st.tuples(NUMBERS, NUMBERS), min_size=2))
def test_the_order_of_tasks_and_of_what_is_learned_changes_nothing(tasks: dict[str, tuple[float, float]]) -> None:
    at_node = {"answer": {"careful": 0.2, "brief": 0.1, "shots": 0.4}, "other": {"careful": 1.0}}
    in_task = {task: {"answer": {"careful": place[0]}} for task, place in tasks.items()}
    directions = {"answer": {"careful": (0.3, -0.2), "shots": (0.1, 0.5)}}
    forward = Schedule(at_node=at_node, in_task=in_task, directions=directions, nodes={"answer": OPEN})
    backward = Schedule(
        at_node={node: dict(reversed(mine.items())) for node, mine in reversed(at_node.items())},
        in_task=dict(reversed(in_task.items())),
        directions={"answer": dict(reversed(directions["answer"].items()))},
        nodes={"answer": OPEN},
    )
    one = {task: forward.mixture("answer", task, place, ITEMS, OFFERED) for task, place in tasks.items()}
    other = {
        task: backward.mixture("answer", task, place, dict(reversed(ITEMS.items())), dict(reversed(OFFERED.items())))
        for task, place in reversed(tasks.items())
    }
    assert one == other


def test_the_formats_are_those_of_the_design() -> None:
    assert FORMATS == ("chat", "json", "xml")


def test_a_task_or_node_with_a_schedule_of_its_own_follows_that_and_no_other() -> None:
    brief = Schedule(everywhere={"brief": 1.0}, nodes={"answer": OPEN}, as_written=("written",))
    shots = Schedule(everywhere={"shots": 1.0}, nodes={"answer": NodeSettings(1.0, OPEN.gates, choices={"lm": "b"})})
    schedule = Schedule(
        everywhere={"careful": 1.0},
        nodes={"answer": OPEN, "other": NodeSettings(choices={"module": "x"})},
        as_written=("brief",),
        by_task={"brief": brief, "written": brief, "deep": Schedule(by_node={"answer": shots})},
    )
    assert used(schedule, "old") == {"careful", "house"}
    assert used(schedule, "brief") == {"brief", "house"}
    assert used(schedule, "deep") == {"shots", "house"}
    assert schedule.effect("answer", "brief", (), "careful") == 0.0
    assert schedule.settings("answer", "deep").choices == {"lm": "b"}
    assert schedule.settings("answer", "written") == NodeSettings()
    assert [schedule.is_as_written(task) for task in ("old", "brief", "written", "deep")] == [False, False, True, False]
    assert schedule.picks("old") == {"other": {"module": "x"}}
    assert schedule.picks("brief") == schedule.picks("written") == {}
    assert schedule.picks("deep") == {"answer": {"lm": "b"}}

    apart = Schedule(everywhere=schedule.everywhere, nodes=schedule.nodes, by_node={"answer": shots})
    assert used(apart, "old") == {"shots", "house"}
    assert apart.picks("old") == {"answer": {"lm": "b"}, "other": {"module": "x"}}
