"""Budgets refuse nonsense; a ledger counts a call once."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.errors import BudgetError
from fusionprog.lm.budget import Budget, Cost, Ledger
from fusionprog.lm.model import Completion, approximate_tokens


@pytest.mark.parametrize("name", ["calls", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, math.inf, True, False, "5", [5]])
def test_a_budget_refuses_what_is_no_limit(name: str, value: Any) -> None:
    with pytest.raises(BudgetError, match=name):
        Budget(**{name: value})


def test_a_budget_knows_whether_it_binds() -> None:
    assert not Budget().bounded
    assert Budget(calls=1).bounded and Budget(seconds=0.5).bounded and Budget(usd=1e-9).bounded


def test_a_ledger_counts_a_call_once() -> None:
    ledger = Ledger()
    first = {b"a": Completion("x", 10, 1, 0.25), b"b": Completion("y", 5, 2, None)}

    assert ledger.charge(first) == 2
    assert ledger.charge(first) == 0
    assert ledger.charge({b"b": Completion("y", 5, 2), b"c": Completion("z", 1, 1, 0.5)}) == 1
    assert (ledger.calls, ledger.tokens, ledger.usd) == (3, 20, 0.75)


def test_a_ledger_books_calls_under_its_phase() -> None:
    ledger = Ledger()
    ledger.charge({b"a": Completion("x", 1, 1)})
    ledger.phase = "search"
    ledger.charge({b"a": Completion("x", 1, 1), b"b": Completion("x", 1, 1)})

    assert ledger.phases == {"": 1, "search": 1}


SPENT = {bytes([index]): Completion("x", 8, 2, 0.25) for index in range(4)}  # 4 calls, 40 tokens, $1


@pytest.mark.parametrize(
    ("budget", "worst", "keep", "limit"),
    [
        (Budget(), Cost(10**9, 10**9, 10**9), Cost(), None),
        (Budget(calls=10), Cost(6), Cost(), None),
        (Budget(calls=10), Cost(7), Cost(), "calls"),
        (Budget(calls=10), Cost(4), Cost(3), "calls"),
        (Budget(tokens=80), Cost(1, 40), Cost(), None),
        (Budget(tokens=80), Cost(1, 30), Cost(0, 11), "tokens"),
        (Budget(usd=2.0), Cost(1, 1, 1.0), Cost(), None),
        (Budget(usd=2.0), Cost(1, 1, 1.01), Cost(), "usd"),
        (Budget(calls=5, usd=0.5), Cost(4, 4, 4), Cost(), "calls"),
    ],
)
def test_a_ledger_says_which_limit_work_could_pass(budget: Budget, worst: Cost, keep: Cost, limit: str | None) -> None:
    ledger = Ledger(budget)
    ledger.charge(SPENT)
    assert ledger.short_of(worst, keep=keep) == limit


def test_what_is_set_aside_counts_until_it_is_settled() -> None:
    ledger = Ledger(Budget(calls=10))
    with ledger.reserved(Cost(8)):
        assert ledger.short_of(Cost(2)) is None
        assert ledger.short_of(Cost(3)) == "calls"
    assert ledger.short_of(Cost(10)) is None


@given(
    st.lists(st.tuples(st.integers(1, 20), st.floats(0, 1)), max_size=40),
    st.integers(1, 100),
)
def test_work_that_is_only_begun_where_there_is_room_never_passes_the_budget(
    work: list[tuple[int, float]], calls: int
) -> None:
    ledger = Ledger(Budget(calls=calls))
    under_way: list[tuple[Cost, int]] = []
    names = itertools.count()
    for most, share in work:
        if ledger.short_of(Cost(most)) is not None:
            while under_way:
                worst, real = under_way.pop(0)
                ledger.charge({b"%d" % next(names): Completion("x", 1, 1) for _ in range(real)})
                ledger.settle(worst)
        if ledger.short_of(Cost(most)) is None:
            ledger.reserve(Cost(most))
            under_way.append((Cost(most), int(most * share)))
        assert ledger.calls + sum(real for _, real in under_way) <= calls


def test_a_ledger_of_its_own_does_not_count_what_is_known() -> None:
    ledger = Ledger(Budget(calls=4))
    ledger.charge(SPENT)
    apart = ledger.apart()
    apart.charge({**SPENT, b"new": Completion("x", 1, 1)})
    assert (apart.calls, ledger.calls) == (1, 4)


def test_calls_that_the_store_had_are_counted_as_such() -> None:
    ledger = Ledger()
    ledger.charge({b"a": Completion("x", 1, 1, kept=True), b"b": Completion("x", 1, 1)})
    ledger.charge({b"b": Completion("x", 1, 1, kept=True)})
    assert (ledger.calls, ledger.kept) == (2, 1)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens_are_a_quarter_of_the_characters(text: str, tokens: int) -> None:
    assert approximate_tokens(text) == tokens
