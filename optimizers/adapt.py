"""``adapt``: a compiled program learns more tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusionprog._internal import sync
from fusionprog.builders.recorded import with_builders
from fusionprog.errors import BudgetError, DataError, EmbedderError, LMConfigurationError
from fusionprog.lm.budget import Budget
from fusionprog.lm.client import LMClient
from fusionprog.lm.embedding_model import ask_vectors
from fusionprog.lm.limits import LimitsSpec, limits_of
from fusionprog.lm.resolve import UnboundModel
from fusionprog.optimizers.compile import run_stored
from fusionprog.optimizers.fusion import Fusion
from fusionprog.program.task import Task, bind, check_tasks
from fusionprog.prompts.embedders import (
    AskedModel,
    Embedder,
    EmbedderSpec,
    Probes,
    check_embedder,
    embedder_named,
    embedder_of,
)
from fusionprog.prompts.pool import PromptPool
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Lineage
from fusionprog.runtime.record import Rung
from fusionprog.search.events import Callback
from fusionprog.search.graft import graft
from fusionprog.search.places import task_subject
from fusionprog.search.preflight import preflight
from fusionprog.search.zero_shot import check_training_rows, zero_shot
from fusionprog.store.store import Store


def adapt(
    program: CompiledProgram,
    tasks: Task | Sequence[Task],
    *,
    trials: int | None = None,
    probes: int | None = None,
    budget: Budget | None = None,
    pool: PromptPool | None = None,
    embedder: EmbedderSpec = None,
    concurrency: int = 16,
    limits: LimitsSpec = None,
    storage: str | None = None,
    fresh: bool = False,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> CompiledProgram:
    """Adds tasks to a compiled program; those that it has keep their prompts to the byte.

    There are three rungs. With ``trials=0`` the new tasks' embeddings alone say what of the pool they use, and no
    model is asked (zero-shot). With ``probes`` a few calls show which of the program's tasks they are like. Otherwise
    a search starts from all that the program knows, finds out how much of it holds here, and drops what does not. What
    is returned was not measured to be worse than the program as written, in any task.

    Args:
        program: The program.
        tasks: The new tasks: one or a list.
        trials: Trials of the search; 0 for none.
        probes: Model calls at most, for a few trials and a first look.
        budget: What may be spent; the test report is outside of it.
        pool: More fragments and families that are on offer to the new tasks, beside the program's own.
        embedder: What the program was compiled with, where it cannot be made from what the program says of it.
        concurrency: Model calls in flight at most; changes nothing but the time.
        limits: Requests and tokens per minute, timeout and retries, as ``compile`` takes them.
        storage: Where measurements are kept, as ``compile`` takes it.
        fresh: Asks every model again instead of using kept answers.
        seed: Decides splits and draws.
        callbacks: Are told what happens (``fusionprog.search.events``).
        progress: Shows progress on stderr; if not given, where stderr is a terminal.

    Returns:
        A program with all tasks; the given one never changes.

    Raises:
        FusionProgError: naming what is wrong and the remedy; before any call where that is possible.
    """
    new = [tasks] if isinstance(tasks, Task) else tasks
    check_tasks(new)
    for task in new:
        if task.name in program.tasks:
            raise DataError(f"the program has a task {task.name!r} already", fix="Give the new one another name")
        bind(program.graph, task)
    rung, budget = _rung(trials, probes, budget)
    lineage = Lineage.of("adapt", [(program, f"{rung}: {', '.join(task.name for task in new)}")])
    own = PromptPool(with_builders(program.items.values()))
    items = {item.id: item for item in (own if pool is None else own | pool)}
    used = embedder_of(program.embedder) if embedder is None else embedder_named(embedder)
    check_embedder(program.embedder, used)
    if rung == "zero-shot":
        places = _places(program, used, new, storage=storage, concurrency=concurrency, limits=limits, fresh=fresh)
        placed = zero_shot(program, new, items, places)
        return graft(program, placed.tasks, placed.records, items=items).with_lineage(lineage)
    for node, model in program.models.items():
        if isinstance(model, UnboundModel):
            raise LMConfigurationError(
                f"node {node!r} has no model that can be asked: {model.name!r} cannot be made from its name",
                fix="Load the program with lm=your_lm",
            )
    for task in new:
        check_training_rows(task, items)
    job = preflight(
        program.graph,
        new,
        pool=PromptPool(list(items.values())),
        lm=program.models,
        budget=budget,
        trials=trials,
        freeze=(),
        seed=seed,
        embedder=used,
        vouched=program,
    )
    found = run_stored(
        job,
        Fusion(),
        storage=storage,
        concurrency=concurrency,
        limits=limits,
        prior=[program],
        callbacks=callbacks,
        progress=progress,
        fresh=fresh,
    )
    sources = {} if found.record.learned is None else found.record.learned.sources
    expected = zero_shot(program, new, items, {name: task.view.embedding for name, task in found.tasks.items()}).records
    records = {}
    for name, record in found.record.tasks.items():
        before = expected[name].adapted
        assert before is not None
        records[name] = replace(record, adapted=replace(before, rung=rung, sources=sources))
    schedule = replace(found.schedule, costs=found.schedule.costs or program.schedule.costs)
    made = graft(program, found.tasks, records, items=items, schedule=schedule, record=found.record)
    return made.with_lineage(lineage)


def _places(
    program: CompiledProgram,
    embedder: Embedder,
    tasks: Sequence[Task],
    *,
    storage: str | None,
    concurrency: int,
    limits: LimitsSpec,
    fresh: bool,
) -> dict[str, tuple[float, ...]]:
    """Task → its coordinates in the program's basis, without a call beyond those of an embedding model."""
    subjects = {task.name: task_subject(program.graph, bind(program.graph, task), task) for task in tasks}
    needs = embedder.needs
    if isinstance(needs, Probes):
        raise EmbedderError(
            "the program's tasks are told apart by what items do in them, which costs calls",
            fix="Pass probes= or budget= in place of trials=0",
        )
    if isinstance(needs, AskedModel):
        with Store(storage) as store:
            client = LMClient(store, concurrency, limits=limits_of(limits, {needs.name}), fresh=fresh, needs_all=True)
            asked, _ = sync.run(ask_vectors(client, needs, [subject.text for subject in subjects.values()]))
        pairs = zip(subjects.items(), asked, strict=True)
        subjects = {name: replace(subject, measured=vector) for (name, subject), vector in pairs}
    vectors = embedder.embed(list(subjects.values()))
    return {name: program.basis.coordinates(vector) for name, vector in zip(subjects, vectors, strict=True)}


def _rung(trials: int | None, probes: int | None, budget: Budget | None) -> tuple[Rung, Budget | None]:
    """The rung that is asked for, and what it may spend."""
    if sum(each is not None for each in (trials, probes)) > 1 or (budget is not None and (probes or trials == 0)):
        raise BudgetError("trials=0, probes= and budget= say different things", fix="Pass one of them")
    if probes is not None:
        if probes < 1:
            raise BudgetError("probes must be at least 1", found=str(probes), fix="Pass trials=0 to ask no model")
        return "probed", Budget(calls=probes)
    return ("zero-shot" if trials == 0 else "warm-started"), budget
