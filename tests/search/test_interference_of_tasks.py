"""Interference: which items help and hurt which tasks, and how alike tasks are in that."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.runtime.learned import Effect
from fusionprog.search.interference import Interference, interference

Matrix = dict[str, dict[str, dict[str, Effect]]]

numbers = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 4))
errors = st.floats(0, 0.5, allow_nan=False).map(lambda value: round(value, 4))


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    tasks = [f"t{place}" for place in range(draw(st.integers(1, 4)))]
    nodes = [f"n{place}" for place in range(draw(st.integers(1, 2)))]
    items = [f"i{place}" for place in range(draw(st.integers(1, 5)))]
    absent = draw(st.sets(st.tuples(*map(st.sampled_from, (tasks, nodes, items))), max_size=5))
    return {
        task: {
            node: {item: Effect(draw(numbers), draw(errors), 10) for item in items if (task, node, item) not in absent}
            for node in nodes
        }
        for task in tasks
    }


def by_item(table: Interference) -> dict[tuple[str, str], tuple[str, frozenset[str], frozenset[str], int]]:
    return {
        (each.node, each.item): (each.kind, frozenset(each.helps), frozenset(each.hurts), each.sign)
        for each in table.items
    }


def certain(**effects: dict[str, float]) -> Matrix:
    """Task → item → effect at one node, known well."""
    return {
        task: {"n": {item: Effect(mean, 0.02, 100) for item, mean in mine.items()}} for task, mine in effects.items()
    }


PLANTED = certain(
    court={"legal": 0.2, "brief": -0.1, "polite": 0.0, "rude": -0.2, "cite": 0.15, "chatty": -0.15},
    contract={"legal": 0.1, "brief": -0.1, "polite": 0.01, "rude": -0.1, "cite": 0.1, "chatty": 0.03},
    slogan={"legal": 0.0, "brief": 0.3, "polite": -0.01, "rude": -0.3, "cite": -0.4, "chatty": 0.08},
)


def test_planted_conflicts_are_named_for_what_they_are() -> None:
    table = interference(PLANTED)
    assert by_item(table) == {
        ("n", "legal"): ("shared", frozenset({"court", "contract"}), frozenset(), 1),
        ("n", "brief"): ("private", frozenset({"slogan"}), frozenset({"court", "contract"}), 1),
        ("n", "polite"): ("dropped", frozenset(), frozenset(), 0),
        ("n", "rude"): ("dropped", frozenset(), frozenset({"court", "contract", "slogan"}), -1),
        ("n", "cite"): ("shared", frozenset({"court", "contract"}), frozenset({"slogan"}), -1),
        ("n", "chatty"): ("shared", frozenset({"contract", "slogan"}), frozenset({"court"}), -1),
    }
    assert [each.item for each in table.items] == ["chatty", "cite", "brief", "legal", "polite", "rude"]
    cosine = table.cosine
    assert cosine["court"]["contract"] is not None and cosine["court"]["contract"] > 0.5
    assert cosine["court"]["slogan"] is not None and cosine["court"]["slogan"] < 0


def test_the_cosine_is_that_of_the_effects_that_count() -> None:
    table = interference(certain(one={"a": 0.3, "b": 0.4, "c": 0.015}, other={"a": 0.4, "b": -0.3, "c": 0.1}))
    assert table.cosine == {"one": {"one": 1.0, "other": 0.0}, "other": {"one": 0.0, "other": 1.0}}
    table = interference(certain(one={"a": 0.3, "b": 0.4}, other={"a": 0.3, "b": 0.0}))
    assert table.cosine["one"]["other"] == 0.6


@pytest.mark.parametrize(("mean", "se", "counts"), [(0.05, 0.04, True), (0.05, 0.06, False), (0.009, 0.001, False)])
def test_what_is_smaller_than_its_error_or_than_a_hundredth_counts_for_nothing(
    mean: float, se: float, counts: bool
) -> None:
    for sign in (1, -1):
        (item,) = interference({"t": {"n": {"a": Effect(sign * mean, se, 5)}}}).items
        assert (item.helps, item.hurts) == (("t",) * (counts and sign > 0), ("t",) * (counts and sign < 0))
        assert item.sign == sign * counts


def test_a_task_without_effects_has_no_cosine() -> None:
    table = interference(certain(one={"a": 0.3}, other={"a": 0.0}, third={}))
    assert table.cosine["one"] == {"one": 1.0, "other": None, "third": None}
    assert table.cosine["third"] == {"one": None, "other": None, "third": None}


def test_an_item_that_is_not_on_offer_in_a_task_does_nothing_there() -> None:
    table = interference(certain(one={"a": 0.3, "b": 0.3}, other={"b": 0.3}))
    assert by_item(table)["n", "a"] == ("private", frozenset({"one"}), frozenset(), 1)


@given(matrices())
def test_cosines_are_symmetric_and_between_minus_one_and_one(effects: Matrix) -> None:
    cosine = interference(effects).cosine
    for one in effects:
        for other in effects:
            value = cosine[one][other]
            assert value == cosine[other][one]
            assert value is None or -1 <= value <= 1
        assert cosine[one][one] in (1.0, None)


@given(matrices(), st.randoms(use_true_random=False))
def test_the_order_of_tasks_and_items_changes_nothing(effects: Matrix, draw: object) -> None:
    shuffle = draw.sample  # type: ignore[attr-defined]
    turned = {
        task: {
            node: {item: effects[task][node][item] for item in shuffle(list(mine), len(mine))}
            for node, mine in shuffle(list(effects[task].items()), len(effects[task]))
        }
        for task in shuffle(list(effects), len(effects))
    }
    one, other = interference(effects), interference(turned)
    assert by_item(one) == by_item(other)
    for task, row in one.cosine.items():
        for another, value in row.items():
            found = other.cosine[task][another]
            assert (value is None) == (found is None)
            assert value is None or found is None or math.isclose(value, found, abs_tol=1.1e-4)


@given(matrices(), st.sampled_from([1e-150, 1e-3, 0.5, 8.0, 1e6]))
def test_the_unit_of_scores_changes_nothing(effects: Matrix, factor: float) -> None:
    scaled = {
        task: {
            node: {item: Effect(factor * each.mean, factor * each.se, each.n) for item, each in mine.items()}
            for node, mine in nodes.items()
        }
        for task, nodes in effects.items()
    }
    # Only which effects count is looked at apart, since a product may be rounded across an effect's own error.
    apart = all(
        abs(abs(each.mean) - each.se) > 1e-9 or each.mean == each.se == 0
        for nodes in effects.values()
        for mine in nodes.values()
        for each in mine.values()
    )
    one, other = interference(effects, least=0.0), interference(scaled, least=0.0)
    if apart:
        assert {key: value[:3] for key, value in by_item(one).items()} == {
            key: value[:3] for key, value in by_item(other).items()
        }
        for task, row in one.cosine.items():
            for another, value in row.items():
                found = other.cosine[task][another]
                assert (value is None) == (found is None)
                assert value is None or found is None or math.isclose(value, found, abs_tol=1.1e-4)


@given(matrices())
def test_kinds_are_counts_of_the_tasks_that_are_helped(effects: Matrix) -> None:
    for each in interference(effects).items:
        assert each.kind == ("dropped", "private", "shared")[min(2, len(each.helps))]
        assert not set(each.helps) & set(each.hurts)
        if not each.hurts:
            assert each.sign == (1 if each.helps else 0)
