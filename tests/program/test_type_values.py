"""Values and their declared types: what is taken, what is turned into it, and what is refused."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pydantic
import pytest

from fusionprog.errors import FusionProgError, ProgramError
from fusionprog.program.types import checked_constant, type_adapter, type_name, typed

Refused = Callable[..., FusionProgError]


class Team(enum.Enum):
    CARDS = "cards"


class Invoice(pydantic.BaseModel):
    number: int


class Unknown:
    pass


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        ("text", str, "text"),
        (5, None, 5),
        (5, Any, 5),
        ("2026-01-02", datetime.date, datetime.date(2026, 1, 2)),
        ("cards", Team, Team.CARDS),
        ({"number": 1}, Invoice, Invoice(number=1)),
        (("a", "b"), list[str], ["a", "b"]),
        (5, Annotated[int, pydantic.Field(ge=0)], 5),
        (5, Annotated[int, ["unhashable"]], 5),
    ],
)
def test_a_value_gets_its_declared_type(value: Any, annotation: Any, expected: Any) -> None:
    assert typed(value, annotation) == expected


@pytest.mark.parametrize(
    ("value", "annotation"),
    [(5, str), ("many", int), ("c", Literal["a", "b"]), (None, str), (-1, Annotated[int, pydantic.Field(ge=0)])],
)
def test_a_value_of_another_type_is_refused(value: Any, annotation: Any) -> None:
    with pytest.raises(ValueError):
        typed(value, annotation)


def test_equal_looking_choices_are_told_apart() -> None:
    assert typed(1, Literal[1]) == 1
    with pytest.raises(ValueError):
        typed(1, Literal["1"])
    assert typed(True, Literal[True]) is True
    assert type_adapter(Literal[1]) is not type_adapter(Literal[True])


@pytest.mark.parametrize("annotation", [Unknown, list[Unknown], "Unheard", list["Unheard"], 5])  # type: ignore[name-defined]  # noqa: F821
def test_a_type_that_no_value_can_be_checked_against_is_named(annotation: Any, refused: Refused) -> None:
    refused(ProgramError, lambda: typed(1, annotation), type_name(annotation), "a pydantic model", "or Any")


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (None, "any type"),
        (Any, "any type"),
        (str, "str"),
        (type(None), "None"),
        (Team, "Team"),
        (list[str], "list[str]"),
        (int | None, "int | None"),
        (Literal["a", 1], "Literal['a', 1]"),
    ],
)
def test_types_are_named_as_a_user_writes_them(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name


def test_a_constant_gets_its_fields_type() -> None:
    assert checked_constant("2026-01-02", datetime.date, "the constant of a.b") == datetime.date(2026, 1, 2)


def test_a_constant_of_another_type_is_refused(refused: Refused) -> None:
    refused(
        ProgramError,
        lambda: checked_constant(5, str, "the constant of a.b"),
        "the constant of a.b has the wrong type",
        "expected str, found 5",
    )


@pytest.mark.parametrize("value", [Unknown(), float("nan"), [Unknown()], {1: "a", "1": "b"}])
def test_a_constant_that_json_cannot_hold_is_refused(value: Any, refused: Refused) -> None:
    refused(
        ProgramError, lambda: checked_constant(value, Any, "the constant of a.b"), "cannot be kept in JSON", "plain"
    )


def test_a_constant_that_holds_itself_is_refused(refused: Refused) -> None:
    value: list[Any] = []
    value.append(value)

    refused(ProgramError, lambda: checked_constant(value, Any, "the constant of a.b"), "cannot be kept in JSON")
