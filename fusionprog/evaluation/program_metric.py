"""Metrics that are programs: they are run like any program, and their calls are metered and stored."""

from __future__ import annotations

from typing import Any, NoReturn

from fusionprog.errors import LMOutputError, MetricError
from fusionprog.evaluation.answers import number
from fusionprog.evaluation.metric import Metric, as_score
from fusionprog.evaluation.metric_calls import AnswerCalls
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.resolve import resolve_models
from fusionprog.modules.predict import Predict
from fusionprog.program.demand import largest_runs
from fusionprog.program.graph import ProgramGraph, Reference
from fusionprog.program.program import Program, program_graph
from fusionprog.program.signature import Prediction, SignatureType
from fusionprog.program.task import TaskProgram


class ProgramMetric(Metric):
    """A metric that is itself a program: it is run like any program, and its calls are metered and stored.

    Args:
        program: Its inputs are filled, by name, from the answer's outputs, then from the row; ``gold_<column>``
            is always the row's column.
        score: The output that is the score.
        lm: The model it runs on; the compile's own model, if not given.
        version: Changes when its scores change.
        unreadable: The score of an answer for which the program gives none, as a model's answer in it cannot be read
            or reached ``max_tokens``. If not given, that is an error, which ends a compile.
    """

    def __init__(
        self,
        program: Any,
        *,
        score: str = "score",
        lm: Any = None,
        version: str = "1",
        unreadable: float | None = None,
    ) -> None:
        self.graph = program_graph(program)
        self.output = score
        self.graph.resolve(score)
        signatures = {name: node.signature for name, node in self.graph.nodes.items()}
        self.as_task = TaskProgram(f"metric {self.graph.name}", self.graph, signatures, self.graph.outputs)
        super().__init__(self._never, version=version, name=f"program {self.graph.name}")
        self.lm = lm
        self.calls = max(sum(node in self.asking for node in run) for run in self.runs)
        self.unreadable = None if unreadable is None else as_score(unreadable, self.name)

    @property
    def description(self) -> dict[str, Any]:
        """Name and version, and what an answer scores that it cannot judge."""
        more = {} if self.unreadable is None else {"unreadable": self.unreadable}
        return {**super().description, **more}

    @property
    def wanted(self) -> tuple[Reference, ...]:
        """What it is run for: the score."""
        return (self.graph.resolve(self.output),)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that may make the score, in order."""
        return self.graph.needed(self.wanted)

    @property
    def runs(self) -> tuple[tuple[str, ...], ...]:
        """The sets of them that one run may run together at most."""
        return largest_runs(self.graph, self.wanted)

    @property
    def asking(self) -> tuple[str, ...]:
        """The nodes among them that ask a model."""
        return tuple(name for name in self.nodes if self.graph.nodes[name].asks_model)

    @staticmethod
    def _never(example: Any, prediction: Any) -> float:
        raise MetricError(
            "a metric that is a program needs the models and the books of a compile",
            fix="Score with compiled.evaluate(...), or give DSPy a function that calls a compiled program",
        )

    def models(self, default: LanguageModel | None) -> dict[str, LanguageModel]:
        """Returns node → model, for its nodes that ask one."""
        return resolve_models(default if self.lm is None else self.lm, self.asking)

    async def score(self, example: Any, prediction: Prediction, calls: AnswerCalls) -> float:
        """Returns the program's score of one answer."""
        known = dict(prediction.items())
        row = example.toDict()
        inputs: dict[str, Any] = {}
        for name, each in self.graph.inputs.items():
            if name.startswith("gold_") and name[5:] in row:
                inputs[name] = row[name[5:]]
            elif name in known or name in row:
                inputs[name] = known[name] if name in known else row[name]
            elif each.required:
                raise MetricError(
                    f"the metric {self.name!r} needs {name!r}",
                    found=f"outputs {sorted(known)} and columns {sorted(row)}",
                )
        made = await calls.run_program(self, inputs)
        try:
            return as_score(number(made), self.name) if not isinstance(made, LMOutputError) else self._no_score(made)
        except MetricError:
            if self.unreadable is None:
                raise
            return self.unreadable

    def _no_score(self, error: LMOutputError) -> NoReturn:
        raise MetricError(
            f"the metric {self.name!r} gave no score",
            found=str(error),
            fix="Say in its instructions how it must answer, or pass unreadable= with what such an answer scores; what "
            "it has answered is kept, until `fusionprog store gc` drops it (--model) or the same is asked again "
            "(--fresh)",
        )


def as_metric(metric: Any) -> Metric:
    """Returns what a task's ``metric=`` means.

    Raises:
        MetricError: if it is neither a metric, nor a function, nor a program.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, Program):
        return ProgramMetric(metric)
    return Metric(metric)


def judge(
    signature: SignatureType | str,
    *,
    score: str = "score",
    lm: Any = None,
    version: str = "1",
    unreadable: float | None = None,
) -> Metric:
    """Scores by asking a model: a program of one ``Predict`` node.

    Args:
        signature: Its inputs are filled, by name, from the answer's outputs, then from the row; ``gold_<column>``
            is always the row's column. Its output ``score`` is a number or a bool.
        score: The name of that output.
        lm: The model; the compile's own, if not given.
        version: Changes when its scores change.
        unreadable: The score of an answer whose judgement cannot be read or reached ``max_tokens``. If not given, that
            is an error, which ends a compile.
    """
    graph = ProgramGraph("judge")
    module = Predict(signature)
    graph.add("judge", module)
    for name in module.signature.input_fields:
        graph.connect(name, f"judge.{name}")
    graph.output(score, f"judge.{score}")
    return ProgramMetric(graph, score=score, lm=lm, version=version, unreadable=unreadable)
