"""The columns of the effects model: which effects there are, and which of them an outcome shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from fusionprog.prompts.embedding import MAX_COMPONENTS

Kind = Literal["level", "task", "everywhere", "at_node", "by_task_kind", "in_task", "format", "amount"]
KINDS: tuple[Kind, ...] = ("level", "task", "everywhere", "at_node", "by_task_kind", "in_task", "format", "amount")
Column = tuple[str, ...]
Row = tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]

MOST_COLUMNS = 1_000  # solving for more takes longer than a trial is worth
FEW_TASKS = 5  # with so few, a direction in the space of tasks cannot be told from an effect in a single one
AMOUNTS = (0.25, 0.5, 1.0)  # shares of the demonstrations that may be shown


@dataclass(frozen=True)
class Shown:
    """What a node's prompt shows in a task.

    Attributes:
        items: The items in it.
        format: Its format.
        amount: The share of all demonstrations that it shows, in [0, 1].
    """

    items: frozenset[str]
    format: str = "chat"
    amount: float = 0.0


@dataclass(frozen=True)
class Columns:
    """All effects of a search, each a column.

    An outcome of task t is its level and the task's own, plus for every item k that node n shows: what k does
    everywhere, at the node, by kind of task (along the task's embedding), and in this task alone; plus what the
    node's format and its number of demonstrations do. Groups of columns that would make more than ``MOST_COLUMNS``
    in all are left out, the most particular ones first.

    Attributes:
        nodes: Node → the items in play there.
        embeddings: Task → its coordinates.
        formats: The formats, the usual one first.
    """

    nodes: Mapping[str, Sequence[str]]
    embeddings: Mapping[str, tuple[float, ...]]
    formats: Sequence[str]

    @cached_property
    def names(self) -> tuple[Column, ...]:
        """Every column: its kind, and what tells it from others of its kind."""
        places = [(node, item) for node, items in self.nodes.items() for item in items]
        tasks = list(self.embeddings)
        names: list[Column] = [("level",), *(("task", task) for task in tasks)]
        names += [("everywhere", item) for item in dict.fromkeys(item for _, item in places)]
        names += [("format", node, form) for node in self.nodes for form in self.formats[1:]]
        names += [("amount", node, str(amount)) for node in self.nodes for amount in AMOUNTS]
        groups: list[list[Column]] = [[("at_node", *place) for place in places] if len(self.nodes) > 1 else []]
        groups.append([("in_task", task, *place) for task in tasks for place in places] if len(tasks) > 1 else [])
        if len(tasks) > FEW_TASKS:
            kinds = range(min(MAX_COMPONENTS, *(len(each) for each in self.embeddings.values())))
            groups.insert(1, [("by_task_kind", *place, str(kind)) for place in places for kind in kinds])
        for group in groups:
            if len(names) + len(group) <= MOST_COLUMNS:
                names += group
        return tuple(names)

    @cached_property
    def index(self) -> Mapping[Column, int]:
        """Column → its place."""
        return {name: place for place, name in enumerate(self.names)}

    def row(self, task: str, shown: Mapping[str, Shown]) -> Row:
        """Returns the columns that an outcome shows, and how much of each.

        Args:
            task: The task.
            shown: Node → what its prompt shows.
        """
        places: dict[int, float] = {}
        for name, value in self._entries(task, shown):
            place = self.index.get(name)
            if place is not None:
                places[place] = places.get(place, 0.0) + value
        ordered = sorted(places)
        return np.array(ordered, dtype=np.intp), np.array([places[place] for place in ordered], dtype=np.float64)

    def _entries(self, task: str, shown: Mapping[str, Shown]) -> Iterator[tuple[Column, float]]:
        yield ("level",), 1.0
        yield ("task", task), 1.0
        for node, what in shown.items():
            for item in what.items:
                yield ("everywhere", item), 1.0
                yield ("at_node", node, item), 1.0
                yield ("in_task", task, node, item), 1.0
                for kind, place in enumerate(self.embeddings[task]):
                    yield ("by_task_kind", node, item, str(kind)), place
            yield ("format", node, what.format), 1.0
            if what.amount > 0:
                yield ("amount", node, str(nearest_amount(what.amount))), 1.0


def nearest_amount(amount: float) -> float:
    """Returns the amount that has a column and is nearest."""
    return min(AMOUNTS, key=lambda each: abs(math.log(each / amount)))
