"""What nobody wrote is refused when it is read: damaged, deep, huge and hostile files."""

from __future__ import annotations

import copy
import datetime
import enum
import json
import re
from typing import Annotated, Any, Literal

import annotated_types
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from fusionprog.artifacts.types import decode_type, encode_type
from fusionprog.errors import ArtifactError


class Money(BaseModel):
    amount: int


class Color(enum.Enum):
    RED = "red"


class Bill(BaseModel):
    """What is owed."""

    model_config = pydantic.ConfigDict(extra="forbid")

    money: Money = Field(description="how much", alias="sum")
    color: Color = Color.RED
    due: datetime.date | None = datetime.date(2026, 11, 21)
    parts: Annotated[list[Bill], annotated_types.Len(0, 3)] = Field(default_factory=list, max_length=9)
    notes: tuple[dict[str, Literal["a", 1]], ...] = ({"k": "a"},)


MODEL: Any = {
    "$ref": "#/$defs/M",
    "$defs": {"M": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "order": ["x"]}},
}
KIND: Any = {"$ref": "#/$defs/K", "$defs": {"K": {"python": "Enum", "enum": [1, 2], "names": ["A", "B"]}}}


def changed(base: Any, path: str, value: Any) -> Any:
    """A copy with the value at the path replaced, or removed where the value is `...`."""
    made = copy.deepcopy(base)
    *outer, last = path.split("/")
    inside = made
    for key in outer:
        inside = inside[key]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    return made


def model_with(name: str) -> Any:
    definition = {
        "type": "object",
        "properties": {name: {"type": "integer"}},
        "required": [name],
        "order": [name],
    }
    return {"$ref": "#/$defs/M", "$defs": {"M": definition}}


def field(**keys: Any) -> Any:
    return changed(MODEL, "$defs/M/properties/x", {"type": "integer", **keys})


def optional_field(**keys: Any) -> Any:
    return changed(field(**keys), "$defs/M/required", [])


ODD_NAMES = [
    "__init__",
    "_x",
    "model_config",
    "model_fields",
    "model_dump",
    "a b",
    "a.b",
    "x=1",
    "",
    "1a",
    "a()",
]

HOSTILE: list[Any] = [
    None,
    [],
    "int",
    {"type": "int"},
    {"type": ["integer"]},
    {"type": "string", "format": "uuid"},
    {"type": "integer", "python": "tuple"},
    {"type": "integer", "x": 1},
    {"type": "integer", "minimum": 1},
    {"type": "integer", 1: 1},
    {"const": 1},
    {"const": False},
    {"enum": []},
    {"enum": "ab"},
    {"enum": [1.5]},
    {"enum": [["a"]]},
    {"enum": ["a", "a"]},
    {"anyOf": []},
    {"anyOf": [{"type": "string"}]},
    {"anyOf": [{"type": "string"}, {"type": "string"}]},
    {"anyOf": [{"type": "null"}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}]},
    {"anyOf": {"type": "string"}},
    {"type": "array", "uniqueItems": 1},
    {"type": "array", "items": False},
    {"type": "array", "items": {"type": "string"}, "prefixItems": []},
    {"type": "array", "python": "tuple", "prefixItems": [{"type": "string"}]},
    {"type": "array", "python": "list", "items": {"type": "string"}},
    {"type": "object", "propertyNames": {"type": "integer"}},
    {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}},
    {"type": "object", "propertyNames": {"type": "number"}, "additionalProperties": {}},
    {"type": "integer", "allOf": []},
    {"type": "integer", "allOf": [{"minimum": 1, "default": 3}]},
    {"type": "integer", "allOf": [{"minimum": "a"}]},
    {"type": "integer", "allOf": [{"python": "os.system", "minimum": 1}]},
    {"type": "integer", "allOf": [{"python": ["Ge"], "minimum": 1}]},
    {"type": "integer", "allOf": [{"python": "Ge", "maximum": 1}]},
    {"type": "integer", "allOf": [{"python": "Ge"}]},
    {"type": "string", "allOf": [{"minLength": 1, "minItems": 1}]},
    {"type": "string", "allOf": [{"minItems": 1}]},
    {"type": "string", "allOf": [{"pattern": "("}]},
    {"type": "string", "allOf": [{"pattern": 1}]},
    {"type": "string", "allOf": [{"pattern": {"$tuple": [1]}}]},
    {"type": "integer", "allOf": [{"discriminator": "a"}]},
    {"type": "integer", "allOf": [{"extra": 5}]},
    {"type": "string", "$defs": {}},
    {"type": "string", "$defs": MODEL["$defs"]},
    {"$ref": "#/$defs/M"},
    {"$ref": "M", "$defs": MODEL["$defs"]},
    {"$ref": ["#/$defs/M"], "$defs": MODEL["$defs"]},
    {"$ref": "os:system"},
    changed(MODEL, "$defs/M/python", "exec"),
    changed(MODEL, "$defs/M/type", ...),
    changed(MODEL, "$defs/M/order", ...),
    changed(MODEL, "$defs/M/order", []),
    changed(MODEL, "$defs/M/order", ["x", "x"]),
    changed(MODEL, "$defs/M/order", [["x"]]),
    changed(MODEL, "$defs/M/required", []),
    changed(MODEL, "$defs/M/required", ["x", "y"]),
    changed(MODEL, "$defs/M/description", ["a"]),
    changed(MODEL, "$defs/M/description", "  a "),
    changed(MODEL, "$defs/M/properties", []),
    changed(MODEL, "$defs/M/properties/x", None),
    changed(MODEL, "$defs/M/config", {"alias_generator": "os.system"}),
    changed(MODEL, "$defs/M/config", {"extra": "yes"}),
    changed(MODEL, "$defs/M/config", {"extra": {"$decimal": "1"}}),
    field(unknown=1),
    field(default=1),
    field(alias=1),
    field(frozen="yes", serialization_alias=[]),
    field(description=5),
    field(exclude=1),
    field(alias=["a"]),
    field(examples="ab"),
    optional_field(default=float("nan")),
    field(minimum="a"),
    field(minimum={"$date": "2026-01-01"}),
    optional_field(default=1, default_factory="list"),
    optional_field(default_factory="os.system"),
    optional_field(default_factory=["list"]),
    optional_field(default={"$eval": "1"}),
    optional_field(default={"$date": "tomorrow"}),
    optional_field(default={"$decimal": "x"}),
    optional_field(default={"$float": "1.5"}),
    optional_field(default={"$date": 1}),
    optional_field(default={"$set": [[1]]}),
    optional_field(default={"$tuple": 1}),
    optional_field(default={"$tuple": [], "$set": []}),
    optional_field(default={"a": 1, "$b": 2}),
    optional_field(default={"$ref": "#/$defs/M", "member": "x"}),
    optional_field(default={"$ref": "#/$defs/N", "member": "x"}),
    optional_field(default={"$ref": 1}),
    changed(KIND, "$defs/K/names", ["A"]),
    changed(KIND, "$defs/K/names", ["A", "A"]),
    changed(KIND, "$defs/K/names", ["A", "__class__"]),
    changed(KIND, "$defs/K/names", ["A", "_ignore_"]),
    changed(KIND, "$defs/K/names", ["A", "__x"]),
    changed(KIND, "$defs/K/names", ["A", "mro"]),
    changed(KIND, "$defs/K/names", ["A", "b c"]),
    changed(KIND, "$defs/K/names", ["A", ["b"]]),
    changed(KIND, "$defs/K/names", "AB"),
    changed(KIND, "$defs/K/enum", [1, 1]),
    changed(KIND, "$defs/K/enum", [1, [2]]),
    changed(KIND, "$defs/K/enum", [1, {"$tuple": [1]}]),
    changed(KIND, "$defs/K/enum", [1, None]),
    changed(KIND, "$defs/K/python", "Flag"),
    changed(KIND, "$defs/K/python", ["Enum"]),
    changed(KIND, "$defs/K/python", "StrEnum"),
    changed(KIND, "$defs/K/aliases", {"C": "X"}),
    changed(KIND, "$defs/K/aliases", {"__init__": "A"}),
    changed(KIND, "$defs/K/aliases", {"A": "B"}),
    changed(KIND, "$defs/K/aliases", {}),
    changed(KIND, "$defs/K/description", 5),
    *(model_with(name) for name in ODD_NAMES),
    *(
        {"$ref": f"#/$defs/{name}", "$defs": {name: MODEL["$defs"]["M"]}}
        for name in ["__import__('os')", "a.b", "", "_x", "a b", "1"]
    ),
]


@pytest.mark.parametrize("encoded", HOSTILE, ids=[json.dumps(encoded, default=str)[:70] for encoded in HOSTILE])
def test_a_malformed_file_is_refused(encoded: Any) -> None:
    with pytest.raises(ArtifactError) as caught:
        decode_type(encoded, where="answer.total")
    assert "answer.total" in str(caught.value)


def test_the_bases_of_the_hostile_files_are_sound() -> None:
    for base in (
        MODEL,
        KIND,
        field(description="a"),
        optional_field(default={"$tuple": [1]}),
        model_with("y"),
    ):
        decode_type(base, where="a.y")


SOUND: Any = encode_type(list[Bill], where="answer.y")
WORDS = sorted({word for word in re.findall(r'"([^"]+)":', json.dumps(SOUND))} | {"$date", "$tuple", "python", "x"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_is_refused_or_as_good_as_any(data: st.DataObject) -> None:
    damaged = copy.deepcopy(SOUND)
    inside: Any = damaged
    while True:
        key = data.draw(st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside))))
        if not inside[key] or not isinstance(inside[key], dict | list) or data.draw(st.integers(0, 4)) == 0:
            break
        inside = inside[key]
    if data.draw(st.booleans()):
        inside[key] = data.draw(JSON)
    elif isinstance(inside, dict):
        inside[data.draw(st.sampled_from(WORDS))] = inside.pop(key)
    try:
        rebuilt = decode_type(damaged, where="answer.y")
    except ArtifactError as error:
        assert "answer.y" in str(error)
    else:
        assert encode_type(rebuilt, where="answer.y") == damaged


def nested(levels: int) -> Any:
    encoded: Any = {"type": "integer"}
    for _ in range(levels):
        encoded = {"type": "array", "items": encoded}
    return encoded


def nested_value(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def chain(models: int, ends: Any) -> Any:
    definitions = {}
    for at in range(models):
        inner = ends if at == models - 1 else {"$ref": f"#/$defs/M{at + 1}"}
        definitions[f"M{at}"] = {
            "type": "object",
            "properties": {"x": inner},
            "required": ["x"],
            "order": ["x"],
        }
    return {"$ref": "#/$defs/M0", "$defs": definitions}


@pytest.mark.parametrize(
    "encoded",
    [
        nested(65),
        nested(5_000),
        field(examples=nested_value(5_000)),
        optional_field(default=nested_value(65)),
        chain(100, {"type": "integer"}),
        chain(100, {"$ref": "#/$defs/M0"}),
        chain(5_000, {"type": "integer"}),
        {"type": "array", "python": "tuple", "prefixItems": [{"type": "integer"}] * 20_000, "items": False},
        {"anyOf": [{"type": "integer"}] * 20_000},
    ],
    ids=range(9),
)
def test_deep_and_huge_files_are_refused(encoded: Any) -> None:
    with pytest.raises(ArtifactError) as caught:
        decode_type(encoded, where="answer.total")
    assert len(str(caught.value)) < 1_000


def test_nothing_in_a_file_is_evaluated_or_imported() -> None:
    # A class named like a builtin, referred to before it is complete, is that class.
    definition = {
        "type": "object",
        "properties": {
            "print": {"anyOf": [{"$ref": "#/$defs/int"}, {"type": "null"}], "default": None},
            "n": {"type": "integer"},
        },
        "required": ["n"],
        "order": ["print", "n"],
    }
    rebuilt = decode_type({"$ref": "#/$defs/int", "$defs": {"int": definition}}, where="a.y")
    assert rebuilt.__name__ == "int"
    assert rebuilt(n=1, print=rebuilt(n=2)).print.n == 2
