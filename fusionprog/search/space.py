"""The low-dimensional form that plain samplers search: what a trial's parameters mean.

For every searched node: an effect for each item in play, a temperature, the affinity of items to kinds of task,
a gate for each facet, the prompt's format, and what else there is to choose. All of it is shared by all tasks, so that
the number of parameters does not grow with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import optuna

from fusionprog.prompts.items import FACETS, Facet, Item
from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.schedule import (
    DEFAULT_TEMPERATURE,
    FORMAT,
    FORMATS,
    Format,
    NodeSettings,
    Schedule,
    settings_of,
)
from fusionprog.runtime.render import TaskView
from fusionprog.search.choices import Choices
from fusionprog.search.preflight import Job

_GATE_STEPS = 4
_TEMPERATURES = (0.05, 3.0)


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        items: Node → the items in play there, by id; pinned ones are not searched.
        directions: Item → its unit direction in the space of task embeddings; empty where there is none.
        formats: How prompts may be written, the usual one first.
        choices: What there is to choose at nodes beside their format.
    """

    items: Mapping[str, Mapping[str, Item]]
    directions: Mapping[str, tuple[float, ...]]
    formats: Sequence[Format] = FORMATS
    choices: Choices = field(default_factory=dict)

    @cached_property
    def options(self) -> Choices:
        """All that there is to choose: the format of nodes that have prompts, and ``choices``."""
        formats: Choices = {node: {FORMAT: dict.fromkeys(map(str, self.formats), 0.0)} for node in self.items}
        return {node: {**formats.get(node, {}), **self.choices.get(node, {})} for node in {**formats, **self.choices}}

    @cached_property
    def facets(self) -> Mapping[str, tuple[Facet, ...]]:
        """Node → the facets that have an item in play."""
        return {
            node: tuple(facet for facet in FACETS if any(item.facet == facet for item in items.values()))
            for node, items in self.items.items()
        }

    @cached_property
    def distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """Parameter → its distribution: ``node.facet.item``, ``node.facet`` (gates), ``node.choice``."""
        made: dict[str, optuna.distributions.BaseDistribution] = {}
        for node, items in self.items.items():
            for key, item in items.items():
                made[f"{node}.{item.facet}.{key}"] = optuna.distributions.FloatDistribution(-1.0, 1.0)
            for facet in self.facets[node]:
                made[f"{node}.{facet}"] = optuna.distributions.IntDistribution(0, _steps(facet))
            made[f"{node}.temperature"] = optuna.distributions.FloatDistribution(*_TEMPERATURES, log=True)
            if any(any(self.directions.get(key, ())) for key in items):
                made[f"{node}.affinity"] = optuna.distributions.FloatDistribution(0.0, 1.0)
        return {**made, **self.option_distributions}

    @cached_property
    def option_distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        """``node.choice`` → its options."""
        return {
            f"{node}.{choice}": optuna.distributions.CategoricalDistribution(list(costs))
            for node, mine in self.options.items()
            for choice, costs in mine.items()
        }

    def schedule(self, params: Mapping[str, Any]) -> Schedule:
        """Returns the schedule that a trial's parameters mean."""
        at_node: dict[str, dict[str, float]] = {}
        directions: dict[str, dict[str, tuple[float, ...]]] = {}
        nodes: dict[str, NodeSettings] = {}
        for node, items in self.items.items():
            at_node[node] = {key: round(params[f"{node}.{item.facet}.{key}"], 5) for key, item in items.items()}
            affinity = params.get(f"{node}.affinity", 0.0)
            directions[node] = {
                key: tuple(round(affinity * value, 5) for value in self.directions[key])
                for key in items
                if affinity and any(self.directions.get(key, ()))
            }
            gates = {facet: params[f"{node}.{facet}"] / _steps(facet) for facet in self.facets[node]}
            temperature = round(params[f"{node}.temperature"], 5)
            nodes[node] = NodeSettings(temperature, gates)
        for node, mine in self.options.items():
            options = {choice: params[f"{node}.{choice}"] for choice in mine}
            written = nodes.get(node, NodeSettings())
            nodes[node] = settings_of(options, written.temperature, written.gates)
        return Schedule(at_node=at_node, directions=directions, nodes=nodes)

    def single(self, node: str, item: str) -> Schedule:
        """Returns the schedule that opens one item at one node and nothing else."""
        facet = self.items[node][item].facet
        return Schedule(at_node={node: {item: 1.0}}, nodes={node: NodeSettings(DEFAULT_TEMPERATURE, {facet: 1.0})})

    def start(self, effects: Mapping[tuple[str, str], float], *, wide: bool) -> dict[str, Any]:
        """Returns parameters to begin with, from the items' effects alone (a value of 0 or less keeps one shut).

        Args:
            effects: (node, item) → effect, in units of score; items that are not named stay shut, and those that are
                not in play do not count.
            wide: Whether all helpful items of a facet come in, or only the best one.
        """
        effects = {place: value for place, value in effects.items() if place[1] in self.items.get(place[0], ())}
        largest = max((abs(value) for value in effects.values()), default=0.0) or 1.0
        params: dict[str, Any] = {}
        for node, items in self.items.items():
            for key, item in items.items():
                effect = effects.get((node, key), 0.0)
                params[f"{node}.{item.facet}.{key}"] = max(-1.0, min(1.0, effect / largest)) if effect > 0 else -0.5
            for facet in self.facets[node]:
                helps = any(effects.get((node, key), 0.0) > 0 for key, item in items.items() if item.facet == facet)
                params[f"{node}.{facet}"] = _steps(facet) if helps else 0
            params[f"{node}.temperature"] = _TEMPERATURES[1] if wide else _TEMPERATURES[0]
            if f"{node}.affinity" in self.distributions:
                params[f"{node}.affinity"] = 0.0
        for node, mine in self.options.items():
            params |= {f"{node}.{choice}": next(iter(costs)) for choice, costs in mine.items()}
        return params


def _steps(facet: Facet) -> int:
    """A gate moves in steps of one item, or of a quarter of the demonstrations."""
    return _GATE_STEPS if facet == "demos" else CAPS[facet]


def make_space(job: Job, views: Mapping[str, TaskView], items: Mapping[str, Item]) -> Space:
    """Returns what is searched: at every searched node the items on offer in some task, less pinned and frozen ones."""
    return Space(
        items={
            node: {
                key: item
                for key, item in items.items()
                if not item.pinned
                and key not in job.frozen
                and any(key in view.offered.get(node, {}) for view in views.values())
            }
            for node in job.searched
            if job.graph.nodes[node].asks_model
        },
        directions=job.places.items,
        formats=job.formats,
        choices=job.choices,
    )
