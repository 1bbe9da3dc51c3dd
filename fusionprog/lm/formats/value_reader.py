"""Reads a field's value as its type has it, by the rules of DSPy's ``parse_value``."""

from __future__ import annotations

import ast
import enum
import json
from collections.abc import Callable
from functools import cached_property, partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import dspy
import json_repair
from dspy.adapters.utils import find_enum_member
from pydantic import TypeAdapter, ValidationError

from fusionprog._internal.threads import mixed_up
from fusionprog.program.signature import SignatureType


class ValueReader:
    """Reads the values of one type; what they need is made once.

    Args:
        annotation: The type.

    Attributes:
        annotation: The type.
        read: Returns a value as the type has it. Raises ``ValueError`` or ``TypeError`` if it cannot.
    """

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        self.read: Callable[[Any], Any] = self._by_kind()

    @cached_property
    def validator(self) -> TypeAdapter[Any]:
        """What checks values against the type; made at first need, as text and closed choices rarely do."""
        return TypeAdapter(self.annotation)

    def _by_kind(self) -> Callable[[Any], Any]:
        if self.annotation is str:
            return str
        if isinstance(self.annotation, enum.EnumMeta):
            return partial(find_enum_member, self.annotation)
        origin, members = get_origin(self.annotation), get_args(self.annotation)
        if origin is Literal:
            return partial(self._choice, members)
        if origin in (Union, UnionType) and NoneType in members and str in members:
            return self._validated  # text is such a value already
        return self._validated_or_written

    def _choice(self, choices: tuple[Any, ...], value: Any) -> Any:
        if value in choices:
            return value
        if isinstance(value, str):
            value = _without_wrapping(value)
            if value in choices:
                return value
        return self._validated_or_written(value)  # "2" of Literal[1, 2]

    def _validated(self, value: Any) -> Any:
        return self.validator.validate_python(value)

    def _validated_or_written(self, value: Any) -> Any:
        validate = self.validator.validate_python
        if not isinstance(value, str):
            return validate(value)
        try:
            return validate(_from_text(value))
        except ValidationError as error:
            if not (isinstance(self.annotation, type) and issubclass(self.annotation, dspy.Type)):
                raise
            try:
                return validate(value)  # DSPy's own types may read a text themselves
            except ValidationError:
                raise error from None


def value_readers(signature: SignatureType) -> dict[str, ValueReader]:
    """Returns output field → what reads its values, in the signature's order."""
    return {name: ValueReader(field.annotation) for name, field in signature.output_fields.items()}


def decoded(text: str) -> Any:
    """Returns what a JSON text says, repaired if it is broken; an empty text if there is nothing in it."""
    try:
        return json.loads(text)
    except ValueError:
        return json_repair.loads(text)


def _from_text(text: str) -> Any:
    """What is written as JSON, or else as a Python literal; else the text."""
    found = decoded(text)
    if found == "" and text != "":
        return _literal(text)
    return found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    except SystemError as error:
        if not mixed_up(error):
            raise
        return _literal(text)


def _without_wrapping(text: str) -> str:
    """A choice that a model wrote as ``Literal[yes]`` or in quotes, without them."""
    text = text.strip()
    if text.startswith(("Literal[", "str[")) and text.endswith("]"):
        text = text[text.find("[") + 1 : -1]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    return text
