"""The search loop: trials in a window, told in order, at any speed of the model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.errors import FusionProgError
from fusionprog.search.effects.sampler import EffectsSampler
from fusionprog.search.objective import mean
from fusionprog.search.plain import PlainStrategy, SamplerOfSeed
from fusionprog.search.strategies import strategy_registry
from fusionprog.search.strategy import Setting
from fusionprog.search.study import ask, run_study

WINDOW = 4
DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "x": optuna.distributions.FloatDistribution(-1.0, 1.0),
    "count": optuna.distributions.IntDistribution(0, 3),
    "form": optuna.distributions.CategoricalDistribution(["chat", "json", "xml"]),
}


def value_of(params: Mapping[str, Any]) -> float:
    return -((float(params["x"]) - 0.3) ** 2) + 0.1 * int(params["count"]) + (0.2 if params["form"] == "json" else 0.0)


class Flat:
    """A space of three parameters."""

    distributions = DISTRIBUTIONS
    items: Mapping[str, Mapping[str, Any]] = {}


FLAT, NO_BENCH = cast(Any, Flat()), cast(Any, None)
PLAIN: dict[str, SamplerOfSeed] = {
    "tpe": lambda seed, trials: optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=4),
    "random": lambda seed, trials: optuna.samplers.RandomSampler(seed=seed),
}
Evaluate = Callable[[int, Mapping[str, Any]], Coroutine[Any, Any, float | None]]
Moved = Callable[[], Mapping[int, float] | None]
Told = Callable[[optuna.trial.FrozenTrial], str | None]


class Log:
    """Runs a study and keeps what happened in which order."""

    ended_by = "there was no more room"

    def __init__(self, waits: Callable[[int], int] = lambda trial: 0, room: int = WINDOW) -> None:
        self._room = room
        self._evaluate: Evaluate = self.evaluate
        self._told: Told = self.tell
        self._moved: Moved = lambda: None
        self.values: dict[int, float] = {}
        self.values_told: dict[int, float] = {}
        self.events: list[tuple[str, int]] = []
        self.running: set[int] = set()
        self.under_way = 0
        self.most = 0
        self._waits = waits

    async def evaluate(self, trial: int, params: Mapping[str, Any]) -> float:
        self.events.append(("asked", trial))
        self.running.add(trial)
        self.most = max(self.most, len(self.running))
        try:
            for _ in range(self._waits(trial)):
                await asyncio.sleep(0)
        finally:
            self.running.discard(trial)
        return value_of(params)

    def begin(self, number: int, params: Mapping[str, Any], *, alone: bool) -> Coroutine[Any, Any, bool] | None:
        assert alone == (self.under_way == 0)
        if self.under_way >= self._room:
            return None
        self.under_way += 1
        return self._done(number, params)

    async def _done(self, number: int, params: Mapping[str, Any]) -> bool:
        value = await self._evaluate(number, params)
        if value is not None:
            self.values[number] = value
        return value is not None

    def value(self, number: int) -> float:
        return self.values[number]

    def moved(self) -> Mapping[int, float] | None:
        return self._moved()

    def told(self, trial: optuna.trial.FrozenTrial) -> str | None:
        self.under_way -= 1
        return self._told(trial)

    def tell(self, trial: optuna.trial.FrozenTrial) -> str | None:
        self.events.append(("told", trial.number))
        self.values_told[trial.number] = self.values[trial.number]
        return None

    def run(
        self,
        trials: int = 12,
        *,
        sampler: str | SamplerOfSeed = "tpe",
        seed: int = 0,
        start: Sequence[Mapping[str, Any]] = (),
        evaluate: Evaluate | None = None,
        told: Told | None = None,
        moved: Moved = lambda: None,
    ) -> tuple[optuna.Study, str]:
        self._evaluate, self._told, self._moved = evaluate or self.evaluate, told or self.tell, moved
        setting = Setting(FLAT, NO_BENCH, {}, mean, seed, trials, ())
        make = PLAIN[sampler] if isinstance(sampler, str) else sampler
        return asyncio.run(
            run_study(
                strategy=PlainStrategy(setting, make),
                starts=start,
                trials=trials,
                window=WINDOW,
                runner=self,
            )
        )


def history(study: optuna.Study) -> list[tuple[int, dict[str, Any], float | None]]:
    return [(trial.number, trial.params, trial.value) for trial in study.trials]


@pytest.mark.parametrize("sampler", list(PLAIN))
@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_the_history_is_the_same_for_any_order_of_completion(sampler: str, seed: int) -> None:
    draw = random.Random(seed)
    waits = [draw.randrange(40) for _ in range(12)]
    log = Log(lambda trial: waits[trial])
    study, _ = log.run(sampler=sampler)
    calm, _ = Log().run(sampler=sampler)
    assert history(study) == history(calm)
    assert [trial for event, trial in log.events if event == "told"] == list(range(12))
    assert [trial for event, trial in log.events if event == "asked"] == list(range(12))


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_a_trial_is_asked_when_the_one_a_window_before_it_is_told(seed: int) -> None:
    draw = random.Random(seed)
    log = Log(lambda trial: draw.randrange(40))
    log.run(12, sampler="random")
    place = {event: index for index, event in enumerate(log.events)}
    for trial in range(WINDOW, 12):
        assert place["told", trial - WINDOW] < place["asked", trial]
    assert log.most <= WINDOW


def test_a_window_of_trials_runs_at_once() -> None:
    log = Log()

    async def evaluate(trial: int, params: Mapping[str, Any]) -> float:
        log.running.add(trial)
        log.most = max(log.most, len(log.running))
        while log.most < WINDOW:  # for ever, if trials do not run at once
            await asyncio.sleep(0)
        log.running.discard(trial)
        return value_of(params)

    log.run(12, sampler="random", evaluate=evaluate)
    assert log.most == WINDOW


@pytest.mark.parametrize("sampler", list(PLAIN))
def test_the_seed_decides(sampler: str) -> None:
    first, _ = Log().run(sampler=sampler, seed=1)
    again, _ = Log().run(sampler=sampler, seed=1)
    other, _ = Log().run(sampler=sampler, seed=2)
    assert history(first) == history(again)
    assert history(first) != history(other)


def test_each_trial_has_a_sampler_with_a_seed_of_its_own() -> None:
    seeds: list[tuple[int, int]] = []

    def sampler(seed: int, trials: int) -> optuna.samplers.BaseSampler:
        seeds.append((seed, trials))
        return optuna.samplers.RandomSampler(seed=seed)

    Log().run(6, sampler=sampler)
    assert len({seed for seed, _ in seeds}) == 6
    assert {trials for _, trials in seeds} == {6}


def test_the_first_trials_are_the_given_ones() -> None:
    start = [{"x": 0.5, "count": 1, "form": "xml"}, {"x": -0.5, "count": 2, "form": "chat"}]
    study, _ = Log().run(6, start=start)
    assert [trial.params for trial in study.trials[:2]] == start
    assert study.trials[2].params not in start


def test_more_given_trials_than_are_wanted_are_left_out() -> None:
    start = [{"x": x / 10, "count": 0, "form": "chat"} for x in range(6)]
    study, reason = Log().run(2, start=start)
    assert [trial.params for trial in study.trials] == start[:2]
    assert reason == "all 2 trials are done"


def test_all_trials_done_is_the_reason_where_nothing_else_ended_it() -> None:
    study, reason = Log().run(5)
    assert reason == "all 5 trials are done"
    assert len(study.trials) == 5


def test_no_trials_are_no_study() -> None:
    log = Log()
    study, _ = log.run(0)
    assert study.trials == [] and log.events == []


@pytest.mark.parametrize("last", [0, 3, 7])
def test_a_reason_ends_the_asking_and_what_is_in_flight_is_told(last: int) -> None:
    log = Log(lambda trial: 30 - trial)

    def told(trial: optuna.trial.FrozenTrial) -> str | None:
        log.tell(trial)
        return f"enough after {trial.number}" if trial.number >= last else None

    study, reason = log.run(40, sampler="random", told=told)
    assert reason == f"enough after {last}"  # the first one, whatever is said of the rest
    asked = [trial for event, trial in log.events if event == "asked"]
    assert asked == list(range(last + WINDOW))
    assert [trial for event, trial in log.events if event == "told"] == asked
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)


def test_an_exception_in_a_trial_cancels_the_rest_and_is_raised() -> None:
    log = Log()
    cancelled: list[int] = []

    async def evaluate(trial: int, params: Mapping[str, Any]) -> float:
        log.events.append(("asked", trial))
        if trial == 5:
            raise FusionProgError("the model went away")
        try:
            if trial > 5:
                await asyncio.Event().wait()  # for ever
        except asyncio.CancelledError:
            cancelled.append(trial)
            raise
        return 0.0

    with pytest.raises(FusionProgError, match="the model went away"):
        log.run(40, sampler="random", evaluate=evaluate)
    assert cancelled == [6, 7]  # and 8 was asked, but had not begun
    assert [trial for event, trial in log.events if event == "told"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_trial_for_which_there_is_no_room_waits_and_is_the_same_one(room: int) -> None:
    log = Log(lambda trial: 30, room)
    study, _ = log.run(12, sampler="random")
    calm, _ = Log().run(12, sampler="random")
    assert 1 <= log.most <= room
    assert history(study) == history(calm)


def test_a_trial_that_cannot_be_done_to_its_end_ends_the_search_and_is_not_told() -> None:
    log = Log()

    async def evaluate(trial: int, params: Mapping[str, Any]) -> float | None:
        return None if trial == 3 else await log.evaluate(trial, params)

    study, reason = log.run(40, sampler="random", evaluate=evaluate)
    assert reason == "there was no more room"
    assert [trial for event, trial in log.events if event == "told"] == [0, 1, 2, 4, 5, 6]
    assert study.trials[3].state == optuna.trial.TrialState.FAIL


def test_the_first_failure_in_order_is_raised_whatever_fails_first() -> None:
    async def evaluate(trial: int, params: Mapping[str, Any]) -> float:
        for _ in range(20 if trial == 1 else 0):
            await asyncio.sleep(0)
        if trial in (1, 2):
            raise FusionProgError(f"trial {trial}")
        return 0.0

    with pytest.raises(FusionProgError, match="trial 1"):
        Log().run(evaluate=evaluate)


def test_an_exception_in_a_callback_cancels_the_rest_and_is_raised() -> None:
    log = Log(lambda trial: 50 * (trial > 0))

    def told(trial: optuna.trial.FrozenTrial) -> str | None:
        raise KeyError("a callback's own")

    with pytest.raises(KeyError, match="a callback's own"):
        log.run(told=told)
    assert log.running == set()


def test_tpe_finds_the_planted_optimum_more_often_than_random_draws() -> None:
    def best(sampler: str) -> float:
        return sum(Log().run(40, sampler=sampler, seed=seed)[0].best_value for seed in range(3)) / 3

    assert best("tpe") > best("random")


def test_an_unknown_sampler_is_refused_with_the_known_ones() -> None:
    with pytest.raises(FusionProgError, match=r"no sampler called 'tpee'.*'effects'.*'random'.*'tpe'"):
        strategy_registry.get("tpee")


# Values that move.


def test_a_study_that_is_made_again_with_the_same_values_goes_on_as_if_it_were_not() -> None:
    log = Log(lambda trial: trial % 3)
    study, _ = log.run(24, moved=lambda: dict(log.values_told))
    calm, _ = Log().run(24)
    assert history(study) == history(calm)
    assert [trial.number for trial in study.trials] == list(range(24))


def test_the_sampler_sees_the_values_of_now_and_never_those_of_before() -> None:
    """After ten trials what was good is bad: from then on it is searched as if it had always been."""
    log = Log()

    def moved() -> Mapping[int, float] | None:
        return {trial: -value for trial, value in log.values_told.items()} if len(log.values_told) == 10 else None

    study, _ = log.run(10, moved=moved)
    told = [trial.value for trial in study.trials]
    assert told == [-log.values[trial.number] for trial in study.trials]


def test_a_trial_of_a_draw_is_as_optuna_would_have_asked_for_it() -> None:
    def draw(number: int) -> dict[str, Any]:
        return {"x": number / 10, "count": number % 3, "form": "json"}

    whole, piecewise = (
        optuna.create_study(direction="maximize", sampler=EffectsSampler(DISTRIBUTIONS, draw)) for _ in "ab"
    )
    for number in range(3):
        asked, trial = ask(whole, DISTRIBUTIONS), piecewise.ask(DISTRIBUTIONS)
        assert (asked.number, asked.params) == (trial.number, trial.params) == (number, draw(number))
        for study in (whole, piecewise):
            study.tell(number, value_of(asked.params))
    for one, other in zip(whole.trials, piecewise.trials, strict=True):
        assert (one.params, one.distributions, one.state, one.value) == (
            other.params,
            other.distributions,
            other.state,
            other.value,
        )


def test_a_draw_beyond_its_distribution_is_refused() -> None:
    study = optuna.create_study(
        sampler=EffectsSampler(DISTRIBUTIONS, lambda number: {"x": 2.0, "count": 0, "form": "json"})
    )
    with pytest.raises(ValueError, match=r"2\.0"):
        ask(study, DISTRIBUTIONS)
