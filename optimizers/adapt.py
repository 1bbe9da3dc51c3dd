"""``adapt``: a compiled program learns more tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusionprog.builders.recorded import with_builders
from fusionprog.errors import BudgetError, DataError, LMConfigurationError
from fusionprog.lm.budget import Budget
from fusionprog.lm.limits import LimitsSpec
from fusionprog.lm.resolve import UnboundModel
from fusionprog.optimizers.compile import run_stored
from fusionprog.optimizers.fusion import Fusion
from fusionprog.program.task import Task, bind, check_tasks
from fusionprog.prompts.pool import PromptPool
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.record import Rung
from fusionprog.search.events import Callback
from fusionprog.search.graft import graft
from fusionprog.search.preflight import embed_tasks, preflight
from fusionprog.search.zero_shot import check_training_rows, zero_shot


def adapt(
    program: CompiledProgram,
    tasks: Task | Sequence[Task],
    *,
    trials: int | None = None,
    probes: int | None = None,
    budget: Budget | None = None,
    pool: PromptPool | None = None,
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
    own = PromptPool(with_builders(program.items.values()))
    items = {item.id: item for item in (own if pool is None else own | pool)}
    vectors = embed_tasks(program.embedder, program.graph, new)
    placed = zero_shot(program, new, items, vectors)
    if rung == "zero-shot":
        return graft(program, placed.tasks, placed.records, items=items)
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
    records = {}
    for name, record in found.record.tasks.items():
        before = placed.records[name].adapted
        assert before is not None
        records[name] = replace(record, adapted=replace(before, rung=rung, sources=sources))
    schedule = replace(found.schedule, costs=found.schedule.costs or program.schedule.costs)
    return graft(program, found.tasks, records, items=items, schedule=schedule, record=found.record)


def _rung(trials: int | None, probes: int | None, budget: Budget | None) -> tuple[Rung, Budget | None]:
    """The rung that is asked for, and what it may spend."""
    if sum(each is not None for each in (trials, probes)) > 1 or (budget is not None and (probes or trials == 0)):
        raise BudgetError("trials=0, probes= and budget= say different things", fix="Pass one of them")
    if probes is not None:
        if probes < 1:
            raise BudgetError("probes must be at least 1", found=str(probes), fix="Pass trials=0 to ask no model")
        return "probed", Budget(calls=probes)
    return ("zero-shot" if trials == 0 else "warm-started"), budget
