"""A schedule put together from parts of others: each node, in each task, follows what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from fusionprog.prompts.schedule import Schedule

Followed = Callable[[str, str], Schedule]
_T = TypeVar("_T")


def assembled(outer: Schedule, at: Mapping[str, Schedule], in_tasks: Mapping[str, Schedule], of: Followed) -> Schedule:
    """Returns a schedule in which each node follows, in each task, what it is given.

    However deep the parts are in each other, the result is no deeper than a node in a task.

    Args:
        outer: What is followed where nothing else is said.
        at: Node → what it follows in tasks of which nothing is known.
        in_tasks: Task → the schedule that says whether it runs as written, for the tasks that are known.
        of: What a node follows in one of these tasks, as ``Schedule.of`` returns it.
    """
    by_task = {}
    for task, base in in_tasks.items():
        followed = {node: of(node, task) for node in at}
        if base is not outer or any(each is not at[node] for node, each in followed.items()):
            own = {node: only(each, node) for node, each in followed.items() if each is not base}
            by_task[task] = replace(base, by_task={}, by_node=own)
    by_node = {node: only(each, node) for node, each in at.items() if each is not outer}
    return replace(outer, by_task=by_task, by_node=by_node)


def of_node(schedule: Schedule, node: str) -> Schedule:
    """Returns what a node follows in tasks of which nothing is known."""
    while node in schedule.by_node:
        schedule = schedule.by_node[node]
    return schedule


def of_task(schedule: Schedule, task: str) -> Schedule:
    """Returns the schedule that says whether a task runs as written."""
    while task in schedule.by_task:
        schedule = schedule.by_task[task]
    return schedule


def only(schedule: Schedule, node: str) -> Schedule:
    """Returns what a schedule says of one node, and of no others."""
    return replace(
        schedule,
        at_node=_only(schedule.at_node, node),
        directions=_only(schedule.directions, node),
        in_task={task: own for task, each in schedule.in_task.items() if (own := _only(each, node))},
        pairs=_only(schedule.pairs, node),
        nodes=_only(schedule.nodes, node),
        by_task={},
        by_node={},
    )


def _only(named: Mapping[str, _T], node: str) -> dict[str, _T]:
    return {node: named[node]} if node in named else {}


def without_directions(schedule: Schedule, places: Mapping[str, tuple[float, ...]]) -> Schedule:
    """Returns a schedule with the same effects in known tasks, and nothing by kind of task: for another basis.

    Args:
        schedule: The schedule.
        places: Task → its coordinates in the basis that the schedule's directions are in.
    """
    in_task = {task: {node: dict(own) for node, own in nodes.items()} for task, nodes in schedule.in_task.items()}
    for task, place in places.items():
        for node, directions in schedule.directions.items():
            own = in_task.setdefault(task, {}).setdefault(node, {})
            for item, direction in directions.items():
                along = sum(one * other for one, other in zip(direction, place, strict=False))
                own[item] = own.get(item, 0.0) + along
    return replace(
        schedule,
        directions={},
        in_task=in_task,
        by_task={task: without_directions(each, places) for task, each in schedule.by_task.items()},
        by_node={node: without_directions(each, places) for node, each in schedule.by_node.items()},
    )
