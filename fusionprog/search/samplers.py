"""Optuna samplers by name. Each trial gets a sampler of its own seed, so that trial n depends on history alone."""

from __future__ import annotations

from collections.abc import Callable

import optuna

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError

SamplerFactory = Callable[[int, int], optuna.samplers.BaseSampler]

sampler_registry: Registry[SamplerFactory] = Registry("sampler", FusionProgError)


@sampler_registry.register("tpe")
def tpe(seed: int, trials: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimator over all parameters at once."""
    return optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True, n_startup_trials=max(4, min(20, trials // 4))
    )


@sampler_registry.register("random")
def random(seed: int, trials: int) -> optuna.samplers.BaseSampler:
    """Uniform draws: the control that a sampler must beat."""
    return optuna.samplers.RandomSampler(seed=seed)
