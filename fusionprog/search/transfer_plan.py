"""Which sources are tried in which targets: everything is checked and counted before a model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusionprog._internal.canonical import digest
from fusionprog.artifacts.graph_codec import encode_graph
from fusionprog.builders.offers import offers
from fusionprog.builders.recorded import with_builders
from fusionprog.errors import BudgetError, LMConfigurationError, ProgramError
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import Metric, as_metric
from fusionprog.evaluation.program import make_scorer
from fusionprog.lm.embedding_model import embedding_model, requests_for
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.resolve import UnboundModel
from fusionprog.program.data import Row
from fusionprog.program.data_checks import check_rows
from fusionprog.program.task import Task, TaskProgram, bind, check_tasks
from fusionprog.prompts.embedders import (
    AskedModel,
    Embedder,
    EmbedderSpec,
    Probes,
    check_embedder,
    embedder_named,
    embedder_of,
)
from fusionprog.prompts.items import Content, Item
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.render import TaskView
from fusionprog.search.estimate import call_costs, total_cost
from fusionprog.search.zero_shot import check_training_rows

ALL_TASKS = "all tasks"
_MOST_ROWS = 100


@dataclass(frozen=True, eq=False)
class Target:
    """A task that sources are tried in, as a program sees it.

    Attributes:
        task: The task.
        program: The program's graph with the task's signatures.
        metric: Its metric.
        offered: Node → item → text or demonstrations that the program's pool offers here.
        rows: The rows that are measured.
    """

    task: Task
    program: TaskProgram
    metric: Metric
    offered: Mapping[str, Mapping[str, Content]]
    rows: Sequence[Row]

    def scorer(self, name: str, embedding: tuple[float, ...], models: Mapping[str, LanguageModel]) -> TaskScorer:
        """Returns how the task is scored where schedules know it by another name and place."""
        view = TaskView(name, self.task.domain, self.program, embedding, self.offered)
        return make_scorer(view, self.metric, dict(models))


@dataclass(frozen=True, eq=False)
class SourceProgram:
    """A compiled program and what of it is tried.

    Attributes:
        compiled: The program.
        embedder: What its tasks were embedded with.
        items: Its pool, by item id, with families that can make texts.
        sources: Row of the matrix → task of the program; ``None`` for all of them together.
        targets: Target task → how the program sees it.
    """

    compiled: CompiledProgram
    embedder: Embedder
    items: Mapping[str, Item]
    sources: Mapping[str, str | None]
    targets: Mapping[str, Target]

    @property
    def written_for(self) -> dict[str, LanguageModel]:
        """Node → the model that it runs on as written."""
        return {**self.compiled.models, **self.compiled.models_as_written}


@dataclass(frozen=True, eq=False)
class TransferPlan:
    """A matrix that can be measured.

    Attributes:
        programs: The sources, and the targets.
        calls: Model calls at most.
        tokens: Their tokens, roughly.
        usd: Their dollars, roughly; ``None`` where a price is unknown.
        asked: The models that are asked.
        notes: What the user should know.
    """

    programs: Sequence[SourceProgram]
    calls: int
    tokens: int
    usd: float | None
    asked: tuple[LanguageModel, ...]
    notes: tuple[str, ...]

    @property
    def cost(self) -> str:
        """What it will cost, in words."""
        usd = ", price unknown" if self.usd is None else f", about ${self.usd:.2f}" if self.usd else ""
        return f"at most {self.calls:,} calls: about {self.tokens:,} tokens{usd}"


def plan_transfer(
    sources: Mapping[str, CompiledProgram], tasks: Sequence[Task], *, rows: int | None, embedder: EmbedderSpec = None
) -> TransferPlan:
    """Checks sources and targets, and says what it costs to measure them.

    Args:
        sources: Name → compiled program; that of the only one is not shown.
        tasks: The target tasks.
        rows: How many rows of a target's val are measured, drawn by their hashes; all up to 100, if not given.
        embedder: What the programs were compiled with, where it cannot be made from what they say of it.

    Raises:
        FusionProgError: the first thing that is wrong, with the remedy.
    """
    check_tasks(tasks)
    if rows is not None and rows < 1:
        raise BudgetError("rows must be at least 1", found=str(rows))
    _check_programs(sources)
    programs, notes = [], []
    for name, compiled in sources.items():
        used = embedder_of(compiled.embedder) if embedder is None else embedder_named(embedder)
        check_embedder(compiled.embedder, used)
        items = {item.id: item for item in with_builders(compiled.items.values())}
        targets = {task.name: _target(compiled, task, items, rows or _MOST_ROWS) for task in tasks}
        label = name if len(sources) > 1 else ""
        if isinstance(used.needs, Probes):
            notes.append(f"{name}: it costs calls to place a task, so that {ALL_TASKS!r} is left out")
        programs.append(SourceProgram(compiled, used, items, _sources(label, compiled, used), targets))
        notes += [
            f"{task}: {name} has a task of this name; rows that it was compiled on flatter it"
            for task in targets
            if task in compiled.tasks
        ]
    scorers = [_bare_scorer(program, target) for program in programs for target in program.targets.values()]
    asked = _asked(programs)
    calls = _most_calls(programs)
    tokens, usd = total_cost(calls, call_costs([*tasks] * len(programs), scorers))
    return TransferPlan(programs, calls, tokens, usd, asked, tuple(notes))


def _check_programs(sources: Mapping[str, CompiledProgram]) -> None:
    """Checks that the sources are all of one program: what is compared is the same program as written."""
    if not sources:
        raise ProgramError("there are no sources", fix="Pass compiled programs, or paths of their artifacts")
    first, *others = sources
    for name in others:
        if digest(encode_graph(sources[name].graph)) != digest(encode_graph(sources[first].graph)):
            raise ProgramError(
                f"{name} is compiled from another program than {first}",
                fix="Make a matrix of the artifacts of one program",
            )


def _target(compiled: CompiledProgram, task: Task, items: Mapping[str, Item], count: int) -> Target:
    program, metric = bind(compiled.graph, task), as_metric(task.metric)
    check_training_rows(task, items)
    if task.rows["train"]:
        check_rows(program, task.rows["train"], f"task {task.name!r}, train", ())
    check_rows(program, task.rows["val"], f"task {task.name!r}, val", metric.gold)
    nodes = [node for node in compiled.models if program.prompted(node) is not None]
    offered = offers(list(items.values()), task, program, nodes, {}, compiled.record.seed)
    rows = sorted(
        task.rows["val"], key=lambda row: row.id
    )  # files are often sorted by label: the first rows are of one
    return Target(task, program, metric, offered, rows[:count])


def _sources(label: str, compiled: CompiledProgram, embedder: Embedder) -> dict[str, str | None]:
    """The rows of a program; one task alone is all that it has."""
    prefix = f"{label}: " if label else ""
    if isinstance(embedder.needs, Probes):
        return {f"{prefix}{task}": task for task in compiled.tasks}
    if len(compiled.tasks) == 1:
        return {label or ALL_TASKS: None}
    return {**{f"{prefix}{task}": task for task in compiled.tasks}, f"{prefix}{ALL_TASKS}": None}


def _bare_scorer(program: SourceProgram, target: Target) -> TaskScorer:
    """How a target is scored with nothing on offer in it."""
    return replace(target, offered={}).scorer(target.task.name, (), program.written_for)


def _most_calls(programs: Sequence[SourceProgram]) -> int:
    """Every source and the program as written on every row; the latter once where it runs on the same models."""
    calls, written = 0, set()
    for program in programs:
        models = digest([[node, model.identity] for node, model in sorted(program.written_for.items())])
        for name, target in program.targets.items():
            count = len(program.sources) + ((name, models) not in written)
            calls += count * len(target.rows) * _bare_scorer(program, target).calls_per_example
            written.add((name, models))
        if isinstance(program.embedder.needs, AskedModel):
            calls += requests_for(len(program.targets))
    return calls


def _asked(programs: Sequence[SourceProgram]) -> tuple[LanguageModel, ...]:
    """The models that are asked.

    Raises:
        LMConfigurationError: if one of them is only known by its name.
    """
    models: list[LanguageModel] = []
    for program in programs:
        for target in program.targets.values():
            scorer = _bare_scorer(program, target)
            models += [*scorer.asked, *(program.compiled.models[node] for node in scorer.asking)]
        if isinstance(needs := program.embedder.needs, AskedModel):
            models.append(embedding_model(needs))
    for model in models:
        if isinstance(model, UnboundModel):
            raise LMConfigurationError(
                f"there is no model that can be asked: {model.name!r} cannot be made from its name",
                fix="Pass lm=your_lm",
            )
    return tuple({id(model): model for model in models}.values())
