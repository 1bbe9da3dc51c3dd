"""A search for tasks that starts from a compiled program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusionprog.errors import LMConfigurationError
from fusionprog.lm.budget import Budget
from fusionprog.lm.limits import LimitsSpec
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.resolve import UnboundModel
from fusionprog.optimizers.compile import run_stored
from fusionprog.optimizers.fusion import Fusion
from fusionprog.program.task import Task
from fusionprog.prompts.embedders import Embedder
from fusionprog.prompts.items import Item
from fusionprog.prompts.pool import PromptPool
from fusionprog.prompts.schedule import Format
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.search.events import Callback
from fusionprog.search.objective import Objective, objective_of
from fusionprog.search.preflight import preflight
from fusionprog.search.start import Start
from fusionprog.search.zero_shot import check_training_rows


@dataclass(frozen=True)
class How:
    """What a search has of its own, as ``adapt`` takes it.

    Attributes:
        items: The pool, by item id.
        embedder: Makes the tasks' vectors.
        objective: What is to be reached over the tasks.
        freeze: Names of nodes and items that are left alone.
        formats: How prompts may be written.
        trials: Trials at most.
        budget: What may be spent.
        seed: Decides splits and draws.
        storage: Where measurements are kept.
        concurrency: Model calls in flight at most.
        limits: How models may be asked.
        fresh: Whether kept answers are asked for again.
        callbacks: Are told what happens.
        progress: Whether progress is shown.
    """

    items: Mapping[str, Item]
    embedder: Embedder
    objective: str | Objective
    freeze: Sequence[str]
    formats: Sequence[Format]
    trials: int | None
    budget: Budget | None
    seed: int
    storage: str | None
    concurrency: int
    limits: LimitsSpec
    fresh: bool
    callbacks: Sequence[Callback]
    progress: bool | None


def search_from(
    start: Start, tasks: Sequence[Task], how: How, *, models: Mapping[str, LanguageModel]
) -> CompiledProgram:
    """Returns what a search for tasks finds; at nodes that are held it looks for nothing.

    Args:
        start: What there is already.
        tasks: The tasks.
        how: How it is run.
        models: Node → model.

    Raises:
        LMConfigurationError: if a model cannot be asked.
        FusionProgError: as ``compile``.
    """
    for node, model in models.items():
        if isinstance(model, UnboundModel):
            raise LMConfigurationError(
                f"node {node!r} has no model that can be asked: {model.name!r} cannot be made from its name",
                fix="Load the program with lm=your_lm",
            )
    for task in tasks:
        check_training_rows(task, how.items)
    job = preflight(
        (start.incumbent or start.program).graph,
        tasks,
        pool=PromptPool(list(how.items.values())),
        lm=models,
        budget=how.budget,
        trials=how.trials,
        freeze=(*start.held, *how.freeze),
        formats=how.formats,
        objective=objective_of(how.objective),
        seed=how.seed,
        embedder=how.embedder,
        start=start,
    )
    return run_stored(
        job,
        Fusion(objective=how.objective),
        storage=how.storage,
        concurrency=how.concurrency,
        limits=how.limits,
        prior=[start.program],
        callbacks=how.callbacks,
        progress=how.progress,
        fresh=how.fresh,
    )
