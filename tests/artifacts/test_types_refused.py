"""What a file cannot hold is refused when it is written, by name."""

from __future__ import annotations

import enum
import re
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypedDict, TypeVar

import dspy
import pydantic
import pytest
from pydantic import BaseModel, Field

from fusionprog.artifacts.types import decode_type, encode_type
from fusionprog.errors import ProgramError


class Money(BaseModel):
    amount: int


class Color(enum.Enum):
    RED = "red"


class Rank(enum.IntEnum):
    LOW = 1


class Plain:
    pass


class Dictionary(TypedDict):
    a: int


class Picture(BaseModel):
    picture: dspy.Image


class WithFactory(BaseModel):
    at: list[int] = Field(default_factory=lambda: [1])


class WithInstance(BaseModel):
    money: Money = Money(amount=1)


Item = TypeVar("Item")


class Box(BaseModel, typing.Generic[Item]):
    item: Item


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Flags(enum.Flag):
    A = 1


class Points(enum.Enum):
    ORIGIN = (0, 0)


class OwnSchema(BaseModel):
    x: int

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        return {"type": "object"}


class OwnValidation(BaseModel):
    x: int

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(source)


class WithSets(BaseModel):
    letters: set[str] = {"a", "b"}


class OtherSchema(BaseModel):
    x: Annotated[int, pydantic.BeforeValidator(int, json_schema_input_type=str)]


OTHER_MONEY: Any = pydantic.create_model("Money", x=(int, ...))


REFUSED: list[tuple[Any, str]] = [
    (Plain, "Plain"),
    (Dictionary, "Dictionary"),
    (print, "print"),
    (Callable[[int], int], "Callable"),
    (bytes, "bytes"),
    (complex, "complex"),
    (dspy.Image, "Image"),
    (list[dspy.Image], "Image"),
    (Picture, "Picture.picture"),
    (dspy.History, "History"),
    (Item, "Item"),
    ("int", "'int'"),
    (list["int"], "'int'"),
    (frozenset[int], "frozenset"),
    (Sequence[int], "Sequence"),
    (typing.List, "List"),  # noqa: UP006
    (typing.Tuple, "Tuple"),  # noqa: UP006
    (Literal[Color.RED], "Color.RED"),
    (Literal[b"a"], "b'a'"),
    (dict[float, int], "keys that JSON has"),
    (dict[Rank, int], "keys that JSON has"),
    (dict[Literal[1], int], "keys that JSON has"),
    (Box[int], "subclass"),
    (Numbers, "root"),
    (Flags, "Flags"),
    (Points, "Points"),
    (OwnSchema, "OwnSchema"),
    (OwnValidation, "write its own schema"),
    (OtherSchema, "properties.x.type"),
    (WithFactory, "default_factory"),
    (WithInstance, "WithInstance.money"),
    (WithSets, "WithSets.letters"),
    (tuple[Money, OTHER_MONEY], "rename"),
    (list[Annotated[int, pydantic.AfterValidator(abs)]], "pydantic model"),
    (Annotated[int, "a note"], "a note"),
    (list[Annotated[int, Field(default=1)]], "default"),
    (list[Annotated[int, Field(alias="a")]], "alias"),
    (Annotated[str, Field(pattern=re.compile("a"))], "compiled"),
    (pydantic.create_model("M", x=(int, Field(deprecated=True))), "deprecated"),
    (pydantic.create_model("M", x=(int, Field(json_schema_extra=lambda schema: None))), "json_schema_extra"),
    (
        pydantic.create_model("M", x=(int, Field(validation_alias=pydantic.AliasPath("a", 0)))),
        "validation_alias",
    ),
    (pydantic.create_model("M", x=(dict[str, int], {"$a": 1})), "cannot hold this value"),
    (
        pydantic.create_model("M", __config__={"model_title_generator": str}, x=(int, ...)),
        "model_title_generator",
    ),
    (pydantic.create_model("M N", x=(int, ...)), "plain name"),
]


@pytest.mark.parametrize(("annotation", "named"), REFUSED, ids=[str(kind)[:60] for kind, _ in REFUSED])
def test_what_cannot_be_held_is_refused_by_name(annotation: Any, named: str) -> None:
    with pytest.raises(ProgramError) as caught:
        encode_type(annotation, where="answer.total")
    assert "answer.total" in str(caught.value)
    assert named in str(caught.value)


def test_a_deep_type_is_refused() -> None:
    deep: Any = int
    for _ in range(64):
        deep = list[deep]
    assert decode_type(encode_type(deep, where="a.y"), where="a.y") == deep
    with pytest.raises(ProgramError, match="deep"):
        encode_type(list[deep], where="a.y")


def test_a_long_chain_of_models() -> None:
    model = pydantic.create_model("M0", x=(int, ...))
    for depth in range(1, 64):
        model = pydantic.create_model(f"M{depth}", x=(model, ...), y=(model, ...))
    rebuilt = decode_type(encode_type(model, where="a.y"), where="a.y")
    assert rebuilt.model_json_schema() == model.model_json_schema()
    longer = pydantic.create_model("Z", x=(list[model], ...))  # type: ignore[valid-type]
    with pytest.raises(ProgramError, match="deep"):
        encode_type(longer, where="a.y")
