"""The effects model as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna


class EffectsSampler(optuna.samplers.BaseSampler):
    """All parameters of a trial are one draw.

    Args:
        distributions: Parameter → its distribution.
        draw: Returns the parameters of a trial from its number.

    Attributes:
        draw: As above.
    """

    def __init__(
        self,
        distributions: Mapping[str, optuna.distributions.BaseDistribution],
        draw: Callable[[int], dict[str, Any]],
    ) -> None:
        self._distributions = distributions
        self.draw = draw

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """Returns all parameters."""
        return dict(self._distributions)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        """Returns one draw."""
        return self.draw(trial.number)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """Is not asked for: every parameter is in the draw.

        Raises:
            ValueError: if it is, because a parameter was suggested that is no effect.
        """
        raise ValueError(f"{param_name!r} is no effect; the draw has {len(self._distributions)} parameters")
