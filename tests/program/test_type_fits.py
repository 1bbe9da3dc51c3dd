"""Laws of ``fits``: which values may go over an edge into which field."""

from __future__ import annotations

import collections.abc
import datetime
import enum
from typing import Annotated, Any, Literal, NotRequired, Optional, Protocol, TypedDict, Union

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from fusionprog.program.types import fits


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


class Team(enum.Enum):
    CARDS = "cards"
    LOANS = "loans"


class Level(enum.IntEnum):
    LOW = 1


class Invoice(BaseModel):
    number: int


class Reminder(Invoice):
    days: int


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Named(Protocol):
    name: str


LITERAL: Any = Literal
LIST: Any = list
DICT: Any = dict
TUPLE: Any = tuple
OPTIONAL: Any = Optional
UNION: Any = Union
VALUES = ["a", "b", "c", 1, 2, True, None]
literals = st.lists(st.sampled_from(VALUES), min_size=1, max_size=4, unique_by=repr).map(tuple)
leaves = st.sampled_from([str, int, float, bool, datetime.date, Word, Team, Level]) | literals.map(LITERAL.__getitem__)
types_ = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda one: LIST[one]),
        inner.map(lambda one: DICT[str, one]),
        inner.map(lambda one: TUPLE[one, ...]),
        st.tuples(inner, inner).map(lambda pair: TUPLE[pair]),
        inner.map(OPTIONAL.__getitem__),
        st.tuples(inner, inner).map(UNION.__getitem__),
    ),
    max_leaves=4,
)
law = settings(deadline=None, max_examples=60)


@law
@given(types_)
def test_a_type_fits_itself_and_what_is_unknown(one: Any) -> None:
    assert fits(one, one)
    assert fits(one, Any)
    assert fits(one, None)
    assert fits(Any, one)
    assert fits(None, one)
    assert fits(Annotated[one, "note"], one)
    assert fits(one, Annotated[one, "note"])


@law
@given(literals, literals)
def test_a_literal_fits_another_that_has_all_its_values(some: tuple[Any, ...], others: tuple[Any, ...]) -> None:
    expected = {(type(each), each) for each in some} <= {(type(each), each) for each in others}

    assert fits(LITERAL[some], LITERAL[others]) == expected


@law
@given(literals, types_)
def test_a_literal_fits_where_each_of_its_values_does(values: tuple[Any, ...], target: Any) -> None:
    assert fits(LITERAL[values], target) == all(fits(LITERAL[value], target) for value in values)


@law
@given(types_, types_)
def test_optional_is_the_type_or_none(one: Any, other: Any) -> None:
    assert fits(one, OPTIONAL[one])
    assert fits(OPTIONAL[one], other) == (fits(one, other) and fits(type(None), other))
    assume(not fits(type(None), one))
    assert not fits(OPTIONAL[one], one)


@law
@given(types_, types_, types_)
def test_a_union_fits_where_all_its_members_do(one: Any, two: Any, target: Any) -> None:
    assert fits(UNION[one, two], target) == (fits(one, target) and fits(two, target))
    assert fits(one, UNION[one, two])
    assert fits(two, UNION[one, two])


@law
@given(types_, types_, types_, types_)
def test_containers_fit_if_their_items_do(one: Any, two: Any, three: Any, four: Any) -> None:
    assert fits(list[one], list[two]) == fits(one, two)
    assert fits(list[one], collections.abc.Sequence[two]) == fits(one, two)
    assert fits(dict[str, one], dict[str, two]) == fits(one, two)
    assert fits(dict[str, one], collections.abc.Mapping[str, two]) == fits(one, two)
    assert fits(tuple[one, ...], tuple[two, ...]) == fits(one, two)
    assert fits(tuple[one, ...], collections.abc.Sequence[two]) == fits(one, two)
    assert fits(tuple[one, two], tuple[three, ...]) == (fits(one, three) and fits(two, three))
    assert fits(tuple[one, two], tuple[three, four]) == (fits(one, three) and fits(two, four))


@law
@given(types_)
def test_containers_of_other_kinds_do_not_fit(one: Any) -> None:
    assert not fits(list[one], dict[str, one])
    assert not fits(list[one], tuple[one, ...])
    assert not fits(tuple[one, ...], list[one])
    assert not fits(tuple[one, ...], tuple[one, one])
    assert not fits(tuple[one, one], tuple[one])
    assert not fits(collections.abc.Sequence[one], list[one])
    assert not fits(list[one], str)
    assert not fits(str, list[one])
    assert not fits(str, collections.abc.Sequence[one])


@law
@given(types_)
def test_a_container_without_items_types_fits_and_takes_any(one: Any) -> None:
    assert fits(list[one], list)
    assert fits(list, list[one])
    assert fits(dict[str, one], dict)
    assert fits(tuple[one, one], collections.abc.Sequence)


widenings = st.sampled_from(
    [
        (int, float),
        (Literal["a"], str),
        (Literal["a", 1], int | str),
        (Word, str),
        (Level, int),
        (Literal[1], float),
    ]
)
wider = st.recursive(
    widenings | leaves.map(lambda one: (one, one)),
    lambda inner: st.one_of(
        inner.map(lambda pair: (LIST[pair[0]], LIST[pair[1]])),
        inner.map(lambda pair: (DICT[str, pair[0]], DICT[str, pair[1]])),
        inner.map(lambda pair: (TUPLE[pair[0], pair[0]], TUPLE[pair[1], ...])),
        inner.map(lambda pair: (pair[0], OPTIONAL[pair[1]])),
        inner.map(lambda pair: (OPTIONAL[pair[0]], OPTIONAL[pair[1]])),
        st.tuples(inner, leaves).map(lambda pair: (pair[0][0], UNION[pair[1], pair[0][1]])),
    ),
    max_leaves=4,
)


@law
@given(st.data(), wider)
def test_what_fits_is_accepted_by_the_target(data: st.DataObject, pair: tuple[Any, Any]) -> None:
    source, target = pair
    value = data.draw(st.from_type(source))

    assert fits(source, target)
    TypeAdapter(target).validate_python(value)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (int, float, True),
        (float, int, False),
        (bool, int, False),
        (bool, float, False),
        (int, bool, False),
        (bool, bool, True),
        (bool, object, True),
        (int, object, True),
        (Literal[1], float, True),
        (Literal[True], int, False),
        (Literal[True], bool, True),
        (Literal[1], Literal[True], False),
        (Literal["a", 1], str | int, True),
        (Literal["a", "b"], Literal["a"] | Literal["b"], True),
        (Literal["a"], str, True),
        (str, Literal["a"], False),
        (Literal["yes"], Word, False),
        (Word, Literal["yes", "no"], False),
        (Word, str, True),
        (Team, str, False),
        (Level, int, True),
        (list[int], list[float], True),
        (list[bool], list[int], False),
        (list[Literal["a"]], list[str], True),
        (int | None, float | None, True),
        (int | str, str, False),
        (Reminder, Invoice, True),
        (Invoice, Reminder, False),
        (Invoice, dict, False),
        (datetime.datetime, datetime.date, True),
        (Movie, Movie, True),
        (Movie, dict, True),
        (dict, Movie, False),
        (dict[str, str], Movie, False),
        (Invoice, Named, False),
        (collections.abc.Callable[..., int], collections.abc.Callable[..., int], True),
        (collections.abc.Callable[..., int], collections.abc.Callable[..., str], False),
    ],
)
def test_single_cases(source: Any, target: Any, expected: bool) -> None:
    assert fits(source, target) is expected
