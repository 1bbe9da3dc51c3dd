"""Columns are opened where residuals ask for them, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusionprog.search.effects import columns as effects_columns
from fusionprog.search.effects.columns import Column, Columns, Shown
from fusionprog.search.effects.learner import Learner
from fusionprog.search.effects.prior import Hypothesis

ITEMS = [f"item{place}" for place in range(8)]


def learned(
    truth: Any, *, tasks: int = 1, nodes: tuple[str, ...] = ("n",), trials: int = 400, seed: int = 0
) -> Learner:
    """Shows random items in every task, and thinks after each trial.

    Args:
        truth: Task and node → items shown → the probability to be right.
    """
    names = [f"t{place}" for place in range(tasks)]
    columns = Columns({node: ITEMS for node in nodes}, {task: () for task in names}, {})
    learner, draw = Learner(columns, (Hypothesis(),)), np.random.default_rng(seed)
    for _ in range(trials):
        outcomes = []
        for task in names:
            shown = {node: frozenset(item for item in ITEMS if draw.random() < 0.5) for node in nodes}
            chance = truth(task, shown)
            scores = [(f"row {place}", float(draw.random() < chance)) for place in range(2)]
            outcomes.append((task, {node: Shown(items) for node, items in shown.items()}, scores))
        learner.think()
        assert learner.posterior.mean.shape == (len(learner.columns.names),)
        learner.observe(outcomes)
    return learner


def test_two_items_that_only_work_together_get_a_column() -> None:
    learner = learned(lambda task, shown: 0.7 if {"item2", "item5"} <= shown["n"] else 0.2)
    assert learner.columns.opened[0] == ("pair", "n", "item2", "item5")
    assert learner.posterior.mean[learner.columns.index["pair", "n", "item2", "item5"]] > 0.1


@pytest.mark.parametrize("seed", range(4))
def test_where_effects_add_up_nothing_is_opened(seed: int) -> None:
    """On the scale of log odds they do."""
    learner = learned(lambda task, shown: 1 / (1 + np.exp(1 - len(shown["n"] & {"item1", "item2"}))), seed=seed)
    assert learner.columns.opened == ()


def test_an_effect_in_one_task_gets_a_column_where_there_is_none_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects_columns, "MOST_COLUMNS", 25)
    learner = learned(lambda task, shown: 0.2 + 0.6 * (task == "t3" and "item4" in shown["n"]), tasks=5)
    own: Column = ("in_task", "t3", "n", "item4")
    assert learner.columns.groups == {} and learner.columns.opened[0] == own
    places, values = learner.columns.parts("t3", "n")
    effects = (learner.posterior.mean[places] * values).sum(axis=1)
    assert effects[4] > 0.3 and max(abs(effects[[0, 1, 2, 3, 5, 6, 7]])) < 0.2
    places, values = learner.columns.parts("t1", "n")
    assert abs((learner.posterior.mean[places] * values).sum(axis=1)[4]) < 0.15


def test_an_effect_at_one_node_gets_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects_columns, "MOST_COLUMNS", 25)
    learner = learned(lambda task, shown: 0.2 + 0.6 * ("item4" in shown["m"]), nodes=("n", "m"))
    assert {("at_node", "m", "item4"), ("at_node", "n", "item4")} & set(learner.columns.opened)


def test_a_column_that_is_opened_late_is_as_if_it_had_been_there() -> None:
    """The products with all others are those of rows that had it from the start."""
    learner = learned(lambda task, shown: 0.7 if {"item2", "item5"} <= shown["n"] else 0.2, trials=200)
    model, history = learner._model, learner._history
    assert learner.columns.opened
    rows = np.stack([learner.columns.row(each.task, each.atoms) for each in history.measured])
    assert history.rows == pytest.approx(rows)
    assert model._products == pytest.approx((rows * np.array(history.weights)[:, np.newaxis]).T @ rows)
    assert model._sums == pytest.approx(np.array(history.responses) @ rows)


def test_scores_above_1_make_the_model_linear() -> None:
    columns = Columns({"n": ITEMS}, {"t": ()}, {})
    learner, straight = Learner(columns, (Hypothesis(),)), Learner(columns, (Hypothesis(),))
    draw = np.random.default_rng(1)
    trials = []
    for _ in range(60):
        items = frozenset(item for item in ITEMS if draw.random() < 0.5)
        trials.append([("t", {"n": Shown(items)}, [("row", float(50 * ("item1" in items) + 10 * draw.random()))])])
    learner.observe([("t", {"n": Shown(frozenset())}, [("row", 0.5)])])  # could be either
    for trial in trials:
        learner.observe(trial)
    straight.observe([("t", {"n": Shown(frozenset())}, [("row", 0.5)]), *trials[0]])
    for trial in trials[1:]:
        straight.observe(trial)
    assert not learner._model.link.bounded and learner._model.count == 61
    assert learner.posterior.mean[learner.columns.index["everywhere", "item1"]] > 10
    assert learner.posterior.mean == pytest.approx(straight.posterior.mean, rel=1e-6)
