"""What the effects model says it learned: effects with errors, counts, importance, what it expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.search.effects.attribution import Sightings, findings_of, shared_of
from fusionprog.search.effects.columns import Columns, Shown
from fusionprog.search.effects.explanation import Explanation, View
from fusionprog.search.effects.link import Identity, Levels, Logistic
from fusionprog.search.effects.model import EffectsModel, Observations, Posterior
from fusionprog.search.effects.prior import Hypothesis
from fusionprog.search.effects.strategy import EffectsStrategy
from fusionprog.search.findings import kept

NO_STUDY = cast(Any, None)
SCORES = Levels(Identity(), {})
FORMATS = {"format": dict.fromkeys(("chat", "json", "xml"), 0.0)}
TASKS = {"left": (1.0,), "right": (-1.0,)}
WORTH = {
    "good": {"left": 0.2, "right": 0.2},
    "split": {"left": 0.15, "right": -0.15},
    "bad": {"left": -0.15, "right": -0.15},
}


def chance(task: str, shown: Mapping[str, frozenset[str]]) -> float:
    return 0.4 + sum(WORTH[item][task] for item in shown["n"] if item in WORTH)


def known_of(posterior: Posterior) -> Explanation:
    return Explanation((View(1.0, posterior.mean, (posterior.covariance,)),))


@pytest.fixture(scope="module")
def learnt(planted: Any) -> tuple[Any, EffectsStrategy]:
    """A strategy that has seen 400 trials of a good, a bad, a divided and a useless item."""
    pool = planted.Pool(planted.hints("good", "split", "bad", "useless"), TASKS, chance)
    strategy = EffectsStrategy(pool.setting())
    planted.learn(strategy, pool, 400, planted.rows_of(TASKS, 800), 2)
    return pool, strategy


def test_effects_are_those_that_are_planted(learnt: tuple[Any, EffectsStrategy]) -> None:
    effects = kept(learnt[1].findings(NO_STUDY), [], {}).effects
    for task in TASKS:
        mine = effects[task]["n"]
        assert set(mine) == {"good", "split", "bad", "useless"}
        for item, effect in mine.items():
            planted_effect = WORTH.get(item, {}).get(task, 0.0)
            assert abs(effect.mean - planted_effect) < 3 * effect.se + 0.03, (task, item)
            low, high = effect.interval
            assert low < effect.mean < high
    assert effects["left"]["n"]["split"].mean > 0.05 > -0.05 > effects["right"]["n"]["split"].mean


def test_an_item_that_is_seen_more_is_known_better(learnt: tuple[Any, EffectsStrategy]) -> None:
    mine = kept(learnt[1].findings(NO_STUDY), [], {}).effects["left"]["n"]
    assert mine["good"].n > 700 and 0 < mine["bad"].n < 300
    assert mine["useless"].se < mine["bad"].se


def test_importance_is_of_what_makes_a_difference(learnt: tuple[Any, EffectsStrategy]) -> None:
    importance = learnt[1].findings(NO_STUDY).importance
    assert sum(importance.values()) == pytest.approx(1)
    items = {"n.instruction.good", "n.hint.split", "n.constraint.bad", "n.instruction.useless"}
    assert items < set(importance) <= {*items, "n.format", "n.demos"}
    least = min(importance[name] for name in items - {"n.instruction.useless"})
    assert least > importance["n.instruction.useless"] + importance["n.format"]


def test_importance_is_the_variance_between_prompts_that_show_everything_as_often_as_not() -> None:
    columns = Columns({"n": ["a", "b"]}, {"t": ()}, {"n": FORMATS})
    means = {("everywhere", "a"): 0.3, ("everywhere", "b"): -0.1, ("choice", "n", "format", "json"): 0.2}
    known = known_of(EffectsModel(columns.names, (Hypothesis(means=means),), Identity()).known)
    sightings = Sightings()
    sightings.add(columns, "t", ["n"], columns.atoms({"n": Shown(frozenset("a"))}), 1)
    offered, facets = {("t", "n"): {"a", "b"}}, dict.fromkeys("ab", "hint")
    importance = findings_of(columns, known, SCORES, sightings, offered, facets).importance
    drawn = [0.3 * a - 0.1 * b + form for a in (0, 1) for b in (0, 1) for form in (0.0, 0.2, 0.0)]
    assert importance["n.hint.a"] * np.var(drawn) == pytest.approx(np.var([0, 0.3]))
    assert importance["n.hint.b"] * np.var(drawn) == pytest.approx(np.var([0, 0.1]))
    assert importance["n.format"] * np.var(drawn) == pytest.approx(np.var([0, 0.2, 0]))
    assert importance["n.demos"] == 0.0


def test_it_expects_what_its_schedule_is_worth(learnt: tuple[Any, EffectsStrategy]) -> None:
    pool, strategy = learnt
    assert strategy.expected() == pytest.approx(pool.worth(strategy.ranked([], [])[0]), abs=0.08)


def test_what_is_not_on_offer_or_never_asked_has_no_effect(planted: Any) -> None:
    pool = planted.Pool(planted.hints("a", "b"), TASKS, nodes=("n", "m"))
    columns = Columns({"n": ["a", "b"], "m": ["a"]}, TASKS, {"n": FORMATS, "m": FORMATS})
    sightings = Sightings()
    sightings.add(columns, "left", ["n"], columns.atoms({"n": Shown(frozenset({"a"}), {"format": "xml"})}), 4)
    offered = {(task, node): {"a"} for task in TASKS for node in ("n", "m")}
    facets = {key: item.facet for key, item in pool.items.items()}
    found = findings_of(columns, known_of(EffectsModel(columns.names).known), SCORES, sightings, offered, facets)
    assert set(found.effects) == {("left", "n")}
    table = found.effects["left", "n"]
    assert np.isfinite(table.se).tolist() == [True, False]
    assert table.n.tolist() == [4, 0]
    assert {node: set(mine["format"]) for node, mine in found.settings.items()} == {"n": {"xml"}}
    assert set(found.settings["n"]) == {"format"}


@given(st.floats(-3, 3), st.floats(-2, 2), st.floats(0, 1))
def test_a_difference_of_scores_is_around_the_tasks_mean(level: float, effect: float, shown: float) -> None:
    """With the effect less without it; the two lie on both sides of the mean by how often it was shown."""
    levels = Levels(Logistic(), {"t": level})
    (mean,), (spread,) = levels.differences("t", np.array([effect]), np.array([0.1]), np.array([shown]))
    low = 1 / (1 + np.exp(-(level - effect * shown)))
    high = 1 / (1 + np.exp(-(level + effect * (1 - shown))))
    assert mean == pytest.approx(high - low)
    step = 1e-6
    (more,), _ = levels.differences("t", np.array([effect + step]), np.array([0.1]), np.array([shown]))
    assert spread == pytest.approx(0.1 * (more - mean) / step, abs=1e-4)


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 0.5), st.floats(0, 0.5))
def test_values_of_a_setting_are_told_against_the_first(
    level: float, one: float, other: float, share: float, others: float
) -> None:
    """Whatever the others do, and however often they were shown."""
    first = level - share * one - others * other
    effects, shown = np.array([one, other]), np.array([share, others])
    mean, spread = Levels(Logistic(), {"t": level}).against_first("t", effects, np.array([0.1, 0.2]), shown)
    chance = Logistic().score(np.array([first, first + one, first + other]))
    assert mean == pytest.approx(chance[1:] - chance[0])
    assert np.all(spread > 0) and np.all(spread <= 0.25 * np.array([0.1, 0.2]) + 1e-12)


def test_effects_are_sums_of_columns_and_settings_are_columns() -> None:
    columns = Columns({"n": ["a", "b"]}, TASKS, {"n": FORMATS})
    model, sightings = EffectsModel(columns.names, link=Identity()), Sightings()
    shown = {"n": Shown(frozenset({"a"}), {"format": "json"}, 0.5)}
    row = columns.row("left", columns.atoms(shown))
    for score in (1.0, 0.0, 1.0):
        model.add([Observations(row, 1, score, score**2)])
        sightings.add(columns, "left", shown, columns.atoms(shown), 1)
    posterior = model.posterior
    offered, facets = {("left", "n"): {"a", "b"}}, {"a": "hint", "b": "hint"}
    found = findings_of(columns, known_of(posterior), SCORES, sightings, offered, facets)
    shared = shared_of(columns, posterior, 0.1)
    assert shared.own == 0.1
    everywhere = columns.index["everywhere", "a"]
    common = shared.effects["n"]["a"]
    assert common.mean == pytest.approx(posterior.mean[everywhere])
    assert common.along == ()
    assert common.se == pytest.approx(posterior.covariance[everywhere, everywhere] ** 0.5)
    places = [columns.index["everywhere", "a"], columns.index["in_task", "left", "n", "a"]]
    table = found.effects["left", "n"]
    assert table.mean[0] == pytest.approx(posterior.mean[places].sum())
    assert table.se[0] == pytest.approx(posterior.covariance[np.ix_(places, places)].sum() ** 0.5)
    json, half = found.settings["n"]["format"]["json"], found.settings["n"]["demos"]["0.5"]
    assert (json.n, half.n) == (3, 3) and set(found.settings["n"]["format"]) == {"json"}
    assert json.mean == pytest.approx(posterior.mean[columns.index["choice", "n", "format", "json"]], abs=1e-5)
