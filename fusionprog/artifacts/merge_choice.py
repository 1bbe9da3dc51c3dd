"""What a merge takes from which of two programs: three-way per node, by the measured gain where both changed it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fusionprog.program.variants import options_of
from fusionprog.runtime.compiled import CompiledProgram

SIDES = ("the first", "the second")
_DIGITS = 6


@dataclass(frozen=True)
class Taken:
    """What is taken from where; sides are 0 for the first program and 1 for the second.

    Attributes:
        better: The side whose measured gain is higher; the first, if neither is.
        nodes: Node → side.
        alike: The nodes that are the same on both sides.
        tasks: Task → the side that it is taken from as it is; ``None`` where each node is taken from its own side.
        why: A line for each node, and for each task that is taken as it is.
    """

    better: int
    nodes: Mapping[str, int]
    alike: frozenset[str]
    tasks: Mapping[str, int | None]
    why: tuple[str, ...]

    def side(self, node: str, task: str) -> int:
        """Returns the side that a node is taken from in a task."""
        whole = self.tasks[task]
        return self.nodes[node] if whole is None else whole

    def sides_of(self, task: str) -> set[int]:
        """Returns the sides that a task's nodes are taken from, where it matters which."""
        whole = self.tasks[task]
        if whole is not None:
            return {whole}
        return {side for node, side in self.nodes.items() if node not in self.alike} or {self.better}


def take(sides: Sequence[CompiledProgram], base: CompiledProgram) -> Taken:
    """Returns what is taken from which of two programs with one graph.

    A node is changed where it sends other messages, asks another model or picks other options than in the base, in any
    task that all three have. One that a single side changed is taken from there; one that both changed, in different
    ways, from the side with the higher mean gain on confirmation over the tasks that both have. A task that a single
    side has is taken as it is there; one that both added, from the side with the higher gain in it.

    References:
        The merge of candidates in GEPA (Agrawal et al., 2025), with measured gains in place of ancestors' scores.
    """
    one, other = sides
    shared = [task for task in one.tasks if task in other.tasks]
    compared = [task for task in shared if task in base.tasks]
    gains = [_gain(side, shared) for side in sides]
    better = _first_best(gains)
    nodes, alike, tasks, why = {}, set(), {}, []
    for node, place in one.graph.nodes.items():
        if place.asks_model or options_of(place):
            states = [[_state(each, node, task) for task in compared] for each in (*sides, base)]
            nodes[node], reason = _node(states, better, gains)
            alike |= {node} if states[0] == states[1] else set()
            why.append(f"node {node!r}: {reason}")
    for task in dict.fromkeys([*one.tasks, *other.tasks]):
        tasks[task] = None if task in compared else _first_best([_gain(side, [task]) for side in sides])
        if task not in shared:
            tasks[task] = int(task in other.tasks)
            why.append(f"task {task!r}: only {SIDES[int(task in other.tasks)]} has it")
        elif task not in compared:
            why.append(f"task {task!r}: both added it; taken from {SIDES[tasks[task] or 0]}, by its gain")
    return Taken(better, nodes, frozenset(alike), tasks, tuple(why))


def _node(states: Sequence[Any], better: int, gains: Sequence[float]) -> tuple[int, str]:
    one, other, base = states
    if one == other:
        return better, "the same in both" if one != base else "nobody changed it"
    if base in (one, other):
        side = int(one == base)
        return side, f"only {SIDES[side]} changed it"
    told = f"{gains[better]:+.3f} against {gains[1 - better]:+.3f}"
    return better, f"both changed it; taken from {SIDES[better]}, by the gain on confirmation ({told})"


def _gain(program: CompiledProgram, tasks: Sequence[str]) -> float:
    """The mean gain on confirmation; below all others where nothing was measured."""
    records = [program.record.tasks[task] for task in tasks if task in program.tasks]
    measured = [each.confirmation.gain for each in records if each.confirmation is not None]
    return round(math.fsum(measured) / len(measured), _DIGITS) if measured else -math.inf


def _first_best(gains: Sequence[float]) -> int:
    return int(gains[1] > gains[0])


def _state(program: CompiledProgram, node: str, task: str) -> tuple[Any, ...]:
    """What a node does in a task: what it sends, to which model, and which options are picked."""
    asks = node in program.variant(task).prompting_nodes
    messages = [dict(each) for each in program.prompt(task, node=node)] if asks else None
    return (
        messages,
        model_identity(program, node, task) if asks else None,
        dict(program.schedule.picks(task).get(node, {})),
    )


def model_identity(program: CompiledProgram, node: str, task: str) -> Mapping[str, Any] | None:
    """Returns the identity of the model that a node was compiled for in a task; ``None`` where it asks none."""
    if program.schedule.is_as_written(task) and node in program.written_for:
        return program.written_for[node]
    return program.compiled_for.get(node)
