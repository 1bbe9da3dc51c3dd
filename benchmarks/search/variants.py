"""Variants of fusionprog's effects model, for studies of its parts: strategies registered beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fusionprog.prompts.schedule import Schedule
from fusionprog.search.effects.columns import Kind
from fusionprog.search.effects.model import USUAL
from fusionprog.search.effects.strategy import EffectsStrategy
from fusionprog.search.strategy import Setting, strategy_registry

_NOTHING = 1e-6  # a prior scale that leaves an effect at 0
_ALWAYS_OPEN = -10.0  # a cost below any effect


@dataclass(frozen=True)
class Change:
    """What is different in a variant.

    Attributes:
        without: Kinds of effects that are held at 0.
        temperature: The temperature of all mixtures, if it is fixed.
        gated: Whether items have gates; else all are open, and mixtures alone choose.
    """

    without: tuple[Kind, ...] = ()
    temperature: float | None = None
    gated: bool = True


class ChangedEffects(EffectsStrategy):
    """The effects model with a change.

    Args:
        setting: What it is made for.
        change: What is different.
    """

    def __init__(self, setting: Setting, change: Change) -> None:
        super().__init__(setting, {**USUAL, **dict.fromkeys(change.without, _NOTHING)})
        self._change = change

    def schedule(self, number: int, params: Mapping[str, Any]) -> Schedule:
        """Returns the schedule of a trial's draw, with the change."""
        return self._changed(super().schedule(number, params))

    def ranked(self, tried: Sequence[Schedule], values: Sequence[float]) -> list[Schedule]:
        """Returns the candidates, with the change."""
        return [self._changed(schedule) for schedule in super().ranked(tried, values)]

    def forecast(self, schedule: Schedule) -> float:
        """Returns what the model expects of a schedule, with the change."""
        return super().forecast(self._changed(schedule))

    def _changed(self, schedule: Schedule) -> Schedule:
        if self._change.temperature is not None:
            temperature = self._change.temperature
            nodes = {node: replace(mine, temperature=temperature) for node, mine in schedule.nodes.items()}
            schedule = replace(schedule, nodes=nodes)
        if not self._change.gated:
            schedule = replace(schedule, costs=dict.fromkeys(schedule.costs, _ALWAYS_OPEN))
        return schedule


def register_variant(name: str, change: Change) -> str:
    """Registers a variant as a sampler and returns its name."""

    def make(setting: Setting) -> ChangedEffects:
        return ChangedEffects(setting, change)

    if name not in strategy_registry:
        strategy_registry.register(name)(make)
    return name


WITHOUT_KINDS = register_variant("effects-without-kinds", Change(without=("by_task_kind",)))
WITHOUT_TASKS = register_variant("effects-without-tasks", Change(without=("by_task_kind", "in_task")))
WITHOUT_BIAS = register_variant("effects-without-bias", Change(without=("everywhere",)))
WITHOUT_GATES = register_variant("effects-without-gates", Change(gated=False))
