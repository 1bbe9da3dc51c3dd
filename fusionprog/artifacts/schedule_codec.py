"""The schedule and the mixtures it makes, to and from the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from fusionprog._internal.registry import did_you_mean
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.schema import MixtureSpec, NodeSettingsSpec, ScheduleSpec, WeightedSpec
from fusionprog.errors import ArtifactError
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.variants import options_of
from fusionprog.prompts.items import Item
from fusionprog.prompts.mixture import Mixture, Weighted
from fusionprog.prompts.schedule import MODEL, NodeSettings, Schedule

_LEAST_TEMPERATURE = 1e-6
_DEEPEST = 16  # schedules within schedules: one more each time that programs are merged or adapted


def schedule_spec(schedule: Schedule, tasks: Iterable[str]) -> ScheduleSpec:
    """Returns a schedule as the artifact holds it; of what it says of single tasks, only what is about ``tasks``."""
    known = set(tasks)
    return ScheduleSpec.model_validate(
        {
            "fusion": schedule.fusion,
            "as_written": [task for task in schedule.as_written if task in known],
            "nodes": {
                node: NodeSettingsSpec(
                    format=each.format,
                    temperature=max(rounded(float(each.temperature)), _LEAST_TEMPERATURE),
                    gates=rounded(each.gates),
                    choices=dict(each.choices),
                )
                for node, each in schedule.nodes.items()
            },
            "costs": rounded(schedule.costs),
            "everywhere": rounded(schedule.everywhere),
            "at_node": rounded(schedule.at_node),
            "in_task": {task: rounded(each) for task, each in schedule.in_task.items() if task in known},
            "directions": rounded(schedule.directions),
            "pairs": rounded(schedule.pairs),
            "by_node": {node: schedule_spec(each, known) for node, each in schedule.by_node.items()},
            "by_task": {task: schedule_spec(each, [task]) for task, each in schedule.by_task.items() if task in known},
        }
    )


def decode_schedule(
    spec: ScheduleSpec,
    *,
    graph: ProgramGraph,
    items: Iterable[str],
    tasks: Iterable[str],
    components: int,
    depth: int = 0,
) -> Schedule:
    """Returns the schedule of an artifact.

    Args:
        spec: What the artifact says.
        graph: The program's graph.
        items: The pool's items.
        tasks: The tasks.
        components: How many the basis of task embeddings has.
        depth: How many schedules this one is in.

    Raises:
        ArtifactError: if it names something that there is not, or schedules are too deep in each other.
    """
    items, tasks = set(items), set(tasks)
    if depth > _DEEPEST:
        raise ArtifactError(
            "schedules are too deep in each other", expected=f"at most {_DEEPEST} levels", found=f"{depth} and more"
        )
    nodes = {name for name, node in graph.nodes.items() if node.asks_model}
    _check([*spec.as_written, *spec.in_task, *spec.by_task], tasks, "task")
    by_node: list[Mapping[str, Iterable[str]]] = [spec.at_node, spec.directions, *spec.in_task.values()]
    _check((node for each in by_node for node in each), nodes, "node that asks a model")
    settled = {name for name, node in graph.nodes.items() if node.asks_model or options_of(node)}
    _check([*spec.nodes, *spec.by_node], settled, "node that asks a model, or offers a choice")
    for name, settings in spec.nodes.items():
        _check_choices(name, settings, graph)
    _check([*spec.costs, *spec.everywhere], items, "item")
    _check(spec.pairs, nodes, "node that asks a model")
    pairs: list[Mapping[str, Iterable[str]]] = [*spec.pairs.values()]
    for each in (*by_node, *pairs):
        for named in each.values():
            _check(named, items, "item")
    for each in pairs:
        _check(each, items, "item")
    for node, directions in spec.directions.items():
        for item, direction in directions.items():
            if len(direction) > components:  # with few tasks, effects differ along the first directions alone
                raise ArtifactError(
                    f"the schedule's direction of {item!r} at node {node!r} does not fit the embedding",
                    expected=f"at most {components} numbers",
                    found=str(len(direction)),
                )
    own = partial(decode_schedule, graph=graph, items=items, components=components, depth=depth + 1)
    return Schedule(
        everywhere=spec.everywhere,
        at_node=spec.at_node,
        directions={node: {item: tuple(each) for item, each in mine.items()} for node, mine in spec.directions.items()},
        in_task=spec.in_task,
        pairs=spec.pairs,
        costs=spec.costs,
        nodes={
            node: NodeSettings(each.temperature, each.gates, each.format, each.choices)
            for node, each in spec.nodes.items()
        },
        as_written=tuple(spec.as_written),
        fusion=spec.fusion,
        by_task={task: own(each, tasks=[task]) for task, each in spec.by_task.items()},
        by_node={node: own(each, tasks=tasks) for node, each in spec.by_node.items()},
    )


def mixture_spec(mixture: Mixture) -> MixtureSpec:
    """Returns a mixture as the artifact holds it: its open items.

    The effects of the others are in the schedule; with a large pool they would be most of the file.
    """
    opened = {facet: [each for each in items if each.open] for facet, items in mixture.facets.items()}
    return MixtureSpec(
        gates={facet: rounded(float(gate)) for facet, gate in mixture.gates.items() if opened.get(facet)},
        facets={
            facet: [
                WeightedSpec(
                    item=each.id,
                    amount=each.amount,
                    weight=rounded(float(each.weight)),
                    effect=rounded(float(each.effect)),
                )
                for each in items
            ]
            for facet, items in opened.items()
            if items
        },
    )


def decode_mixture(spec: MixtureSpec, items: Mapping[str, Item], where: str) -> Mixture:
    """Returns the mixture of a node in a task.

    Raises:
        ArtifactError: if it names an item that is not in the pool, is of another facet or was named before.
    """
    for facet, entries in spec.facets.items():
        seen: set[str] = set()
        for each in entries:
            if each.item not in items or items[each.item].facet != facet or each.item in seen:
                raise ArtifactError(f"{where}: the mixture names {each.item!r} twice, or it is no {facet} of the pool")
            seen.add(each.item)
    return Mixture(
        {
            facet: tuple(Weighted(each.item, each.weight, each.effect, True, each.amount) for each in entries)
            for facet, entries in spec.facets.items()
        },
        dict(spec.gates),
    )


def _check_choices(name: str, settings: NodeSettingsSpec, graph: ProgramGraph) -> None:
    """Checks that a node has the options that are picked; a model's name is but a name."""
    node, options = graph.nodes[name], options_of(graph.nodes[name])
    for choice, option in settings.choices.items():
        if choice == MODEL and node.asks_model:
            continue
        _check([choice], set(options), f"choice at node {name!r}")
        _check([option], set(options[choice]), f"option of {choice!r} at node {name!r}")


def _check(names: Iterable[str], known: set[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ArtifactError(f"the schedule names {name!r}, which is no {what}", fix=did_you_mean(name, known))
