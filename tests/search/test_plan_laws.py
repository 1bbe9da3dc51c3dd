"""Laws of the plan: whatever the sizes, the parts together stay inside of the budget."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fusionprog.errors import BudgetError
from fusionprog.lm.budget import Budget
from fusionprog.search.plan import CONTENDERS, DEFAULT_TRIALS, Parts, Plan, Sizes, make_plan

SIZES = st.builds(
    Sizes,
    calls_per_row=st.integers(1, 40),
    search_rows=st.integers(1, 200),
    confirmation_rows=st.integers(1, 200),
    items=st.integers(0, 300),
    folds=st.sampled_from([1, 2]),
    traces=st.booleans(),
    test_calls=st.integers(0, 1000),
    narrows=st.booleans(),
    parts=st.builds(Parts, st.booleans(), st.booleans()),
    finalists=st.sampled_from([1, 3]),
)
TRIALS = st.one_of(st.none(), st.integers(1, 300))
CALLS = st.integers(1, 60_000)


def worst_case(plan: Plan, sizes: Sizes, moves_on: bool) -> float:
    """Calls of all parts if no two prompts are alike and every task has all the rows.

    Narrowing begins with the rows of the trials, whose outcomes are there already, unless every trial has other ones.
    """
    shape = plan.shape(moves_on)
    rows = (shape.trials + 1) * shape.block + plan.rows_after_search(moves_on)
    return sizes.calls_per_row * (plan.bootstrap + sizes.folds * rows) + sizes.folds * shape.screening_calls


def accepted(calls: int, trials: int | None, sizes: Sizes) -> Plan | None:
    try:
        return make_plan(Budget(calls=calls), trials, sizes)
    except BudgetError:
        return None


@given(CALLS, TRIALS, SIZES)
def test_all_parts_together_stay_inside_of_the_budget(calls: int, trials: int | None, sizes: Sizes) -> None:
    plan = accepted(calls, trials, sizes)
    assume(plan is not None)
    assert plan is not None
    assert plan.calls == calls
    assert max(worst_case(plan, sizes, moves_on) for moves_on in (False, True)) <= calls


@given(TRIALS, SIZES)
def test_without_a_limit_the_usual_search_is_planned_and_paid_for(trials: int | None, sizes: Sizes) -> None:
    plan = make_plan(Budget(), trials, sizes)
    assert plan.same.trials == (trials or DEFAULT_TRIALS)
    assert plan.moving.trials == trials if trials else plan.moving.trials >= min(127, DEFAULT_TRIALS)
    assert max(worst_case(plan, sizes, moves_on) for moves_on in (False, True)) <= plan.calls
    assert plan.same.block == min(8, sizes.search_rows) or plan.same.block > 8
    assert plan.confirmation >= min(100, sizes.confirmation_rows)


@given(CALLS, TRIALS, SIZES)
def test_a_plan_is_one_that_can_be_carried_out(calls: int, trials: int | None, sizes: Sizes) -> None:
    plan = accepted(calls, trials, sizes)
    assume(plan is not None)
    assert plan is not None
    for shape in (plan.same, plan.moving):
        assert 1 <= shape.block <= sizes.search_rows
        assert 0 <= shape.narrowing <= sizes.search_rows
        assert min(8, trials or 8) <= shape.trials <= (trials or calls)
    assert plan.same.block <= plan.same.narrowing if sizes.parts.narrowing else plan.same.narrowing == 0
    assert (plan.moving.narrowing > 0) == sizes.narrows
    assert sizes.least_confirmation <= plan.confirmation <= sizes.confirmation_rows
    assert plan.finalists == sizes.finalists <= plan.contenders == CONTENDERS
    assert plan.test_calls == sizes.test_calls
    assert plan.moving.screening_calls == 0
    assert plan.same.screening_calls == 0 or (sizes.parts.screening and sizes.items > 1)
    assert plan.bootstrap == 0 or sizes.traces


@given(CALLS, TRIALS, SIZES, st.integers(0, 5000))
def test_a_refusal_names_a_budget_that_is_accepted_and_so_is_every_larger_one(
    calls: int, trials: int | None, sizes: Sizes, more: int
) -> None:
    try:
        make_plan(Budget(calls=calls), trials, sizes)
    except BudgetError as error:
        named = re.search(r"Budget\(calls=(\d+)\)", str(error))
        assert named is not None
        assert f"found {calls} calls" in str(error)
        least = int(named.group(1))
        assert least > calls
        assert accepted(least, trials, sizes) is not None
        assert accepted(least + more, trials, sizes) is not None


@given(CALLS, TRIALS, SIZES, st.integers(1, 2000))
def test_more_money_is_never_refused_where_less_was_enough(
    calls: int, trials: int | None, sizes: Sizes, more: int
) -> None:
    assume(accepted(calls, trials, sizes) is not None)
    richer = accepted(calls + more, trials, sizes)
    assert richer is not None


@given(CALLS, TRIALS, SIZES, st.integers(1, 2000))
def test_more_money_never_means_fewer_rows_to_confirm_on(
    calls: int, trials: int | None, sizes: Sizes, more: int
) -> None:
    poorer, richer = accepted(calls, trials, sizes), accepted(calls + more, trials, sizes)
    assume(poorer is not None and richer is not None)
    assert poorer is not None and richer is not None
    assert richer.confirmation >= poorer.confirmation
    assert richer.bootstrap >= poorer.bootstrap


@given(SIZES, st.integers(1, 200), st.integers(1, 200))
def test_without_a_limit_more_trials_are_planned_with_more_calls(sizes: Sizes, some: int, more: int) -> None:
    assert make_plan(Budget(), some, sizes).calls <= make_plan(Budget(), some + more, sizes).calls


@pytest.mark.parametrize("parts", [Parts(screening=False), Parts(narrowing=False)])
def test_what_a_part_would_have_spent_goes_to_trials_on_the_same_rows(parts: Parts) -> None:
    all_parts, fewer = (
        make_plan(
            Budget(calls=2000), None, Sizes(1, 100, 50, items=20, folds=1, traces=False, test_calls=0, parts=each)
        )
        for each in (Parts(), parts)
    )
    assert fewer.same.trials > all_parts.same.trials and fewer.moving == all_parts.moving


def test_a_budget_that_pays_for_more_than_the_usual_trials_gets_them() -> None:
    sizes = Sizes(1, 100, 50, items=20, folds=1, traces=False, test_calls=0)
    plan = make_plan(Budget(calls=10_000), None, sizes)
    assert plan.same.trials > DEFAULT_TRIALS < plan.moving.trials
    plan = make_plan(Budget(calls=10_000), 10, sizes)
    assert plan.same.trials == plan.moving.trials == 10


def test_few_calls_mean_fewer_trials_rather_than_trials_of_a_row_each() -> None:
    sizes = Sizes(2, 40, 20, items=10, folds=1, traces=False, test_calls=0)
    plan = make_plan(Budget(calls=400), None, sizes).same
    assert plan.block == 4 and 16 <= plan.trials < DEFAULT_TRIALS
    asked_for = make_plan(Budget(calls=400), DEFAULT_TRIALS, sizes).same  # who names a number gets it
    assert asked_for.block < 4 and asked_for.trials == DEFAULT_TRIALS


def test_trials_that_move_on_have_few_rows_until_there_are_many_trials() -> None:
    """One row says as much of all prompts as the next does; a trial more is another prompt."""
    sizes = Sizes(1, 400, 100, items=10, folds=1, traces=False, test_calls=0, tasks=6)
    few, some, many, most = (make_plan(Budget(calls=calls), None, sizes).moving for calls in (100, 650, 1000, 20_000))
    assert few.block == 1 and few.trials > 50
    assert 1 < some.block < 4 and some.trials > 120
    assert many.block > 8 and 60 < many.trials < 80
    assert most.block == 64 and most.trials > 200


def test_more_finalists_are_confirmed_on_fewer_rows_each() -> None:
    one, three = (
        make_plan(Budget(calls=400), None, Sizes(1, 400, 100, 10, 1, False, 0, finalists=finalists))
        for finalists in (1, 3)
    )
    assert (one.confirmation, three.confirmation) == (50, 25)
    assert one.rows_to_confirm == three.rows_to_confirm == 100


def test_the_least_to_confirm_on_is_of_all_tasks_together() -> None:
    found = [
        Sizes(1, 40, 20, items=5, folds=1, traces=False, test_calls=0, tasks=tasks).least_confirmation
        for tasks in (1, 2, 6, 100)
    ]
    assert found == [12, 6, 2, 2]


def test_a_refusal_says_what_was_expected_and_found() -> None:
    sizes = Sizes(3, 40, 20, items=5, folds=1, traces=True, test_calls=0)
    with pytest.raises(BudgetError, match=r"too small for a search: expected at least \d+ calls: 8 trials.*found 5 c"):
        make_plan(Budget(calls=5), None, sizes)
