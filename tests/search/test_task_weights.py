"""Schemes of task weights: their formulas, their directions, and the laws that all of them keep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.errors import FusionProgError
from fusionprog.runtime.record import Score
from fusionprog.search.weighting import (
    ConditionalValueAtRisk,
    DynamicWeightAverage,
    RandomWeights,
    RateBalance,
    SmoothTchebycheff,
    UncertaintyWeights,
    WorstTask,
    weighting_registry,
)

NAMES = ["cvar", "dwa", "equal", "mean", "random", "rate_balance", "tchebycheff", "uncertainty", "worst"]
Rounds = Sequence[Mapping[str, float]]


def weights(name: str, *rounds: Mapping[str, float], **arguments: Any) -> dict[str, float]:
    return weighting_registry.get(name)(**arguments).weights(rounds)


def history(tasks: int) -> st.SearchStrategy[Rounds]:
    loss = st.floats(1 / 128, 1)
    one = st.lists(loss, min_size=tasks, max_size=tasks).map(
        lambda losses: {f"t{place}": each for place, each in enumerate(losses)}
    )
    return st.lists(one, min_size=1, max_size=4)


# Laws.


def test_all_schemes_are_known_by_name() -> None:
    assert list(weighting_registry) == NAMES
    with pytest.raises(FusionProgError, match=r"no objective called 'uncertain'. Did you mean 'uncertainty'"):
        weighting_registry.get("uncertain")


@pytest.mark.parametrize("name", NAMES)
@given(rounds=st.integers(1, 6).flatmap(history))
def test_weights_are_above_zero_and_one_on_average(name: str, rounds: Rounds) -> None:
    made = weights(name, *rounds)
    assert made.keys() == rounds[-1].keys()
    assert all(weight > 0 for weight in made.values())
    assert sum(made.values()) / len(made) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
@given(rounds=history(4), order=st.permutations(["t0", "t1", "t2", "t3"]))
def test_the_order_of_the_tasks_changes_nothing(name: str, rounds: Rounds, order: list[str]) -> None:
    if name in ("cvar", "worst") and len({round(loss, 9) for loss in rounds[-1].values()}) < 4:
        return  # which of two equal ones is the worst is up to their order
    moved = [{task: each[task] for task in order} for each in rounds]
    assert weights(name, *moved) == pytest.approx(weights(name, *rounds))


@pytest.mark.parametrize("name", NAMES)
@given(rounds=st.integers(1, 4).flatmap(history))
def test_the_same_history_gives_the_same_weights(name: str, rounds: Rounds) -> None:
    assert weights(name, *rounds) == weights(name, *rounds)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
def test_tasks_that_are_alike_count_alike_unless_one_must_be_the_worst(name: str) -> None:
    made = weights(name, *[{"a": 0.4, "b": 0.4}] * 3)
    assert made == pytest.approx({"a": 1.99, "b": 0.01} if name in ("cvar", "worst") else {"a": 1.0, "b": 1.0})


@pytest.mark.parametrize("name", NAMES)
def test_losses_that_differ_in_the_extreme_leave_every_task_some_weight(name: str) -> None:
    made = weights(name, {"a": 1.0, "b": 1e-4}, {"a": 1e-4, "b": 1e-4}, {"a": 1e-4, "b": 1.0})
    assert all(weight > 0 for weight in made.values())


# Formulas.


def test_uncertainty_is_one_over_the_loss() -> None:
    assert weights("uncertainty", {"a": 0.1, "b": 0.4}) == pytest.approx({"a": 1.6, "b": 0.4})


@given(st.floats(0.01, 1))
def test_its_closed_form_is_where_the_learned_form_is_least(loss: float) -> None:
    def learned(s: float) -> float:
        return loss / (2 * math.exp(s)) + s / 2

    best = math.log(loss)
    assert learned(best) == pytest.approx((1 + math.log(loss)) / 2)
    assert all(learned(best) <= learned(best + step) for step in (-0.5, -0.01, 0.01, 0.5))
    implied = 1 / (2 * math.exp(best))
    assert weights("uncertainty", {"a": loss, "b": 1.0})["a"] == pytest.approx(2 * implied / (implied + 0.5))


def test_dwa_counts_all_alike_for_two_rounds_and_then_the_slow_ones_more() -> None:
    rounds = [{"slow": 0.6, "fast": 0.6}, {"slow": 0.6, "fast": 0.5}, {"slow": 0.6, "fast": 0.25}]
    assert weights("dwa", *rounds[:1]) == weights("dwa", *rounds[:2]) == {"slow": 1.0, "fast": 1.0}
    # 2 * softmax((1, 0.5) / 2)
    share = math.exp(0.5) / (math.exp(0.5) + math.exp(0.25))
    assert weights("dwa", *rounds) == pytest.approx({"slow": 2 * share, "fast": 2 - 2 * share})
    assert weights("dwa", *rounds)["slow"] == pytest.approx(1.124, abs=5e-4)
    assert DynamicWeightAverage().temperature == 2.0
    assert weights("dwa", *rounds, temperature=100.0)["slow"] == pytest.approx(1.0, abs=0.01)


def test_rate_balance_is_a_power_of_the_share_of_the_first_loss() -> None:
    made = weights("rate_balance", {"slow": 0.8, "fast": 0.4}, {"slow": 0.8, "fast": 0.1})
    assert made == pytest.approx({"slow": 2 / (1 + 0.25**1.5), "fast": 2 * 0.25**1.5 / (1 + 0.25**1.5)})
    assert RateBalance().asymmetry == 1.5
    assert weights("rate_balance", {"a": 0.8, "b": 0.4}, {"a": 0.1, "b": 0.1}, asymmetry=1e-9)["a"] == pytest.approx(1)


def test_tchebycheff_weighs_by_the_slope_of_its_value() -> None:
    scheme = SmoothTchebycheff(0.5)
    nadir, losses = {"a": 0.8, "b": 0.5, "c": 0.6}, {"a": 0.5, "b": 0.2, "c": 0.3}
    made = scheme.weights([nadir, losses])

    def value(losses: Mapping[str, float]) -> float:
        scores = {task: 1 - loss for task, loss in losses.items()}
        return scheme.value(scores, {}, {task: loss / nadir[task] for task, loss in losses.items()})

    slopes = {task: (value({**losses, task: losses[task] - 1e-6}) - value(losses)) / 1e-6 for task in losses}
    assert made == pytest.approx({task: 3 * slope / sum(slopes.values()) for task, slope in slopes.items()}, rel=1e-4)
    assert value(losses) == pytest.approx(-0.5 * math.log(sum((losses[t] / nadir[t]) ** 2 for t in losses)))


def test_with_little_smoothness_tchebycheff_is_the_worst_task() -> None:
    made = weights("tchebycheff", {"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.4}, smoothness=0.01)
    assert made["a"] == pytest.approx(2.0)
    value = SmoothTchebycheff(0.001).value({"a": 0.5, "b": 0.6}, {}, {"a": 0.5, "b": 0.4})
    assert value == pytest.approx(math.log(1 / 0.5))


@pytest.mark.parametrize(("share", "worst"), [(0.25, "d"), (0.3, "cd"), (0.5, "cd"), (1.0, "abcd"), (0.01, "d")])
def test_cvar_counts_the_worst_tasks(share: float, worst: str) -> None:
    losses = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    made = weights("cvar", losses, share=share)
    assert {task for task, weight in made.items() if weight > 0.5} == set(worst)
    scores = {task: 1 - loss for task, loss in losses.items()}
    mean = sum(scores[task] for task in worst) / len(worst)
    assert ConditionalValueAtRisk(share).value(scores, {}, {}) == pytest.approx(mean + 0.01 * 0.75)


def test_worst_is_cvar_of_a_single_task() -> None:
    scores = {"a": 0.7, "b": 0.4, "c": 0.5}
    losses = [{task: 1 - score for task, score in scores.items()}]
    one = ConditionalValueAtRisk(1e-6)
    assert WorstTask().weights(losses) == one.weights(losses)
    assert WorstTask().value(scores, {}, {}) == one.value(scores, {}, {}) == pytest.approx(0.4 + 0.01 * 1.6 / 3)
    assert WorstTask().level({"a": Score(0.7, 0.1, 9), "b": Score(0.4, 0.2, 9)}, {}) == (0.4, 0.2)


def test_worst_prefers_the_better_worst_task_and_then_the_better_mean() -> None:
    def value(**scores: float) -> float:
        return WorstTask().value(scores, {}, {})

    assert value(a=0.4, b=0.4) > value(a=1.0, b=0.3)
    assert value(a=0.4, b=0.9) > value(a=0.4, b=0.4)


def test_random_weights_are_new_in_every_round_and_for_every_seed() -> None:
    losses = {"a": 0.5, "b": 0.5}
    seen = [RandomWeights(seed).weights([losses] * rounds)["a"] for seed in (0, 1) for rounds in (1, 2, 3)]
    assert len(set(seen)) == 6


# Directions: what a nearly solved task and a slow one weigh.

ROUNDS: Rounds = [
    {"solved": 0.2, "slow": 0.6, "quick": 0.6},
    {"solved": 0.1, "slow": 0.58, "quick": 0.5},
    {"solved": 0.05, "slow": 0.57, "quick": 0.3},
]


def test_uncertainty_favours_what_is_nearly_solved() -> None:
    made = weights("uncertainty", *ROUNDS)
    assert made["solved"] > 2 > 0.5 > made["quick"] > made["slow"]


@pytest.mark.parametrize("name", ["dwa", "rate_balance", "tchebycheff", "cvar", "worst"])
def test_the_others_favour_what_is_slow(name: str) -> None:
    made = weights(name, *ROUNDS)
    assert made["slow"] > 1 and made["slow"] == max(made.values())


@pytest.mark.parametrize("name", ["mean", "uncertainty", "dwa", "rate_balance", "random"])
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_linear_schemes_value_the_weighted_mean(name: str, scores: list[float]) -> None:
    scheme = weighting_registry.get(name)()
    by_task = dict(zip(ROUNDS[0], scores, strict=True))
    made = scheme.weights(ROUNDS)
    expected = sum(made[task] * by_task[task] for task in made) / 3
    assert scheme.value(by_task, made, {}) == pytest.approx(expected)
    assert isinstance(UncertaintyWeights(), type(weighting_registry.get("uncertainty")()))


@pytest.mark.parametrize("name", NAMES)
@given(scores=st.lists(st.floats(0.02, 0.9), min_size=3, max_size=3), more=st.floats(0.01, 0.1))
def test_every_value_rises_with_the_worst_task(name: str, scores: list[float], more: float) -> None:
    scheme, made = weighting_registry.get(name)(), weighting_registry.get(name)().weights(ROUNDS)
    by_task = dict(zip(ROUNDS[0], scores, strict=True))
    worst = min(by_task, key=lambda task: by_task[task])

    def value(scores: Mapping[str, float]) -> float:
        return scheme.value(scores, made, {task: 1 - score for task, score in scores.items()})

    assert value({**by_task, worst: by_task[worst] + more}) > value(by_task)
