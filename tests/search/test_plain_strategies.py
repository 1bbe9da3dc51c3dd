"""Strategies of Optuna's own samplers: their parameters, starts and seeds."""

from __future__ import annotations

from typing import Any, cast

import optuna
import pytest

from fusionprog.prompts.items import Fragment
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.objective import mean
from fusionprog.search.plain import PlainStrategy, nsga2, random, tpe
from fusionprog.search.sources import Expected, Source
from fusionprog.search.space import Space
from fusionprog.search.strategies import strategy_registry
from fusionprog.search.strategy import Setting

SPACE = Space(
    {"n": {name: Fragment(name, name, facet="hint") for name in ("good", "useless")}},
    {"good": (1.0, 0.0), "useless": ()},
)
NO_BENCH = cast(Any, None)
SCREENED = {("n", "good"): 0.2, ("n", "useless"): -0.1}


def setting(prior: tuple[Source, ...] = (), trials: int = 40, seed: int = 0) -> Setting:
    return Setting(SPACE, NO_BENCH, {"a": (1.0, 0.0)}, mean, seed, trials, prior)


@pytest.fixture(params=["tpe", "nsga2", "random"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_all_trials_have_the_same_rows_and_items_are_screened(name: str) -> None:
    strategy = strategy_registry.get(name)(setting())
    assert (strategy.screens, strategy.moves_on) == (True, False)
    assert strategy.distributions == SPACE.distributions


def test_the_starts_are_what_screening_found_wide_and_narrow(name: str) -> None:
    starts = strategy_registry.get(name)(setting()).starts(SCREENED)
    assert list(starts) == [SPACE.start(SCREENED, wide=True), SPACE.start(SCREENED, wide=False)]
    assert all(start.keys() == SPACE.distributions.keys() for start in starts)


def test_what_other_compiles_found_comes_first(name: str) -> None:
    here = {"n": {"useless": Expected(0.3, 0.1), "good": Expected(0.1, 0.1)}, "another": {"good": Expected(9.0, 0.1)}}
    prior = Source("other", 0.9, {"a": here})
    first, *rest = strategy_registry.get(name)(setting((prior,))).starts(SCREENED)
    assert first == SPACE.start({("n", "good"): 0.1, ("n", "useless"): 0.3}, wide=True)
    assert len(rest) == 2


def test_parameters_mean_what_they_do_in_the_space(name: str) -> None:
    strategy = strategy_registry.get(name)(setting())
    params = SPACE.start(SCREENED, wide=True)
    assert strategy.schedule(7, params) == SPACE.schedule(params)


def test_candidates_stay_in_their_order(name: str) -> None:
    tried = [Schedule(everywhere={"good": value}) for value in (0.1, 0.3, 0.2)]
    strategy = strategy_registry.get(name)(setting())
    strategy.observe(tried[0], {})
    assert strategy.ranked(tried, [0.9, 0.5, 0.4]) == tried


def draws(strategy: PlainStrategy, trials: int = 6) -> list[dict[str, Any]]:
    """The parameters of trials that are asked and told in order."""
    study = optuna.create_study(direction="maximize")
    for number in range(trials):
        study.sampler = strategy.sampler(number)
        trial = study.ask(dict(strategy.distributions))
        study.tell(trial, float(trial.params["n.hint.good"]))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("make", [tpe, nsga2, random])
def test_draws_depend_on_the_seed_and_on_history_alone(make: Any) -> None:
    assert draws(make(setting())) == draws(make(setting()))
    assert draws(make(setting())) != draws(make(setting(seed=1)))
    assert len({params["n.hint.good"] for params in draws(make(setting()))}) == 6


@pytest.mark.parametrize(("trials", "startup"), [(4, 4), (40, 10), (1000, 20)])
def test_tpe_begins_with_a_quarter_of_random_draws(trials: int, startup: int) -> None:
    sampler: Any = tpe(setting(trials=trials)).sampler(0)
    assert sampler._n_startup_trials == startup
