"""Types as prompts print them."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest
from dspy.adapters.utils import get_annotation_name

from fusionprog.lm.offline import can_fill
from fusionprog.lm.offline.field_types import parse_field_type
from fusionprog.lm.offline.schema_types import least_value, type_from_schema


class Team(enum.Enum):
    A = 1


@pytest.mark.parametrize(
    "labels",
    [
        ("a", "b"),
        ("it's", 'say "x"', "both ' and \" x", "a, b", "x]", "]", "', '", "é ü"),
        ("ends in \\", "next"),
        ("' and \"",),
        (1, -2, True, None, "1"),
        ("two\nlines", ""),
    ],
)
def test_printed_labels_are_read_back(labels: tuple[Any, ...]) -> None:
    text = get_annotation_name(Literal[labels])
    field_type, end = parse_field_type(text)
    assert (field_type.kind, field_type.choices, end) == ("choice", labels, len(text))
    assert [type(choice) for choice in field_type.choices] == [type(label) for label in labels]


@pytest.mark.parametrize(
    ("annotation", "fills"),
    [
        (str, True),
        (bool, True),
        (Literal["a"], True),
        (Literal["a"] | None, True),
        (str | None, True),
        (int | dict[str, int], True),
        (list[str], True),
        (list[Literal["a", "b"]], True),
        (tuple[int, ...], True),
        (Any, True),
        (tuple[int, str], False),
        (list[list[str]], False),
        (dict[str, int], False),
        (dict[str, Any] | None, False),
        (list[dict[str, int]], False),
        (Team, False),
    ],
)
def test_what_can_be_filled(annotation: Any, fills: bool) -> None:
    assert can_fill(get_annotation_name(annotation)) is fills


@pytest.mark.parametrize(
    "text", ["", "Literal['a", "Literal[", "Literal[]", "list[", "list[]", "str, int", "(", "Literal[a"]
)
def test_what_is_no_type_cannot_be_filled(text: str) -> None:
    assert can_fill(text) is False


def test_python_s_own_spelling_is_understood() -> None:
    assert can_fill("str | None") and can_fill("typing.Optional[int]") and can_fill("decimal.Decimal")


def test_a_note_explains_a_class() -> None:
    assert can_fill("Team", "must be one of: billing; delivery")
    assert not can_fill("Person", 'must adhere to the JSON schema: {"type": "object"}')


def test_schemas_are_understood() -> None:
    person = {"type": "object", "properties": {"who": {"$ref": "#/$defs/Person"}}, "required": ["who"]}
    schema = {"$defs": {"Person": person}, "$ref": "#/$defs/Person"}
    assert type_from_schema(schema).kind == "object"
    # A model that requires itself has no value that fits; reading must end all the same.
    assert "who" in least_value(schema)
    assert not type_from_schema(
        {"$defs": {"T": {"type": "array", "items": {"$ref": "#/$defs/T"}}}, "$ref": "#/$defs/T"}
    ).fillable
    assert type_from_schema({"const": "a"}).choices == ("a",)
    assert type_from_schema({"type": "array", "prefixItems": [{"type": "integer"}]}).fillable is False
    assert least_value({"anyOf": [{"type": "integer"}, {"type": "null"}]}) is None
    assert least_value({"enum": ["x", "y"]}) == "x"
