"""Strategies of Optuna's own samplers, on the low-dimensional form of the space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna

from fusionprog._internal.canonical import seed_of
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Outcomes
from fusionprog.search.findings import Findings, shares_of
from fusionprog.search.marginals import Marginals
from fusionprog.search.strategy import Setting, items_of, offered_items, strategy_registry

_LEAST_TRIALS = 10  # fewer do not show which parameters matter

_GENERATIONS = 6  # that a genetic algorithm has at least

SamplerOfSeed = Callable[[int, int], optuna.samplers.BaseSampler]


class PlainStrategy:
    """An Optuna sampler over effects, temperatures, affinities and gates that all tasks share.

    Each trial gets a sampler of its own seed, so that trial n depends on history alone.

    Args:
        setting: What it is made for.
        make: Makes a trial's sampler from its seed and the number of trials.
    """

    screens = True
    moves_on = False

    def __init__(self, setting: Setting, make: SamplerOfSeed) -> None:
        self._setting = setting
        self._make = make
        self._marginals = Marginals({node: list(items) for node, items in setting.space.items.items()})
        self._seen: set[tuple[str, str]] = set()

    @property
    def distributions(self) -> Mapping[str, optuna.distributions.BaseDistribution]:
        """Those of the space."""
        return self._setting.space.distributions

    def starts(self, screened: Mapping[tuple[str, str], float]) -> Sequence[Mapping[str, Any]]:
        """Returns what other compiles have found, then what screening has."""
        space = self._setting.space
        known = [space.start(source.mean_effects(), wide=True) for source in self._setting.prior]
        return [*known, space.start(screened, wide=True), space.start(screened, wide=False)]

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Returns a sampler with a seed of its own."""
        return self._make(seed_of(self._setting.seed, number), self._setting.trials)

    def schedule(self, number: int, params: Mapping[str, Any]) -> Schedule:
        """Returns what the parameters mean in the space."""
        return self._setting.space.schedule(params)

    def observe(self, schedule: Schedule, outcomes: Outcomes) -> None:
        """Keeps what tells items apart, each prompt once; the sampler reads the study."""
        bench = self._setting.bench
        for task, mine in outcomes.items():
            candidate = task, bench.candidate(schedule, task)
            if mine and candidate not in self._seen:
                self._seen.add(candidate)
                shown = {node: items_of(prompt) for node, prompt in bench.prompts(schedule, task).items()}
                self._marginals.add(task, shown, [each.score for each in mine])

    def regret(self) -> None:
        """Cannot say it: the sampler has no model of what is left to find."""
        return None

    def hands_over(self) -> None:
        """Goes on to the end."""
        return None

    def notes(self) -> Sequence[str]:
        """Has nothing to say."""
        return ()

    def ranked(self, tried: Sequence[Schedule], values: Sequence[float]) -> list[Schedule]:
        """Returns them as they are."""
        return list(tried)

    def forecast(self, schedule: Schedule) -> None:
        """Knows nothing of schedules that were not measured."""
        return None

    def vouched_gain(self, schedule: Schedule) -> None:
        """Knows nothing of schedules that were not measured."""
        return None

    def expected(self) -> None:
        """Has no model to expect something."""

    def explained_with(self, others: Sequence[Any], average: Findings) -> Findings:
        """Returns the average: searches without a model cannot be put together."""
        return average

    def findings(self, study: optuna.Study) -> Findings:
        """Returns with and without for every item, and Optuna's importance of the parameters (PED-ANOVA).

        References:
            Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
            Subspaces", 2023.
        """
        items = {node: list(mine) for node, mine in self._setting.space.items.items()}
        effects = self._marginals.tables(offered_items(self._setting.bench))
        done = [trial.value for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
        importance: dict[str, float] = {}
        if len(done) >= _LEAST_TRIALS and len(set(done)) > 1:
            importance = shares_of(optuna.importance.get_param_importances(study))
        return Findings("comparison", items, effects, {}, importance)


@strategy_registry.register("tpe")
def tpe(setting: Setting) -> PlainStrategy:
    """Tree-structured Parzen estimator over all parameters at once."""

    def make(seed: int, trials: int) -> optuna.samplers.BaseSampler:
        startup = max(4, min(20, trials // 4))
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=startup)

    return PlainStrategy(setting, make)


@strategy_registry.register("nsga2")
def nsga2(setting: Setting) -> PlainStrategy:
    """A genetic algorithm: crosses and mutates the best trials so far.

    References:
        Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
    """

    def make(seed: int, trials: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=max(4, min(50, trials // _GENERATIONS)))

    return PlainStrategy(setting, make)


@strategy_registry.register("random")
def random(setting: Setting) -> PlainStrategy:
    """Uniform draws: the control that a sampler must beat."""
    return PlainStrategy(setting, lambda seed, trials: optuna.samplers.RandomSampler(seed=seed))
