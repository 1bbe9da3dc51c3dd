"""The built-in metrics: golden tables on good and hostile values."""

from __future__ import annotations

import asyncio
import datetime
import enum
import json
import math
from decimal import Decimal
from typing import Any

import dspy
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import MetricError
from fusionprog.evaluation.metrics import Metric, judges_of, metric_registry, rebuild_metric
from tests.evaluation.scoring import no_calls


class Team(enum.Enum):
    BILLING = "billing"
    DELIVERY = "delivery"


class Level(enum.IntEnum):
    LOW = 1


class Item(pydantic.BaseModel):
    name: str
    count: int = 1
    price: Decimal = Decimal("0")


class Coded(pydantic.BaseModel):
    code: str

    @pydantic.field_validator("code")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "z":
            raise KeyError("no such code")
        return value


def score(metric: Metric, want: Any, got: Any) -> float:
    example, prediction = dspy.Example(out=want), dspy.Prediction(out=got)
    return asyncio.run(metric.score(example, prediction, no_calls()))


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        ("billing", "billing", 1.0),
        ("billing", "  Billing\n", 1.0),
        ("two words", "Two   words", 1.0),
        ("STRASSE", "straße", 1.0),
        ("billing", "delivery", 0.0),
        ("billing", "billing.", 0.0),
        ("billing", None, 0.0),
        (None, "billing", 0.0),
        (None, None, 1.0),
        ("none", None, 0.0),
        ("", None, 0.0),
        ("billing", Team.BILLING, 1.0),
        (Team.BILLING, "billing", 1.0),
        (Team.BILLING, Team.DELIVERY, 0.0),
        ("2026-11-20", datetime.date(2026, 11, 20), 1.0),
        (datetime.date(2026, 11, 20), datetime.date(2026, 11, 21), 0.0),
        (3, 3, 1.0),
        (3, 3.0, 1.0),
        ("3", 3, 1.0),
        ("3.5", 3.5, 1.0),
        ("3", 4, 0.0),
        (1, Level.LOW, 1.0),
        (Decimal("3.50"), "3.50", 1.0),
        (True, True, 1.0),
        ("true", True, 1.0),
        ("False", False, 1.0),
        ("true", False, 0.0),
        (math.nan, math.nan, 0.0),
        (["A", "b"], ["a", "B "], 1.0),
        (["a", "b"], ["b", "a"], 0.0),
        (["a"], "a", 0.0),
        ({"x": 1}, {"x": 1}, 1.0),
        ([Team.BILLING], ["billing"], 1.0),
        (("a",), ["a"], 1.0),
        ([], [], 1.0),
        ("1.10", Decimal("1.1"), 1.0),
        (1.1, Decimal("1.10"), 1.0),
        ("1.11", Decimal("1.1"), 0.0),
        ("much", Decimal("1.1"), 0.0),
        ({"name": "pen"}, Item(name="pen"), 1.0),
        ({"name": "pen", "price": "1.50"}, Item(name="pen", price=Decimal("1.5")), 1.0),
        ({"name": "pen", "count": 2}, Item(name="pen"), 0.0),
        ({"count": 1}, Item(name="pen"), 0.0),
        ([{"name": "pen"}, {"name": "ink"}], [Item(name="pen"), Item(name="ink")], 1.0),
        ([{"name": "pen"}], [Item(name="pen"), Item(name="ink")], 0.0),
        ({"name": "pen", "cuont": 5}, Item(name="pen"), 0.0),
        ("sNaN", Decimal("1.1"), 0.0),
    ],
)
def test_exact_match(want: Any, got: Any, expected: float) -> None:
    assert score(fp.metrics.exact_match("out"), want, got) == expected


def test_a_validator_that_fails_on_gold_is_not_hidden() -> None:
    with pytest.raises(MetricError, match=r"'exact_match' raised KeyError.*no such code"):
        score(fp.metrics.exact_match("out"), {"code": "z"}, Coded(code="a"))


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        ("Refund", "We will refund you.", 1.0),
        ("refund", "no", 0.0),
        (["refund", "two days"], "A refund in Two  Days.", 1.0),
        (["refund", "three days"], "A refund in two days.", 0.0),
        ([], "anything", 1.0),
        ("", "anything", 1.0),
        ("one", None, 0.0),
        (None, "none", 0.0),
        (None, None, 1.0),
        (3, "it is 3", 1.0),
        ("b", ["a", "B"], 1.0),
        ("billing", Team.BILLING, 1.0),
        ("X", {"x": 1}, 1.0),
        ({"a"}, "cat", 1.0),
        ("x", {"x": math.nan}, 1.0),
    ],
)
def test_contains(want: Any, got: Any, expected: float) -> None:
    assert score(fp.metrics.contains("out"), want, got) == expected


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        (["a", "b"], ["B", "A"], 1.0),
        (["a", "b"], ["a"], 2 / 3),
        (["a", "b"], ["a", "c"], 0.5),
        (["a", "a", "b"], ["a", "b", "b"], 1.0),
        (["a"], [], 0.0),
        ([], ["a"], 0.0),
        ([], [], 1.0),
        (None, [], 1.0),
        (None, None, 1.0),
        (["a"], None, 0.0),
        ("a", ["a"], 1.0),
        ([1, 2], [2, 3], 0.5),
        ([Team.BILLING], ["Billing"], 1.0),
        ([{"y": 1, "x": 2}], [{"x": 2, "y": 1}], 1.0),
        ({"a", "b"}, frozenset({"b"}), 2 / 3),
        ([None], ["none"], 0.0),
    ],
)
def test_set_f1(want: Any, got: Any, expected: float) -> None:
    assert score(fp.metrics.set_f1("out"), want, got) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        ("the cat sat", "The cat sat.", 1.0),
        ("the cat sat", "the cat", 0.8),
        ("a b", "c d", 0.0),
        ("a a b", "a b b", 2 / 3),
        ("", "", 1.0),
        ("", "a", 0.0),
        ("...", "!", 1.0),
        ("a", None, 0.0),
        (None, None, 1.0),
        (12, "12 apples", 2 / 3),
        (["a", "b"], "b a", 1.0),
        ("größe", "GRÖSSE", 1.0),
        ("straße", "STRASSE", 1.0),
    ],
)
def test_token_f1(want: Any, got: Any, expected: float) -> None:
    assert score(fp.metrics.token_f1("out"), want, got) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        (5, 5, 1.0),
        (5, "5", 1.0),
        ("5", 5.0, 1.0),
        (1234.5, "It is $1,234.50 in all", 1.0),
        (0.5, ".5", 1.0),
        (-5, "−5", 1.0),
        (-5, "5", 0.0),
        (1e6, "1e6", 1.0),
        (1000, Decimal("1E+3"), 1.0),
        (5, np.float32(5), 1.0),
        (5, np.int64(5), 1.0),
        (1, True, 1.0),
        (5, 5.0000001, 1.0),
        (5, 5.001, 0.0),
        (5, None, 0.0),
        (None, 5, 0.0),
        (None, None, 0.0),
        (5, "five", 0.0),
        (5, "", 0.0),
        (5, math.nan, 0.0),
        (math.nan, math.nan, 0.0),
        (math.inf, math.inf, 0.0),
        (math.inf, 3, 0.0),
        (5, 10**400, 0.0),
        (10**400, 5, 0.0),
        (5, "1e999", 0.0),
        (5, [5], 0.0),
        (2026, datetime.date(2026, 1, 1), 0.0),
        (0, 0, 1.0),
        (0, -0.0, 1.0),
        (0, 1e-9, 0.0),
        (5, Decimal("sNaN"), 0.0),
    ],
)
def test_numeric(want: Any, got: Any, expected: float) -> None:
    assert score(fp.metrics.numeric("out"), want, got) == expected


def test_numeric_takes_an_absolute_and_a_relative_difference() -> None:
    assert score(fp.metrics.numeric("out", tolerance=0.5), 5, 5.5) == 1.0
    assert score(fp.metrics.numeric("out", tolerance=0.5), 5, 5.51) == 0.0
    assert score(fp.metrics.numeric("out", relative=0.1), -100, -110) == 1.0
    assert score(fp.metrics.numeric("out", relative=0.1), -100, -111) == 0.0


@pytest.mark.parametrize("arguments", [{"tolerance": -1}, {"relative": -0.1}, {"tolerance": math.nan}])
def test_numeric_refuses_a_difference_below_zero(arguments: dict[str, float]) -> None:
    with pytest.raises(MetricError, match="below 0"):
        fp.metrics.numeric("out", **arguments)


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.decimals()
    | st.sampled_from([Team.BILLING, Level.LOW])
    | st.binary(max_size=4).map(lambda data: data.hex()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    want=HOSTILE,
    got=HOSTILE,
    name=st.sampled_from(["exact_match", "contains", "set_f1", "token_f1", "numeric"]),
)
def test_every_built_in_scores_everything_between_0_and_1(want: Any, got: Any, name: str) -> None:
    metric = metric_registry.get(name)("out")

    assert 0.0 <= score(metric, want, got) <= 1.0


@given(value=st.lists(st.text(min_size=1)) | st.text() | st.integers())
def test_a_perfect_answer_scores_1(value: Any) -> None:
    for name in ("exact_match", "contains", "set_f1", "token_f1"):
        assert score(metric_registry.get(name)("out"), value, value) == 1.0


def test_fields_and_gold_columns_are_declared() -> None:
    metric = fp.metrics.exact_match("triage.team")
    other = fp.metrics.set_f1("team", gold="label")

    assert (metric.fields, metric.gold) == (("triage.team",), ("team",))
    assert (other.fields, other.gold) == (("team",), ("label",))


def test_a_node_field_is_read_from_the_prediction() -> None:
    prediction = dspy.Prediction(**{"triage.team": "Billing"})
    metric = fp.metrics.exact_match("triage.team")

    assert asyncio.run(metric.score(dspy.Example(team="billing"), prediction, no_calls())) == 1.0


BUILT_IN: list[Metric] = [
    fp.metrics.exact_match("out"),
    fp.metrics.contains("n.out", gold="label"),
    fp.metrics.set_f1("out"),
    fp.metrics.token_f1("out"),
    fp.metrics.numeric("out", gold="number", tolerance=0.5, relative=0.25),
    fp.metrics.weighted([(fp.metrics.exact_match("out"), 3), (fp.metrics.numeric("out", tolerance=1), 1)]),
    fp.metrics.weighted([(fp.metrics.weighted([(fp.metrics.contains("out"), 2)]), 0.5)]),
]


@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: str(metric.name))
def test_a_metric_is_rebuilt_from_its_description(metric: Metric) -> None:
    again = rebuild_metric(json.loads(json.dumps(metric.description)))

    assert again is not None
    assert again.description == metric.description
    assert (again.fields, again.gold, again.name) == (metric.fields, metric.gold, metric.name)


def test_a_rebuilt_metric_scores_alike() -> None:
    metric = BUILT_IN[5]
    again = rebuild_metric(json.loads(json.dumps(metric.description)))

    assert again is not None
    for got in ("5", "6", "7", None):
        assert score(again, "5", got) == score(metric, "5", got)
    assert score(metric, "5", "6") == 0.25


def test_authors_own_code_is_not_rebuilt() -> None:
    own = fp.Metric(lambda example, prediction: 1.0, name="own")

    assert rebuild_metric(own.description) is None
    assert rebuild_metric(fp.metrics.weighted([(own, 1), (fp.metrics.exact_match("out"), 1)]).description) is None
    assert rebuild_metric({"name": "unknown", "arguments": {}}) is None
    assert rebuild_metric({}) is None


def test_weighted_is_the_weighted_mean() -> None:
    metric = fp.metrics.weighted([(fp.metrics.exact_match("out"), 1), (fp.metrics.contains("out"), 3)])

    assert score(metric, "refund", "a refund") == 0.75
    assert score(metric, "refund", "refund") == 1.0
    assert (metric.fields, metric.gold) == (("out",), ("out",))
    assert judges_of(metric) == ()


def test_weighted_reads_all_outputs_if_a_part_does() -> None:
    metric = fp.metrics.weighted([(lambda example, prediction: 0.5, 1), (fp.metrics.exact_match("out"), 1)])

    assert metric.fields is None
    assert score(metric, "a", "a") == 0.75


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [(fp.metrics.exact_match("out"), 0)],
        [(fp.metrics.exact_match("out"), -1)],
        [(fp.metrics.exact_match("out"), math.nan)],
        [(fp.metrics.exact_match("out"), math.inf)],
        [(fp.metrics.exact_match("out"), "heavy")],
        [fp.metrics.exact_match("out")],
        3,
    ],
)
def test_weighted_refuses_what_it_cannot_weigh(parts: Any) -> None:
    with pytest.raises(MetricError, match="weigh"):
        fp.metrics.weighted(parts)
