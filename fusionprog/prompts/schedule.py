"""The schedule: the function from a task's embedding to mixtures and gates. It is what is learned."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from fusionprog.prompts.items import Content, Facet, Item
from fusionprog.prompts.mixture import Mixture, mix

Format = Literal["chat", "json", "xml"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_TEMPERATURE = 0.5
_DIGITS = 5


@dataclass(frozen=True)
class NodeSettings:
    """What a node has of its own, the same in all tasks.

    Attributes:
        temperature: Diversity of its mixtures, above 0.
        gates: Facet → the share of its cap that is let through, in [0, 1]; a facet not named is closed.
        format: How prompts are written and answers read.
    """

    temperature: float = DEFAULT_TEMPERATURE
    gates: Mapping[Facet, float] = field(default_factory=dict)
    format: Format = "chat"


@dataclass(frozen=True)
class Schedule:
    """Effects of items, and what turns them into mixtures.

    For node n, task t with embedding e_t, and item k the effect is
    ``everywhere[k] + at_node[n][k] + <directions[n][k], e_t> + in_task[t][n][k]``.

    Attributes:
        everywhere: Item → effect that it has everywhere.
        at_node: Node → item → what is added at this node.
        directions: Node → item → what is added by kind of task: a vector in the basis of task embeddings.
        in_task: Task → node → item → what is added in this task alone (sparse).
        costs: Item → effect above which its gate opens.
        nodes: Node → its settings; a node not named runs as written.
        as_written: Tasks in which every node runs as written, because nothing was found to help them.
        fusion: How weights become prompts.
    """

    everywhere: Mapping[str, float] = field(default_factory=dict)
    at_node: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    directions: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    in_task: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    nodes: Mapping[str, NodeSettings] = field(default_factory=dict)
    as_written: tuple[str, ...] = ()
    fusion: str = "compose"

    def settings(self, node: str, task: str) -> NodeSettings:
        """Returns a node's settings in a task: the default ones where it runs as written."""
        if task in self.as_written:
            return NodeSettings()
        return self.nodes.get(node, NodeSettings())

    def effect(self, node: str, task: str, embedding: tuple[float, ...], item: str) -> float:
        """Returns an item's effect at a node in a task, in units of score."""
        return self._effects(node, task, embedding, [item])[item]

    def _effects(self, node: str, task: str, embedding: tuple[float, ...], items: Iterable[str]) -> dict[str, float]:
        here, directions = self.at_node.get(node, {}), self.directions.get(node, {})
        own = self.in_task.get(task, {}).get(node, {})
        found = {}
        for item in items:
            total = self.everywhere.get(item, 0.0) + here.get(item, 0.0)
            if item in directions:
                total += sum(map(operator.mul, directions[item], embedding))
            found[item] = round(total + own.get(item, 0.0), _DIGITS)
        return found

    def mixture(
        self,
        node: str,
        task: str,
        embedding: tuple[float, ...],
        items: Mapping[str, Item],
        offered: Mapping[str, Content],
        *,
        open_only: bool = False,
    ) -> Mixture:
        """Returns a node's mixtures in a task.

        Args:
            node: The node.
            task: The task's name; only ``in_task`` and ``as_written`` look at it.
            embedding: The task's coordinates, shape ``(n_components,)``.
            items: All items by id.
            offered: What is on offer at the node in the task, by item id.
            open_only: Whether the items whose gate is closed are left out of the result; they change no prompt.
        """
        settings = self.settings(node, task)
        effects = self._effects(node, task, embedding, offered)
        return mix(items, offered, effects, self.costs, settings.temperature, settings.gates, open_only=open_only)
