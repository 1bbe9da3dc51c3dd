"""The Bayesian linear model: its posterior, its draws and its prior scales, against naive computations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from fusionprog.search.effects.columns import Column, Vector
from fusionprog.search.effects.link import Identity
from fusionprog.search.effects.model import EffectsModel, Observations
from fusionprog.search.effects.prior import Hypothesis

NAMES: tuple[Column, ...] = (
    ("level",),
    ("task", "a"),
    ("task", "b"),
    *(("everywhere", f"item{place}") for place in range(3)),
    ("at_node", "n", "item0"),
    ("by_task_kind", "n", "item0", "0"),
    ("in_task", "a", "n", "item0"),
    ("choice", "n", "format", "json"),
    ("amount", "n", "0.5"),
)
USUAL = np.array([0.5, 0.2, 0.2, 0.08, 0.08, 0.08, 0.05, 0.05, 0.03, 0.05, 0.05])
SHARED = np.array([False, False, False, True, True, True, True, False, False, True, True])
OWN = np.array([name[0] in ("by_task_kind", "in_task") for name in NAMES])
SEEDS = st.integers(0, 10_000)


def outcomes(seed: int, count: int = 25) -> tuple[Vector, Vector]:
    """Rows of shape ``(count, n_columns)``, and a score for each."""
    draw = np.random.default_rng(seed)
    rows = draw.integers(0, 2, (count, len(NAMES))) * draw.choice([1.0, -0.7], (count, len(NAMES)))
    rows[:, 0] = 1.0
    return rows, draw.integers(0, 2, count).astype(float)


def observed(rows: Vector, scores: Vector) -> list[Observations]:
    return [Observations(row, 1, score, score**2) for row, score in zip(rows, scores.tolist(), strict=True)]


def model_of(rows: Vector, scores: Vector, **settings: Any) -> EffectsModel:
    model = EffectsModel(NAMES, link=Identity(), **settings)
    model.add(observed(rows, scores))
    return model


def naive(rows: Vector, scores: Vector, noise: float, centre: Vector, scales: Vector) -> tuple[Vector, Vector]:
    """Mean and covariance, by the formula with inverses."""
    covariance = np.asarray(np.linalg.inv(np.diag(scales**-2.0) + rows.T @ rows / noise), dtype=np.float64)
    return covariance @ (centre / scales**2 + rows.T @ scores / noise), covariance


def centre_of(level: float = 0.3) -> Vector:
    return np.array([level, *[0.0] * (len(NAMES) - 1)])


@given(SEEDS)
def test_the_posterior_is_the_closed_form(seed: int) -> None:
    rows, scores = outcomes(seed)
    model = model_of(rows, scores)
    mean, covariance = naive(rows, scores, model.noise, centre_of(), USUAL)
    assert model.posterior.mean == pytest.approx(mean, abs=1e-9)
    assert model.posterior.covariance == pytest.approx(covariance, abs=1e-9)


def test_with_nothing_seen_the_posterior_is_the_prior() -> None:
    posterior = EffectsModel(NAMES, link=Identity()).posterior
    assert posterior.mean == pytest.approx(centre_of())
    assert posterior.covariance == pytest.approx(np.diag(USUAL**2))


@given(SEEDS, st.lists(st.integers(1, 24), max_size=5, unique=True))
def test_outcomes_in_one_piece_or_in_many_are_the_same(seed: int, cuts: list[int]) -> None:
    rows, scores = outcomes(seed)
    whole, pieces = model_of(rows, scores), EffectsModel(NAMES, link=Identity())
    edges = [0, *sorted(cuts), len(scores)]
    for start, end in pairwise(edges):
        pieces.add(observed(rows[start:end], scores[start:end]))
    assert pieces.count == whole.count and pieces.noise == pytest.approx(whole.noise)
    assert pieces.posterior.mean == pytest.approx(whole.posterior.mean, abs=1e-10)


@given(SEEDS, st.integers(2, 6))
def test_outcomes_with_one_row_may_be_added_up(seed: int, times: int) -> None:
    rows, scores = outcomes(seed)
    single = EffectsModel(NAMES, link=Identity())
    for _ in range(times):
        single.add(observed(rows, scores))
    together = EffectsModel(NAMES, link=Identity())
    pairs = zip(rows, scores.tolist(), strict=True)
    together.add([Observations(row, times, times * score, times * score**2) for row, score in pairs])
    assert together.count == single.count == times * len(scores)
    assert together.posterior.mean == pytest.approx(single.posterior.mean, abs=1e-10)


@given(SEEDS)
def test_the_evidence_is_the_density_of_the_scores_up_to_a_constant(seed: int) -> None:
    """Which the scales share: differences between scales are those of the multivariate normal's log density."""
    rows, scores = outcomes(seed)
    model = model_of(rows, scores)

    def density(shared: float, own: float) -> float:
        scales = USUAL * np.where(SHARED, shared, 1.0) * np.where(OWN, own, 1.0)
        covariance = rows @ np.diag(scales**2) @ rows.T + model.noise * np.eye(len(scores))
        return float(multivariate_normal(rows @ centre_of(), covariance).logpdf(scores))

    usual = model.evidence((1.0, 1.0, 1.0)) - density(1.0, 1.0)
    for factors in [(0.5, 1.0), (2.0, 3.0), (1.3, 0.2)]:
        assert model.evidence((*factors, 1.0)) - density(*factors) == pytest.approx(usual, abs=1e-7)


def test_draws_have_the_posteriors_mean_and_covariance() -> None:
    posterior = model_of(*outcomes(5)).posterior
    draws = np.array([posterior.draw(seed) for seed in range(4000)])
    spreads = np.sqrt(np.diag(posterior.covariance))
    assert np.abs((draws.mean(axis=0) - posterior.mean) / spreads).max() < 5 / np.sqrt(4000)
    scaled = (np.cov(draws.T) - posterior.covariance) / np.outer(spreads, spreads)
    assert np.abs(scaled).max() < 0.12


@given(SEEDS, SEEDS)
def test_the_same_history_and_seed_give_the_same_bits(seed: int, draw: int) -> None:
    first, again = (model_of(*outcomes(seed)) for _ in range(2))
    assert first.posterior.draw(draw).tobytes() == again.posterior.draw(draw).tobytes()
    assert first.posterior.draw(draw).tobytes() != first.posterior.draw(draw + 1).tobytes()


@given(SEEDS)
def test_spreads_are_those_of_the_sums(seed: int) -> None:
    posterior = model_of(*outcomes(seed)).posterior
    places, values = np.array([[3, 6, 8], [4, 7, 10]]), np.array([[1.0, -0.4, 2.0], [0.5, 0.0, 1.0]])
    sums = np.zeros((2, len(NAMES)))
    for number, mine in enumerate(places):
        sums[number, mine] = values[number]
    naively = np.sqrt(np.diag(sums @ posterior.covariance @ sums.T))
    assert posterior.spread(places, values) == pytest.approx(naively)


@given(SEEDS, st.floats(-0.3, 0.3))
def test_prior_means_shift_the_posterior(seed: int, known: float) -> None:
    rows, scores = outcomes(seed)
    model = model_of(rows, scores, hypotheses=(Hypothesis(means={("everywhere", "item1"): known}),))
    centre = centre_of()
    centre[4] = known
    mean, _ = naive(rows, scores, model.noise, centre, USUAL)
    assert model.posterior.mean == pytest.approx(mean, abs=1e-9)
    assert EffectsModel(NAMES, (Hypothesis(means={("level",): 0.8}),), Identity()).posterior.mean == pytest.approx(
        centre_of(0.8)
    )


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_noise_is_that_of_the_outcomes_and_of_some_usual_ones(scores: Sequence[int]) -> None:
    model = EffectsModel(NAMES, link=Identity())
    row = outcomes(0)[0][0]
    model.add([Observations(row, 1, float(score), float(score)) for score in scores])
    around = float(np.var(scores)) * len(scores)
    assert model.noise == pytest.approx(max(0.01, (around + 2.5) / (len(scores) + 10)))
    assert model.noise <= 0.25


@pytest.mark.parametrize(("size", "expected"), [(0.0, 0.2), (0.25, 2.0)])
def test_scales_follow_what_items_do_everywhere(size: float, expected: float) -> None:
    """Forty items whose effects are all but nothing, or three times the usual."""
    names: list[Column] = [("level",), *(("everywhere", f"item{place}") for place in range(40))]
    draw = np.random.default_rng(3)
    effects = np.array([0.4, *draw.normal(0, size, 40)])
    model = EffectsModel(names, link=Identity())
    for _ in range(600):
        row = np.array([1.0, *(draw.random(40) < 0.1)])
        score = float(row @ effects + draw.normal(0, 0.4))
        model.add([Observations(row, 1, score, score**2)])
    model.learn_scales()
    assert model.factors == (expected, 1.0, 1.0)
    scales = {each: model.evidence((each, 1.0, 1.0)) for each in (1.0, expected)}
    assert scales[expected] > scales[1.0]


@pytest.mark.parametrize(("size", "expected"), [(0.0, 0.3), (0.2, 3.0)])
def test_scales_follow_how_much_tasks_differ(size: float, expected: float) -> None:
    tasks, items = [f"t{place}" for place in range(4)], [f"item{place}" for place in range(8)]
    names: list[Column] = [("level",), *(("everywhere", item) for item in items)]
    names += [("in_task", task, "n", item) for task in tasks for item in items]
    draw = np.random.default_rng(4)
    effects = np.array([0.4, *draw.normal(0, 0.08, 8), *draw.normal(0, size, 32)])
    model = EffectsModel(names, link=Identity())
    for number in range(1200):
        own = np.zeros((4, 8))
        own[number % 4] = draw.random(8) < 0.4
        row = np.array([1.0, *own.sum(axis=0), *own.ravel()])
        score = float(row @ effects + draw.normal(0, 0.4))
        model.add([Observations(row, 1, score, score**2)])
    model.learn_scales()
    assert model.factors[1] == expected


def test_scores_of_0_to_100_are_learned_from_as_those_of_0_to_1_are() -> None:
    names: list[Column] = [("level",), ("everywhere", "good"), ("everywhere", "bad")]
    draw = np.random.default_rng(3)
    means = []
    for factor in (1.0, 100.0):
        model = EffectsModel(names, link=Identity())
        for _ in range(60):
            shown = draw.integers(0, 2, 2).astype(float)
            score = factor * (0.4 + 0.3 * shown[0] - 0.3 * shown[1] + 0.2 * draw.standard_normal())
            model.add([Observations(np.array([1.0, *shown]), 1, score, score**2)])
        means.append(model.posterior.mean / factor)
    assert means[0][1] > 0.03 and means[1][1] > 0.03
    assert means[0][2] < -0.03 and means[1][2] < -0.03
