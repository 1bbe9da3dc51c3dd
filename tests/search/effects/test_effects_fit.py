"""The check of the additive picture: forecasts against a constant, and like tasks against unlike ones."""

from __future__ import annotations

from typing import Any

import pytest

from fusionprog.search.effects.columns import Columns, Shown
from fusionprog.search.effects.fit import Fit
from fusionprog.search.effects.history import Measured
from fusionprog.search.effects.model import EffectsModel
from fusionprog.search.effects.strategy import EffectsStrategy

NAMES = [f"item{place}" for place in range(6)]


def strategy_after(planted: Any, chance: Any, tasks: int = 4, trials: int = 80, seed: int = 0) -> EffectsStrategy:
    pool = planted.Pool(planted.hints(*NAMES), planted.tasks_at(tasks), chance, seed=seed)
    strategy = EffectsStrategy(pool.setting(seed=seed))
    planted.learn(strategy, pool, trials, planted.rows_of(pool.tasks, 400), 4)
    return strategy


def test_effects_that_are_there_are_said_to_explain_scores(planted: Any) -> None:
    strategy = strategy_after(planted, lambda task, shown: 0.2 + 0.12 * len(shown["n"]))
    assert strategy.hands_over() is None
    (note,) = strategy.notes()
    assert note.startswith("effects of items explain scores: log likelihood of an outcome +0.")


def test_where_nothing_helps_the_model_says_that_it_explains_nothing(planted: Any) -> None:
    """It cannot do better than a constant on outcomes that it has not seen, and little worse."""
    for seed in range(4):
        strategy = strategy_after(planted, lambda task, shown: 0.4, seed=seed)
        gain, error = strategy._learner.fit.gain
        assert abs(gain) < 0.01 and gain < 2 * error
        why = strategy.hands_over()
        assert (why is not None) == (gain < -2 * error)
        assert why is None or f"log likelihood of an outcome {gain:+.4f} ± {error:.4f}" in why


def test_a_model_that_is_worse_than_a_constant_fails_and_its_first_guesses_do_not_count() -> None:
    fit = Fit(gains=[-1.0] * 10 + [0.01, -0.01] * 15)
    assert fit.gain[0] == pytest.approx(0.0) and not fit.fails
    worse = Fit(gains=[0.5] * 10 + [-0.02, -0.01] * 15)
    assert worse.gain[0] == pytest.approx(-0.015) and worse.fails
    assert not Fit(gains=[-0.02, -0.01] * 3).fails  # too few to say


def test_a_few_trials_say_nothing(planted: Any) -> None:
    assert strategy_after(planted, lambda task, shown: 0.4, trials=4).hands_over() is None


@pytest.mark.parametrize("alike", [True, False])
def test_whether_like_tasks_need_like_items_is_found_out(planted: Any, alike: bool) -> None:
    """Kinds of task are told apart by the first coordinate, or by nothing that the embedding knows."""

    def chance(task: str, shown: Any) -> float:
        number = int(task[1:])
        mine = number >= 4 if alike else number % 2 == 0
        return 0.2 + 0.3 * len(shown["n"] & ({"item0", "item1"} if mine else {"item2", "item3"}))

    coordinates = {f"t{place}": (1.0 if place >= 4 else -1.0,) for place in range(8)}
    pool = planted.Pool(planted.hints(*NAMES), coordinates, chance, seed=1)
    strategy = EffectsStrategy(pool.setting(seed=1))
    planted.learn(strategy, pool, 90, planted.rows_of(pool.tasks, 400), 4)
    assert strategy._learner.goes_by_kind is alike
    assert (
        f"tasks with like descriptions {'were' if alike else 'were not'} found to need like items" in strategy.notes()
    )


def test_a_forecast_is_made_before_its_outcome_is_known() -> None:
    """A model that says nothing but a task's mean gains nothing; one that knows gains what it knows."""
    columns = Columns({"n": NAMES}, {"t": ()}, {})
    model = EffectsModel(columns.names)
    fit = Fit()
    atoms = columns.atoms({"n": Shown(frozenset())})
    scores = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0] * 4
    for score in scores:
        fit.add([Measured.of("t", atoms, [("row", score)])], model.expected(columns.row("t", atoms)[None]), model)
    assert len(fit.gains) == len(scores) - 10  # nobody knows what is usual before that
    knowing = Fit()
    for score in scores:
        knowing.add(
            [Measured.of("t", atoms, [("row", score)])],
            model.expected(columns.row("t", atoms)[None]) * 0 + score,
            model,
        )
    assert knowing.gain[0] > 0.4 and fit.gain[0] < 0
    assert not knowing.fails
