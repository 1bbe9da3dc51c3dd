"""Splitting val into a search part and a confirmation part."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.errors import DataError
from fusionprog.program.data import Row
from fusionprog.search.split import MIN_CONFIRMATION, Fold, split_val


def rows_of(count: int, mark: str = "row") -> list[Row]:
    return [Row({"text": f"{mark} {index}"}) for index in range(count)]


def ids(rows: tuple[Row, ...] | list[Row]) -> list[str]:
    return [row.id for row in rows]


@given(st.integers(40, 400), st.integers(0, 5))
def test_one_third_and_at_least_twenty_rows_confirm(count: int, seed: int) -> None:
    (fold,) = split_val({"t": rows_of(count)}, seed)
    assert len(fold.confirmation["t"]) == max(MIN_CONFIRMATION, count // 3)
    assert len(fold.search["t"]) >= MIN_CONFIRMATION


@given(st.integers(2, 39), st.integers(0, 5))
def test_fewer_than_forty_rows_are_cross_fitted_in_halves(count: int, seed: int) -> None:
    one, other = split_val({"t": rows_of(count)}, seed)
    assert one.search == other.confirmation
    assert one.confirmation == other.search
    assert abs(len(one.search["t"]) - len(other.search["t"])) <= 1
    assert min(len(one.search["t"]), len(other.search["t"])) >= 1


def test_one_small_task_makes_all_tasks_cross_fitted() -> None:
    folds = split_val({"large": rows_of(90), "small": rows_of(39)}, 0)
    assert len(folds) == 2
    assert [len(fold.search["large"]) for fold in folds] == [45, 45]


@given(st.lists(st.integers(2, 90), min_size=1, max_size=4), st.integers(0, 9))
def test_parts_are_disjoint_and_hold_every_row(counts: list[int], seed: int) -> None:
    val = {f"t{index}": rows_of(count, f"t{index}") for index, count in enumerate(counts)}
    for fold in split_val(val, seed):
        for task, rows in val.items():
            search, confirmation = ids(fold.search[task]), ids(fold.confirmation[task])
            assert not set(search) & set(confirmation)
            assert sorted(search + confirmation) == sorted(ids(rows))


@given(st.integers(2, 80), st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_rows_in_the_file_does_not_matter(count: int, seed: int, draw: random.Random) -> None:
    rows = rows_of(count)
    shuffled = list(rows)
    draw.shuffle(shuffled)
    assert split_val({"t": rows}, seed) == split_val({"t": shuffled}, seed)


def test_the_seed_decides_which_rows_confirm() -> None:
    val = {"t": rows_of(60)}
    assert split_val(val, 1) == split_val(val, 1)
    parts = {frozenset(ids(split_val(val, seed)[0].confirmation["t"])) for seed in range(5)}
    assert len(parts) == 5


def test_repeated_rows_count_once_and_never_stand_on_both_sides() -> None:
    rows = rows_of(30)
    folds = split_val({"t": [*rows, *rows]}, 0)
    assert len(folds) == 2  # 60 lines of the file, but 30 examples
    assert folds == split_val({"t": rows}, 0)
    (fold,) = split_val({"t": rows_of(45) + rows_of(45)}, 0)
    assert len(fold.search["t"]) + len(fold.confirmation["t"]) == 45


@pytest.mark.parametrize("rows", [[], rows_of(1), rows_of(1) * 5], ids=["none", "one", "one, repeated"])
def test_fewer_than_two_different_rows_are_refused(rows: list[Row]) -> None:
    with pytest.raises(DataError, match=r"task 'small': val has fewer than 2 different rows.*at least 40"):
        split_val({"fine": rows_of(50), "small": rows}, 0)


def test_two_rows_make_two_folds_of_one_row_each() -> None:
    one, other = split_val({"t": rows_of(2)}, 0)
    assert isinstance(one, Fold)
    assert len(one.search["t"]) == len(one.confirmation["t"]) == len(other.search["t"]) == 1
