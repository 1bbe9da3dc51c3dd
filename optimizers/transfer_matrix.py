"""``transfer_matrix``: what was learned in some tasks, tried in others."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fusionprog._internal import sync
from fusionprog.artifacts.file import load
from fusionprog.errors import LMError
from fusionprog.lm.client import LMClient
from fusionprog.lm.limits import LimitsSpec, limits_of
from fusionprog.lm.resolve import LMSpec, resolve_models
from fusionprog.program.task import Task
from fusionprog.prompts.embedders import EmbedderSpec
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.search.display import Display
from fusionprog.search.events import Callback
from fusionprog.search.transfer import measure_transfer
from fusionprog.search.transfer_matrix import TransferMatrix
from fusionprog.search.transfer_plan import TransferPlan, plan_transfer
from fusionprog.store.store import Store

SourceSpec = CompiledProgram | str | os.PathLike[str]


def transfer_matrix(
    sources: SourceSpec | Sequence[SourceSpec],
    tasks: Task | Sequence[Task],
    *,
    rows: int | None = None,
    lm: LMSpec = None,
    embedder: EmbedderSpec = None,
    concurrency: int = 16,
    limits: LimitsSpec = None,
    storage: str | None = None,
    fresh: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> TransferMatrix:
    """Measures what the tasks of compiled programs do for other tasks, and where they hurt.

    Everything is checked before a model is asked anything. Every entry is zero-shot: a target task with its own texts,
    under what one source task learned, or all tasks of a program together, as ``adapt(trials=0)`` adds it; against the
    program as written, on the same rows.

    Args:
        sources: Compiled programs, or artifacts as ``load`` takes them, of one program in the user's code.
        tasks: The targets, with val.
        rows: How many rows of a target's val are measured, drawn by their hashes, so always the same ones; all of them
            up to 100, if not given.
        lm: Another model to run on, in any form that ``compile`` takes.
        embedder: What the sources were compiled with, where it cannot be made from what they say of it.
        concurrency: Model calls in flight at most; changes nothing but the time.
        limits: Requests and tokens per minute, timeout and retries, as ``compile`` takes them.
        storage: Where measurements are kept, as ``compile`` takes it.
        fresh: Asks every model again instead of using kept answers.
        callbacks: Are told what happens (``fusionprog.search.events``): first what it will cost.
        progress: Shows progress on stderr; if not given, where stderr is a terminal.

    Returns:
        The matrix: ``print`` shows it, ``alarms`` lists the sources that hurt.

    Raises:
        FusionProgError: naming what is wrong and the remedy; before any call where that is possible.
    """
    given = [sources] if isinstance(sources, (CompiledProgram, str, os.PathLike)) else list(sources)
    targets = [tasks] if isinstance(tasks, Task) else tasks
    programs = [each if isinstance(each, CompiledProgram) else load(each) for each in given]
    if lm is not None:
        programs = [each.with_models(resolve_models(lm, list(each.models))) for each in programs]
    named = dict(zip(names_of(given), programs, strict=True))
    plan = plan_transfer(named, targets, rows=rows, embedder=embedder)
    with ExitStack() as stack:
        store = stack.enter_context(Store(storage))
        shown = list(callbacks)
        if progress or (progress is None and sys.stderr.isatty()):
            shown.append(stack.enter_context(Display()))
        return run_plan(plan, store, concurrency=concurrency, limits=limits, fresh=fresh, callbacks=shown)


def run_plan(
    plan: TransferPlan,
    store: Store,
    *,
    concurrency: int,
    limits: LimitsSpec,
    fresh: bool,
    callbacks: Sequence[Callback],
) -> TransferMatrix:
    """Measures what was planned."""
    named = limits_of(limits, {model.name for model in plan.asked})
    client = LMClient(store, concurrency, limits=named, fresh=fresh, needs_all=True)
    work = measure_transfer(plan, client, callbacks)
    return sync.run(work, interrupted=lambda: client.stop(LMError("interrupted")))


def names_of(sources: Sequence[SourceSpec]) -> list[str]:
    """Returns what sources are called: by their file, or by their program; with a number where several are alike."""
    names = [each.graph.name if isinstance(each, CompiledProgram) else Path(each).stem for each in sources]
    return [
        name if names.count(name) == 1 else f"{name} {names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]
