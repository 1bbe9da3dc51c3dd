"""Seats shared out by largest remainder."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.prompts.mixture import apportion

LAW = settings(deadline=None, max_examples=100, derandomize=True)
PARTIES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), max_size=7)
SEATS = st.integers(0, 40)


def hamilton(seats: int, votes: list[int]) -> list[int]:
    """The textbook method in exact numbers, for votes that are not all 0 and no limits."""
    quotas = [Fraction(seats * each, sum(votes)) for each in votes]
    given = [quota.numerator // quota.denominator for quota in quotas]
    order = sorted(range(len(votes)), key=lambda index: (given[index] - quotas[index], index))
    for index in order[: seats - sum(given)]:
        given[index] += 1
    return given


def shared(seats: int, parties: list[tuple[int, int]]) -> list[int]:
    """Seats for (votes, limit) pairs."""
    return apportion(seats, [float(votes) for votes, _ in parties], [limit for _, limit in parties])


@pytest.mark.parametrize(
    ("seats", "weights", "limits", "given"),
    [
        (3, [0.5, 0.3, 0.2], [9, 9, 9], [1, 1, 1]),  # quotas 1.5, 0.9, 0.6
        (10, [6.0, 6.0, 2.0], [99, 99, 99], [4, 4, 2]),
        (11, [6.0, 6.0, 2.0], [99, 99, 99], [5, 5, 1]),  # the Alabama paradox: the third has one less
        (4, [1.0, 1.0, 1.0], [9, 9, 9], [2, 1, 1]),
        (10, [0.8, 0.1, 0.1], [2, 10, 10], [2, 4, 4]),
        (3, [0.0, 0.0], [2, 2], [2, 1]),
        (4, [1.0, 0.0, 0.0], [2, 5, 5], [2, 1, 1]),
        (5, [0.4, 0.6], [0, 3], [0, 3]),
        (0, [1.0], [3], [0]),
        (7, [], [], []),
    ],
)
def test_seats(seats: int, weights: list[float], limits: list[int], given: list[int]) -> None:
    assert apportion(seats, weights, limits) == given


@LAW
@given(SEATS, st.lists(st.integers(0, 20), min_size=1, max_size=7).filter(any))
def test_without_limits_it_is_hamiltons_method(seats: int, votes: list[int]) -> None:
    assert apportion(seats, [float(each) for each in votes], [seats] * len(votes)) == hamilton(seats, votes)


@LAW
@given(SEATS, PARTIES)
def test_all_seats_are_given_unless_the_limits_forbid(seats: int, parties: list[tuple[int, int]]) -> None:
    made = shared(seats, parties)
    assert sum(made) == min(seats, sum(limit for _, limit in parties))
    assert all(0 <= each <= limit for each, (_, limit) in zip(made, parties, strict=True))


@LAW
@given(SEATS, PARTIES)
def test_one_more_seat_in_all_is_one_more_or_the_limits_are_reached(seats: int, parties: list[tuple[int, int]]) -> None:
    grown = sum(shared(seats + 1, parties)) - sum(shared(seats, parties))
    assert grown == (seats < sum(limit for _, limit in parties))


@LAW
@given(SEATS, st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), min_size=2, max_size=2))
def test_of_two_neither_loses_by_one_more_seat(seats: int, parties: list[tuple[int, int]]) -> None:
    before, after = shared(seats, parties), shared(seats + 1, parties)
    assert all(one <= other for one, other in zip(before, after, strict=True))


@LAW
@given(SEATS, PARTIES)
def test_the_heavier_of_equal_limits_never_has_less(seats: int, parties: list[tuple[int, int]]) -> None:
    made = shared(seats, parties)
    for one, (votes, limit) in zip(made, parties, strict=True):
        for other, (fewer, same) in zip(made, parties, strict=True):
            if limit == same and votes > fewer:
                assert one >= other


@LAW
@given(SEATS, PARTIES, st.sampled_from([0.125, 3.0, 1e-6]))
def test_only_the_ratio_of_weights_counts(seats: int, parties: list[tuple[int, int]], factor: float) -> None:
    limits = [limit for _, limit in parties]
    assert apportion(seats, [factor * votes for votes, _ in parties], limits) == shared(seats, parties)
