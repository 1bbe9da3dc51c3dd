"""Pools: each id once, joined with ``|``, checked against the program's nodes and the tasks' domains."""

from __future__ import annotations

from typing import Any

import pytest

import fusionprog as fp
from fusionprog.builders import BalancedDemos, BasisDemos, ClusteredDemos
from fusionprog.errors import PoolError
from fusionprog.prompts.items import DemoSet, Fragment
from fusionprog.prompts.pool import PromptPool

KIND = Fragment("kind", "Be kind.", facet="constraint")
BRIEF = Fragment("brief", "Be brief.", facet="constraint")


def ids(pool: PromptPool) -> list[str]:
    """The ids of a pool in order."""
    return [item.id for item in pool]


def test_a_pool_keeps_its_items_in_order() -> None:
    pool = PromptPool([KIND, BRIEF])
    assert ids(pool) == ["kind", "brief"]
    assert len(pool) == 2
    assert pool["brief"] is BRIEF
    assert "kind" in pool
    assert "rude" not in pool
    assert repr(pool) == "PromptPool(['kind', 'brief'])"
    assert len(PromptPool()) == 0


def test_an_item_that_is_not_there_is_asked_for_with_advice() -> None:
    with pytest.raises(PoolError, match=r"no item 'brie'.*Did you mean 'brief'"):
        PromptPool([KIND, BRIEF])["brie"]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([KIND, Fragment("kind", "Other.", facet="role")], "two items have the id 'kind'.*Give each item an id"),
        ([KIND, KIND], "two items have the id 'kind'"),
        (["Be kind."], "holds something else: expected Fragment, DemoSet or a builder, found 'Be kind.'"),
        ([BalancedDemos], "holds something else"),
        (KIND, "holds no items: expected a list of items"),
        (None, "holds no items: expected a list of items, found None"),
    ],
)
def test_what_is_no_pool_is_refused(items: Any, words: str) -> None:
    with pytest.raises(PoolError, match=words):
        PromptPool(items)


def test_pools_are_joined_in_order_and_a_common_item_stands_once() -> None:
    joined = PromptPool([KIND, BRIEF]) | PromptPool([Fragment("new", "New.", facet="role"), KIND])
    assert ids(joined) == ["kind", "brief", "new"]
    assert ids(PromptPool([KIND]) | PromptPool()) == ids(PromptPool() | PromptPool([KIND])) == ["kind"]


def test_joining_changes_neither_pool() -> None:
    left, right = PromptPool([KIND]), PromptPool([BRIEF])
    assert ids(left | right) == ["kind", "brief"]
    assert (ids(left), ids(right)) == (["kind"], ["brief"])


def test_equal_items_made_twice_are_the_same() -> None:
    twins = PromptPool([Fragment("kind", "Be kind.", facet="constraint"), BalancedDemos(per_label=2)])
    assert ids(twins | PromptPool([KIND, BalancedDemos(per_label=2)])) == ["kind", "balanced-demos-2"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (KIND, Fragment("kind", "Be very kind.", facet="constraint")),
        (KIND, Fragment("kind", "Be kind.", facet="constraint", pinned=True)),
        (KIND, DemoSet("kind", [{"a": "b"}], node="n")),
        (ClusteredDemos(count=4, id="kind"), BasisDemos(count=4, id="kind")),  # alike but for what they build
    ],
)
def test_different_items_of_one_id_cannot_be_joined(one: Any, other: Any) -> None:
    with pytest.raises(PoolError, match=r"both pools have a different item 'kind'.*Rename one"):
        PromptPool([one]) | PromptPool([other])


def test_only_pools_are_joined() -> None:
    with pytest.raises(TypeError):
        PromptPool([KIND]) | [BRIEF]  # type: ignore[operator]


def test_a_pool_that_fits_gives_no_warning() -> None:
    pool = PromptPool(
        [
            Fragment("a", "A.", facet="hint", nodes=["answer"], domains=["retail", "travel"], requires=["b"]),
            Fragment("b", "B.", facet="hint", conflicts=["c"]),
            DemoSet("c", [{"message": "m", "team": "t"}], node="triage"),
        ]
    )
    assert pool.validate(["triage", "answer"], ["retail", "retail"]) == []


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Fragment("a", "A.", facet="hint", nodes=["anser"]), "'a' is for an unknown node 'anser'.*mean 'answer'"),
        (DemoSet("a", [{"m": 1}], node="triag"), "'a' is for an unknown node 'triag'.*mean 'triage'"),
        (Fragment("a", "A.", facet="hint", requires=["brif"]), "'a' names an unknown item 'brif'.*mean 'brief'"),
        (Fragment("a", "A.", facet="hint", conflicts=["kid"]), "'a' names an unknown item 'kid'.*mean 'kind'"),
    ],
)
def test_a_name_that_does_not_exist_is_refused(item: Any, words: str) -> None:
    pool = PromptPool([item, KIND, BRIEF])
    with pytest.raises(PoolError, match=words):
        pool.validate(["triage", "answer"], ["retail"])


def test_an_item_that_is_offered_nowhere_is_a_warning() -> None:
    far = Fragment("far", "F.", facet="hint", domains=["travel", "law"])
    house = Fragment("house", facet="hint", texts={"law": "L."})
    warnings = PromptPool([far, KIND, house]).validate(iter(["answer"]), iter(["retail", "banking", "retail"]))
    assert warnings == [
        "item 'far' is offered nowhere: its domains are travel, law, the tasks' are retail, banking",
        "item 'house' is offered nowhere: its domains are law, the tasks' are retail, banking",
    ]


def test_a_compile_says_what_does_not_fit_before_any_call(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    pool = PromptPool([Fragment("a", "A.", facet="hint", nodes=["triag"])])
    with pytest.raises(PoolError, match=r"unknown node 'triag'.*mean 'triage'"):
        fp.compile(desk_program, desk_tasks, pool=pool, lm="offline", progress=False)
