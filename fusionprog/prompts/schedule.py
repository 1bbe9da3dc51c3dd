"""The schedule: the function from a task's embedding to mixtures and gates. It is what is learned."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from fusionprog.prompts.items import Content, Facet, Item
from fusionprog.prompts.mixture import Mixture, mix, spread_of
from fusionprog.prompts.pairs import Effects, with_partners

Format = Literal["chat", "json", "xml"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_TEMPERATURE = 0.5
FORMAT = "format"
"""What the choice of a node's format is called."""
MODEL = "lm"
"""What the choice among the models that are on offer for a node is called."""
_DIGITS = 5


@dataclass(frozen=True)
class NodeSettings:
    """What a node has of its own, the same in all tasks.

    Attributes:
        temperature: Diversity of its mixtures, above 0.
        gates: Facet → the share of its cap that is let through, in [0, 1]; a facet not named is closed.
        format: How prompts are written and answers read.
        choices: Choice → the option that is picked, of what else there is to choose at the node (its module, whether
            it is on, constant inputs, its model); the first option where one is not named.
    """

    temperature: float = DEFAULT_TEMPERATURE
    gates: Mapping[Facet, float] = field(default_factory=dict)
    format: Format = "chat"
    choices: Mapping[str, str] = field(default_factory=dict)


def settings_of(options: Mapping[str, Any], temperature: float, gates: Mapping[Facet, float]) -> NodeSettings:
    """Returns a node's settings.

    Args:
        options: Choice → the option that is picked, the format among them.
        temperature: As in ``NodeSettings``.
        gates: As in ``NodeSettings``.
    """
    choices = {choice: option for choice, option in options.items() if choice != FORMAT}
    return NodeSettings(temperature, gates, options.get(FORMAT, FORMATS[0]), choices)


@dataclass(frozen=True)
class Schedule:
    """Effects of items, and what turns them into mixtures.

    For node n, task t with embedding e_t, and item k the effect is
    ``everywhere[k] + at_node[n][k] + <directions[n][k], e_t> + in_task[t][n][k]``, plus what it does together with
    other open items (``prompts/pairs.py``).

    Attributes:
        everywhere: Item → effect that it has everywhere.
        at_node: Node → item → what is added at this node.
        directions: Node → item → what is added by kind of task: a vector in the basis of task embeddings.
        in_task: Task → node → item → what is added in this task alone (sparse).
        pairs: Node → item → item → what both do beyond the sum of their effects; each pair is named once.
        costs: Item → effect above which its gate opens.
        nodes: Node → its settings; a node not named runs as written.
        as_written: Tasks in which every node runs as written, because nothing was found to help them.
        fusion: How weights become prompts.
        by_task: Task → the schedule that it follows in place of this one: it was added later, and what the others
            follow was left alone.
        by_node: Node → the schedule that it follows in place of this one, in the tasks that have none of their own: it
            was compiled apart from the others.
    """

    everywhere: Mapping[str, float] = field(default_factory=dict)
    at_node: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    directions: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    in_task: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    pairs: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    nodes: Mapping[str, NodeSettings] = field(default_factory=dict)
    as_written: tuple[str, ...] = ()
    fusion: str = "compose"
    by_task: Mapping[str, Schedule] = field(default_factory=dict)
    by_node: Mapping[str, Schedule] = field(default_factory=dict)

    def within(self, tasks: Collection[str]) -> Schedule:
        """Returns the same schedule without what it says of other tasks alone."""
        return replace(
            self,
            in_task={task: own for task, own in self.in_task.items() if task in tasks},
            as_written=tuple(task for task in self.as_written if task in tasks),
            by_task={task: own.within([task]) for task, own in self.by_task.items() if task in tasks},
            by_node={node: own.within(tasks) for node, own in self.by_node.items()},
        )

    def of(self, node: str, task: str) -> Schedule:
        """Returns the schedule that a node follows in a task."""
        if task in self.by_task:
            return self.by_task[task].of(node, task)
        return self.by_node[node].of(node, task) if node in self.by_node else self

    def is_as_written(self, task: str) -> bool:
        """Returns whether every node of a task runs as written, but for those with a schedule of their own."""
        return self.by_task[task].is_as_written(task) if task in self.by_task else task in self.as_written

    def settings(self, node: str, task: str) -> NodeSettings:
        """Returns a node's settings in a task: the default ones where it runs as written."""
        followed = self.of(node, task)
        if task in followed.as_written:
            return NodeSettings()
        return followed.nodes.get(node, NodeSettings())

    def picks(self, task: str) -> dict[str, Mapping[str, str]]:
        """Returns node → choice → the option that is picked in a task; none where it runs as written."""
        if task in self.by_task:
            return self.by_task[task].picks(task)
        known = {} if task in self.as_written else self.nodes
        picked = {node: settings.choices for node, settings in known.items() if node not in self.by_node}
        picked |= {node: own.picks(task).get(node, {}) for node, own in self.by_node.items()}
        return {node: choices for node, choices in picked.items() if choices}

    def effect(self, node: str, task: str, embedding: tuple[float, ...], item: str) -> float:
        """Returns an item's effect at a node in a task, in units of score, where it is alone."""
        return float(Mixer(self).effects(node, task, embedding, (item,))[0])

    def mixture(
        self,
        node: str,
        task: str,
        embedding: tuple[float, ...],
        items: Mapping[str, Item],
        offered: Mapping[str, Content],
    ) -> Mixture:
        """Returns a node's mixtures in a task.

        Args:
            node: The node.
            task: The task's name; only ``in_task`` and ``as_written`` look at it.
            embedding: The task's coordinates, shape ``(n_components,)``.
            items: All items by id.
            offered: What is on offer at the node in the task, by item id.
        """
        return Mixer(self).mixture(node, task, embedding, items, offered)


class Mixer:
    """Makes a schedule's mixtures; what is the same in many tasks is computed once.

    Args:
        schedule: The schedule.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._arrays: dict[tuple[str, tuple[str, ...]], tuple[Effects, Effects, Effects]] = {}
        self._mixtures: dict[Hashable, Mixture] = {}
        self._others: dict[int, Mixer] = {}  # by schedules that this one holds: their ids stay their own

    def mixture(
        self,
        node: str,
        task: str,
        embedding: tuple[float, ...],
        items: Mapping[str, Item],
        offered: Mapping[str, Content],
        *,
        chosen_only: bool = False,
    ) -> Mixture:
        """Returns a node's mixtures in a task; see ``Schedule.mixture``.

        With ``chosen_only`` only the items that are used are in the result: all that a prompt needs.
        """
        followed = self.schedule.of(node, task)
        if followed is not self.schedule:
            mixer = self._mixer(followed)
            return mixer.mixture(node, task, embedding, items, offered, chosen_only=chosen_only)
        keys, settings = tuple(offered), self.schedule.settings(node, task)
        alike = self._what_it_depends_on(node, task, offered) if chosen_only else None
        if alike in self._mixtures:
            return self._mixtures[alike]
        effects, costs = self.effects(node, task, embedding, keys), self._of(node, keys)[2]
        effects = with_partners(keys, effects, costs, self.schedule.pairs.get(node, {}))
        if chosen_only:
            wanted = [keys[place] for place in np.flatnonzero(effects > costs)]
            wanted += [key for key in keys if items[key].pinned and key not in wanted]
            offered = {key: offered[key] for key in wanted}
        values = effects.tolist()
        made = mix(
            items,
            offered,
            dict(zip(keys, values, strict=True)),
            self.schedule.costs,
            settings.temperature,
            settings.gates,
            spread=spread_of(values),
            chosen_only=chosen_only,
        )
        if alike is not None:
            self._mixtures[alike] = made
        return made

    def _what_it_depends_on(
        self, node: str, task: str, offered: Mapping[str, Content]
    ) -> tuple[str, bool, tuple[str, ...], tuple[int, ...]] | None:
        """Returns what a mixture depends on where that is no single task's; ``None`` where effects differ by task."""
        schedule = self.schedule
        if schedule.directions.get(node) or schedule.in_task.get(task, {}).get(node):
            return None
        sizes = tuple([len(content) for content in offered.values() if not isinstance(content, str)])
        return node, task in schedule.as_written, tuple(offered), sizes

    def effects(self, node: str, task: str, embedding: tuple[float, ...], keys: tuple[str, ...]) -> Effects:
        """Returns what items do alone at a node in a task, in the order of the items, shape ``(n_keys,)``."""
        followed = self.schedule.of(node, task)
        if followed is not self.schedule:
            return self._mixer(followed).effects(node, task, embedding, keys)
        effects, along, _ = self._of(node, keys)
        size = min(along.shape[1], len(embedding))
        if size:
            effects = effects + along[:, :size] @ np.array(embedding[:size])
        own = self.schedule.in_task.get(task, {}).get(node, {})
        if own:
            effects = effects + np.array([own.get(key, 0.0) for key in keys])
        return np.round(effects, _DIGITS)

    def _mixer(self, schedule: Schedule) -> Mixer:
        return self._others.setdefault(id(schedule), Mixer(schedule))

    def _of(self, node: str, keys: tuple[str, ...]) -> tuple[Effects, Effects, Effects]:
        """What all tasks share: effects, directions and costs of the items."""
        if (node, keys) not in self._arrays:
            schedule = self.schedule
            here, directions = schedule.at_node.get(node, {}), schedule.directions.get(node, {})
            width = max((len(directions.get(key, ())) for key in keys), default=0)
            padded = [(*directions.get(key, ()), *(0.0,) * (width - len(directions.get(key, ())))) for key in keys]
            self._arrays[node, keys] = (
                np.array([schedule.everywhere.get(key, 0.0) + here.get(key, 0.0) for key in keys]),
                np.array(padded).reshape(len(keys), width),
                np.array([schedule.costs.get(key, 0.0) for key in keys]),
            )
        return self._arrays[node, keys]
