"""The columns of the effects model: which effects there are, and which of them an outcome shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["level", "task", "everywhere", "at_node", "by_task_kind", "in_task", "choice", "amount"]
Column = tuple[str, ...]
Places = npt.NDArray[np.intp]
Vector = npt.NDArray[np.float64]

MOST_COLUMNS = 1_000  # solving for more takes longer than a trial is worth
FEW_TASKS = 5  # with so few, a direction in the space of tasks cannot be told from an effect in a single one
AMOUNTS = (0.25, 0.5, 1.0)  # shares of the demonstrations that may be shown


@dataclass(frozen=True)
class Shown:
    """What a node's prompt shows in a task.

    Attributes:
        items: The items in it.
        options: Choice → the option that is picked.
        amount: The share of all demonstrations that it shows, in [0, 1].
    """

    items: frozenset[str]
    options: Mapping[str, str] = field(default_factory=dict)
    amount: float = 0.0


@dataclass(frozen=True)
class Columns:
    """All effects of a search, each a column.

    An outcome of task t is its level and the task's own, plus for every item k that node n shows: what k does
    everywhere, at the node, by kind of task (along the task's embedding), and in this task alone; plus what the
    options that are picked at the node (its format, its module) and its number of demonstrations do. Groups of columns
    that would make more than ``MOST_COLUMNS`` in all are left out, the most particular ones first.

    Attributes:
        nodes: Node → the items in play there.
        embeddings: Task → its coordinates.
        choices: Node → choice → option → what it must gain above the first, which is the one as written.
    """

    nodes: Mapping[str, Sequence[str]]
    embeddings: Mapping[str, tuple[float, ...]]
    choices: Mapping[str, Mapping[str, Mapping[str, float]]]

    @cached_property
    def names(self) -> tuple[Column, ...]:
        """Every column, the level first: its kind, and what tells it from others of its kind."""
        places = [(node, item) for node, items in self.nodes.items() for item in items]
        tasks = list(self.embeddings)
        names: list[Column] = [("level",), *(("task", task) for task in tasks)]
        names += [("everywhere", item) for item in dict.fromkeys(item for _, item in places)]
        names += [
            ("choice", node, choice, option)
            for node, mine in self.choices.items()
            for choice, costs in mine.items()
            for option in list(costs)[1:]
        ]
        names += [("amount", node, str(amount)) for node in self.nodes for amount in AMOUNTS]
        groups: list[list[Column]] = []
        if len(self.nodes) > 1:
            groups.append([("at_node", *place) for place in places])
        if len(tasks) > FEW_TASKS:
            components = range(self._components)
            groups.append([("by_task_kind", *place, str(each)) for place in places for each in components])
        if len(tasks) > 1:
            groups.append([("in_task", task, *place) for task in tasks for place in places])
        for group in groups:
            if len(names) + len(group) <= MOST_COLUMNS:
                names += group
        return tuple(names)

    @cached_property
    def index(self) -> Mapping[Column, int]:
        """Column → its place."""
        return {name: place for place, name in enumerate(self.names)}

    def parts(self, task: str, node: str) -> tuple[Places, Vector]:
        """Returns what items' effects at a node in a task are the sums of.

        Args:
            task: The task.
            node: The node.

        Returns:
            The places of the columns, shape ``(n_items, n_parts)``, items in the node's order; and how much of each
            part an effect has, shape ``(n_parts,)``.
        """
        key = (task if "in_task" in self._kinds else "", node)
        if key not in self._places:
            wanted = [
                (
                    ("everywhere", item),
                    ("at_node", node, item),
                    *(("by_task_kind", node, item, str(kind)) for kind in range(self._components)),
                    ("in_task", task, node, item),
                )
                for item in self.nodes[node]
            ]
            found = [[self.index[name] for name in names if name in self.index] for names in wanted]
            self._places[key] = np.array(found, dtype=np.intp).reshape(len(found), len(self._amounts[task]))
        return self._places[key], self._amounts[task]

    def row(self, task: str, shown: Mapping[str, Shown]) -> Vector:
        """Returns how much of every column an outcome shows, shape ``(n_columns,)``.

        Args:
            task: The task.
            shown: Node → what its prompt shows; items that are not in play there have no column.
        """
        row = np.zeros(len(self.names))
        row[[self.index["level",], self.index["task", task]]] = 1.0
        for node, what in shown.items():
            if node in self.nodes:
                order = self._order[node]
                places, values = self.parts(task, node)
                row[places[[order[item] for item in sorted(what.items) if item in order]]] += values
            names: list[Column] = [("choice", node, *picked) for picked in what.options.items()]
            if what.amount > 0:
                names.append(("amount", node, str(nearest_amount(what.amount))))
            row[[self.index[name] for name in names if name in self.index]] = 1.0
        return row

    @cached_property
    def _components(self) -> int:
        return min(len(each) for each in self.embeddings.values())

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(name[0] for name in self.names)

    @cached_property
    def _order(self) -> Mapping[str, Mapping[str, int]]:
        """Node → item → its place among the node's."""
        return {node: {item: place for place, item in enumerate(items)} for node, items in self.nodes.items()}

    @cached_property
    def _amounts(self) -> Mapping[str, Vector]:
        """Task → how much of each of its parts an effect has there."""
        amounts = {}
        for task, coordinates in self.embeddings.items():
            parts = {"everywhere": [1.0], "at_node": [1.0], "by_task_kind": [*coordinates], "in_task": [1.0]}
            amounts[task] = np.array([each for kind, mine in parts.items() if kind in self._kinds for each in mine])
        return amounts

    @cached_property
    def _places(self) -> dict[tuple[str, str], Places]:
        """(task, node) → the columns of its effects; one for all tasks where they have none of their own."""
        return {}


def nearest_amount(amount: float) -> float:
    """Returns the amount that has a column and is nearest, in proportion, to one above 0."""
    return min(AMOUNTS, key=lambda each: abs(math.log(each / amount)))
