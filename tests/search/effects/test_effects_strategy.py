"""The default strategy: what a draw opens, what may be returned, and what Optuna sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.prompts.items import Fragment
from fusionprog.prompts.schedule import FORMATS, NodeSettings, Schedule
from fusionprog.search.effects.columns import Columns
from fusionprog.search.effects.model import EffectsModel, Observations
from fusionprog.search.effects.schedules import chances_of, probable_schedule, schedule_of
from fusionprog.search.effects.strategy import EffectsStrategy
from fusionprog.search.sources import Expected, Source

NAMES = ("calm", "brief", "careful", "kind", "exact", "plain")


def ask(strategy: EffectsStrategy, number: int) -> tuple[dict[str, Any], Schedule]:
    """A trial's parameters, as Optuna sees them, and its schedule."""
    study = optuna.create_study()
    for _ in range(number):
        study.add_trial(optuna.create_trial(value=0.0))
    study.sampler = strategy.sampler(number)
    params = study.ask(dict(strategy.distributions)).params
    return params, strategy.schedule(number, params)


@pytest.fixture(scope="module")
def pool(planted: Any) -> Any:
    """Seven tasks, two nodes, six items: every kind of effect has columns."""
    return planted.Pool(planted.hints(*NAMES), planted.tasks_at(7), nodes=("n", "m"))


def known(pool: Any, seed: int, count: int = 200) -> tuple[Columns, EffectsModel]:
    """A model that has seen random outcomes of random prompts."""
    formats = {"format": {str(form): 0.0 for form in FORMATS}}
    columns = Columns({node: list(pool.items) for node in pool.nodes}, pool.tasks, dict.fromkeys(pool.nodes, formats))
    model, draw = EffectsModel(columns.names), np.random.default_rng(seed)
    effects = draw.normal(0, 0.1, len(columns.names))
    for _ in range(count):
        row = np.where(draw.random(len(columns.names)) < 0.3, 1.0, 0.0)
        score = float(row @ effects + draw.normal(0, 0.3))
        model.add([Observations(row, 1, score, score**2)])
    return columns, model


# A draw.


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_a_draw_opens_exactly_the_items_whose_effect_exceeds_their_cost(pool: Any, seed: int) -> None:
    columns, model = known(pool, seed)
    effects = model.posterior.draw(seed)
    costs = {name: 0.02 * place for place, name in enumerate(NAMES)}
    schedule = schedule_of(columns, effects, costs)
    for task in pool.tasks:
        opened = pool.opened(schedule, task)
        for node in pool.nodes:
            places, values = columns.parts(task, node)
            above = (effects[places] * values).sum(axis=1) - np.array(list(costs.values()))
            for name, value in zip(columns.nodes[node], above, strict=True):
                if abs(value) > 1e-4:  # schedules have five digits
                    assert (name in opened[node]) == (value > 0)


def test_items_that_cost_more_must_bring_more(planted: Any) -> None:
    long = Fragment("long", "word " * 4000, facet="hint")
    pool = planted.Pool([long, Fragment("short", "word", facet="hint")], {"a": ()})
    schedules = [ask(EffectsStrategy(pool.setting(seed=seed)), 0)[1] for seed in range(60)]
    assert schedules[0].costs["long"] > 0.03 > 1e-4 > schedules[0].costs["short"]
    opened = [pool.opened(schedule, "a")["n"] for schedule in schedules]
    assert sum("long" in each for each in opened) < sum("short" in each for each in opened)


def test_optuna_sees_all_parameters_within_their_distributions(pool: Any) -> None:
    strategy = EffectsStrategy(pool.setting(seed=3))
    assert set(strategy.distributions) == {
        *(f"*.{item.facet}.{key}" for key, item in pool.items.items()),
        *(f"{node}.{what}" for node in pool.nodes for what in ("format", "demos")),
    }
    for number in range(5):
        params, schedule = ask(strategy, number)
        assert params.keys() == strategy.distributions.keys()
        for name, distribution in strategy.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(params[name])), name
        for key, item in pool.items.items():
            assert params[f"*.{item.facet}.{key}"] == schedule.everywhere[key]
        for node in pool.nodes:
            assert schedule.nodes[node].format == params[f"{node}.format"]
            assert schedule.nodes[node].gates["demos"] == params[f"{node}.demos"]


def test_a_draw_is_let_go_when_its_trial_has_its_schedule(pool: Any) -> None:
    strategy = EffectsStrategy(pool.setting())
    _, schedule = ask(strategy, 0)
    with pytest.raises(KeyError):
        strategy.schedule(0, {})
    again = EffectsStrategy(pool.setting())
    assert ask(again, 0)[1] == schedule


def test_a_parameter_that_is_no_effect_is_refused(pool: Any) -> None:
    strategy = EffectsStrategy(pool.setting())
    study = optuna.create_study(sampler=strategy.sampler(0))
    trial = study.ask(dict(strategy.distributions))
    with pytest.raises(ValueError, match="'temperature' is no effect; the draw has 10 parameters"):
        trial.suggest_float("temperature", 0.0, 1.0)


def test_nothing_is_screened_and_no_start_is_given(pool: Any) -> None:
    strategy = EffectsStrategy(pool.setting())
    assert (strategy.screens, strategy.moves_on) == (False, True)
    assert strategy.starts({("n", "calm"): 1.0}) == ()


def test_draws_depend_on_the_seed_and_on_what_was_observed(planted: Any, pool: Any) -> None:
    def first(seed: int, learned: int) -> Schedule:
        strategy = EffectsStrategy(pool.setting(seed=seed))
        planted.learn(strategy, pool, learned, planted.rows_of(pool.tasks, 12), 2)
        return ask(strategy, 20)[1]

    assert first(1, 5) == first(1, 5)
    assert first(1, 5) != first(2, 5)
    assert first(1, 5) != first(1, 4)


# What other compiles know.


def opens(pool: Any, item: str, *prior: Source) -> int:
    """How many of the first draws open an item."""
    return sum(
        item in pool.opened(ask(EffectsStrategy(pool.setting(seed=seed, prior=prior)), 0)[1], "t0")["n"]
        for seed in range(40)
    )


def source(pool: Any, item: str, mean: float, *, weight: float = 0.9) -> Source:
    """A source that knows what one item does."""
    known = {"n": {item: Expected(mean, 0.02)}, "another node": {item: Expected(9.0, 0.02)}}
    return Source("other", weight, dict.fromkeys(pool.tasks, known))


def test_an_item_that_is_known_to_be_good_is_opened_more_often(pool: Any) -> None:
    assert opens(pool, "calm", source(pool, "calm", 0.15)) > opens(pool, "calm") + 5
    assert opens(pool, "calm", source(pool, "calm", -0.15)) < opens(pool, "calm") - 5
    assert opens(pool, "brief", source(pool, "calm", 0.15)) == opens(pool, "brief")


def test_what_is_known_from_elsewhere_can_always_be_proven_wrong_here(pool: Any) -> None:
    """Some doubt is left, however much a source claims."""
    assert 0 < opens(pool, "calm", source(pool, "calm", -1.0, weight=1.0))
    assert opens(pool, "calm", source(pool, "calm", 1.0, weight=1.0)) < 40


def test_a_source_that_is_wrong_here_is_dropped_and_one_that_is_right_is_kept(planted: Any) -> None:
    tasks = planted.tasks_at(2)

    def chance(task: str, shown: dict[str, frozenset[str]]) -> float:
        return 0.5 + 0.3 * ("good" in shown["n"]) - 0.3 * ("bad" in shown["n"])

    pool = planted.Pool(planted.hints("good", "bad", "idle"), tasks, chance)

    def told(right: float) -> EffectsStrategy:
        known = {"n": {"good": Expected(right, 0.03), "bad": Expected(-right, 0.03)}}
        strategy = EffectsStrategy(pool.setting(prior=[Source("told", 0.9, dict.fromkeys(tasks, known))]))
        planted.learn(strategy, pool, 60, planted.rows_of(tasks, 60), 1)
        return strategy

    wrong, right = told(-0.25), told(0.25)
    assert wrong.findings(optuna.create_study()).sources == {"": 1.0, "told": 0.0}
    assert {"good"} == pool.opened(wrong.ranked([], [])[0], "t0")["n"]
    assert any(note.endswith("dropped: told") for note in wrong.notes())
    assert wrong.vouched_gain(Schedule()) is None
    assert right.findings(optuna.create_study()).sources["told"] > 0.9


def test_sources_that_hold_vouch_for_a_gain(pool: Any) -> None:
    strategy = EffectsStrategy(pool.setting(prior=[source(pool, "calm", 0.2)]))
    schedule = strategy.ranked([], [])[0]
    assert pool.opened(schedule, "t0")["n"] == {"calm"}
    gain, error = strategy.vouched_gain(schedule) or (0.0, 0.0)
    assert 0.1 < gain < 0.4 and 0.0 < error < gain
    assert strategy.vouched_gain(Schedule()) == (0.0, 0.0)
    assert EffectsStrategy(pool.setting()).vouched_gain(schedule) is None


# What may be returned.


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([0.5, 0.8, 0.9]))
def test_what_may_be_returned_opens_an_item_where_it_is_probable_that_it_helps(
    pool: Any, seed: int, probability: float
) -> None:
    columns, model = known(pool, seed)
    costs = {name: round(0.01 * place, 5) for place, name in enumerate(NAMES)}
    posterior = model.posterior
    chances = chances_of(columns, posterior, costs)
    schedule = probable_schedule(columns, posterior.mean, costs, chances, probability)
    checked = 0
    for task, embedding in pool.tasks.items():
        opened = pool.opened(schedule, task)
        for node in pool.nodes:
            for name in NAMES:
                sums = np.zeros(len(columns.names))
                for kind, value in enumerate(embedding):
                    sums[columns.index["by_task_kind", node, name, str(kind)]] = value
                for column in [("everywhere", name), ("at_node", node, name), ("in_task", task, node, name)]:
                    sums[columns.index[column]] = 1.0
                spread = float(np.sqrt(sums @ posterior.covariance @ sums))
                chance = float(norm.cdf((sums @ posterior.mean - costs[name]) / spread))
                if abs(chance - probability) > 1e-3:
                    assert (name in opened[node]) == (chance >= probability)
                    checked += 1
    assert checked > 60


def test_an_item_that_is_open_nowhere_is_closed_at_the_node_and_not_task_by_task(pool: Any) -> None:
    columns, model = known(pool, 1)
    chances = {place: np.zeros(len(NAMES)) for place in chances_of(columns, model.posterior, {})}
    schedule = probable_schedule(columns, model.posterior.mean, {}, chances, 0.8)
    plain = schedule_of(columns, model.posterior.mean, {})
    assert schedule.in_task == plain.in_task and schedule.at_node != plain.at_node
    assert not any(any(pool.opened(schedule, task).values()) for task in pool.tasks)


def test_candidates_are_several_levels_of_certainty_then_what_was_tried(planted: Any, pool: Any) -> None:
    strategy = EffectsStrategy(pool.setting())
    rows = planted.rows_of(pool.tasks, 12)
    planted.learn(strategy, pool, 6, rows, 2)
    tried = [ask(strategy, number)[1] for number in range(6, 10)]
    ranked = strategy.ranked(tried, [0.5] * 4)
    assert sorted(map(id, ranked[4:])) == sorted(map(id, tried))
    counts = [
        sum(len(shown) for task in pool.tasks for shown in pool.opened(schedule, task).values())
        for schedule in ranked[:4]
    ]
    assert counts[1] <= counts[2] <= counts[3] <= counts[0]  # nine in ten, four in five, two in three; and one in two
    forecasts = [strategy.forecast(schedule) for schedule in ranked[:4]]
    assert forecasts[0] == max(forecasts) > max(forecasts[1:]) + 0.01  # so little is known that each loses much
    again = EffectsStrategy(pool.setting())
    planted.learn(again, pool, 6, rows, 2)
    assert again.ranked(tried, [0.5] * 4) == ranked


def test_what_was_tried_is_ranked_by_what_the_model_expects_of_it(planted: Any) -> None:
    names = planted.hints("good", "useless")
    pool = planted.Pool(names, {"a": ()}, lambda task, shown: 0.9 if "good" in shown["n"] else 0.1)
    strategy = EffectsStrategy(pool.setting())
    planted.learn(strategy, pool, 30, planted.rows_of(["a"], 60), 4)

    def alone(name: str) -> Schedule:
        return Schedule(everywhere={name: 1.0}, nodes={"n": NodeSettings(1.0, {"instruction": 1.0, "hint": 1.0})})

    ranked = strategy.ranked([alone("useless"), Schedule(), alone("good")], [0.9, 0.5, 0.1])
    assert pool.shown(ranked[4], "a")["n"] == {"good"}


def test_with_no_items_there_is_nothing_to_draw(planted: Any) -> None:
    pool = planted.Pool([], {"a": (), "b": ()})
    strategy = EffectsStrategy(pool.setting())
    params, schedule = ask(strategy, 0)
    assert set(params) == {"n.format", "n.demos"}
    assert pool.shown(schedule, "a") == {"n": frozenset()}
    assert len(strategy.ranked([], [])) == 4


def test_scales_are_learned_from_what_was_seen(planted: Any) -> None:
    """Strong items: after enough outcomes, effects are expected to be larger than usual."""
    strong = {name: (-0.4) ** (1 + place % 2) * 1.2 for place, name in enumerate(NAMES)}

    def chance(task: str, shown: Any) -> float:
        return 0.5 + sum(strong[name] for name in shown["n"])

    pool = planted.Pool(planted.hints(*NAMES), {"a": ()}, chance)
    strategy = EffectsStrategy(pool.setting())
    rows = planted.rows_of(["a"], 400)
    planted.learn(strategy, pool, 19, rows, 5)
    assert strategy._learner._model.factors == (1.0, 1.0, 1.0)  # 95 outcomes say too little
    planted.learn(strategy, pool, 60, rows, 5)
    assert strategy._learner._model.factors == (2.0, 1.0, 1.0)


# Nodes that run for some examples only.


def test_what_a_node_shows_has_no_part_in_outcomes_that_it_did_not_run_for(planted: Any) -> None:
    pool = planted.Pool(planted.hints("calm"), {"a": ()}, nodes=("draft", "repair"))
    pool.scorers["a"].uncertain = frozenset({"repair"})
    strategy = EffectsStrategy(pool.setting())
    schedule = Schedule(at_node={"repair": {"calm": 1.0}}, nodes={"repair": NodeSettings(gates={"instruction": 1.0})})
    assert pool.shown(schedule, "a") == {"draft": frozenset(), "repair": frozenset({"calm"})}
    columns = strategy._learner.columns

    both, one = frozenset({"draft", "repair"}), frozenset({"draft"})
    ran = [one, both, one, both, both]
    strategy.observe(schedule, {"a": [Outcome(str(place), float(place), ran=each) for place, each in enumerate(ran)]})

    seen = [each.observed(columns) for each in strategy._learner._history.measured]
    assert [(each.count, each.total) for each in seen] == [(2, 2.0), (3, 8.0)]
    for name in (("at_node", "repair", "calm"), ("everywhere", "calm"), ("ran", "repair")):
        assert [each.row[columns.index[name]] for each in seen] == [0.0, 1.0]
