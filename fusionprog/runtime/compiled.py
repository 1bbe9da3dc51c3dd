"""The compiled program: what users call, look at and save."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fusionprog._internal import sync
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import CallError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import LanguageModel, Message
from fusionprog.program.data import Rows
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.inputs import check_inputs
from fusionprog.program.signature import Prediction
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import Item
from fusionprog.prompts.mixture import Mixture
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, Trace
from fusionprog.runtime.record import CompileRecord
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView

if TYPE_CHECKING:
    from fusionprog.evaluation.results import EvaluationResult


@dataclass(frozen=True, eq=False)
class CompiledTask:
    """One task of a compiled program.

    Attributes:
        view: The program as the task sees it, its embedding, and the contents that are used.
        description: The task's description.
        mixtures: Node → what the schedule makes of the pool here.
        metric: How it is scored: a ``fusionprog.Metric``; ``None`` in a loaded program, whose record describes it.
    """

    view: TaskView
    description: str
    mixtures: Mapping[str, Mixture]
    metric: Any = None


class CompiledProgram:
    """A program with its prompts: call it, evaluate it, look into it, save it.

    ``fusionprog.compile`` and ``fusionprog.load`` make one; it never changes.

    Attributes:
        graph: The program's graph.
        items: The pool, by item id.
        schedule: What was learned.
        tasks: Task → its part.
        embedder: Identity of the task embedder.
        basis: The basis that task embeddings are seen in.
        record: What the compile recorded.
        models: Node → model.
    """

    def __init__(
        self,
        *,
        graph: ProgramGraph,
        items: Mapping[str, Item],
        schedule: Schedule,
        tasks: Mapping[str, CompiledTask],
        embedder: Mapping[str, Any],
        basis: Basis,
        record: CompileRecord,
        models: Mapping[str, LanguageModel],
        concurrency: int = 16,
    ) -> None:
        self.graph = graph
        self.items = dict(items)
        self.schedule = schedule
        self.tasks = dict(tasks)
        self.embedder = dict(embedder)
        self.basis = basis
        self.record = record
        self.models = dict(models)
        self._concurrency = concurrency

    def __call__(self, *task: str, **inputs: Any) -> Prediction:
        """Runs the program for one task.

        Args:
            task: The task's name; may be left out where there is only one.
            inputs: The program's inputs.

        Returns:
            The outputs as attributes; every field that was computed as ``prediction["node.field"]``.

        Raises:
            CallError: if the task is unknown, or an input is missing, unknown or of the wrong type.
            LMError: if a model gives no answer; ``LMOutputError`` if the answer cannot be read.
        """
        return sync.run(self._predict(self._task(task), inputs))

    async def acall(self, *task: str, **inputs: Any) -> Prediction:
        """Runs the program for one task, asynchronously; see ``__call__``."""
        return await sync.arun(self._predict(self._task(task), inputs))

    def batch(self, *task: str, rows: Sequence[Mapping[str, Any]]) -> list[Prediction | Exception]:
        """Runs the program on many rows at once.

        Args:
            task: The task's name; may be left out where there is only one.
            rows: The program's inputs, row by row; other columns are ignored.

        Returns:
            A prediction per row, in their order; an exception in its place where the row failed.
        """
        chosen = self._task(task)
        names = set(self.graph.inputs)

        async def all_rows() -> list[Prediction | Exception]:
            work = (self._predict(chosen, {key: row[key] for key in row if key in names}) for row in rows)
            results = await asyncio.gather(*work, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException) and not isinstance(result, Exception):
                    raise result
            return [result for result in results if not isinstance(result, BaseException) or isinstance(result, Exception)]

        return sync.run(all_rows())

    def prompt(self, *task: str, node: str, **inputs: Any) -> tuple[Message, ...]:
        """Returns the exact messages that a node sends.

        Args:
            task: The task's name; may be left out where there is only one.
            node: The node.
            inputs: The node's inputs; those left out are shown as ``{name}``.
        """
        prompt = self.rendered(self._task(task).view.name, node)
        return prompt.messages(self._shown_inputs(prompt, inputs))

    def rendered(self, task: str, node: str) -> RenderedPrompt:
        """Returns a node's prompt in a task, as the runtime has it."""
        prompts = self._prompts[self._task((task,)).view.name]
        if node not in prompts:
            raise CallError(f"there is no node {node!r} that asks a model", fix=did_you_mean(node, prompts))
        return prompts[node]

    def evaluate(self, *task: str, data: Rows, metric: Any = None) -> EvaluationResult:
        """Scores the program on rows of one task.

        Args:
            task: The task's name; may be left out where there is only one.
            data: Rows, or the path of a ``.jsonl`` or ``.csv`` file.
            metric: A metric; the task's own, if not given.
        """
        from fusionprog.evaluation.program import evaluate_program  # the façade delegates upward

        return evaluate_program(self, self._task(task).view.name, data, metric)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the program as one JSON file, whole or not at all; ``fusionprog.load`` reads it.

        Raises:
            ArtifactError: if something in it cannot be kept in JSON.
        """
        from fusionprog.artifacts.file import save_program  # the façade delegates upward

        save_program(self, path)

    def __getitem__(self, task: str) -> CompiledProgram:
        """Returns the program of one task alone; a call need not name it."""
        chosen = self._task((task,))
        return self._copy({chosen.view.name: chosen}, self.models)

    def with_models(self, models: Mapping[str, LanguageModel]) -> CompiledProgram:
        """Returns the same program on other models."""
        return self._copy(self.tasks, models)

    def _copy(self, tasks: Mapping[str, CompiledTask], models: Mapping[str, LanguageModel]) -> CompiledProgram:
        return CompiledProgram(
            graph=self.graph,
            items=self.items,
            schedule=self.schedule,
            tasks=tasks,
            embedder=self.embedder,
            basis=self.basis,
            record=self.record,
            models=models,
            concurrency=self._concurrency,
        )

    def __repr__(self) -> str:
        return f"CompiledProgram({self.graph.name!r}, tasks={list(self.tasks)})"

    @cached_property
    def _prompts(self) -> dict[str, dict[str, RenderedPrompt]]:
        renderer = Renderer(self.items)
        return {
            name: {
                node: renderer.from_mixture(self.schedule, task.view, node, mixture)
                for node, mixture in task.mixtures.items()
            }
            for name, task in self.tasks.items()
        }

    @cached_property
    def _executor(self) -> Executor:
        return Executor(LMClient(None, self._concurrency))

    async def _predict(self, task: CompiledTask, inputs: Mapping[str, Any]) -> Prediction:
        program = task.view.program
        checked = check_inputs(program.graph, inputs)
        nodes = program.graph.needed(program.outputs.values())
        prompts = self._prompts[task.view.name]
        trace: Trace = await self._executor.run(program, prompts, self.models, checked, nodes)
        if trace.error is not None:
            raise trace.error
        return trace.prediction(program.outputs)

    def _task(self, name: Sequence[str]) -> CompiledTask:
        if not name and len(self.tasks) == 1:
            return next(iter(self.tasks.values()))
        if len(name) != 1 or name[0] not in self.tasks:
            wanted = repr(name[0]) if name else "no task"
            raise CallError(f"{wanted} is no task of {self.graph.name}", fix=did_you_mean(str(*name[:1]), self.tasks))
        return self.tasks[name[0]]

    def _shown_inputs(self, prompt: RenderedPrompt, inputs: Mapping[str, Any]) -> dict[str, Any]:
        for name in inputs:
            if name not in prompt.signature.input_fields:
                raise CallError(
                    f"the node has no input {name!r}", fix=did_you_mean(name, prompt.signature.input_fields)
                )
        return {name: inputs.get(name, f"{{{name}}}") for name in prompt.signature.input_fields}
