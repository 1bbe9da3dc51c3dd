"""What is said of effects when all outcomes are in: as strong as they are, and as sure as the rows let one be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from fusionprog.search.effects import explanation, history
from fusionprog.search.effects.columns import Columns, Shown
from fusionprog.search.effects.explanation import Explanation, View
from fusionprog.search.effects.learner import Learner
from fusionprog.search.effects.link import Logistic
from fusionprog.search.effects.prior import Hypothesis

ITEMS = [f"item{place}" for place in range(8)]


def learned(
    chance: Callable[[frozenset[str], int], float],
    *,
    trials: int = 60,
    rows: int = 40,
    seed: int = 0,
    open_share: float = 0.5,
    each: int = 6,
) -> Learner:
    """Shows random items to rows that take turns."""
    columns = Columns({"n": ITEMS}, {"t": ()}, {})
    learner, draw = Learner(columns, (Hypothesis(),)), np.random.default_rng(seed)
    for trial in range(trials):
        items = frozenset(item for item in ITEMS if draw.random() < open_share)
        mine = [(trial * each + place) % rows for place in range(each)]
        outcomes = [(f"row {row}", float(draw.random() < chance(items, row))) for row in mine]
        learner.think()
        learner.observe([("t", {"n": Shown(items)}, outcomes)])
    assert learner.posterior is not None
    return learner


def said(learner: Learner, item: str, explained: Explanation | None = None) -> tuple[float, float]:
    places, values = learner.columns.parts("t", "n")
    found = learner.explain() if explained is None else explained
    at = ITEMS.index(item)
    sums, spread = (found.mean[places] * values).sum(axis=1), found.spread(places, values)
    return float(sums[at]), float(spread[at])


def simpler(explained: Explanation) -> Explanation:
    """Without what single rows say."""
    return Explanation(tuple(replace(each, covariances=each.covariances[:1]) for each in explained.views))


def strong(items: frozenset[str], row: int) -> float:
    return float(expit(-1.4 + 3.4 * ("item3" in items)))


def test_a_strong_effect_is_said_to_be_as_strong_as_it_is() -> None:
    """A search's own posterior takes much from it, and is sure of what it is left with."""
    searched, explained = [], []
    for seed in range(12):
        learner = learned(strong, seed=seed)
        known = Explanation((View(1.0, learner.known.mean, (learner.known.covariance,)),))
        searched.append(said(learner, "item3", known))
        explained.append(said(learner, "item3"))
    assert np.mean([mean for mean, _ in searched]) < 2.8
    assert 2.9 < np.mean([mean for mean, _ in explained]) < 3.6
    assert sum(abs(mean - 3.4) < 1.96 * se for mean, se in explained) >= 10


def test_intervals_of_all_effects_hold_where_an_item_helps_some_rows_alone() -> None:
    """On four rows nobody knows what it does on others, as often as they are asked."""

    def by_row(items: frozenset[str], row: int) -> float:
        return float(expit(-1 + (4.0 if row % 2 else -1.0) * ("item3" in items)))

    few, many = (learned(by_row, rows=rows, trials=120, seed=3) for rows in (4, 40))
    (_, of_few), (_, of_many) = said(few, "item3"), said(many, "item3")
    simple = simpler(few.explain())
    assert of_few > 2.5 * of_many
    assert of_few > 2.5 * said(few, "item3", simple)[1]


@pytest.mark.parametrize("rows", [20, 60])
def test_intervals_are_no_wider_where_rows_are_alike(rows: int) -> None:
    learner = learned(lambda items, row: float(expit(-0.5 + 0.8 * ("item3" in items))), rows=rows, trials=120)
    simple = simpler(learner.explain())
    assert said(learner, "item3")[1] < 1.4 * said(learner, "item3", simple)[1]


def test_the_intervals_of_all_items_hold_on_average() -> None:
    worth = dict(zip(ITEMS, (2.6, 1.0, -1.0, 0.4, 0.0, 0.0, 0.0, 0.0), strict=True))
    held = []
    for seed in range(20):
        learner = learned(lambda items, row: float(expit(-1 + sum(worth[item] for item in items))), seed=seed)
        for item, true in worth.items():
            mean, se = said(learner, item)
            held.append(abs(mean - true) < 1.96 * se)
    assert 0.9 < np.mean(held) <= 1.0


def test_scales_of_effects_are_not_taken_for_certain() -> None:
    """After a few outcomes nobody knows how large effects usually are; later it is known."""
    few, many = learned(strong, trials=4, each=2).explain(), learned(strong).explain()
    assert max(view.weight for view in few.views) < 0.4 and max(view.weight for view in many.views) > 0.9
    assert sum(view.weight for view in few.views) == pytest.approx(1)
    one_place, whole = np.array([[3]]), np.ones((1, 1))
    (together,) = few.spread(one_place, whole)
    each = [Explanation((replace(view, weight=1.0),)).spread(one_place, whole)[0] for view in few.views]
    assert min(each) < together < max(each)


def test_equal_histories_say_the_same_to_the_last_bit() -> None:
    first, second = learned(strong).explain(), learned(strong).explain()
    assert first.mean.tobytes() == second.mean.tobytes()
    for one, other in zip(first.views, second.views, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(one.covariances, other.covariances, strict=True))


def test_of_a_history_that_is_too_long_the_model_says_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learned(strong)
    monkeypatch.setattr(explanation, "_MOST_WORK", 10)
    (view,) = learner.explain().views
    assert np.array_equal(view.mean, learner.known.mean) and len(view.covariances) == 1


def test_nothing_seen_is_nothing_known() -> None:
    learner = Learner(Columns({"n": ITEMS}, {"t": ()}, {}), (Hypothesis(),))
    mean, se = said(learner, "item3")
    assert mean == 0.0 and se == pytest.approx(0.08 / Logistic.steepest)


def test_scores_that_are_no_shares_are_explained_in_their_own_units() -> None:
    columns, draw = Columns({"n": ITEMS}, {"t": ()}, {}), np.random.default_rng(0)
    learner = Learner(columns, (Hypothesis(),))
    for trial in range(80):
        items = frozenset(item for item in ITEMS if draw.random() < 0.5)
        marks = [(f"row {trial % 30}", float(draw.normal(40 + 30 * ("item3" in items), 5)))]
        learner.observe([("t", {"n": Shown(items)}, marks)])
    assert learner.posterior is not None
    mean, se = said(learner, "item3")
    assert abs(mean - 30) < 3 * se and 0.3 < se < 4


def test_searches_of_other_rows_are_explained_as_one() -> None:
    """Each alone believes first that an item does little, and both would believe it together."""
    halves = [learned(strong, trials=6, each=4, seed=seed) for seed in range(20)]
    alone, together = [], []
    for one, other in zip(halves[::2], halves[1::2], strict=True):
        joined = Learner.together([one, other])
        assert joined is not None
        assert joined.sightings.places["t", "n"] == sum(each.sightings.places["t", "n"] for each in (one, other))
        alone.append((said(one, "item3")[0] + said(other, "item3")[0]) / 2)
        together.append(said(joined, "item3")[0])
    assert np.mean(together) > np.mean(alone) + 0.3


def test_a_search_that_has_seen_too_much_is_not_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = learned(strong), learned(strong, seed=1)
    monkeypatch.setattr(history, "MOST_ROWS", 100)
    assert Learner.together([one, other]) is None
