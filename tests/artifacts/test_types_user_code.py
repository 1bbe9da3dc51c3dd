"""The user's own classes in place of rebuilt ones, and the code that is lost without them."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import annotated_types
import pydantic
import pytest
from pydantic import BaseModel, Field

from fusionprog.artifacts.types import decode_type, encode_type, lost_validators
from fusionprog.errors import ArtifactError


class Kind(enum.Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> Kind | None:
        return cls.A if value == "A" else None


def positive(value: int) -> int:
    if value < 0:
        raise ValueError("negative")
    return value


class Item(BaseModel):
    kind: Kind = Kind.A
    price: Annotated[int, pydantic.AfterValidator(positive)] = 0
    sizes: list[Annotated[int, annotated_types.Predicate(positive)]] = []

    @pydantic.field_validator("price")
    @classmethod
    def check_price(cls, value: int) -> int:
        return value


class Invoice(BaseModel):
    items: list[Item]
    _seen: int = 0

    @pydantic.model_validator(mode="after")
    def check_total(self) -> Invoice:
        if self.total > 100:
            raise ValueError("too much")
        return self

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        return sum(item.price for item in self.items)

    @pydantic.field_serializer("items")
    def write_items(self, items: list[Item]) -> Any:
        return items

    def helper(self) -> None:
        pass


class Order(BaseModel):
    invoice: Invoice
    first: Item | None = None

    def model_post_init(self, context: Any, /) -> None:
        pass


def test_code_that_is_lost_is_named() -> None:
    assert lost_validators(dict[str, Order | None]) == (
        "Order.model_post_init",
        "Invoice.check_total",
        "Invoice.write_items",
        "Invoice.total",
        "Item.check_price",
        "Kind._missing_",
        "Item.price: AfterValidator(positive)",
        "Item.sizes: Predicate(positive)",
    )


def test_types_without_code_lose_nothing() -> None:
    class Clean(BaseModel):
        x: int = Field(ge=1)
        again: Clean | None = None
        _private: int = 1

        def helper(self) -> None:
            pass

    for annotation in (int, list[str], Clean, Annotated[int, Field(ge=1)], None, print, "int"):
        assert lost_validators(annotation) == ()
    assert lost_validators(Annotated[int, pydantic.BeforeValidator(positive)]) == ("BeforeValidator(positive)",)


def test_what_is_lost_no_longer_judges() -> None:
    rebuilt = decode_type(encode_type(Order, where="a.y"), where="a.y")
    order = {"invoice": {"items": [{"price": 200, "sizes": [-1]}]}, "first": {"price": -1}}
    with pytest.raises(pydantic.ValidationError):
        Order.model_validate(order)
    assert rebuilt.model_validate(order).invoice.items[0].price == 200
    assert lost_validators(rebuilt) == ()
    assert rebuilt.model_json_schema() == Order.model_json_schema()


def test_the_users_class_takes_its_place_with_all_that_it_uses() -> None:
    encoded = encode_type(list[Order], where="a.y")
    assert decode_type(encoded, types={"Order": Order, "Other": int}, where="a.y") == list[Order]

    (order,) = decode_type(encoded, types={"Invoice": Invoice}, where="a.y").__args__
    assert order is not Order
    assert order.model_fields["invoice"].annotation is Invoice
    assert order.model_fields["first"].annotation == Item | None
    assert order.model_json_schema() == Order.model_json_schema()

    again = decode_type(encoded, types={"Invoice": Invoice}, where="b.y")
    assert again.__args__ == (order,)
    assert decode_type(encoded, where="a.y") not in (again, list[Order])


def test_an_enumeration_may_be_given() -> None:
    encoded = encode_type(Item, where="a.y")
    rebuilt = decode_type(encoded, types={"Kind": Kind}, where="a.y")
    assert rebuilt.model_validate({"kind": "A"}).kind is Kind.A


def test_another_class_is_refused_with_the_difference() -> None:
    encoded = encode_type(Order, where="answer.order")
    changed = pydantic.create_model("Item", kind=(Kind, Kind.A), price=(float, 0), sizes=(list[int], []))
    with pytest.raises(ArtifactError, match=r"answer\.order: Item .*found Item\.price was int, is float\."):
        decode_type(encoded, types={"Item": changed}, where="answer.order")
    short = pydantic.create_model("Item", kind=(Kind, Kind.A), price=(int, 0))
    with pytest.raises(ArtifactError, match=r"Item\.sizes is gone"):
        decode_type(encoded, types={"Item": short}, where="answer.order")
    swapped = pydantic.create_model("Item", price=(int, 0), kind=(Kind, Kind.A), sizes=(list[int], []))
    with pytest.raises(ArtifactError, match="order"):
        decode_type(encoded, types={"Item": swapped}, where="answer.order")


@pytest.mark.parametrize("wrong", [int, None, "Item", dict[str, int], Kind, type("Item", (), {})])
def test_what_is_no_such_class_is_refused(wrong: Any) -> None:
    with pytest.raises(ArtifactError, match=r"answer\.order"):
        decode_type(encode_type(Order, where="a.y"), types={"Item": wrong}, where="answer.order")


def test_two_classes_of_one_name_are_refused() -> None:
    twin = pydantic.create_model("Item", kind=(Kind, Kind.A), price=(int, 0), sizes=(list[int], []))
    with pytest.raises(ArtifactError, match="named Item"):
        decode_type(encode_type(Order, where="a.y"), types={"Invoice": Invoice, "Item": twin}, where="a.y")
