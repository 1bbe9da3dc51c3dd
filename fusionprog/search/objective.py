"""Objectives: how the scores of several tasks become one number, as late as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError

Objective = Callable[[Mapping[str, float]], float]

objective_registry: Registry[Objective] = Registry("objective", FusionProgError)


@objective_registry.register("mean")
def mean(scores: Mapping[str, float]) -> float:
    """The mean over tasks."""
    return sum(scores.values()) / len(scores)


@objective_registry.register("worst")
def worst(scores: Mapping[str, float]) -> float:
    """The worst task, with a hundredth of the mean so that progress elsewhere breaks ties."""
    return min(scores.values()) + 0.01 * mean(scores)
