"""Pareto fronts: what is not beaten in everything, the knee, and candidates that differ in cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.search.pareto import chord_distances, front, spread, staircase

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=12)


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points: list[tuple[int, int, int]]) -> None:
    on_it = front(points)
    for place, point in enumerate(points):
        beaten = any(dominates(other, point) for other in points)
        assert (place in on_it) == (not beaten and points.index(point) == place)
    assert on_it == sorted(on_it, key=lambda place: [-value for value in points[place]])


@given(POINTS)
def test_everything_off_the_front_is_dominated_by_something_on_it(points: list[tuple[int, int, int]]) -> None:
    on_it = {points[place] for place in front(points)}
    assert all(point in on_it or any(dominates(best, point) for best in on_it) for point in points)


def test_the_knee_is_the_farthest_point_above_the_chord() -> None:
    points = [(0.9, -1000.0), (0.85, -300.0), (0.5, -200.0), (0.3, -100.0)]
    distances = chord_distances(points)
    assert distances[0] == distances[3] == 0.0
    assert distances.index(max(distances)) == 1
    # In units of the axes' spans: (0.55 / 0.6 + 700 / 900 - 1) / sqrt(2)
    assert distances[1] == pytest.approx((0.55 / 0.6 + 700 / 900 - 1) / 2**0.5)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_units_change_no_distance(one: float, other: float) -> None:
    points = [(0.9, -1000.0), (0.85, -300.0), (0.5, -200.0), (0.3, -100.0)]
    assert chord_distances([(one * x, other * y) for x, y in points]) == pytest.approx(chord_distances(points))


def test_points_that_do_not_differ_have_no_distance_but_from_each_other() -> None:
    assert chord_distances([]) == []
    assert chord_distances([(0.5, -10.0)]) == [-1.0]
    assert chord_distances([(0.5, -10.0), (0.4, -10.0)]) == [0.0, -1.0]


def test_a_spread_has_the_ends_and_the_knee() -> None:
    points = [(0.9, -1000.0), (0.88, -800.0), (0.85, -300.0), (0.5, -200.0), (0.3, -100.0)]
    assert spread(points, 1) == [0]
    assert spread(points, 2) == [0, 4]
    assert spread(points, 3) == [0, 2, 4]
    assert spread(points, 9) == [0, 1, 2, 3, 4]


def test_a_staircase_takes_the_cheaper_among_the_worse() -> None:
    costs = [50.0, 80.0, 30.0, 60.0, 10.0, 40.0]
    assert staircase(costs, 3) == [0, 2, 4]
    assert staircase(costs, 5) == [0, 1, 2, 3, 4]
    assert staircase(costs, 2) == [0, 2]
    assert staircase([], 3) == []


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 12))
def test_a_staircase_has_as_many_steps_as_are_asked_for(costs: list[int], count: int) -> None:
    steps = staircase([float(cost) for cost in costs], count)
    assert len(steps) == len(set(steps)) == min(count, len(costs))
    if steps:
        assert steps[0] == 0  # the most promising one is always among them
