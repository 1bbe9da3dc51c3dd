"""What differs between two types is said in words, and nothing that differs is left out."""

from __future__ import annotations

import datetime
import enum
import itertools
import json
from typing import Annotated, Any, Literal

import pydantic
import pytest

from fusionprog.artifacts.types import encode_type
from fusionprog.artifacts.types.changes import type_changes, type_words


def model(doc: str = "", **fields: Any) -> type[pydantic.BaseModel]:
    made: type[pydantic.BaseModel] = pydantic.create_model("Order", **fields)
    made.__doc__ = doc
    return made


def kind(base: Any = enum.Enum, **members: str) -> Any:
    return base("Kind", members)


CHANGES: list[tuple[Any, Any, list[str]]] = [
    (str, str, []),
    (int, float, ["was int, is float"]),
    (str, Literal["a", "b"], ["was str, is 'a' or 'b'"]),
    (Literal["a", "b"], Literal["a", "c", "d"], ["labels 'c', 'd' are new", "label 'b' is gone"]),
    (Literal["a", "b"], Literal["b", "a"], ["the labels stand in another order: 'b', 'a'"]),
    (Literal["1"], Literal[1], ["label 1 is new", "label '1' is gone"]),
    (list[Literal["a"]], list[Literal["a", "b"]], ["label 'b' is new"]),
    (list[str], list[int], ["an item was str, is int"]),
    (list[str], set[str], ["was list[str], is set[str]"]),
    (tuple[int, str], tuple[int, int], ["item 2 was str, is int"]),
    (tuple[int, ...], tuple[int, int], ["was tuple[int, ...], is tuple[int, int]"]),
    (dict[str, int], dict[str, datetime.date], ["a value was int, is date"]),
    (dict[str, int], dict[Literal["a"], int], ["a key was str, is 'a'"]),
    (str | None, int | None, ["choice 1 was str, is int"]),
    (str, str | None, ["was str, is str | None"]),
    (int, Annotated[int, pydantic.Field(ge=0)], ['had none, has bounds [{"minimum": 0}]']),
    (model(a=(int, ...)), model(a=(int, ...), b=(str, ...)), ["Order.b is new"]),
    (model(a=(int, ...)), model(a=(str, ...)), ["Order.a was int, is str"]),
    (model(a=(int, ...)), model(a=(int, 3)), ["Order.a had none, has default 3"]),
    (model(a=(Literal["x"], ...)), model(a=(Literal["x", "y"], ...)), ["Order.a label 'y' is new"]),
    (
        model(a=(int, 1), b=(int, 1)),
        model(b=(int, 1), a=(int, 1)),
        ["the fields of Order stand in another order: 'b', 'a'"],
    ),
    (model("One."), model("Two."), ['Order had description "One.", has description "Two."']),
    (list[model(a=(int, ...))], list[kind(A="a")], ["was Order, is Kind"]),  # type: ignore[misc]
    (kind(A="a"), kind(A="a", B="b"), ["Kind: label 'b' is new"]),
    (kind(A="a"), kind(B="a"), ["the members of Kind were 'A', are 'B'"]),
    (kind(A="a"), kind(enum.StrEnum, A="a"), ["Kind was of the kind Enum, is of the kind StrEnum"]),
]


@pytest.mark.parametrize(("before", "after", "lines"), CHANGES)
def test_a_change_is_said_in_words(before: Any, after: Any, lines: list[str]) -> None:
    assert type_changes(encode_type(before, where="it"), encode_type(after, where="it")) == lines


def test_types_that_are_encoded_alike_have_no_changes_and_no_others_have_none() -> None:
    encoded = [encode_type(each, where="it") for pair in CHANGES for each in pair[:2]]
    for one, other in itertools.product(encoded, repeat=2):
        same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        assert (type_changes(one, other) == []) == same, (one, other)


class Tree(pydantic.BaseModel):
    children: list[Tree] = []
    size: int = 0


def test_a_model_that_holds_itself_is_gone_through_once() -> None:
    encoded = encode_type(Tree, where="it")
    changed = json.loads(json.dumps(encoded).replace('"integer"', '"number"'))
    assert type_changes(encoded, changed) == ["Tree.size was int, is float"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (list, "list"),
        (dict, "dict"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (tuple[()], "tuple[]"),
        (Any, "anything"),
        (None, "None"),
        (bool | datetime.datetime, "bool | date-time"),
        (Literal[tuple(f"{n}" for n in range(20))], " or ".join(repr(f"{n}") for n in range(12)) + " or 8 more"),
    ],
)
def test_types_are_named_as_one_writes_them(kind: Any, words: str) -> None:
    assert type_words(encode_type(kind, where="it")) == words
