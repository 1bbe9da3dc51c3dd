"""The law: a type that is written and read encodes, validates and prints as the type it was."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import os
import subprocess
import sys
import typing
import warnings
from typing import Annotated, Any, ForwardRef, Literal, Optional, Union

import annotated_types
import dspy
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from fusionprog.artifacts.types import decode_type, encode_type


def prompts(annotation: Any) -> list[Any]:
    fields: Any = {"x": (str, dspy.InputField()), "y": (annotation, dspy.OutputField(desc="d"))}
    signature: Any = dspy.Signature(fields, "Do it.")
    adapters: list[Any] = [dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()]
    return [adapter.format(signature, [], {"x": "hello"}) for adapter in adapters]


def dumped(annotation: Any, value: Any) -> Any:
    return pydantic.TypeAdapter(annotation).dump_python(value, mode="json")


def reread(annotation: Any, plain: Any) -> Any:
    return dumped(annotation, pydantic.TypeAdapter(annotation).validate_python(plain))


def obeys(annotation: Any, *values: Any) -> Any:
    encoded = encode_type(annotation, where="answer.y")
    text = json.dumps(encoded, allow_nan=False)
    rebuilt = decode_type(json.loads(text), where="answer.y")
    assert json.dumps(encode_type(rebuilt, where="answer.y")) == text
    # A writer that sorts keys changes nothing.
    by_key = decode_type(json.loads(json.dumps(encoded, sort_keys=True)), where="answer.y")
    assert json.dumps(encode_type(by_key, where="answer.y")) == text
    assert prompts(rebuilt) == prompts(annotation)
    for value in values:
        plain = dumped(annotation, value)
        assert reread(rebuilt, plain) == reread(annotation, plain)
    return rebuilt


def obeys_exactly(annotation: Any, *values: Any) -> Any:
    rebuilt = obeys(annotation, *values)
    for value in values:
        plain = dumped(annotation, value)
        assert reread(rebuilt, plain) == plain
    return rebuilt


Typed = tuple[Any, st.SearchStrategy[Any]]


def of(form: Any, *parts: Any) -> Any:
    return form[parts]


SCALARS: list[Typed] = [
    (str, st.text(max_size=5)),
    (int, st.integers(-9, 9)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (type(None), st.none()),
    (None, st.none()),
    (Any, st.integers()),
    (datetime.date, st.dates()),
    (datetime.datetime, st.datetimes()),
    (datetime.time, st.times()),
    (
        decimal.Decimal,
        st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-99, max_value=99),
    ),
    (Annotated[int, Field(ge=0, le=9)], st.integers(0, 9)),
    (Annotated[int, annotated_types.Ge(0), annotated_types.Lt(9)], st.integers(0, 8)),
    (Annotated[float, Field(gt=0, lt=1, description="a share")], st.just(0.5)),
    (Annotated[str, Field(min_length=1, max_length=4, pattern="^[a-z]*$")], st.just("abc")),
    (pydantic.PositiveInt, st.integers(1, 9)),
    (pydantic.constr(strip_whitespace=True, min_length=1), st.just("a")),
    (pydantic.conlist(int, min_length=1), st.just([1])),
    (list, st.just([1, "a"])),
    (dict, st.just({"a": 1})),
    (tuple, st.just((1,))),
    (set, st.just({1})),
]
WORDS = st.text("abcdefgh", min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


class Names:
    def __init__(self) -> None:
        self.used = 0

    def __call__(self, stem: str) -> str:
        self.used += 1
        return f"{stem}{self.used}"


@st.composite
def literals(draw: st.DrawFn) -> Typed:
    members = draw(st.lists(TEXTS | st.integers(-3, 3) | st.booleans() | st.none(), min_size=1, max_size=4))
    made = of(Literal, *members)
    return made, st.sampled_from(typing.get_args(made))


@st.composite
def enumerations(draw: st.DrawFn, names: Names) -> Typed:
    members = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    mixin = draw(st.sampled_from([str, int, None]))
    values: list[Any] = list(range(len(members))) if mixin is int else [word.upper() for word in members]
    made: Any = enum.Enum(names("Kind"), list(zip(members, values, strict=True)), type=mixin)  # type: ignore[misc]
    made.__doc__ = draw(st.none() | TEXTS)
    return made, st.sampled_from(list(made))


@st.composite
def models(draw: st.DrawFn, names: Names, inner: st.SearchStrategy[Typed]) -> Typed:
    name = names("Model")
    fields: dict[str, Any] = {}
    samples: dict[str, st.SearchStrategy[Any]] = {}
    for field in draw(st.lists(WORDS, min_size=1, max_size=3, unique=True)):
        annotation, values = draw(inner)
        says: dict[str, Any] = draw(
            st.fixed_dictionaries({}, optional={"description": TEXTS, "title": TEXTS, "examples": st.just([1, "a"])})
        )
        if draw(st.booleans()):
            annotation = of(Union, annotation, None)
            says["default"] = None
        if draw(st.booleans()):
            says["alias"] = f"{field}-alias"
        fields[field] = (annotation, Field(**says))
        samples[says.get("alias", field)] = values
    if draw(st.booleans()):
        fields["children"] = (of(list, ForwardRef(name)), Field(default_factory=list, max_length=3))
    config: Any = draw(st.fixed_dictionaries({}, optional={"extra": st.just("forbid"), "title": TEXTS}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pydantic.create_model(name, __config__=config, __doc__=draw(st.none() | TEXTS), **fields)
        made.model_rebuild(_types_namespace={name: made})
    return made, st.fixed_dictionaries(samples).map(lambda values: made.model_construct(**by_name(made, values)))


def by_name(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[field.alias or name] for name, field in model.model_fields.items() if name != "children"}


@st.composite
def typed(draw: st.DrawFn, names: Names, depth: int = 3) -> Typed:
    inner = typed(names, depth - 1)
    leaf = st.sampled_from(SCALARS) | literals() | enumerations(names)
    if not depth or draw(st.integers(0, 3)) == 0:
        return draw(leaf)
    kind = draw(st.sampled_from(["list", "dict", "tuple", "many", "set", "union", "annotated", "model"]))
    if kind == "model":
        return draw(models(names, inner))
    annotation, values = draw(inner)
    if kind == "list":
        return of(list, annotation), st.lists(values, max_size=2)
    if kind == "many":
        return of(tuple, annotation, ...), st.lists(values, max_size=2).map(tuple)
    if kind == "set":
        hashable, members = draw(st.sampled_from(SCALARS[:4]))
        return of(set, hashable), st.sets(members, max_size=1)
    if kind == "dict":
        return of(dict, str, annotation), st.dictionaries(WORDS, values, max_size=2)
    if kind == "annotated":
        return of(list, of(Annotated, annotation, Field(description=draw(TEXTS)))), st.lists(values, max_size=2)
    other, others = draw(inner)
    if kind == "tuple":
        return of(tuple, annotation, other), st.tuples(values, others)
    return of(Union, annotation, other, None), values | others


@st.composite
def samples(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        annotation, values = draw(typed(Names()))
        return annotation, draw(st.lists(values, max_size=2))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(samples())
def test_random_types_obey_the_law(sample: tuple[Any, list[Any]]) -> None:
    annotation, values = sample
    with warnings.catch_warnings():
        # pydantic warns where a value is dumped by a union's member that it does not belong to.
        warnings.simplefilter("ignore")
        obeys(annotation, *[value for value in values if readable(annotation, value)])


def readable(annotation: Any, value: Any) -> bool:
    """Whether the type itself reads what it wrote (a union may not: a date written as text is read as str)."""
    try:
        return reread(annotation, dumped(annotation, value)) is not ...
    except pydantic.ValidationError:
        return False


class Color(enum.Enum):
    """What it looks like."""

    RED = "red"
    GREEN = "green"
    CRIMSON = "red"


class Size(enum.StrEnum):
    SMALL = "s"
    LARGE = "l"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Money(BaseModel):
    """An amount.

    In a currency.
    """

    amount: decimal.Decimal = Field(max_digits=8, decimal_places=2, description="never negative", ge=0)
    currency: Literal["EUR", "USD"] = "EUR"


class Invoice(BaseModel):
    """A bill."""

    model_config = pydantic.ConfigDict(extra="forbid", title="A bill", json_schema_extra={"examples": [{"a": 1}]})

    number: str = Field(alias="No.", pattern=r"^\d+$", examples=["12"])
    total: Money
    paid: Money | None = None
    lines: list[Line] = Field(default_factory=list, max_length=99)
    tags: set[str] = set()
    color: Color = Color.RED
    due: datetime.date = datetime.date(2026, 11, 21)
    span: tuple[int, float] = (1, 0.5)
    note: str = None  # type: ignore[assignment]
    rank: Annotated[int, annotated_types.Le(9), annotated_types.Ge(1)] = 1
    share: float = Field(float("inf"), allow_inf_nan=True)
    code: Annotated[str, pydantic.StringConstraints(to_upper=True), annotated_types.MinLen(1)] = "a"
    odd: Annotated[list[int], annotated_types.Len(1, 5), Field(max_length=3)] = Field([1], min_length=1)
    seen: int = Field(0, validation_alias="was_seen", exclude=True, frozen=True, json_schema_extra={"x": [1]})


class Line(BaseModel):
    text: str
    price: Money
    parts: list[Line] = []
    of: Invoice | None = None


Invoice.model_rebuild()


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    friend: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


MONEY = Money(amount=decimal.Decimal("9.90"))
INVOICE = Invoice.model_validate(
    {
        "No.": "7",
        "total": MONEY,
        "lines": [{"text": "a", "price": MONEY, "parts": [{"text": "b", "price": MONEY}]}],
    }
)

KINDS: list[tuple[Any, Any]] = [
    (str, "a"),
    (int, 1),
    (float, 1.5),
    (bool, True),
    (None, None),
    (type(None), None),
    (Any, {"a": [1]}),
    (Literal["b", "a"], "a"),
    (Literal["it's", 'a "b"', 1, True, None], True),
    (datetime.date, datetime.date(2026, 1, 2)),
    (datetime.datetime, datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)),
    (datetime.time, datetime.time(3, 4)),
    (decimal.Decimal, decimal.Decimal("1.50")),
    (list, [1]),
    (list[str], ["a"]),
    (list[None], [None]),
    (of(list, type(None)), [None]),
    (list[Any], [None]),
    (typing.List[int], [1]),  # noqa: UP006
    (dict, {"a": 1}),
    (dict[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (dict[Literal["a", "b"], int], {"a": 1}),
    (dict[Size, int], {Size.SMALL: 1}),
    (dict[Annotated[str, Field(max_length=3)], int], {"a": 1}),
    (tuple, (1, 2)),
    (tuple[()], ()),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2)),
    (set, {1}),
    (set[int], {1}),
    (Optional[int], None),  # noqa: UP045
    (int | None, 1),
    (None | int | str, "a"),
    (list[int | None] | dict[str, bool], [1, None]),
    (Annotated[int, Field(ge=1, le=9, multiple_of=2)], 4),
    (list[Annotated[int, Field(gt=1, lt=9)]], [4]),
    (list[Annotated[int, Field()]], [4]),
    (list[Annotated[int, annotated_types.Interval(ge=1, lt=9)]], [4]),
    (list[Annotated[str, annotated_types.Len(1), pydantic.Strict()]], ["a"]),
    (list[Annotated[datetime.date, Field(ge=datetime.date(2026, 1, 1))]], [datetime.date(2026, 1, 2)]),
    (list[Annotated[decimal.Decimal, Field(lt=decimal.Decimal("2.5"))]], [decimal.Decimal("1.5")]),
    (Annotated[dict[str, int], Field(min_length=1)], {"a": 1}),
    (Annotated[str | None, Field(min_length=1)], "a"),
    (Color, Color.GREEN),
    (Size, Size.LARGE),
    (Rank, Rank.HIGH),
    (list[Color | Rank], [Color.RED, Rank.LOW]),
    (Money, MONEY),
    (Invoice, INVOICE),
    (Line, INVOICE.lines[0]),
    (list[Invoice | Money], [INVOICE, MONEY]),
    (dict[str, Dog], {"a": Dog(kind="dog", friend=Cat(kind="cat"))}),
    (list[Annotated[Cat | Dog, Field(discriminator="kind")]], [Cat(kind="cat")]),
]


@pytest.mark.parametrize(("annotation", "value"), KINDS, ids=[str(kind)[:60] for kind, _ in KINDS])
def test_kind_obeys_the_law(annotation: Any, value: Any) -> None:
    if annotation is Invoice or annotation == list[Invoice | Money]:
        # An excluded field, an alias and nested optional invoices: read back only by what they were written from.
        obeys(annotation)
    else:
        obeys_exactly(annotation, value)


def test_a_model_reads_and_writes_as_before() -> None:
    rebuilt = obeys(Invoice)
    plain = INVOICE.model_dump(mode="json", by_alias=True, exclude={"note"})
    mine, theirs = rebuilt.model_validate(plain), Invoice.model_validate(plain)
    assert mine.model_dump(mode="json", by_alias=True) == theirs.model_dump(mode="json", by_alias=True)
    assert mine.model_dump_json() == theirs.model_dump_json()
    assert (mine.span, mine.tags, mine.note, mine.code) == ((1, 0.5), set(), None, "A")
    for wrong in (
        {**plain, "No.": "x"},
        {**plain, "other": 1},
        {**plain, "code": ""},
        {**plain, "odd": [1] * 6},
    ):
        with pytest.raises(pydantic.ValidationError):
            rebuilt.model_validate(wrong)


def test_an_enumeration_keeps_names_bases_and_aliases() -> None:
    assert [*obeys(Color).__members__] == ["RED", "GREEN", "CRIMSON"]
    assert issubclass(obeys(Size), enum.StrEnum)
    assert issubclass(obeys(Rank), enum.IntEnum)
    Both = enum.Enum("Both", [("A", "a")], type=str)
    assert obeys(Both).__mro__[1:3] == (str, enum.Enum)


def test_order_survives_the_cache_of_typing() -> None:
    # Both unions are equal for typing, which would hand out whichever was made first.
    first = decode_type({"anyOf": [{"type": "array", "items": {"enum": ["a", "b"]}}, {"type": "null"}]}, where="a.y")
    second = decode_type({"anyOf": [{"type": "array", "items": {"enum": ["b", "a"]}}, {"type": "null"}]}, where="a.y")
    assert first == second
    assert "Literal['a', 'b']" in str(first)
    assert "Literal['b', 'a']" in str(second)


def test_fields_that_share_a_model_share_it_again() -> None:
    alone = decode_type(encode_type(Money, where="a.y"), where="a.y")
    inside = decode_type(encode_type(Invoice, where="a.y"), where="a.y")
    assert inside.model_fields["total"].annotation is alone
    assert decode_type(encode_type(list[Invoice], where="b.y"), where="b.y") == of(list, inside)


def test_the_encoding_of_a_model() -> None:
    assert encode_type(list[Money], where="a.y") == {
        "type": "array",
        "items": {"$ref": "#/$defs/Money"},
        "$defs": {
            "Money": {
                "type": "object",
                "description": "An amount.\n\nIn a currency.",
                "properties": {
                    "amount": {
                        "type": "string",
                        "format": "decimal",
                        "minimum": 0,
                        "max_digits": 8,
                        "decimal_places": 2,
                        "description": "never negative",
                    },
                    "currency": {"enum": ["EUR", "USD"], "default": "EUR"},
                },
                "required": ["amount"],
                "order": ["amount", "currency"],
            }
        },
    }


def test_the_encoding_is_sorted_and_says_nothing_twice() -> None:
    definitions = encode_type(Invoice, where="a.y")["$defs"]
    assert list(definitions) == ["Color", "Invoice", "Line", "Money"]
    assert definitions["Color"] == {
        "python": "Enum",
        "description": "What it looks like.",
        "enum": ["red", "green"],
        "names": ["RED", "GREEN"],
        "aliases": {"CRIMSON": "RED"},
    }
    fields = definitions["Invoice"]["properties"]
    assert fields["number"] == {"type": "string", "pattern": r"^\d+$", "examples": ["12"], "alias": "No."}
    assert fields["color"]["default"] == {"$ref": "#/$defs/Color", "member": "RED"}
    assert fields["due"]["default"] == {"$date": "2026-11-21"}
    assert fields["share"]["default"] == {"$float": "inf"}


def test_the_encoding_is_the_same_in_every_process() -> None:
    program = (
        "import json, typing, enum, pydantic\n"
        "from fusionprog.artifacts.types import encode_type\n"
        "Kind = enum.Enum('Kind', [(w, w) for w in 'zyxab'])\n"
        "Inner = pydantic.create_model('Inner', k=(Kind, Kind.z), t=(typing.Literal['q', 'b', 'c'], 'b'))\n"
        "Outer = pydantic.create_model('Outer', i=(dict[str, Inner], ...), s=(set[str], set()), __config__="
        "{'extra': 'forbid', 'frozen': True})\n"
        "print(json.dumps(encode_type(list[Outer], where='a.y')))\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


@pytest.mark.parametrize("doc", ["a", "  a", "\n    a\n  b", "a\n    b\n  c", "\n\n   x\n\n  y\n ", "\ta\n\t\tb"])
def test_docstrings_come_back_as_they_are_read(doc: str) -> None:
    obeys(pydantic.create_model("M", __doc__=doc, x=(int, ...)))


@pytest.mark.parametrize("name", ["json", "copy", "schema", "class", "self", "model_name", "é"])
def test_odd_but_usable_field_names(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fields: Any = {name: (int, ...)}
        model = pydantic.create_model("M", **fields)
    assert obeys(model).model_fields.keys() == {name}
