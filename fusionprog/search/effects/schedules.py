"""Effects become schedules: those of a draw, and those that are probable enough to be returned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.pairs import with_partners
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.search.effects.columns import AMOUNTS, Columns, Places, Vector
from fusionprog.search.effects.model import Posterior

DIGITS = 5
_JUST_BELOW = 10**-DIGITS
_EVEN = 3.0  # a temperature at which all open items of a facet count about alike

Chances = Mapping[tuple[str, str], Vector]  # (task, node) → shape (n_items,)


def schedule_of(columns: Columns, effects: Vector, costs: Mapping[str, float]) -> Schedule:
    """Returns the schedule that has effects, and the best format and amount of demonstrations at every node.

    Args:
        columns: What the effects are of.
        effects: The effects, shape ``(n_columns,)``.
        costs: Item → the effect above which its gate opens.
    """
    everywhere: dict[str, float] = {}
    at_node: dict[str, dict[str, float]] = defaultdict(dict)
    directions: dict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
    in_task: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    pairs: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for name, value in zip(columns.names, np.round(effects, DIGITS).tolist(), strict=True):
        match name:
            case ("everywhere", item):
                everywhere[item] = value
            case ("at_node", node, item):
                at_node[node][item] = value
            case ("by_task_kind", node, item, _):
                directions[node][item] = (*directions[node].get(item, ()), value)
            case ("in_task", task, node, item):
                in_task[task][node][item] = value
            case ("pair", node, one, other):
                pairs[node][one][other] = value
    return Schedule(
        everywhere=everywhere,
        at_node=dict(at_node),
        directions=dict(directions),
        in_task={task: dict(nodes) for task, nodes in in_task.items()},
        pairs={node: dict(mine) for node, mine in pairs.items()},
        costs=costs,
        nodes={node: settings_of(columns, effects, node) for node in columns.nodes},
    )


def settings_of(columns: Columns, effects: Vector, node: str) -> NodeSettings:
    """Returns a node's format and amount of demonstrations: those with the best effects; all facets are open."""

    def effect(*name: str) -> float:
        place = columns.index.get(name)
        return 0.0 if place is None else float(effects[place])

    form = max(columns.formats, key=lambda each: effect("format", node, each))
    amount = max(AMOUNTS, key=lambda each: (effect("amount", node, str(each)), -each))
    return NodeSettings(_EVEN, {**dict.fromkeys(CAPS, 1.0), "demos": amount}, form)


def chances_of(columns: Columns, posterior: Posterior, costs: Mapping[str, float]) -> Chances:
    """Returns how probable it is that each item's effect, beside those open by the mean, is above its cost."""
    chances = {}
    for node, items in columns.nodes.items():
        worth = np.array([costs.get(item, 0.0) for item in items])
        for task in columns.embeddings:
            places, values = beside_others(columns, posterior.mean, task, node, worth)
            above = (posterior.mean[places] * values).sum(axis=1) - worth
            chances[task, node] = np.asarray(ndtr(above / posterior.spread(places, values)))
    return chances


def beside_others(columns: Columns, mean: Vector, task: str, node: str, worth: Vector) -> tuple[Places, Vector]:
    """Returns what items' effects are the sums of beside those that are open by the mean effects.

    Args:
        columns: What the effects are of.
        mean: The mean effects, shape ``(n_columns,)``.
        task: The task.
        node: The node.
        worth: What each item's effect must be above, shape ``(n_items,)``.

    Returns:
        As ``Columns.parts``, with a part for every pair of which the other item is open.
    """
    places, values = columns.parts(task, node)
    pairs = columns.pairs.get(node, ())
    if not pairs:
        return places, values
    items = tuple(columns.nodes[node])
    together: dict[str, dict[str, float]] = defaultdict(dict)
    for one, other, place in pairs:
        together[one][other] = float(mean[place])
    is_open = with_partners(items, (mean[places] * values).sum(axis=1), worth, together) > worth
    more, amounts = np.zeros((len(items), len(pairs)), dtype=np.intp), np.zeros((len(items), len(pairs)))
    for number, (one, other, place) in enumerate(pairs):
        for item, partner in ((one, other), (other, one)):
            more[items.index(item), number] = place
            amounts[items.index(item), number] = float(is_open[items.index(partner)])
    return np.hstack([places, more]), np.hstack([values, amounts])


def probable_schedule(
    columns: Columns, mean: Vector, costs: Mapping[str, float], chances: Chances, probability: float
) -> Schedule:
    """Returns the schedule of mean effects in which an item is open only where it is probable that it helps.

    What is open by its mean and not probable is set just below its cost: at the node, if the item is then open in no
    task, else in the tasks in question.

    Args:
        columns: What the effects are of.
        mean: The mean effects, shape ``(n_columns,)``.
        costs: Item → the effect above which its gate opens.
        chances: (task, node) → how probable it is that each item's effect is above its cost.
        probability: How probable that must be.
    """
    schedule = schedule_of(columns, mean, costs)
    rounded = np.round(mean, DIGITS)  # as the schedule has them
    at_node = {node: dict(mine) for node, mine in schedule.at_node.items()}
    in_task = {task: {node: dict(mine) for node, mine in nodes.items()} for task, nodes in schedule.in_task.items()}
    tasks = list(columns.embeddings)
    for node, items in columns.nodes.items():
        worth = np.array([costs.get(item, 0.0) for item in items])
        above = np.empty((len(tasks), len(items)))
        for place, task in enumerate(tasks):
            places, values = beside_others(columns, rounded, task, node, worth)
            above[place] = (rounded[places] * values).sum(axis=1) - worth
        probable = np.array([chances[task, node] for task in tasks]) >= probability
        doubtful = (above > -_JUST_BELOW / 2) & ~probable
        nowhere = doubtful.any(axis=0) & ~((above > 0) & probable).any(axis=0)
        for place in np.flatnonzero(nowhere).tolist():
            _lower(at_node.setdefault(node, {}), items[place], above[:, place].max())
        for number, place in np.argwhere(doubtful & ~nowhere).tolist():
            mine = in_task.setdefault(tasks[number], {}).setdefault(node, {})
            _lower(mine, items[place], above[number, place])
    return replace(schedule, at_node=at_node, in_task=in_task)


def _lower(effects: dict[str, float], item: str, above: float) -> None:
    effects[item] = round(effects.get(item, 0.0) - float(above) - _JUST_BELOW, DIGITS)
