"""The built-in metrics, and how a metric is found again by its name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fusionprog._internal.registry import Registry
from fusionprog.errors import MetricError
from fusionprog.evaluation.answers import f1, members, normal, number, read_as, same, text_of, words
from fusionprog.evaluation.metric import Metric, as_score
from fusionprog.evaluation.metric_calls import AnswerCalls
from fusionprog.evaluation.program_metric import ProgramMetric, as_metric, judge
from fusionprog.program.signature import Prediction

__all__ = [
    "Metric",
    "ProgramMetric",
    "as_metric",
    "as_score",
    "contains",
    "exact_match",
    "judge",
    "judges_of",
    "metric_registry",
    "numeric",
    "rebuild_metric",
    "set_f1",
    "token_f1",
    "weighted",
]

metric_registry: Registry[Callable[..., Metric]] = Registry("metric", MetricError)


def judges_of(metric: Metric) -> tuple[Metric, ...]:
    """Returns what may ask models in a metric, or is a program: itself, or its parts."""
    if isinstance(metric, _Weighted):
        return tuple(judge for part, _ in metric.parts for judge in judges_of(part))
    return (metric,) if metric.calls or isinstance(metric, ProgramMetric) else ()


class _BuiltIn(Metric):
    """A metric that is rebuilt from its name and arguments."""

    may_ask = False

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
    text that writes it, as a CSV file has only text. Gold for a pydantic model may leave out what has a default.

    Args:
        field: The output: a public name or ``"node.field"``.
        gold: The column of the row; the output's field name, if not given.
    """
    return _compare("exact_match", field, gold, lambda want, got: float(same(normal(read_as(want, got)), normal(got))))


@metric_registry.register("contains")
def contains(field: str, *, gold: str | None = None) -> Metric:
    """Scores 1 where an output's text contains the gold text (or all texts of a gold list), ignoring case."""

    def judge(want: Any, got: Any) -> float:
        if want is None or got is None:
            return float(want is got)
        wanted = want if isinstance(want, (list, tuple, set, frozenset)) else [want]
        text = text_of(got)
        return float(all(text_of(each) in text for each in wanted))

    return _compare("contains", field, gold, judge)


@metric_registry.register("set_f1")
def set_f1(field: str, *, gold: str | None = None) -> Metric:
    """Scores the F1 of an output list against a gold list, as sets; two empty lists score 1."""
    return _compare("set_f1", field, gold, lambda want, got: f1(Counter(members(want)), Counter(members(got))))


@metric_registry.register("token_f1")
def token_f1(field: str, *, gold: str | None = None) -> Metric:
    """Scores the F1 of an output's words against the gold text's, counting repeated words; two empty texts score 1.

    It is SQuAD's F1 but that articles count and that words are what is between white space and punctuation, in every
    language.
    """
    return _compare("token_f1", field, gold, lambda want, got: f1(Counter(words(want)), Counter(words(got))))


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
        expected, found = number(want), number(got)
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

    def __call__(
        self, example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float:
        return self._mean([(part(example, prediction), weight) for part, weight in self.parts])

    async def score(self, example: Any, prediction: Prediction, calls: AnswerCalls) -> float:
        scores = [(await part.score(example, prediction, calls), weight) for part, weight in self.parts]
        return self._mean(scores)

    @staticmethod
    def _mean(scores: Sequence[tuple[float, float]]) -> float:
        return sum(score * weight for score, weight in scores) / sum(weight for _, weight in scores)
