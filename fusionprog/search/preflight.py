"""Preflight: everything is checked and estimated before a model is asked anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fusionprog.artifacts.types import lost_validators
from fusionprog.builders.offers import default_families
from fusionprog.errors import BudgetError, PoolError, ProgramError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import Metric, as_metric
from fusionprog.evaluation.program import make_scorer, read_nodes
from fusionprog.evaluation.statistics import visible_gain
from fusionprog.lm.budget import Budget
from fusionprog.lm.dspy_adapters import type_text
from fusionprog.lm.embedding_model import embedding_model, requests_for
from fusionprog.lm.model import LanguageModel, price_of
from fusionprog.lm.offline import can_fill
from fusionprog.lm.offline_model import EMBEDDED
from fusionprog.lm.resolve import LMSpec, offered_models
from fusionprog.program.data_checks import check_data
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.program import Program, program_graph
from fusionprog.program.signature import closed_choice
from fusionprog.program.task import Task, TaskProgram, bind, check_tasks
from fusionprog.program.variants import options_of
from fusionprog.prompts.embedders import AskedModel, Embedder, EmbedderSpec, Probes, embedder_named
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import Family, Item
from fusionprog.prompts.pool import PromptPool
from fusionprog.prompts.schedule import FORMATS, Format
from fusionprog.runtime.render import TaskView
from fusionprog.search.choices import Choices, priced_choices
from fusionprog.search.estimate import Estimate, call_costs, estimate, plan_within
from fusionprog.search.objective import Objective
from fusionprog.search.objective_check import check_objective
from fusionprog.search.places import Places, item_subject, task_subject
from fusionprog.search.plan import Parts, Plan, Sizes
from fusionprog.search.probing import probe_rows, probing_calls, with_probes
from fusionprog.search.split import MIN_CONFIRMATION, Fold, split_val
from fusionprog.search.start import Start
from fusionprog.search.worst_case import check_bounds, check_room

_ROWS_FOR_ALL = 12  # of a task, to confirm on: with fewer, they are better spent on what is found alone


@dataclass(frozen=True, eq=False)
class Job:
    """A compile that has passed preflight.

    Attributes:
        graph: The program's graph.
        tasks: The tasks by name.
        programs: Task → the program as it sees it.
        metrics: Task → metric.
        pool: The items on offer.
        searched: The nodes that are searched: those that a metric reads and that ask a model or offer a choice, less
            the frozen ones.
        frozen: Names of nodes and items that are left alone.
        models: Node → model, as written.
        offered: Node → name → model, for the searched nodes that the search may choose a model for.
        choices: What else than items and formats there is to choose at the searched nodes.
        embedder: Makes task and item vectors.
        places: Where tasks and items lie; not known yet where calls must say it.
        folds: How val is split.
        plan: How the budget is shared out.
        budget: What may be spent.
        estimate: What it will cost at most.
        seed: Decides splits and draws.
        formats: How prompts may be written.
        start: What there is already; ``None`` where a program is compiled from nothing.
        notes: What the user should know.
    """

    graph: ProgramGraph
    tasks: Mapping[str, Task]
    programs: Mapping[str, TaskProgram]
    metrics: Mapping[str, Metric]
    pool: Sequence[Item]
    searched: tuple[str, ...]
    frozen: frozenset[str]
    models: Mapping[str, LanguageModel]
    offered: Mapping[str, Mapping[str, LanguageModel]]
    choices: Choices
    embedder: Embedder
    places: Places
    folds: tuple[Fold, ...]
    plan: Plan
    budget: Budget
    estimate: Estimate
    seed: int
    formats: Sequence[Format] = FORMATS
    start: Start | None = None
    notes: tuple[str, ...] = field(default=())

    def bare_view(self, task: str) -> TaskView:
        """Returns a task with nothing on offer."""
        return TaskView(task, self.tasks[task].domain, self.programs[task], self.places.tasks[task])

    def bare_scorer(self, task: str) -> TaskScorer:
        """Returns how a task is scored with nothing on offer."""
        return make_scorer(self.bare_view(task), self.metrics[task], dict(self.models), self.offered)

    @property
    def basis(self) -> Basis | None:
        """The basis that tasks are seen in, where they join others; else one is made for them."""
        return None if self.start is None else self.start.program.basis

    @property
    def asked(self) -> tuple[LanguageModel, ...]:
        """The models that are asked anything: those of nodes that a metric reads, the metrics' own, the embedder's."""
        return _asked([self.bare_scorer(task) for task in self.tasks], self.embedder)


def preflight(
    program: Program | ProgramGraph,
    tasks: Sequence[Task],
    *,
    pool: PromptPool | None,
    lm: LMSpec,
    budget: Budget | None,
    trials: int | None,
    freeze: str | Sequence[str],
    seed: int,
    formats: Sequence[Format] = FORMATS,
    objective: Objective | None = None,
    parts: Parts | None = None,
    start: Start | None = None,
    embedder: EmbedderSpec = None,
) -> Job:
    """Checks everything that can be checked without a model, and plans the compile.

    What is not told here is as ``compile`` has it; ``parts`` is what is done beside trials, all
    if not given, and ``start`` is what there is already.

    Raises:
        FusionProgError: the first thing that is wrong, with the remedy.
    """
    graph = program_graph(program)
    check_tasks(tasks)
    if trials is not None and trials < 1:
        raise BudgetError("trials must be at least 1", found=str(trials))
    _check_formats(formats)
    budget = budget or Budget()
    programs = {task.name: bind(graph, task) for task in tasks}
    metrics = {task.name: as_metric(task.metric) for task in tasks}
    reads = {task.name: read_nodes(programs[task.name], metrics[task.name]) for task in tasks}
    notes = [note for task in tasks for note in check_data(programs[task.name], task, [*metrics[task.name].gold])]
    items = PromptPool.patterns() | PromptPool(default_families()) if pool is None else pool
    notes += items.validate(graph.nodes, [task.domain for task in tasks])
    freeze = (freeze,) if isinstance(freeze, str) else freeze
    _check_frozen(freeze, graph, items)
    searched = _searched(graph, programs, reads, freeze, notes)
    offers = offered_models(lm, [name for name, node in graph.nodes.items() if node.asks_model])
    models = {node: next(iter(mine.values())) for node, mine in offers.items()}
    offered = {node: mine for node, mine in offers.items() if len(mine) > 1 and node in searched}
    notes += _offline_notes(programs, models)
    notes += _lost_notes(programs)
    notes += _unpriced_notes(models, offered)
    folds = split_val({task.name: task.rows["val"] for task in tasks}, seed)
    scorers = [
        make_scorer(
            TaskView(task.name, task.domain, programs[task.name], ()), metrics[task.name], dict(models), offered
        )
        for task in tasks
    ]
    if not any(scorer.calls_per_example for scorer in scorers):
        raise ProgramError(
            "there is nothing to search with",
            found="no node that a metric reads asks a model, nor does a metric",
            fix="Let a metric read an output of a node that asks one",
        )
    open_items = [item for item in items if not item.pinned and item.id not in freeze]
    used = [item for item in items if item.pinned or item.id not in freeze]
    traces = any(isinstance(item, Family) and item.needs_traces for item in used)
    costs = call_costs(tasks, scorers)
    objective = objective or Objective()
    check_objective(objective, scorers)
    prompting = [node for node in searched if graph.nodes[node].asks_model]
    embeds = with_probes(embedder_named(embedder), open_items, list(offers), prompting, tasks)
    check_bounds(budget, _asked(scorers, embeds))
    sizes = _sizes(tasks, scorers, open_items, prompting, folds, traces)
    sizes = replace(sizes, placing=_placing_calls(embeds, tasks, metrics, scorers, folds, len(items)))
    sizes = replace(
        sizes,
        finalists=objective.finalists,
        narrows=objective.is_measured,
        parts=parts or Parts(),
        vouched=start is not None,
        incumbents=int(start is not None and start.incumbent is not None),
    )
    plan = plan_within(budget, trials, sizes, costs)
    if start is not None and start.spared and plan.confirmation < _ROWS_FOR_ALL:
        start, sizes = replace(start, incumbent=None), replace(sizes, incumbents=0)
        plan = plan_within(budget, trials, sizes, costs)
    notes += _visible_notes(tasks, folds, plan)
    if budget.by_size:
        notes += check_room(budget, scorers, [task.rows["val"][0] for task in tasks])
    return Job(
        graph=graph,
        tasks={task.name: task for task in tasks},
        programs=programs,
        metrics=metrics,
        pool=tuple(items),
        searched=searched,
        frozen=frozenset(freeze),
        models=models,
        offered=offered,
        choices=priced_choices(
            graph,
            searched,
            offered,
            {scorer.view.name: scorer for scorer in scorers},
            {task.name: task.rows["val"][0].columns for task in tasks},
        ),
        embedder=embeds,
        places=_places(embeds, graph, programs, tasks, items, None if start is None else start.program.basis),
        folds=folds,
        plan=plan,
        budget=budget,
        estimate=estimate(plan, costs),
        seed=seed,
        formats=tuple(formats),
        start=start,
        notes=tuple(notes),
    )


def _places(
    embedder: Embedder,
    graph: ProgramGraph,
    programs: Mapping[str, TaskProgram],
    tasks: Sequence[Task],
    items: Iterable[Item],
    basis: Basis | None,
) -> Places:
    """Where tasks and items lie, if their texts are enough to say it."""
    if embedder.needs is not None:
        return Places.nowhere([task.name for task in tasks])
    subjects = {task.name: task_subject(graph, programs[task.name], task) for task in tasks}
    return Places.of(embedder, subjects, {item.id: item_subject(item) for item in items}, basis)


def _placing_calls(
    embedder: Embedder,
    tasks: Sequence[Task],
    metrics: Mapping[str, Metric],
    scorers: Sequence[TaskScorer],
    folds: Sequence[Fold],
    items: int,
) -> int:
    """The calls that it takes to say where tasks and items lie."""
    needs = embedder.needs
    if isinstance(needs, Probes):
        rows = probe_rows({task.name: task for task in tasks}, metrics, folds, needs.rows)
        return probing_calls(needs, rows, {scorer.view.name: scorer.calls_per_example for scorer in scorers})
    return 0 if needs is None else requests_for(len(tasks) + items)


def _check_formats(formats: Sequence[str]) -> None:
    if not formats or isinstance(formats, str) or not set(formats) <= set(FORMATS):
        raise ProgramError(
            "formats are not usable", expected=f"some of {', '.join(FORMATS)}, in a list", found=repr(formats)[:80]
        )


def _check_frozen(freeze: Sequence[str], graph: ProgramGraph, items: PromptPool) -> None:
    for name in freeze:
        if name not in graph.nodes and name not in items:
            raise PoolError(f"freeze names {name!r}, which is neither a node nor an item of the pool")


def _searched(
    graph: ProgramGraph,
    programs: Mapping[str, TaskProgram],
    reads: Mapping[str, Sequence[str]],
    freeze: Sequence[str],
    notes: list[str],
) -> tuple[str, ...]:
    searched = []
    for name in graph.order():
        node = graph.nodes[name]
        if name in freeze or not (node.asks_model or options_of(node)):
            continue
        if any(name in nodes for nodes in reads.values()):
            searched.append(name)
        else:
            notes.append(f"node {name!r} is read by no metric; left as written")
    if not searched:
        raise ProgramError(
            "there is nothing to search",
            found="no node that a metric reads asks a model or offers a choice, and is not frozen",
            fix="Freeze less, or let the metric read an output of a Predict or ChainOfThought node",
        )
    return tuple(searched)


def _offline_notes(programs: Mapping[str, TaskProgram], models: Mapping[str, LanguageModel]) -> list[str]:
    notes: dict[str, None] = {}
    for program in programs.values():
        for node, model in models.items():
            signature = program.prompted(node)
            if model.name not in EMBEDDED or signature is None:
                continue
            for name, output in signature.output_fields.items():
                choices = closed_choice(output.annotation)
                listed = f"must be one of: {'; '.join(map(str, choices))}" if choices else ""
                if not can_fill(type_text(output.annotation), listed):
                    notes[f"the offline reader cannot fill {node}.{name}; it is no language model"] = None
    return list(notes)


def _lost_notes(programs: Mapping[str, TaskProgram]) -> list[str]:
    lost = {
        name: None
        for program in programs.values()
        for signature in program.signatures.values()
        for field in signature.fields.values()
        for name in lost_validators(field.annotation)
    }
    if not lost:
        return []
    return [f"an artifact cannot keep {', '.join(lost)}; load it with types= to have them run"]


def _unpriced_notes(
    models: Mapping[str, LanguageModel], offered: Mapping[str, Mapping[str, LanguageModel]]
) -> list[str]:
    known = [*models.values(), *(model for mine in offered.values() for model in mine.values())]
    unpriced = sorted({model.name for model in known if price_of(model) is None})
    if not offered or not unpriced:
        return []
    return [f"the price of {', '.join(unpriced)} is unknown: models are compared without what they cost"]


def _visible_notes(tasks: Sequence[Task], folds: Sequence[Fold], plan: Plan) -> list[str]:
    notes = []
    small = [task.name for task in tasks if len(task.rows["val"]) < 2 * MIN_CONFIRMATION]
    if 0 < len(small) < len(tasks):
        notes.append(
            f"val of {', '.join(small)} has fewer than {2 * MIN_CONFIRMATION} rows: all tasks are searched on one half "
            "of val and confirmed on the other, both ways; with more rows there, or without it, others would have more"
        )
    for task in tasks:
        count = min(plan.confirmation, max(len(fold.confirmation[task.name]) for fold in folds))
        gain = f"{visible_gain(count):.2f}".removeprefix("0")
        notes.append(
            f"{task.name}: val n={len(task.rows['val'])}, {count} of them confirm: gains below ±{gain} are invisible"
        )
    return notes


def _sizes(
    tasks: Sequence[Task],
    scorers: Sequence[TaskScorer],
    items: Sequence[Item],
    searched: Sequence[str],
    folds: Sequence[Fold],
    traces: bool,
) -> Sizes:
    calls = {scorer.view.name: scorer.calls_per_example for scorer in scorers}
    return Sizes(
        calls_per_row=sum(calls.values()),
        search_rows=min(max(len(rows) for rows in fold.search.values()) for fold in folds),
        confirmation_rows=min(max(len(rows) for rows in fold.confirmation.values()) for fold in folds),
        items=sum(any(item.offered(node, task.domain) for task in tasks) for node in searched for item in items),
        folds=len(folds),
        traces=traces,
        test_calls=2 * sum(calls[task.name] * len(task.rows["test"]) for task in tasks),
        tasks=len(tasks),
    )


def _asked(scorers: Sequence[TaskScorer], embedder: Embedder) -> tuple[LanguageModel, ...]:
    models = [model for scorer in scorers for model in scorer.asked]
    if isinstance(embedder.needs, AskedModel):
        models.append(embedding_model(embedder.needs))
    return tuple({id(model): model for model in models}.values())
