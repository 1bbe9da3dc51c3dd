"""Pairs of items that a schedule knows, as ``fusionprog show`` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fusionprog.search.display import short

if TYPE_CHECKING:
    import fusionprog as fp

_FEW = 5


@dataclass(frozen=True)
class Pair:
    """Two items of a node.

    Attributes:
        node: The node.
        items: Both, in the order of their names.
        effect: What they do together beyond the sum of their effects, in units of score.
        tasks: The tasks that follow it.
        used: Those of them whose prompt shows both.
    """

    node: str
    items: tuple[str, str]
    effect: float
    tasks: tuple[str, ...]
    used: tuple[str, ...]


def pairs_of(program: fp.CompiledProgram, nodes: Sequence[tuple[str, str]]) -> list[Pair]:
    """Returns the pairs at nodes of tasks: node by node, those that do most first."""
    tasks: dict[tuple[str, tuple[str, str], float], list[str]] = {}
    for task, node in nodes:
        for one, others in program.schedule.of(node, task).pairs.get(node, {}).items():
            for other, effect in others.items():
                first, second = sorted((one, other))
                tasks.setdefault((node, (first, second), effect), []).append(task)
    places = {node: place for place, node in enumerate(dict.fromkeys(node for _, node in nodes))}
    order = sorted(tasks, key=lambda each: (places[each[0]], -abs(each[2]), each[1]))
    return [
        Pair(node, items, effect, tuple(mine), tuple(task for task in mine if _shows(program, task, node, items)))
        for node, items, effect in order
        for mine in [tasks[node, items, effect]]
    ]


def pair_lines(pairs: Sequence[Pair], count: int, full: bool) -> list[str]:
    """Returns the pairs in lines, a node's strongest few if not ``full``.

    Args:
        pairs: The pairs.
        count: How many tasks are shown; a pair that fewer of them follow says which.
        full: Whether all are shown.
    """
    lines = []
    for node in dict.fromkeys(pair.node for pair in pairs):
        mine = [pair for pair in pairs if pair.node == node]
        shown = mine if full else mine[:_FEW]
        lines.append(f"pairs at {node}: what both do beyond the sum of their effects (● used)")
        for pair in shown:
            where = "" if len(pair.tasks) == count else f" in {', '.join(pair.tasks)}"
            sign = "" if pair.effect < 0 else "+"
            used = " ●" if pair.used else ""
            lines.append(f"  {' + '.join(pair.items)} {sign}{short(pair.effect)}{where}{used}")
        if len(mine) > len(shown):
            lines.append(f"  … {len(mine) - len(shown)} more")
    return lines


def _shows(program: fp.CompiledProgram, task: str, node: str, items: tuple[str, str]) -> bool:
    facets = program.tasks[task].mixtures[node].facets
    used = {each.id for mine in facets.values() for each in mine if each.amount}
    return used.issuperset(items)
