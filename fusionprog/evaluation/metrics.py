"""Metrics: what a task's answers are scored by.

A metric is a ``Metric``; ``as_metric`` makes one of any function of DSPy's forms.
"""

from __future__ import annotations

import enum
import inspect
import json
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fusionprog._internal.canonical import jsonable
from fusionprog._internal.registry import Registry
from fusionprog.errors import MetricError
from fusionprog.modules.predict import Predict
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.program import Program, program_graph
from fusionprog.program.signature import Prediction, SignatureType
from fusionprog.program.task import TaskProgram

RunProgram: TypeAlias = Callable[["ProgramMetric", Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Metric:
    """A function that scores an answer, and what it reads.

    Args:
        fn: ``fn(example, prediction)``; also DSPy's longer forms with ``trace``, ``pred_name`` and ``pred_trace``,
            which are given as ``None``. It returns a number, a bool, or a ``Prediction(score=..., feedback=...)``;
            higher is better. Sync or async; one that waits for something should be async, as a sync one is called
            on the event loop and holds up all other work.
        fields: The outputs it reads, public names or ``"node.field"``; all public ones if ``None``. Compiling runs
            only what these need.
        gold: The columns of the rows that it reads; checked before anything is spent.
        version: Changes when its scores change; part of the study's fingerprint.
        name: How it is named in messages and artifacts.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        fields: Sequence[str] | None = None,
        gold: Sequence[str] = (),
        version: str = "1",
        name: str | None = None,
    ) -> None:
        if not callable(fn):
            raise MetricError("the metric cannot be called", expected="a function", found=type(fn).__name__)
        self.fn = fn
        self.fields = None if fields is None else _names(fields)
        self.gold = _names(gold)
        self.version = version
        self.name = name or str(getattr(fn, "__name__", type(fn).__name__))
        self._extra = _extra_arguments(fn, self.name)

    @property
    def description(self) -> dict[str, Any]:
        """Name and version, as JSON data; a built-in metric also has its arguments and can be rebuilt."""
        return {"name": self.name, "version": self.version}

    async def score(self, example: Any, prediction: Prediction, run_program: RunProgram) -> float:
        """Returns the score of one answer.

        Args:
            example: The row, as a ``dspy.Example``.
            prediction: The program's outputs.
            run_program: Runs metrics that are programs.

        Raises:
            MetricError: if the function raises or returns something that is no finite number.
        """
        try:
            result = self.fn(example, prediction, *self._extra)
            if inspect.isawaitable(result):
                result = await result
        except Exception as error:
            raise MetricError(
                f"the metric {self.name!r} raised {type(error).__name__}",
                found=str(error),
                fix="A metric must return a number for every answer, also for wrong and empty ones",
            ) from error
        return as_score(result, self.name)


def as_score(result: Any, name: str) -> float:
    """Returns a metric's result as a number.

    Raises:
        MetricError: if it is none, or not finite.
    """
    value = result.get("score") if isinstance(result, Prediction) else result
    # Text is no score even where it is a numeral, and of an array it is not known which number is meant.
    if not isinstance(value, (str, bytes, bytearray)) and not getattr(value, "shape", ()):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise MetricError(
        f"the metric {name!r} returned no score",
        expected="a finite number, a bool or a Prediction with a score",
        found=repr(result)[:120],
    )


def _names(names: Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _extra_arguments(fn: Callable[..., Any], name: str) -> tuple[None, ...]:
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return ()
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    required = sum(each.default is each.empty for each in positional)
    open_ended = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    named = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if required > 5 or (len(positional) < 2 and not open_ended) or named:
        raise MetricError(
            f"the metric {name!r} takes other arguments than a metric is given",
            expected="(example, prediction), and at most trace, pred_name and pred_trace after them",
            found=f"({', '.join(each.name for each in parameters)})",
        )
    return (None,) * max(0, required - 2)


class ProgramMetric(Metric):
    """A metric that is itself a program: it is run like any program, and its calls are metered and stored.

    Args:
        program: Its inputs are filled, by name, from the answer's outputs, then from the row; ``gold_<column>``
            is always the row's column.
        score: The output that is the score.
        lm: The model it runs on; the compile's own model, if not given.
        version: Changes when its scores change.
    """

    def __init__(self, program: Any, *, score: str = "score", lm: Any = None, version: str = "1") -> None:
        self.graph = program_graph(program)
        self.output = score
        self.lm = lm
        self.graph.resolve(score)
        signatures = {name: node.signature for name, node in self.graph.nodes.items()}
        self.as_task = TaskProgram(f"metric {self.graph.name}", self.graph, signatures, self.graph.outputs)
        super().__init__(self._never, version=version, name=f"program {self.graph.name}")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that make the score, in order."""
        return self.graph.needed([self.graph.resolve(self.output)])

    @property
    def asking(self) -> tuple[str, ...]:
        """The nodes among them that ask a model."""
        return tuple(name for name in self.nodes if self.graph.nodes[name].asks_model)

    @staticmethod
    def _never(example: Any, prediction: Any) -> float:
        raise AssertionError("a program metric is run by the evaluator")

    async def score(self, example: Any, prediction: Prediction, run_program: RunProgram) -> float:
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
        outputs = await run_program(self, inputs)
        return as_score(_number(outputs[self.output]), self.name)


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


def programs_of(metric: Metric) -> tuple[ProgramMetric, ...]:
    """Returns the programs that a metric runs: itself, or its parts."""
    if isinstance(metric, ProgramMetric):
        return (metric,)
    if isinstance(metric, _Weighted):
        return tuple(program for part, _ in metric.parts for program in programs_of(part))
    return ()


metric_registry: Registry[Callable[..., Metric]] = Registry("metric", MetricError)


class _BuiltIn(Metric):
    """A metric that is rebuilt from its name and arguments."""

    def __init__(self, kind: str, arguments: Mapping[str, Any], fn: Callable[..., Any], field: str, gold: str) -> None:
        super().__init__(fn, fields=(field,), gold=(gold,), name=kind)
        self.arguments = dict(arguments)

    @property
    def description(self) -> dict[str, Any]:
        return {**super().description, "arguments": self.arguments}


def rebuild_metric(description: Mapping[str, Any]) -> Metric | None:
    """Returns the metric that a description names, or ``None`` where only its author's code can."""
    if "arguments" not in description or description.get("name") not in metric_registry:
        return None
    arguments = dict(description["arguments"])
    if "parts" in arguments:
        parts = [(rebuild_metric(part), weight) for part, weight in arguments["parts"]]
        return None if any(part is None for part, _ in parts) else weighted(parts)
    return metric_registry.get(description["name"])(**arguments)


def _gold_of(field: str, gold: str | None) -> str:
    return gold if gold is not None else field.rpartition(".")[2]


def _compare(kind: str, field: str, gold: str | None, judge: Callable[[Any, Any], float], **more: Any) -> Metric:
    column = _gold_of(field, gold)

    def score(example: Any, prediction: Any) -> float:
        return judge(example[column], prediction.get(field))

    return _BuiltIn(kind, {"field": field, "gold": gold, **more}, score, field, column)


@metric_registry.register("exact_match")
def exact_match(field: str, *, gold: str | None = None) -> Metric:
    """Scores 1 where an output equals the gold column.

    Texts are compared without case and with single spaces, also inside lists; a number or a truth value equals the
    text that writes it, as a CSV file has only text.

    Args:
        field: The output: a public name or ``"node.field"``.
        gold: The column of the row; the output's field name, if not given.
    """
    return _compare("exact_match", field, gold, lambda want, got: float(_same(_normal(want), _normal(got))))


@metric_registry.register("contains")
def contains(field: str, *, gold: str | None = None) -> Metric:
    """Scores 1 where an output's text contains the gold text (or all texts of a gold list), ignoring case."""

    def judge(want: Any, got: Any) -> float:
        if want is None or got is None:
            return float(want is got)
        wanted = want if isinstance(want, (list, tuple, set, frozenset)) else [want]
        text = _text(got)
        return float(all(_text(each) in text for each in wanted))

    return _compare("contains", field, gold, judge)


@metric_registry.register("set_f1")
def set_f1(field: str, *, gold: str | None = None) -> Metric:
    """Scores the F1 of an output list against a gold list, as sets; two empty lists score 1."""
    return _compare("set_f1", field, gold, lambda want, got: _f1(Counter(_members(want)), Counter(_members(got))))


@metric_registry.register("token_f1")
def token_f1(field: str, *, gold: str | None = None) -> Metric:
    """Scores the F1 of an output's words against the gold text's, counting repeated words; two empty texts score 1.

    It is SQuAD's F1 but that articles count and that words are what is between white space and punctuation, in every
    language.
    """
    return _compare("token_f1", field, gold, lambda want, got: _f1(Counter(_words(want)), Counter(_words(got))))


@metric_registry.register("numeric")
def numeric(field: str, *, gold: str | None = None, tolerance: float = 0.0, relative: float = 1e-6) -> Metric:
    """Scores 1 where an output is a number close to the gold number.

    Args:
        field: The output.
        gold: The column of the row; the output's field name, if not given.
        tolerance: Absolute difference that counts as equal, 0 or more.
        relative: Difference relative to the gold number that counts as equal, 0 or more.

    Note:
        Of a text the first number counts (``"$1,234.50 in all"``). What holds no number, or one that is not finite,
        scores 0.

    Raises:
        MetricError: if ``tolerance`` or ``relative`` is below 0.
    """
    if not (tolerance >= 0 and relative >= 0):
        raise MetricError("numeric() has a difference below 0", found=f"tolerance={tolerance!r}, relative={relative!r}")

    def judge(want: Any, got: Any) -> float:
        expected, found = _number(want), _number(got)
        if expected is None or found is None:
            return 0.0
        return float(abs(found - expected) <= max(tolerance, relative * abs(expected)))

    return _compare("numeric", field, gold, judge, tolerance=tolerance, relative=relative)


@metric_registry.register("weighted")
def weighted(parts: Sequence[tuple[Any, float]]) -> Metric:
    """Scores the weighted mean of other metrics.

    Args:
        parts: ``(metric, weight)`` pairs; weights are finite, above 0, and need not sum to 1.

    Raises:
        MetricError: if there are no parts, or one is no such pair.
    """
    try:
        metrics = [(as_metric(metric), float(weight)) for metric, weight in parts]
    except (TypeError, ValueError):
        metrics = []
    if not metrics or not all(0 < weight < math.inf for _, weight in metrics):
        raise MetricError(
            "weighted() cannot weigh its parts",
            expected="[(metric, weight), ...] with weights above 0",
            found=repr(parts)[:120],
        )
    return _Weighted(metrics)


class _Weighted(Metric):
    def __init__(self, parts: Sequence[tuple[Metric, float]]) -> None:
        super().__init__(lambda example, prediction: 0.0, name="weighted")
        self.parts = tuple(parts)
        if all(part.fields is not None for part, _ in parts):
            self.fields = tuple(dict.fromkeys(field for part, _ in parts for field in part.fields or ()))
        self.gold = tuple(dict.fromkeys(column for part, _ in parts for column in part.gold))

    @property
    def description(self) -> dict[str, Any]:
        return {
            **super().description,
            "arguments": {"parts": [[part.description, weight] for part, weight in self.parts]},
        }

    async def score(self, example: Any, prediction: Prediction, run_program: RunProgram) -> float:
        scores = [(await part.score(example, prediction, run_program), weight) for part, weight in self.parts]
        return sum(score * weight for score, weight in scores) / sum(weight for _, weight in scores)


def judge(signature: SignatureType | str, *, score: str = "score", lm: Any = None, version: str = "1") -> Metric:
    """Scores by asking a model: a program of one ``Predict`` node.

    Args:
        signature: Its inputs are filled, by name, from the answer's outputs, then from the row; ``gold_<column>``
            is always the row's column. Its output ``score`` is a number or a bool.
        score: The name of that output.
        lm: The model; the compile's own, if not given.
        version: Changes when its scores change.
    """
    graph = ProgramGraph("judge")
    module = Predict(signature)
    graph.add("judge", module)
    for name in module.signature.input_fields:
        graph.connect(name, f"judge.{name}")
    graph.output(score, f"judge.{score}")
    return ProgramMetric(graph, score=score, lm=lm, version=version)


def _normal(value: Any) -> Any:
    """Returns JSON data whose texts have one case and single spaces."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return " ".join(value.casefold().split())
    if isinstance(value, (list, tuple)):
        return [_normal(each) for each in value]
    plain = jsonable(value)
    return _normal(plain) if isinstance(plain, (str, list)) else plain


def _same(want: Any, got: Any) -> bool:
    if isinstance(want, str) != isinstance(got, str):
        text, other = (want, got) if isinstance(want, str) else (got, want)
        return isinstance(other, (bool, int, float)) and text == str(other).casefold()
    return bool(want == got)


def _text(value: Any) -> str:
    plain = _normal(value)
    if isinstance(plain, list):
        return "\n".join(_text(each) for each in plain)
    return (
        plain
        if isinstance(plain, str)
        else ""
        if plain is None
        else json.dumps(plain, sort_keys=True, ensure_ascii=False).casefold()
    )


def _members(value: Any) -> set[str]:
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [] if value is None else [value]
    return {_text(each) for each in values}


def _words(value: Any) -> list[str]:
    return re.findall(r"\w+", _text(value))


def _f1(want: Counter[str], got: Counter[str]) -> float:
    if not want and not got:
        return 1.0
    common = sum((want & got).values())
    return 2 * common / (sum(want.values()) + sum(got.values()))


def _number(value: Any) -> float | None:
    """Returns a number, or the first one in a text; ``None`` where there is none or it is not finite."""
    if isinstance(value, str):
        match = re.search(r"[-+−]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", value)
        value = match and match.group().replace(",", "").replace("−", "-")
    elif not hasattr(value, "__float__"):
        return None
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
