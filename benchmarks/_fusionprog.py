"""fusionprog's side of the measurements: its evaluation path alone, and a whole compile."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import fusionprog as fp
from _desk import SIGNATURES, Desk, correct, make_rows, node_demos
from fusionprog._internal import sync
from fusionprog._internal.heap import settled_heap
from fusionprog.evaluation.evaluator import Evaluator
from fusionprog.evaluation.metrics import as_metric
from fusionprog.evaluation.program import make_scorer
from fusionprog.lm.client import LMClient
from fusionprog.lm.resolve import resolve_models
from fusionprog.program.data import read_rows
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.store.store import Store

SLOTS = 32
DEMO_ROWS = make_rows(4, first=100_000)


def pinned_demos() -> dict[str, fp.DemoSet]:
    """Returns node → four demonstrations that are always shown."""
    return {
        node: fp.DemoSet(f"{node}-demos", node_demos(node, DEMO_ROWS), node=node, pinned=True) for node in SIGNATURES
    }


class Evaluation:
    """The compiler's evaluation path: the program with four demonstrations, as one trial measures it.

    Args:
        lm: The model.
        rows: What it is measured on.
        folder: Where the store's file is; ``None`` for a store in memory.
    """

    def __init__(self, lm: Any, rows: list[dict[str, str]], folder: str | None) -> None:
        graph, pinned = Desk().graph(), pinned_demos()
        task = fp.Task("desk", train=rows[:1], val=rows[:2], metric=correct)
        offered = {node: {item.id: item.demos} for node, item in pinned.items()}
        view = TaskView("desk", "desk", bind(graph, task), (), offered)
        self._scorer = make_scorer(view, as_metric(correct), resolve_models(lm, list(graph.nodes)))
        self._prompts = Renderer({item.id: item for item in pinned.values()}).prompts(Schedule(), view)
        self._rows = read_rows(rows, "rows")
        self._folder = folder

    def __call__(self) -> None:
        """Measures all rows once, with a new store and a heap as a compile has them."""
        with settled_heap(), tempfile.TemporaryDirectory(dir=self._folder) as folder:
            url = None if self._folder is None else str(Path(folder) / "store.db")
            with Store(url) as store:
                sync.run(self._run(store))

    async def _run(self, store: Store) -> None:
        evaluator = Evaluator(Executor(LMClient(store, SLOTS), NodeMemo()))
        await evaluator.outcomes(self._scorer, self._prompts, self._rows)


def compile_once(lm: Any, rows: list[dict[str, str]], calls: int, folder: str | None) -> None:
    """Runs a whole compile: the ready-made patterns, and four demonstrations that are always shown."""
    pool = fp.PromptPool.patterns() | fp.PromptPool(pinned_demos().values())
    task = fp.Task("desk", train=rows[:50], val=rows[50:], metric=correct)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        storage = None if folder is None else str(Path(own) / "store.db")
        budget = fp.Budget(calls=calls)
        fp.compile(Desk(), [task], pool=pool, lm=lm, budget=budget, concurrency=SLOTS, storage=storage, progress=False)
