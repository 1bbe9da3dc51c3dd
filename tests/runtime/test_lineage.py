"""Lineage: ancestors by distance, loops, the nearest common ancestors."""

from __future__ import annotations

import pytest

from fusionprog.runtime.lineage import MOST_ANCESTORS, Lineage, Parent, common_ancestors, joined


def parents(*names: str) -> tuple[Parent, ...]:
    return tuple(Parent(name, "Desk", "compile") for name in names)


def lineage(**made_from: str) -> Lineage:
    """The lineage of ``x`` from ``child="parents, a letter each"``."""
    further = {child: parents(*names) for child, names in made_from.items()}
    return Lineage(further.pop("x", ()), further)


def test_ancestors_are_told_by_their_distance() -> None:
    assert lineage(x="ab", a="c", b="ad").distances() == {"a": 1, "b": 1, "c": 2, "d": 2}
    assert lineage().distances() == {}


def test_a_child_has_its_parents_and_all_that_came_before_them() -> None:
    first, second = lineage(x="c", c="d"), lineage(x="cd", c="d")
    made = joined(parents("a", "b"), [first, second])
    assert made == Lineage(parents("a", "b"), {"a": parents("c"), "c": parents("d"), "b": parents("c", "d")})
    assert joined(parents("a", "a"), [Lineage(), Lineage()]) == Lineage(parents("a"), {})


def test_of_a_long_lineage_the_nearest_are_kept() -> None:
    last = Lineage()
    for n in range(MOST_ANCESTORS + 20):
        last = joined(parents(f"{n}"), [last])
    assert next(iter(last.distances())) == f"{MOST_ANCESTORS + 19}"
    assert len(last.further) == MOST_ANCESTORS


@pytest.mark.parametrize(
    ("made_from", "loop"),
    [
        ({"x": "ab", "a": "c", "b": "c"}, False),
        ({"x": "x"}, True),
        ({"x": "a", "a": "x"}, True),
        ({"x": "a", "a": "b", "b": "c", "c": "a"}, True),
        ({"x": "a", "a": "a"}, True),
    ],
)
def test_a_loop_is_found(made_from: dict[str, str], loop: bool) -> None:
    assert (lineage(**made_from).loop("x") is not None) == loop


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"x": "a"}, {"x": "a"}, ["a"]),
        ({"x": "a", "a": "b"}, {"x": "b"}, ["b"]),
        ({"x": "a"}, {"x": "b"}, []),
        ({"x": "a", "a": "c"}, {"x": "b", "b": "c"}, ["c"]),
        ({"x": "ab", "a": "c", "b": "c"}, {"x": "ab", "a": "c", "b": "c"}, ["a", "b"]),  # merged crosswise
        ({"x": "p"}, {"x": "1"}, ["1"]),  # the one is an ancestor of the other itself
    ],
)
def test_the_nearest_common_ancestors(one: dict[str, str], other: dict[str, str], shared: list[str]) -> None:
    assert common_ancestors(("1", lineage(**one)), ("2", lineage(**other))) == shared
    assert common_ancestors(("2", lineage(**other)), ("1", lineage(**one))) == shared


def test_a_program_has_itself_in_common_with_itself() -> None:
    assert common_ancestors(("1", lineage(x="a")), ("1", lineage(x="a"))) == ["1"]
