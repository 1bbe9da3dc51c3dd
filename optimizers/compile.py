"""``compile``: the front door."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

from fusionprog._internal import sync
from fusionprog._internal.canonical import digest
from fusionprog._internal.heap import settled_heap
from fusionprog.artifacts.file import load
from fusionprog.artifacts.program_codec import encode_program
from fusionprog.errors import LMError
from fusionprog.lm.budget import Budget
from fusionprog.lm.client import LMClient
from fusionprog.lm.limits import LimitsSpec, limits_of
from fusionprog.lm.resolve import LMSpec
from fusionprog.optimizers.fusion import Fusion
from fusionprog.optimizers.registry import USUAL_OBJECTIVE, USUAL_SAMPLER, Optimizer, optimizer_of
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.program import Program
from fusionprog.program.task import Task
from fusionprog.prompts.embedders import EmbedderSpec, check_embedder
from fusionprog.prompts.pool import PromptPool
from fusionprog.prompts.schedule import FORMATS, Format
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Lineage
from fusionprog.search.display import Display
from fusionprog.search.events import Callback, Note, Planned
from fusionprog.search.kept_study import KeptStudy
from fusionprog.search.objective import Objective
from fusionprog.search.preflight import Job, preflight
from fusionprog.search.provenance import study_parts
from fusionprog.store.store import Store

Prior: TypeAlias = CompiledProgram | str | os.PathLike[str]


def compile(
    program: Program | ProgramGraph,
    tasks: Sequence[Task],
    *,
    pool: PromptPool | None = None,
    lm: LMSpec = None,
    objective: str | Objective = USUAL_OBJECTIVE,
    optimizer: str | Optimizer = "fusion",
    sampler: str = USUAL_SAMPLER,
    trials: int | None = None,
    budget: Budget | None = None,
    concurrency: int = 16,
    limits: LimitsSpec = None,
    freeze: str | Sequence[str] = (),
    formats: Sequence[Format] = FORMATS,
    embedder: EmbedderSpec = None,
    prior: Prior | Sequence[Prior] = (),
    storage: str | None = None,
    fresh: bool = False,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> CompiledProgram:
    """Compiles a program: searches how every node should mix the pool for every task.

    Everything is checked before a model is asked anything. The same call again continues: with a ``storage``,
    finished calls are not made twice, and the same seed, data and answers give the same program.

    Args:
        program: The program.
        tasks: What it must serve; each with its data and metric.
        pool: The fragments and families on offer; ready-made patterns and default families, if not given.
        lm: A LiteLLM name, a ``dspy.LM``, a mapping node → either, or ``"offline"``. If not given: the environment's
            ``FUSIONPROG_LM``, then ``dspy.settings.lm``, else an error. Never silently offline. A list or a
            ``fusionprog.Choice`` in the place of a model lets the search choose; the first is the one as written.
        objective: What is to be reached over the tasks: ``"mean"``, ``"worst"``, another scheme of task weights, or
            a ``fusionprog.Objective`` with constraints or a trade-off.
        optimizer: Name of the optimizer, or ``fusionprog.optimizers.Fusion(...)`` with a sampler and an objective of
            its own, and how it screens, races, narrows and stops.
        sampler: Name of the search's sampler: ``"effects"``, ``"tpe"``, ``"nsga2"`` or ``"random"``.
        trials: Trials of the search; if not given, as many as the budget pays for; without one, as many
            as the calls of 64 trials of 8 rows make.
        budget: What may be spent; the test report is outside of it.
        concurrency: Model calls in flight at most; changes nothing but the time.
        limits: Requests and tokens per minute, timeout and retries: ``fusionprog.Limits``, or a mapping model → those.
        freeze: A name, or several, of nodes and items that are left alone; such a node keeps its first options.
        formats: How prompts may be written: ``"chat"``, ``"json"`` and ``"xml"``; programs as written are in chat.
        embedder: How tasks are told apart: ``"hashed_ngrams"``, ``"functional"``, ``"litellm/MODEL"``,
            ``"sentence-transformers/PACKAGE"``, or an embedder; hashed n-grams, if not given.
        prior: A compiled program or artifact whose knowledge the search starts from, or several, matched by item id;
            what does not hold here is dropped. They become its parents.
        storage: Where measurements are kept: a file name or a SQLAlchemy URL; only this process, if not given. The
            same call on several machines with one PostgreSQL URL is one search that they share.
        fresh: Asks every model again instead of using kept answers.
        seed: Decides splits and draws.
        callbacks: Are told what happens (``fusionprog.search.events``).
        progress: Shows progress on stderr; if not given, where stderr is a terminal.

    Returns:
        The compiled program; the one as written if nothing beat it.

    Raises:
        FusionProgError: naming what is wrong and the remedy; before any call where that is possible.
    """
    chosen = optimizer_of(optimizer, sampler=sampler, objective=objective)
    job = preflight(
        program,
        tasks,
        pool=pool,
        lm=lm,
        budget=budget,
        trials=trials,
        freeze=freeze,
        seed=seed,
        objective=chosen.objective,
        parts=chosen.parts,
        formats=formats,
        embedder=embedder,
    )
    several = (prior,) if isinstance(prior, (CompiledProgram, str, os.PathLike)) else prior
    known = [each if isinstance(each, CompiledProgram) else load(each) for each in several]
    return run_stored(
        job,
        chosen,
        storage=storage,
        concurrency=concurrency,
        limits=limits,
        prior=known,
        callbacks=callbacks,
        progress=progress,
        fresh=fresh,
    )


def run_stored(
    job: Job,
    optimizer: Optimizer,
    *,
    storage: str | None,
    callbacks: Sequence[Callback],
    progress: bool | None,
    **how: Any,
) -> CompiledProgram:
    """Runs what passed preflight on a store that it opens, and shows progress; the rest is as ``run_job`` has it."""
    for callback in callbacks:
        callback(Planned(job))
    with ExitStack() as stack:
        store = stack.enter_context(Store(storage))
        shown = list(callbacks)
        if progress or (progress is None and sys.stderr.isatty()):
            shown.append(stack.enter_context(Display()))
        return run_job(job, optimizer, store, callbacks=shown, **how)


def run_job(
    job: Job,
    optimizer: Optimizer,
    store: Store,
    *,
    concurrency: int,
    limits: LimitsSpec,
    prior: Sequence[CompiledProgram],
    callbacks: Sequence[Callback],
    fresh: bool = False,
) -> CompiledProgram:
    """Runs what passed preflight, and keeps its study beside its measurements."""
    for program in prior:
        check_embedder(program.embedder, job.embedder)
    named = limits_of(limits, {model.name for model in job.asked})
    client = LMClient(store, concurrency, limits=named, fresh=fresh, needs_all=True)
    parts = study_parts(job, {**optimizer.arguments(), "prior": [digest(encode_program(program)) for program in prior]})
    with settled_heap(), KeptStudy(store, parts) as kept:
        for callback in callbacks:
            callback(Note(kept.standing))
        work = optimizer.compile(job, client, callbacks, prior, kept)
        compiled = sync.run(work, interrupted=lambda: client.stop(LMError("interrupted")))
    if kept.trouble:
        for callback in callbacks:
            callback(Note(kept.trouble))
        if not callbacks:  # nobody else would say it
            warnings.warn(kept.trouble, stacklevel=2)
    return compiled.with_lineage(Lineage.of("compile", [(each, "prior") for each in prior])) if prior else compiled


__all__ = ["Fusion", "compile", "run_job"]
