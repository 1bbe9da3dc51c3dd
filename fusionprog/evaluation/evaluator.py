"""Scores prompts on rows: one outcome per example, each measured once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fusionprog._internal.single_flight import Memo
from fusionprog._internal.together import together
from fusionprog.errors import LMUnavailableError, MetricError
from fusionprog.evaluation.metric_calls import MetricCalls
from fusionprog.evaluation.metrics import Metric
from fusionprog.evaluation.worth import WORTH_OF_DOLLAR
from fusionprog.lm.model import Completion, LanguageModel, price_of
from fusionprog.program.data import Row
from fusionprog.program.demand import largest_runs, sure_nodes
from fusionprog.program.graph import Reference
from fusionprog.program.types import typed
from fusionprog.runtime.executor import Executor, Trace
from fusionprog.runtime.render import RenderedPrompt, TaskView

_ROUNDS = 3  # times that rows are tried which a model that cannot answer now left unmeasured
_REMEMBERED = 20_000  # outcomes; older ones are made again from stored answers


@dataclass(frozen=True)
class Outcome:
    """What one example came to.

    Attributes:
        example: The row's id.
        score: The metric's score; 0 where an answer was no good.
        status: ``"ok"``, or what was wrong with an answer: ``"unreadable"`` (not in the form that was asked for),
            ``"truncated"`` (it reached ``max_tokens``), ``"refused"`` (by a content filter), ``"too_long"`` (the prompt
            does not fit the context window). A model that cannot be reached leaves no outcome at all.
        error: What was wrong, in words.
        calls: Call key → answer, for every model call that was used.
        tokens: Tokens of the program's own calls.
        usd: Their dollars; ``None`` where a price is unknown.
        must_gain: Score that its dollars must bring, where the search chooses among models; else 0.
        written: Those of the tokens that are the models' answers.
        ran: The nodes that ran; ``None`` where nothing in the program is guarded, so that all did.
    """

    example: str
    score: float
    status: str = "ok"
    error: str = ""
    calls: Mapping[bytes, Completion] = field(default_factory=dict)
    tokens: int = 0
    usd: float | None = None
    must_gain: float = 0.0
    written: int = 0
    ran: frozenset[str] | None = None

    @property
    def value(self) -> float:
        """The score, less what its dollars must bring."""
        return self.score - self.must_gain


@dataclass(frozen=True, eq=False)
class TaskScorer:
    """How one task is scored.

    Attributes:
        view: The task's program, and what is on offer in it.
        metric: Its metric.
        wanted: What the metric reads.
        nodes: The nodes that may run for it, in order; only these do.
        models: Node → model.
        judges: Metric that asks models or is a program (the metric itself or a part of it) → the models that it asks,
            by node where it is a program.
        offered: Node → option → model, where several are on offer for it.
        picks: What is picked at the nodes and is not as written: node, choice and option.
    """

    view: TaskView
    metric: Metric
    wanted: tuple[Reference, ...]
    nodes: tuple[str, ...]
    models: Mapping[str, LanguageModel]
    judges: Mapping[Metric, Mapping[str, LanguageModel]] = field(default_factory=dict)
    offered: Mapping[str, Mapping[str, LanguageModel]] = field(default_factory=dict)
    picks: tuple[tuple[str, str, str], ...] = ()

    @cached_property
    def asking(self) -> tuple[str, ...]:
        """The nodes among ``nodes`` that ask a model; in a program with something to choose, those that may."""
        return tuple(node for node in self.nodes if self.view.program.prompted(node) is not None)

    @cached_property
    def outputs(self) -> Mapping[str, Reference]:
        """What the metric is shown: the outputs of the program, and those that the task names."""
        return {**self.view.program.graph.outputs, **self.view.program.outputs}

    @cached_property
    def runs(self) -> tuple[tuple[str, ...], ...]:
        """The sets of nodes that one example may run together at most: one, where nothing is guarded."""
        return largest_runs(self.view.program.graph, self.wanted)

    @cached_property
    def uncertain(self) -> frozenset[str]:
        """The nodes that run for some examples and not for others."""
        if not self.view.program.graph.guarded:
            return frozenset()
        return frozenset(self.nodes) - sure_nodes(self.view.program.graph, self.wanted)

    @cached_property
    def asked(self) -> tuple[LanguageModel, ...]:
        """The models that one example may ask: those of the nodes, and the metric's own."""
        models = [each for node in self.asking for each in self.offered.get(node, {node: self.models[node]}).values()]
        models += [model for judges in self.judges.values() for model in judges.values()]
        return tuple({id(model): model for model in models}.values())

    @cached_property
    def counts_dollars(self) -> bool:
        """Whether dollars count where candidates are compared: several models are on offer, and all have a price."""
        models = [*self.models.values(), *(each for mine in self.offered.values() for each in mine.values())]
        return bool(self.offered) and all(price_of(each) is not None for each in models)

    @cached_property
    def calls_per_example(self) -> int:
        """Model calls for one example at most, the metric's own included."""
        asked = max(sum(node in self.asking for node in run) for run in self.runs)
        return asked + sum(judge.calls for judge in self.judges)


class Evaluator:
    """Scores prompts; equal prompts on equal models, on an equal row, are measured once.

    Args:
        executor: Runs the graphs.
        strict: Whether metrics that ask models and do not say so are stopped.
    """

    def __init__(self, executor: Executor, *, strict: bool = True) -> None:
        self._executor = executor
        self._outcomes: Memo[Outcome] = Memo(_REMEMBERED)
        self._metric_calls = MetricCalls(executor, strict=strict)

    async def outcome(self, scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], row: Row) -> Outcome:
        """Returns the outcome of one row.

        Args:
            scorer: The task.
            prompts: Node → prompt, for every node that asks a model.
            row: The example.

        Raises:
            MetricError: if the metric fails.
            LMError: if a model gives no answer; the example is then unmeasured, never a score of 0.
        """
        asked = tuple([(prompts[node].id, id(scorer.models[node])) for node in scorer.asking])  # models outlive this
        key = (scorer.view.name, scorer.picks, asked, row.id)
        return await self._outcomes.get(key, self._measure, scorer, prompts, row)

    async def outcomes(
        self, scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], rows: Sequence[Row]
    ) -> list[Outcome]:
        """Returns the outcomes of rows, in their order.

        Rows that a model's failure leaves unmeasured are tried again when the others are done.

        Raises:
            MetricError: if the metric fails.
            LMUnavailableError: if rows are still unmeasured after three rounds.
            LMError: if a model will give no answer.
        """
        found: dict[int, Outcome] = {}
        for _ in range(_ROUNDS):
            left = [index for index in range(len(rows)) if index not in found]
            results = await together(self._outcome_if_available(scorer, prompts, rows[index]) for index in left)
            failures = [result for result in results if isinstance(result, LMUnavailableError)]
            found.update((index, each) for index, each in zip(left, results, strict=True) if isinstance(each, Outcome))
            if not failures:
                return [found[index] for index in range(len(rows))]
        raise type(failures[0])(
            f"task {scorer.view.name!r}: {len(failures)} of {len(rows)} examples could not be measured",
            found=str(failures[0]),
            fix="Nothing is lost: the same command continues from the store",
        ) from failures[0]

    async def trace(
        self, scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], row: Row, nodes: Sequence[str]
    ) -> Trace:
        """Returns the trace of ``nodes`` on one row, without a score."""
        return await self._executor.run(
            scorer.view.program, prompts, scorer.models, _inputs(scorer, row), nodes, scorer.wanted
        )

    async def _outcome_if_available(
        self, scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], row: Row
    ) -> Outcome | LMUnavailableError:
        try:
            return await self.outcome(scorer, prompts, row)
        except LMUnavailableError as error:
            return error

    async def _measure(self, scorer: TaskScorer, prompts: Mapping[str, RenderedPrompt], row: Row) -> Outcome:
        trace = await self.trace(scorer, prompts, row, scorer.nodes)
        calls = trace.calls
        tokens, usd, written = _spent(calls.values())
        ran = None if trace.ran is None else frozenset(trace.ran)
        must_gain = WORTH_OF_DOLLAR * (usd or 0.0) if scorer.counts_dollars else 0.0
        if trace.error is not None:
            return Outcome(
                row.id, 0.0, trace.error.status, str(trace.error), calls, tokens, usd, must_gain, written, ran
            )

        try:
            asking = self._metric_calls.for_answer(scorer.judges, calls)
            score = await scorer.metric.score(row.example, trace.prediction(scorer.outputs), asking)
        except MetricError as error:
            raise MetricError(
                f"task {scorer.view.name!r}, row {row.id}: {error.problem}",
                expected=error.expected,
                found=error.found,
                fix=error.fix,
            ) from error
        return Outcome(
            row.id, score, calls=calls, tokens=tokens, usd=usd, must_gain=must_gain, written=written, ran=ran
        )


def _spent(answers: Iterable[Completion]) -> tuple[int, float | None, int]:
    """Tokens and dollars of calls, and the tokens of their answers; no dollars where a price is unknown."""
    tokens, usd, written, priced = 0, 0.0, 0, True
    for answer in answers:
        tokens += answer.tokens
        written += answer.output_tokens
        usd += answer.usd or 0.0
        priced = priced and answer.usd is not None
    return tokens, usd if priced else None, written


def _inputs(scorer: TaskScorer, row: Row) -> dict[str, Any]:
    """A row's inputs as their declared types have them, as in a call of the compiled program."""
    inputs = scorer.view.program.graph.inputs
    return {name: typed(row.columns[name], each.annotation) for name, each in inputs.items() if name in row.columns}
