"""The inputs of a call are checked before anything is sent."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from typing import Any, Literal

import pytest

import fusionprog as fp
from fusionprog.errors import CallError, FusionProgError
from fusionprog.program.graph import ProgramGraph, ProgramInput
from fusionprog.program.inputs import check_inputs

Refused = Callable[..., FusionProgError]


class Team(enum.Enum):
    CARDS = "cards"


@pytest.fixture
def graph() -> ProgramGraph:
    graph = fp.ProgramGraph("Desk", inputs={"message": str, "day": datetime.date, "extra": None})
    graph.inputs["team"] = ProgramInput("team", Team, required=False, default=Team.CARDS)
    graph.inputs["tone"] = ProgramInput("tone", Literal["short", "long"] | None, required=False, default=None)
    return graph


GOOD = {"message": "hi", "day": datetime.date(2026, 1, 2), "extra": 5}


def test_inputs_are_returned_in_the_programs_order(graph: ProgramGraph) -> None:
    checked = check_inputs(graph, dict(reversed(GOOD.items())))

    assert list(checked.items()) == list(GOOD.items())


def test_values_get_their_declared_types(graph: ProgramGraph) -> None:
    checked = check_inputs(graph, {**GOOD, "day": "2026-01-02", "team": "cards", "tone": "long"})

    assert checked == {**GOOD, "team": Team.CARDS, "tone": "long"}


def test_defaults_are_not_filled_in_here(graph: ProgramGraph) -> None:
    assert "team" not in check_inputs(graph, GOOD)


def test_what_is_given_is_left_alone(graph: ProgramGraph) -> None:
    given = {**GOOD, "day": "2026-01-02"}
    check_inputs(graph, given)

    assert given["day"] == "2026-01-02"


def test_an_unknown_input_is_named(graph: ProgramGraph, refused: Refused) -> None:
    refused(
        CallError,
        lambda: check_inputs(graph, {**GOOD, "mesage": "hi"}),
        "Desk has no input 'mesage'",
        "Did you mean 'message'?",
        "'team'",
    )


@pytest.mark.parametrize("given", [{}, {"message": "hi", "extra": 1}])
def test_a_missing_input_is_named(given: dict[str, Any], graph: ProgramGraph, refused: Refused) -> None:
    missing = "day" if given else "message"
    refused(
        CallError,
        lambda: check_inputs(graph, given),
        f"the input {missing!r} is missing",
        "expected message, day, extra",
        "found message, extra" if given else "found no inputs",
        f"Pass {missing}=...",
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("message", 5, "str"),
        ("message", None, "str"),
        ("day", "yesterday", "date"),
        ("team", "loans", "Team"),
        ("tone", "loud", "Literal['short', 'long']"),
    ],
)
def test_a_wrong_type_is_named(name: str, value: Any, expected: str, graph: ProgramGraph, refused: Refused) -> None:
    refused(
        CallError,
        lambda: check_inputs(graph, {**GOOD, name: value}),
        f"the input {name!r} has the wrong type",
        expected,
        f"found {value!r}",
    )


def test_a_long_value_is_cut_in_the_message(graph: ProgramGraph) -> None:
    with pytest.raises(CallError) as caught:
        check_inputs(graph, {**GOOD, "day": "x" * 10_000})

    assert len(str(caught.value)) < 300
