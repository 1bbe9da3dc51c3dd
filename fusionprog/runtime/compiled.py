"""The compiled program: what users call, look at and save."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fusionprog._internal import sync
from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import CallError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import LanguageModel, Message, recorded_identity
from fusionprog.program.data import Rows
from fusionprog.program.graph import ProgramGraph, Reference
from fusionprog.program.inputs import check_inputs
from fusionprog.program.signature import Prediction
from fusionprog.program.variants import chosen_graph, picks_that_matter
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import Item
from fusionprog.prompts.mixture import Mixture
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.batch import run_rows
from fusionprog.runtime.executor import Executor, Trace
from fusionprog.runtime.lineage import Lineage
from fusionprog.runtime.record import CompileRecord
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView, shown_inputs

if TYPE_CHECKING:
    from fusionprog.evaluation.results import EvaluationResult
    from fusionprog.program.task import Task
    from fusionprog.runtime.to_dspy import DSPyProgram
    from fusionprog.search.interference import Interference
    from fusionprog.store.store import Store


@dataclass(frozen=True, eq=False)
class CompiledTask:
    """One task of a compiled program.

    Attributes:
        view: The program as the task sees it, its embedding, and the contents that are used.
        description: The task's description.
        mixtures: Node → what the schedule makes of the pool here; in a loaded program, the open items alone.
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
        models: Node → the model that it runs on.
        models_as_written: Node → another model, on which it runs in tasks that are left as written.
        compiled_for: Node → identity of the model that it was compiled on; ``save`` keeps this one.
        written_for: Node → identity of the model in ``models_as_written`` that it was compiled on.
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
        models_as_written: Mapping[str, LanguageModel] | None = None,
        compiled_for: Mapping[str, Mapping[str, Any]] | None = None,
        written_for: Mapping[str, Mapping[str, Any]] | None = None,
        store: Store | None = None,
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
        written = models_as_written or {} if any(map(schedule.is_as_written, tasks)) else {}
        self.models_as_written = {node: model for node, model in written.items() if model is not models[node]}
        if compiled_for is None:
            compiled_for = {node: recorded_identity(model) for node, model in models.items()}
        if written_for is None:
            written_for = {node: recorded_identity(model) for node, model in self.models_as_written.items()}
        self.compiled_for = dict(compiled_for)
        self.written_for = dict(written_for)
        self._renderer = Renderer(self.items)
        self._prompts: dict[str, dict[str, RenderedPrompt]] = {}
        self._variants: dict[str, TaskView] = {}
        self._executor = Executor(LMClient(store, concurrency))

    def __call__(self, /, *task: str, **inputs: Any) -> Prediction:
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

    async def acall(self, /, *task: str, **inputs: Any) -> Prediction:
        """Runs the program for one task, asynchronously; see ``__call__``."""
        return await sync.arun(self._predict(self._task(task), inputs))

    def batch(
        self, *task: str, rows: Sequence[Mapping[str, Any]], storage: str | os.PathLike[str] | None = None
    ) -> list[Prediction | Exception]:
        """Runs the program on many rows at once.

        Args:
            task: The task's name; may be left out where there is only one.
            rows: The program's inputs, row by row; other columns are ignored.
            storage: Where models' answers are kept and looked up, as of ``compile``; nowhere, if not given.

        Returns:
            A prediction per row, in their order; an exception in its place where the row failed.
        """
        return run_rows(self, self._task(task).view.name, rows, storage)

    def prompt(self, /, *task: str, node: str, **inputs: Any) -> tuple[Message, ...]:
        """Returns the exact messages that a node sends.

        Args:
            task: The task's name; may be left out where there is only one.
            node: The node.
            inputs: The node's inputs; those left out are shown as ``{name}``.

        Raises:
            CallError: if the task or node is unknown, or an input is unknown or of the wrong type.
        """
        prompt = self.rendered(self._task(task).view.name, node)
        return prompt.messages(shown_inputs(prompt, inputs))

    def rendered(self, task: str, node: str) -> RenderedPrompt:
        """Returns a node's prompt in a task, as the runtime has it.

        Raises:
            CallError: if there is no such task, or no such node that asks a model.
        """
        chosen = self._task((task,))
        prompts = self._prompts_of(chosen)
        if node in prompts:
            return prompts[node]
        if node in chosen.mixtures:
            raise CallError(f"node {node!r} is switched off", fix=f"Those that ask are {', '.join(prompts) or 'none'}")
        raise CallError(f"there is no node {node!r} that asks a model", fix=did_you_mean(str(node), prompts))

    def asking(self, task: str) -> tuple[str, ...]:
        """Returns the nodes that ask a model in a task: not those that are switched off.

        Raises:
            CallError: if there is no such task.
        """
        return tuple(self._prompts_of(self._task((task,))))

    def evaluate(
        self, *task: str, data: Rows, metric: Any = None, storage: str | os.PathLike[str] | None = None
    ) -> EvaluationResult:
        """Scores the program on rows of one task.

        Args:
            task: The task's name; may be left out where there is only one.
            data: Rows, or the path of a ``.jsonl`` or ``.csv`` file.
            metric: A metric; the task's own, if not given.
            storage: Where models' answers are kept and looked up, as of ``compile``; nowhere, if not given.
        """
        from fusionprog.evaluation.program import evaluate_program  # the façade delegates upward

        return evaluate_program(self, self._task(task).view.name, data, metric, storage)

    def to_dspy(self, *task: str, metric: Any = None) -> DSPyProgram:
        """Returns one task as a ``dspy.Module``, which ``dspy.Evaluate`` scores as ``evaluate`` does.

        Args:
            task: The task's name; may be left out where there is only one.
            metric: What it will be scored by; the task's own, if not given. It says whose unreadable answers are errors
                and score 0; where it is not known, those of all outputs.
        """
        from fusionprog.evaluation.program import fields_scored  # the façade delegates upward
        from fusionprog.runtime.to_dspy import DSPyProgram

        name = self._task(task).view.name
        return DSPyProgram(self, name, fields_scored(self, name, metric))

    async def trace(
        self, task: str, inputs: Mapping[str, Any], wanted: Iterable[Reference], after: Trace | None = None
    ) -> Trace:
        """Runs what one task needs for ``wanted`` and returns what was computed; see ``Executor.run``.

        Args:
            task: The task's name.
            inputs: The program's inputs.
            wanted: What the run is for.
            after: The trace of a run on the same inputs that wanted less, from where this one goes on.

        Raises:
            CallError: if the task is unknown, or an input is missing, unknown or of the wrong type.
            LMError: if a model gives no answer; an answer that cannot be read is in the trace.
        """
        chosen = self._task((task,))
        program, models = self.variant(task).program, self.models_in(task)
        prompts, checked, wanted = self._prompts_of(chosen), check_inputs(program.graph, inputs), tuple(wanted)
        nodes = program.graph.needed(wanted)
        return await self._executor.run(program, prompts, models, checked, nodes, wanted, after)

    def interference(self) -> Interference:
        """Returns which items help and hurt which of its tasks, and how alike the tasks are in that.

        Raises:
            CallError: if nothing is recorded of what the search learned.
        """
        from fusionprog.search.interference import interference  # the façade delegates upward

        learned = self.record.learned
        effects = {} if learned is None else {task: learned.effects.get(task, {}) for task in self.tasks}
        if not any(effects.values()):
            raise CallError("nothing was learned about items", fix="Compile with a pool and enough calls for a search")
        return interference(effects)

    def adapt(self, tasks: Task | Sequence[Task], **how: Any) -> CompiledProgram:
        """Returns the program with more tasks, or on another model or code; see ``fusionprog.optimizers.adapt``.

        Args:
            tasks: The new tasks: one or a list.
            how: ``trials=0`` asks no model; ``probes=`` a few calls; ``trials=`` or ``budget=`` a search.
        """
        from fusionprog.optimizers.adapt import adapt  # the façade delegates upward

        return adapt(self, tasks, **how)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the program as one JSON file, whole or not at all; ``fusionprog.load`` reads it.

        Raises:
            ProgramError: if a type or a value of the program's graph cannot be kept in JSON.
            ArtifactError: if something else in it cannot, or the file cannot be written.
        """
        from fusionprog.artifacts.file import save_program  # the façade delegates upward

        save_program(self, path)

    @cached_property
    def content_hash(self) -> str:
        """The hash of its artifact's content, by which a lineage or a registry knows it; saved or not.

        Raises:
            ProgramError: as ``save``.
            ArtifactError: as ``save``.
        """
        from fusionprog.artifacts.file import hash_of  # the façade delegates upward

        return hash_of(self)

    def with_parts(self, **parts: Any) -> CompiledProgram:
        """Returns the same program with other parts, which are named as the constructor has them."""
        kept = {
            "graph": self.graph,
            "items": self.items,
            "schedule": self.schedule,
            "tasks": self.tasks,
            "embedder": self.embedder,
            "basis": self.basis,
            "record": self.record,
            "models": self.models,
            "models_as_written": self.models_as_written,
            "compiled_for": self.compiled_for,
            "written_for": self.written_for,
        }
        return CompiledProgram(**{**kept, **parts})

    def with_record(self, record: CompileRecord) -> CompiledProgram:
        """Returns the same program with another record."""
        made = self._copy(self.tasks, self.models, self.models_as_written)
        made.record = record
        return made

    def with_lineage(self, lineage: Lineage) -> CompiledProgram:
        """Returns the same program with another record of what it was made from."""
        return self.with_record(replace(self.record, lineage=lineage))

    def __getitem__(self, task: str) -> CompiledProgram:
        """Returns the program of one task alone; a call need not name it."""
        chosen = self._task((task,))
        made = self._copy({chosen.view.name: chosen}, self.models, self.models_as_written)
        made.schedule = self.schedule.within(made.tasks)
        return made

    def with_models(self, models: Mapping[str, LanguageModel]) -> CompiledProgram:
        """Returns the same program on other models.

        Args:
            models: Node → model, in all tasks; nodes that are left out keep theirs.

        Raises:
            CallError: if a node is unknown or asks no model.
        """
        for node in models:
            if node not in self.models:
                raise CallError(
                    f"there is no node {node!r} that asks a model", fix=did_you_mean(str(node), self.models)
                )
        written = {node: model for node, model in self.models_as_written.items() if node not in models}
        return self._copy(self.tasks, {**self.models, **models}, written)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledProgram:
        return self  # it never changes

    def __reduce__(self) -> tuple[Any, ...]:
        from fusionprog.artifacts.file import pickled  # the façade delegates upward

        return pickled(self)

    def __repr__(self) -> str:
        return f"CompiledProgram({self.graph.name!r}, tasks={list(self.tasks)})"

    def variant(self, task: str) -> TaskView:
        """Returns a task with what the schedule picks in it: the modules that run, and the constants they are given.

        Raises:
            CallError: if there is no such task.
        """
        view = self._task((task,)).view
        if task not in self._variants:
            picks = picks_that_matter(view.program.graph, self.schedule.picks(task))
            self._variants[task] = view.on(chosen_graph(view.program.graph, picks))
        return self._variants[task]

    def models_in(self, task: str) -> dict[str, LanguageModel]:
        """Returns node → the model that it runs on in a task."""
        return {**self.models, **self.models_as_written} if self.schedule.is_as_written(task) else self.models

    def _copy(
        self,
        tasks: Mapping[str, CompiledTask],
        models: Mapping[str, LanguageModel],
        models_as_written: Mapping[str, LanguageModel] | None = None,
    ) -> CompiledProgram:
        made = self.with_parts(tasks=tasks, models=models, models_as_written=models_as_written)
        made._prompts, made._executor, made._variants = self._prompts, self._executor, self._variants
        return made

    def _prompts_of(self, task: CompiledTask) -> dict[str, RenderedPrompt]:
        name = task.view.name
        if name not in self._prompts:
            view = self.variant(name)
            self._prompts[name] = {
                node: self._renderer.from_mixture(self.schedule, view, node, mixture)
                for node, mixture in task.mixtures.items()
                if view.program.prompted(node) is not None
            }
        return self._prompts[name]

    async def _predict(self, task: CompiledTask, inputs: Mapping[str, Any]) -> Prediction:
        program = task.view.program
        trace = await self.trace(task.view.name, inputs, program.outputs.values())
        if trace.error is not None:
            raise trace.error
        return trace.prediction(program.outputs)

    def _task(self, name: Sequence[Any]) -> CompiledTask:
        if len(name) == 1 and isinstance(name[0], str) and name[0] in self.tasks:
            return self.tasks[name[0]]
        if not name and len(self.tasks) == 1:
            return next(iter(self.tasks.values()))
        if not name:
            raise CallError(f"{self.graph.name} has several tasks, and none is named", fix=did_you_mean("", self.tasks))
        by_name = "Inputs are passed by name"
        if len(name) > 1:
            raise CallError("a call names one task", found=", ".join(repr(each)[:80] for each in name), fix=by_name)
        fix = f"{did_you_mean(str(name[0])[:80], self.tasks)}. {by_name}"
        raise CallError(f"{repr(name[0])[:80]} is no task of {self.graph.name}", fix=fix)
