"""``adapt``: a compiled program learns more tasks, or is taken to another model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from fusionprog._internal import sync
from fusionprog.builders.recorded import with_builders
from fusionprog.errors import BudgetError, DataError, EmbedderError, FusionProgError, LMConfigurationError
from fusionprog.lm.budget import Budget
from fusionprog.lm.client import LMClient
from fusionprog.lm.limits import LimitsSpec, limits_of
from fusionprog.lm.resolve import LMSpec
from fusionprog.optimizers.growing import check_whole, grow, port
from fusionprog.optimizers.search_from import How, search_from
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.program import Program, program_graph
from fusionprog.program.task import Task, bind, check_tasks
from fusionprog.prompts.embedders import (
    AskedModel,
    EmbedderSpec,
    Probes,
    check_embedder,
    embedder_named,
    embedder_of,
)
from fusionprog.prompts.pool import PromptPool
from fusionprog.prompts.schedule import FORMATS, Format
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Lineage
from fusionprog.runtime.record import Rung
from fusionprog.search.events import Callback
from fusionprog.search.graft import graft
from fusionprog.search.objective import Objective
from fusionprog.search.places import task_subject
from fusionprog.search.placing import coordinates_in
from fusionprog.search.start import DEFAULT_TOLERANCE, Start
from fusionprog.search.zero_shot import Placed, zero_shot
from fusionprog.store.store import Store


def adapt(
    program: CompiledProgram,
    tasks: Task | Sequence[Task],
    *,
    trials: int | None = None,
    probes: int | None = None,
    budget: Budget | None = None,
    joint: bool = False,
    tolerance: float = DEFAULT_TOLERANCE,
    lm: LMSpec = None,
    code: Program | ProgramGraph | None = None,
    objective: str | Objective = "mean",
    freeze: str | Sequence[str] = (),
    formats: Sequence[Format] = FORMATS,
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
    """Adds tasks to a compiled program, or takes it to another model.

    There are three rungs for new tasks. With ``trials=0`` their embeddings alone say what of the pool they use, and no
    model is asked (zero-shot). With ``probes`` a few calls show which of the program's tasks they are like. Otherwise
    a search starts from all that the program knows, finds out how much of it holds here, and drops what does not. What
    is returned was not measured to be worse than the program as written, in any task. The tasks that the program has
    keep their prompts to the byte.

    With ``joint=True`` the search is for all tasks together and may move what they share. What tasks followed before
    is measured on the same rows: a task whose score would fall by more than ``tolerance`` goes on with its prompts,
    and the record has the R matrix.

    With ``lm`` or ``code`` the program is taken to another model, or to its code as it is now. Where a node's model or
    signature changed, its prompts are chosen again, and so are those of nodes downstream of prompts that changed; the
    others keep theirs. A task in which nothing better is found goes on with the prompts that it has.

    Args:
        program: The program.
        tasks: The new tasks: one or a list. With ``joint`` also all tasks that the program has, with their data; with
            ``lm`` or ``code`` these alone.
        trials: Trials of the search; 0 for none.
        probes: Model calls at most, for a few trials and a first look.
        budget: What may be spent; the test report is outside of it, and so are the few calls of an embedding model.
        joint: Whether the tasks that the program has may change, too.
        tolerance: How much lower the measured score of one of these may be, for ``joint``.
        lm: Other models, in any form that ``compile`` takes.
        code: The program's code as it is now: the same nodes, with other signatures or modules.
        objective: What is to be reached over the tasks, as ``compile`` takes it.
        freeze: Names of nodes and items that are left alone.
        formats: How prompts may be written.
        pool: More fragments and families that are on offer, beside the program's own.
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
    given = [tasks] if isinstance(tasks, Task) else tasks
    check_tasks(given)
    graph = None if code is None else program_graph(code)
    for task in given:
        bind(program.graph if graph is None else graph, task)
    rung, budget = _rung(trials, probes, budget)
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance < math.inf:
        raise FusionProgError(
            "tolerance does not say how much lower a score may be",
            expected="a number of at least 0",
            found=repr(tolerance)[:80],
        )
    own = PromptPool(with_builders(program.items.values()))
    items = {item.id: item for item in (own if pool is None else own | pool)}
    used = embedder_of(program.embedder) if embedder is None else embedder_named(embedder)
    check_embedder(program.embedder, used)
    how = How(
        items=items,
        embedder=used,
        objective=objective,
        freeze=freeze,
        formats=formats,
        trials=trials,
        budget=budget,
        seed=seed,
        storage=storage,
        concurrency=concurrency,
        limits=limits,
        fresh=fresh,
        callbacks=callbacks,
        progress=progress,
    )
    new = [task for task in given if task.name not in program.tasks]
    if lm is not None or graph is not None:
        if new or joint:
            raise DataError(
                "a program is taken to another model or code with the tasks that it has",
                found=f"new tasks {', '.join(task.name for task in new)}" if new else "joint=True",
                fix="Do one after the other: first adapt(tasks, lm=...), then adapt(new_tasks)",
            )
        check_whole(program, given, asks=rung != "zero-shot")
        return port(program, given, how, lm=lm, graph=graph)
    if joint:
        check_whole(program, given, asks=rung != "zero-shot")
        placed = zero_shot(program, new, items, _places(program, new, how))
        return grow(program, given, placed, how, tolerance=tolerance)
    for task in given:
        if task.name in program.tasks:
            raise DataError(
                f"the program has a task {task.name!r} already",
                fix="Give the new one another name, or pass joint=True to compile all tasks together",
            )
    made = _placed(program, given, how) if rung == "zero-shot" else _searched(program, given, how, rung)
    return made.with_lineage(Lineage.of("adapt", [(program, f"{rung}: {', '.join(task.name for task in given)}")]))


def _placed(program: CompiledProgram, tasks: Sequence[Task], how: How) -> CompiledProgram:
    """The program with tasks that follow its schedule from where they are."""
    placed = zero_shot(program, tasks, how.items, _places(program, tasks, how))
    return graft(program, placed.tasks, placed.records, items=how.items, schedules=placed.schedules)


def _searched(program: CompiledProgram, tasks: Sequence[Task], how: How, rung: Rung) -> CompiledProgram:
    """The program with tasks that follow what a search finds for them, or what is known without one.

    Where their embeddings cost no calls in these tasks, what they say is measured beside what is found, if there are
    rows enough for both.
    """
    if program.models_as_written:
        raise LMConfigurationError(
            f"the program runs on two models at {', '.join(program.models_as_written)}: which is a new task's?",
            expected="one model for every node",
            fix="Take one of them first: program.with_models({node: model}), or load it with lm=",
        )
    placed, incumbent = Placed({}, {}, {}), None
    if not isinstance(how.embedder.needs, Probes):
        placed = zero_shot(program, tasks, how.items, _places(program, tasks, how))
        incumbent = graft(program, placed.tasks, placed.records, items=how.items, schedules=placed.schedules)
    found = search_from(Start(program, incumbent, spared=True), tasks, how, models=program.models)
    sources = {} if found.record.learned is None else found.record.learned.sources
    places = {name: task.view.embedding for name, task in found.tasks.items()}
    expected = (placed if placed.tasks else zero_shot(program, tasks, how.items, places)).records
    records = {}
    for name, record in found.record.tasks.items():
        before = expected[name].adapted
        assert before is not None
        records[name] = replace(record, adapted=replace(before, rung=rung, sources=sources))
    own = {name: replace(found.schedule, by_task={}) for name in found.tasks if name not in found.schedule.by_task}
    known = {name: each for name, each in placed.schedules.items() if name in found.schedule.by_task}
    return graft(program, found.tasks, records, items=how.items, schedules={**own, **known}, record=found.record)


def _places(program: CompiledProgram, tasks: Sequence[Task], how: How) -> dict[str, tuple[float, ...]]:
    """Task → its coordinates in the program's basis, without a call beyond those of an embedding model."""
    if not tasks:
        return {}
    needs = how.embedder.needs
    if isinstance(needs, Probes):
        raise EmbedderError(
            "the program's tasks are told apart by what items do in them, which costs calls",
            fix="Pass probes= or budget= in place of trials=0; add them so before all are compiled with joint=True",
        )
    subjects = {task.name: task_subject(program.graph, bind(program.graph, task), task) for task in tasks}
    with ExitStack() as stack:
        store, limits = None, None
        if isinstance(needs, AskedModel):
            store, limits = stack.enter_context(Store(how.storage)), limits_of(how.limits, {needs.name})
        client = LMClient(store, how.concurrency, limits=limits, fresh=how.fresh, needs_all=True)
        places, _ = sync.run(coordinates_in(program.basis, how.embedder, subjects, client))
    return places


def _rung(trials: int | None, probes: int | None, budget: Budget | None) -> tuple[Rung, Budget | None]:
    """The rung that is asked for, and what it may spend."""
    if sum(each is not None for each in (trials, probes)) > 1 or (budget is not None and (probes or trials == 0)):
        raise BudgetError("trials=0, probes= and budget= say different things", fix="Pass one of them")
    for name, value in (("trials", trials), ("probes", probes)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise BudgetError(f"{name} is no number of them", expected="a whole number", found=repr(value)[:80])
    if probes is not None:
        if probes < 1:
            raise BudgetError("probes must be at least 1", found=str(probes), fix="Pass trials=0 to ask no model")
        return "probed", Budget(calls=probes)
    return ("zero-shot" if trials == 0 else "warm-started"), budget
