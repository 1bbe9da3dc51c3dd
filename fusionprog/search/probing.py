"""Probing: what some items do to a task's score, measured on a few rows, for embedders that tell tasks by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog.errors import EmbedderError
from fusionprog.evaluation.metrics import Metric
from fusionprog.program.data import Row
from fusionprog.program.task import Task
from fusionprog.prompts.embedders import Embedder, Functional, Probes
from fusionprog.prompts.items import FACETS, Family, Item
from fusionprog.prompts.schedule import DEFAULT_TEMPERATURE, NodeSettings, Schedule
from fusionprog.search.bench import Bench, Rows, labelled
from fusionprog.search.split import Fold

_USUAL_ITEMS = 8


def with_probes(
    embedder: Embedder, items: Sequence[Item], nodes: Sequence[str], searched: Sequence[str], tasks: Sequence[Task]
) -> Embedder:
    """Returns an embedder that names what it probes with; any other one as it is.

    Where a functional embedder names no items, some that are on offer in every task are chosen, of all facets in turn:
    none that needs other items or runs of the program, since a new task has to be measured alike.

    Args:
        embedder: The embedder.
        items: The open items of the pool.
        nodes: The nodes that ask a model.
        searched: Those of them that are searched: they show the items, if the embedder does not say which do.
        tasks: The tasks.

    Raises:
        EmbedderError: if it names an item or a node that is not there, or too few items are on offer in every task.
    """
    if not isinstance(embedder.needs, Probes):
        return embedder
    probes = embedder.needs
    if isinstance(embedder, Functional) and not (probes.items and probes.nodes):
        shown = probes.nodes or tuple(searched)
        embedder = Functional(probes.items or _usual(items, shown, tasks), shown, probes.rows)
        probes = embedder.needs
    known_items = [item.id for item in items]
    for what, wanted, known in (("item", probes.items, known_items), ("node", probes.nodes, nodes)):
        missing = [name for name in wanted if name not in known]
        if missing or not wanted:
            raise EmbedderError(
                f"tasks cannot be probed with the embedder's {what}s",
                expected="items that are open and on offer" if what == "item" else "nodes that ask a model",
                found=", ".join(missing) or "none",
                fix="Name others in Functional(...), or choose another embedder",
            )
    return embedder


def probe_rows(
    tasks: Mapping[str, Task], metrics: Mapping[str, Metric], folds: Sequence[Fold], count: int
) -> dict[str, Sequence[Row]]:
    """Returns task → the rows that it is probed on: of train, or where that has too few, of what is searched on.

    Args:
        tasks: The tasks.
        metrics: Task → metric; a row needs its gold values.
        folds: How val is split. Where it is cross-fitted every row of it confirms, so train alone is left.
        count: Rows of every task.

    Raises:
        EmbedderError: if a task has none.
    """
    rows: dict[str, Sequence[Row]] = {}
    for name, task in tasks.items():
        found: Sequence[Row] = labelled(metrics[name], task.rows["train"])[:count]
        if len(found) < count and len(folds) == 1:
            found = folds[0].search[name][:count]
        if not found:
            raise EmbedderError(
                f"task {name!r} has no rows to probe it on",
                expected="training rows with gold values",
                fix="Give it a train split, or choose another embedder",
            )
        rows[name] = found
    return rows


def probing_calls(probes: Probes, rows: Rows, calls: Mapping[str, int]) -> int:
    """Returns the model calls that probing takes at most.

    Args:
        probes: What is measured.
        rows: Task → the rows that it is measured on.
        calls: Task → model calls for one of them.
    """
    return (len(probes.items) + 1) * sum(len(mine) * calls[task] for task, mine in rows.items())


async def probe_effects(
    bench: Bench, probes: Probes, items: Mapping[str, Item], rows: Rows
) -> dict[str, tuple[float, ...]]:
    """Returns task → what each of the probed items does to its score: the mean of paired differences.

    Where the budget ends before all rows are measured (``bench.ended_by``), it is told from those that were; an item
    that is not on offer in a task does nothing there.

    Args:
        bench: Measures and books it.
        probes: What is measured.
        items: All items by id.
        rows: Task → the rows that it is measured on.
    """
    schedules = [Schedule(), *(_showing(items[key], probes.nodes) for key in probes.items)]
    written, *shown = await bench.measure_all(schedules, rows)
    effects = {}
    for task, before in written.items():
        gains = [[new.score - old.score for old, new in zip(before, each[task], strict=True)] for each in shown]
        effects[task] = tuple(sum(mine) / len(mine) if mine else 0.0 for mine in gains)
    return effects


def _showing(item: Item, nodes: Sequence[str]) -> Schedule:
    settings = NodeSettings(DEFAULT_TEMPERATURE, {item.facet: 1.0})
    return Schedule(at_node={node: {item.id: 1.0} for node in nodes}, nodes=dict.fromkeys(nodes, settings))


def _usual(items: Sequence[Item], nodes: Sequence[str], tasks: Sequence[Task]) -> tuple[str, ...]:
    fit = [
        item
        for item in items
        if not item.requires
        and not (isinstance(item, Family) and (item.needs_traces or (item.reveals_rows and _any_private(tasks))))
        and all(any(item.offered(node, task.domain) for node in nodes) for task in tasks)
    ]
    by_facet = [[item.id for item in fit if item.facet == facet] for facet in FACETS]
    longest = max(map(len, by_facet))
    turns = [mine[place] for place in range(longest) for mine in by_facet if place < len(mine)]
    return tuple(turns[:_USUAL_ITEMS])


def _any_private(tasks: Sequence[Task]) -> bool:
    return any(task.private for task in tasks)
