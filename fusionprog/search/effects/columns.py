"""The columns of the effects model: which effects there are, and which of them an outcome shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["level", "task", "ran", "everywhere", "at_node", "by_task_kind", "in_task", "pair", "choice", "amount"]
Column = tuple[str, ...]
Places = npt.NDArray[np.intp]
Vector = npt.NDArray[np.float64]

SETTINGS = frozenset({"choice", "amount"})  # kinds of columns that are of a prompt's settings
MOST_COLUMNS = 1_000  # solving for more takes longer than a trial is worth
FEW_TASKS = 5  # with so few, a direction in the space of tasks cannot be told from an effect in a single one
_TASKS_OF_A_KIND = 3
_REMEMBERED = 4_000  # prompts
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
    that would make more than ``MOST_COLUMNS`` in all are left out, the most particular ones first. What outcomes ask
    for is opened one by one: effects that were left out, and what two items do together beyond what each does. Nodes
    that do not run for every example have a column for that they ran: what they are run for may be harder, which is
    no item's doing.

    Attributes:
        nodes: Node → the items in play there.
        embeddings: Task → its coordinates.
        choices: Node → choice → option → what it must gain above the first, which is the one as written.
        uncertain: The nodes that run for some examples and not for others.
        opened: Columns beside the groups, in the order in which they were opened.
    """

    nodes: Mapping[str, Sequence[str]]
    embeddings: Mapping[str, tuple[float, ...]]
    choices: Mapping[str, Mapping[str, Mapping[str, float]]]
    uncertain: frozenset[str] = frozenset()
    opened: tuple[Column, ...] = ()

    @cached_property
    def names(self) -> tuple[Column, ...]:
        """Every column, the level first: its kind, and what tells it from others of its kind."""
        return (*self._always, *(name for group in self.groups.values() for name in group), *self.opened)

    @cached_property
    def groups(self) -> Mapping[str, Sequence[Column]]:
        """Kind → its columns, for the more particular kinds that there is room for."""
        tasks = list(self.embeddings)
        groups: dict[str, list[Column]] = {}
        if len(self.nodes) > 1:
            groups["at_node"] = [("at_node", *place) for place in self.places]
        if len(tasks) > FEW_TASKS:
            kinds = range(self._components)
            groups["by_task_kind"] = [("by_task_kind", *place, str(each)) for place in self.places for each in kinds]
        if len(tasks) > 1:
            groups["in_task"] = [("in_task", task, *place) for task in tasks for place in self.places]
        room = MOST_COLUMNS - len(self._always)
        kept = {}
        for kind, group in groups.items():
            if len(group) <= room:
                kept[kind], room = group, room - len(group)
        return kept

    def with_opened(self, name: Column) -> Columns:
        """Returns these columns and one more."""
        return replace(self, opened=(*self.opened, name))

    @cached_property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Every node with every item in play there."""
        return tuple((node, item) for node, items in self.nodes.items() for item in items)

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
            The places of the columns, and how much of each an effect has: both of shape ``(n_items, n_parts)``, items
            in the node's order. A part that has no column is none of the level.
        """
        key = (task if task in self._with_own else "", node)
        if key not in self._places:
            kinds = range(self._components if "by_task_kind" in self._kinds else 0)
            wanted = [
                (
                    ("everywhere", item),
                    ("at_node", node, item),
                    ("in_task", task, node, item),
                    *(("by_task_kind", node, item, str(kind)) for kind in kinds),
                )
                for item in self.nodes[node]
            ]
            found = [[self.index.get(name, 0) for name in names] for names in wanted]
            self._places[key] = np.array(found, dtype=np.intp).reshape(len(found), 3 + len(kinds))
        places = self._places[key]
        amounts = np.array([1.0, 1.0, 1.0, *self.embeddings[task][: places.shape[1] - 3]])
        return places, np.where(places > 0, amounts, 0.0)

    def common_parts(self, node: str) -> tuple[Places, Vector]:
        """Returns what items' effects at a node have in common in all tasks: everywhere, at the node, by kind of task.

        Args:
            node: The node.

        Returns:
            As ``parts``, of shape ``(n_items, 2 + n_kinds)``, with an amount of 1 of each.
        """
        kinds = range(self._components if "by_task_kind" in self._kinds else 0)
        found = [
            [self.index.get(name, 0) for name in (("everywhere", item), ("at_node", node, item))]
            + [self.index.get(("by_task_kind", node, item, str(kind)), 0) for kind in kinds]
            for item in self.nodes[node]
        ]
        places = np.array(found, dtype=np.intp).reshape(len(found), 2 + len(kinds))
        return places, np.where(places > 0, 1.0, 0.0)

    def atoms(self, shown: Mapping[str, Shown]) -> Places:
        """Returns what prompts show as numbers: a place for every item, then one for every setting.

        Args:
            shown: Node that ran → what its prompt shows; items that are not in play there are left out.
        """
        found = [self._atoms_of(node, what) for node, what in shown.items()]
        return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.intp)

    def _atoms_of(self, node: str, what: Shown) -> Places:
        """The same for one node; many tasks are shown the same."""
        key = node, what.items, tuple(what.options.items()), what.amount
        if key not in self._recent:
            names: list[Column] = [("ran", node), *(("choice", node, *picked) for picked in what.options.items())]
            if what.amount > 0:
                names.append(("amount", node, str(nearest_amount(what.amount))))
            names += [(node, item) for item in what.items]
            if len(self._recent) >= _REMEMBERED:
                self._recent.clear()
            self._recent[key] = np.array([self._atoms[name] for name in names if name in self._atoms], dtype=np.intp)
        return self._recent[key]

    @property
    def atom_count(self) -> int:
        """How many numbers there are."""
        return len(self._atoms)

    def atoms_at(self, node: str) -> Places:
        """Returns the numbers of a node's items, in their order."""
        return np.array([self._atoms[node, item] for item in self.nodes[node]], dtype=np.intp)

    def atom_of(self, setting: Column) -> int:
        """Returns the number of a setting's column."""
        return self._atoms[setting]

    def row(self, task: str, atoms: Places) -> Vector:
        """Returns how much of every column an outcome shows, shape ``(n_columns,)``.

        Args:
            task: The task.
            atoms: What its prompts show.
        """
        row = np.zeros(len(self.names))
        row[[self.index["level",], self.index["task", task]]] = 1.0
        places, values = self._all_parts(task)
        shown = atoms[atoms < len(places)]
        np.add.at(row, places[shown], values[shown])
        row[self._settings[atoms[len(shown) :] - len(places)]] = 1.0
        for place, (first, second) in self._pairs.items():
            row[place] = float(first in atoms and second in atoms)
        return row

    @cached_property
    def pairs(self) -> Mapping[str, Sequence[tuple[str, str, int]]]:
        """Node → the pairs of its items that have a column: both items, and the column's place."""
        made: dict[str, list[tuple[str, str, int]]] = {}
        for name in self.opened:
            if name[0] == "pair":
                made.setdefault(name[1], []).append((name[2], name[3], self.index[name]))
        return made

    def _all_parts(self, task: str) -> tuple[Places, Vector]:
        """The parts of all items at all nodes, in the order of ``places``."""
        key = task if task in self._with_own or "by_task_kind" in self._kinds else ""
        if key not in self._stacked:
            parts = [self.parts(task, node) for node in self.nodes]
            nothing = [(np.zeros((0, 1), dtype=np.intp), np.zeros((0, 1)))]  # where no node has prompts to search
            self._stacked[key] = (
                np.concatenate([places for places, _ in parts or nothing]),
                np.concatenate([values for _, values in parts or nothing]),
            )
        return self._stacked[key]

    @cached_property
    def _always(self) -> tuple[Column, ...]:
        """The columns that there are in any case."""
        names: list[Column] = [("level",), *(("task", task) for task in self.embeddings)]
        names += [("ran", node) for node in self.nodes if node in self.uncertain]
        names += [("everywhere", item) for item in dict.fromkeys(item for _, item in self.places)]
        names += [
            ("choice", node, choice, option)
            for node, mine in self.choices.items()
            for choice, costs in mine.items()
            for option in list(costs)[1:]
        ]
        names += [("amount", node, str(amount)) for node in self.nodes for amount in AMOUNTS]
        return tuple(names)

    @cached_property
    def _components(self) -> int:
        """The directions among tasks along which effects may differ: few, as each must be seen in several tasks."""
        return min(len(self.embeddings) // _TASKS_OF_A_KIND, *(len(each) for each in self.embeddings.values()))

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(name[0] for name in self.names)

    @cached_property
    def _with_own(self) -> frozenset[str]:
        """The tasks in which some item has an effect of its own."""
        return frozenset(name[1] for name in self.names if name[0] == "in_task")

    @cached_property
    def _atoms(self) -> Mapping[Column, int]:
        """(node, item) or the name of a setting's column → its number."""
        settings = [name for name in self.names if name[0] in ("ran", "choice", "amount")]
        return {name: number for number, name in enumerate((*self.places, *settings))}

    @cached_property
    def _recent(self) -> dict[tuple[Any, ...], Places]:
        """What single prompts show, by what they are."""
        return {}

    @cached_property
    def _settings(self) -> Places:
        """The columns of the settings, in the order of their numbers."""
        return np.array([self.index[name] for name in list(self._atoms)[len(self.places) :]], dtype=np.intp)

    @cached_property
    def _pairs(self) -> Mapping[int, tuple[int, int]]:
        """The column of a pair → the numbers of its items."""
        return {
            place: (self._atoms[node, first], self._atoms[node, second])
            for node, mine in self.pairs.items()
            for first, second, place in mine
        }

    @cached_property
    def _places(self) -> dict[tuple[str, str], Places]:
        """(task, node) → the columns of its effects; one for all tasks where they have none of their own."""
        return {}

    @cached_property
    def _stacked(self) -> dict[str, tuple[Places, Vector]]:
        """Task → the parts of all items at all nodes; one for all tasks that have them alike."""
        return {}


def nearest_amount(amount: float) -> float:
    """Returns the amount that has a column and is nearest, in proportion, to one above 0."""
    return min(AMOUNTS, key=lambda each: abs(math.log(each / amount)))
