"""Any function of DSPy's forms is a metric; what is no score is refused by name."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import dspy
import numpy as np
import pytest

import fusionprog as fp
from fusionprog.errors import MetricError
from fusionprog.evaluation.metrics import ProgramMetric, as_metric, as_score
from tests.evaluation.scoring import no_calls

EXAMPLE = dspy.Example(team="billing")
PREDICTION = dspy.Prediction(team="billing")


def score(fn: Any) -> float:
    return asyncio.run(as_metric(fn).score(EXAMPLE, PREDICTION, no_calls()))


def two(example: Any, prediction: Any) -> bool:
    return bool(example.team == prediction.team)


def three(example: Any, prediction: Any, trace: Any) -> float:
    assert trace is None
    return 0.25


def three_with_default(example: Any, prediction: Any, trace: Any = "unset") -> float:
    return 0.5 if trace == "unset" else 0.0


def five(gold: Any, pred: Any, trace: Any, pred_name: Any, pred_trace: Any) -> Any:
    assert (trace, pred_name, pred_trace) == (None, None, None)
    return dspy.Prediction(score=0.75, feedback="almost")


def open_ended(*arguments: Any, **more: Any) -> float:
    return float(len(arguments))


async def later(example: Any, prediction: Any) -> float:
    await asyncio.sleep(0)
    return 0.125


class Callable_:
    def __call__(self, example: Any, prediction: Any) -> int:
        return 1

    def method(self, example: Any, prediction: Any, trace: Any = None) -> float:
        return 0.5

    async def waits(self, example: Any, prediction: Any) -> float:
        await asyncio.sleep(0)
        return 0.25


class AsyncCallable:
    async def __call__(self, example: Any, prediction: Any) -> float:
        await asyncio.sleep(0)
        return 0.5


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (two, 1.0),
        (three, 0.25),
        (three_with_default, 0.5),
        (five, 0.75),
        (open_ended, 2.0),
        (later, 0.125),
        (Callable_(), 1.0),
        (Callable_().method, 0.5),
        (Callable_().waits, 0.25),
        (AsyncCallable(), 0.5),
        (functools.partial(three, trace=None), 0.25),
        (lambda example, prediction: later(example, prediction), 0.125),
        (max, None),
    ],
)
def test_dspys_forms_are_called_as_they_want(fn: Callable[..., Any], expected: float | None) -> None:
    if expected is None:  # a built-in function without a signature gets two arguments
        with pytest.raises(MetricError, match="raised TypeError"):
            score(fn)
    else:
        assert score(fn) == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (True, 1.0),
        (0, 0.0),
        (-2.5, -2.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.bool_(True), 1.0),
        (np.array(0.5), 0.5),
        (Decimal("0.25"), 0.25),
        (dspy.Prediction(score=0.5), 0.5),
        (dspy.Prediction(score=True, feedback="fine"), 1.0),
    ],
)
def test_scores_of_every_number_type_are_taken(result: Any, expected: float) -> None:
    made = as_score(result, "mine")

    assert made == expected and type(made) is float


@pytest.mark.parametrize(
    "result",
    [
        None,
        "0.5",
        b"1",
        math.nan,
        math.inf,
        -math.inf,
        np.float64("nan"),
        10**400,
        Decimal("nan"),
        Decimal("sNaN"),
        {"score": 0.5},
        [0.5],
        np.array([0.5]),
        np.array([0.5, 0.7]),
        1 + 2j,
        dspy.Prediction(),
        dspy.Prediction(score=None),
        1e200,
        dspy.Prediction(score="high"),
        dspy.Example(score=0.5),
        object(),
    ],
)
def test_what_is_no_score_is_refused(result: Any) -> None:
    with pytest.raises(MetricError, match="the metric 'mine' returned no score"):
        as_score(result, "mine")


@pytest.mark.parametrize(
    "failure", [KeyError("team"), StopIteration(), AssertionError("no"), RuntimeError("broken"), MetricError("inner")]
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_metric_that_raises_is_named(failure: Exception, asynchronous: bool) -> None:
    def fails(example: Any, prediction: Any) -> float:
        raise failure

    async def fails_later(example: Any, prediction: Any) -> float:
        await asyncio.sleep(0)
        raise failure

    name = "fails_later" if asynchronous else "fails"
    kind = "RuntimeError" if asynchronous and isinstance(failure, StopIteration) else type(failure).__name__
    with pytest.raises(MetricError, match=f"the metric '{name}' raised {kind}"):
        score(fails_later if asynchronous else fails)


def test_cancelling_is_no_failure_of_the_metric() -> None:
    async def forever(example: Any, prediction: Any) -> float:
        await asyncio.Event().wait()
        return 1.0

    async def work() -> None:
        task = asyncio.ensure_future(as_metric(forever).score(EXAMPLE, PREDICTION, no_calls()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())


@pytest.mark.parametrize(
    "fn",
    [
        lambda: 1.0,
        lambda example: 1.0,
        lambda a, b, c, d, e, f: 1.0,
        lambda example, prediction, *, needed: 1.0,
        lambda *, example, prediction: 1.0,
    ],
)
def test_a_function_of_another_form_is_refused_at_once(fn: Any) -> None:
    with pytest.raises(MetricError, match="other arguments"):
        fp.Metric(fn, name="odd")


@pytest.mark.parametrize("thing", [3, "exact_match", None, {"name": "exact_match"}])
def test_what_cannot_be_called_is_no_metric(thing: Any) -> None:
    with pytest.raises(MetricError, match="cannot be called"):
        as_metric(thing)


def test_a_metric_is_named_after_its_function_or_as_told() -> None:
    assert as_metric(two).name == "two"
    assert as_metric(Callable_()).name == "Callable_"
    assert fp.Metric(two, name="same", version="2").description == {"name": "same", "version": "2"}


def test_fields_and_gold_may_be_one_name() -> None:
    metric = fp.Metric(two, fields="team", gold="team")

    assert (metric.fields, metric.gold) == (("team",), ("team",))
    assert fp.Metric(two).fields is None
    assert fp.Metric(two, fields=["a.b", "c"]).fields == ("a.b", "c")


def test_a_metric_stays_itself_and_a_program_becomes_one() -> None:
    metric = fp.Metric(two)

    class Strict(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.grade = fp.modules.Predict("team, gold_team -> score: float")

        def forward(self, team: str, gold_team: str) -> Any:
            return {"score": self.grade(team=team, gold_team=gold_team).score}

    assert as_metric(metric) is metric
    assert isinstance(as_metric(Strict()), ProgramMetric)
    assert as_metric(Strict()).name == "program Strict"
