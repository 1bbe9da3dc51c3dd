"""Measures what was learned in some tasks in others: the entries of a transfer matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog._internal.together import together
from fusionprog.evaluation.evaluator import Evaluator, Outcome
from fusionprog.evaluation.statistics import compare
from fusionprog.evaluation.variants import Variants
from fusionprog.lm.budget import Budget, Ledger
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import LanguageModel
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.runtime.record import Comparison
from fusionprog.runtime.render import Renderer
from fusionprog.search.events import Callback, Note, PhaseStarted, Spent, StepDone
from fusionprog.search.places import task_subject
from fusionprog.search.placing import coordinates_in
from fusionprog.search.transfer_matrix import TransferMatrix
from fusionprog.search.transfer_plan import SourceProgram, Target, TransferPlan

PHASE = "transfer"


async def measure_transfer(plan: TransferPlan, client: LMClient, callbacks: Sequence[Callback]) -> TransferMatrix:
    """Returns the matrix.

    Args:
        plan: What is measured.
        client: Makes and keeps the model calls.
        callbacks: Are told what happens.

    Raises:
        LMError: if a model gives no answer; what was answered is in the store.
        MetricError: if a metric fails.
    """
    return await _Measuring(plan, client, callbacks).matrix()


class _Measuring:
    def __init__(self, plan: TransferPlan, client: LMClient, callbacks: Sequence[Callback]) -> None:
        self._plan = plan
        self._client = client
        self._callbacks = callbacks
        self._executor = Executor(client, NodeMemo())
        self._ledger = Ledger(Budget())
        self._done = 0

    async def matrix(self) -> TransferMatrix:
        """Measures all of it at once."""
        programs = self._plan.programs
        for note in (*self._plan.notes, self._plan.cost):
            self._tell(Note(note))
        self._tell(PhaseStarted(PHASE, sum(len(program.targets) for program in programs)))
        places = [await self._places(program) for program in programs]
        columns = [
            [self._column(program, target, mine[name]) for name, target in program.targets.items()]
            for program, mine in zip(programs, places, strict=True)
        ]
        measured = await together(together(mine) for mine in columns)
        gains = {
            source: dict(zip(program.targets, (each[source] for each in mine), strict=True))
            for program, mine in zip(programs, measured, strict=True)
            for source in program.sources
        }
        return TransferMatrix(gains, self._ledger.calls, self._plan.notes)

    async def _places(self, program: SourceProgram) -> dict[str, tuple[float, ...]]:
        """Target → its place among the program's tasks; none where no source asks for it."""
        if None not in program.sources.values():
            return dict.fromkeys(program.targets, ())
        graph = program.compiled.graph
        subjects = {name: task_subject(graph, each.program, each.task) for name, each in program.targets.items()}
        places, calls = await coordinates_in(program.compiled.basis, program.embedder, subjects, self._client)
        self._ledger.charge(calls)
        return places

    async def _column(self, program: SourceProgram, target: Target, place: tuple[float, ...]) -> dict[str, Comparison]:
        """Source → its gain in one target."""
        compiled, name = program.compiled, target.task.name
        renderer = Renderer(program.items)

        async def scores(
            schedule: Schedule, known_as: str, embedding: tuple[float, ...], models: Mapping[str, LanguageModel]
        ) -> list[float]:
            scorer = target.scorer(known_as, embedding, models)
            scorer = Variants({known_as: scorer}).scorer(schedule, known_as)
            prompts = renderer.prompts(schedule, scorer.view, scorer.asking)
            # An evaluator knows what it measured by the task's name: sources may share one, and run on other models.
            outcomes = await Evaluator(self._executor).outcomes(scorer, prompts, target.rows)
            self._charge(outcomes)
            return [each.score for each in outcomes]

        work = [scores(Schedule(), name, place, program.written_for)]
        for task in program.sources.values():
            if task is None:
                work.append(scores(compiled.schedule, name, place, compiled.models_in(name)))
            else:
                embedding = compiled.tasks[task].view.embedding
                work.append(scores(compiled.schedule, task, embedding, compiled.models_in(task)))
        before, *after = await together(work)
        gains = {source: compare(before, mine) for source, mine in zip(program.sources, after, strict=True)}
        self._step(name, gains)
        return gains

    def _charge(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._ledger.charge(outcome.calls)

    def _step(self, target: str, gains: Mapping[str, Comparison]) -> None:
        self._done += 1
        ledger = self._ledger
        before = next(iter(gains.values())).before.mean
        spent = Spent(ledger.calls, ledger.kept, ledger.usd, ledger.budget, self._client.paid)
        best = max(each.after.mean for each in gains.values())
        self._tell(StepDone(PHASE, self._done, {target: before}, {target: best}, spent))

    def _tell(self, event: Note | PhaseStarted | StepDone) -> None:
        for callback in self._callbacks:
            callback(event)
