"""Values beside the types: defaults, constants and demonstrations as JSON data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue, TypeAdapter

from fusionprog._internal.canonical import canonical_json, jsonable
from fusionprog.artifacts.schema import DefaultSpec
from fusionprog.errors import ArtifactError, ProgramError
from fusionprog.program.types import type_name, typed


def encode_default(value: Any, annotation: Any, where: str) -> DefaultSpec:
    """Returns a default: JSON data as it is, all else in the form that its type is read from.

    Raises:
        ProgramError: if it would come back as something else.
    """
    if is_json(value):
        return DefaultSpec(value=value)
    return DefaultSpec(value=_readable(value, annotation, f"the default of {where}"), typed=True)


def decode_default(spec: DefaultSpec, annotation: Any, where: str) -> Any:
    """Returns the default.

    Raises:
        ArtifactError: if it does not have the field's type.
    """
    if not spec.typed:
        return spec.value
    try:
        return typed(spec.value, annotation)
    except ValueError as error:
        raise ArtifactError(
            f"the default of {where} does not have its type",
            expected=type_name(annotation),
            found=repr(spec.value)[:80],
        ) from error


def encode_constant(value: Any, annotation: Any, where: str) -> JsonValue:
    """Returns a constant, in the form that its field's type is read from.

    Raises:
        ProgramError: if it would come back as something else.
    """
    return _readable(value, annotation, f"the constant of {where}")


def encode_demo(demo: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Returns a demonstration with its values as prompts print them, so that it prints the same again."""
    return {str(name): _printed(value) for name, value in demo.items()}


def is_json(value: Any) -> bool:
    """Whether a value comes back from JSON as it is."""
    kind = type(value)
    if kind is list:
        return all(map(is_json, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(is_json, value.values()))
    return value is None or kind in (str, bool, int) or (kind is float and math.isfinite(value))


def _readable(value: Any, annotation: Any, what: str) -> JsonValue:
    try:
        written: JsonValue = jsonable(value)
        read = typed(written, annotation)
        same = type(read) is type(value) and read == value and canonical_json(read) == canonical_json(value)
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ProgramError(
            f"{what} would come back from a file as something else",
            expected=f"data that JSON can hold, or a value that {type_name(annotation)} reads back from its JSON form",
            found=repr(value)[:80],
            fix="Give the field the value's own type, or use plain data",
        )
    return written


def _printed(value: Any) -> JsonValue:
    if is_json(value):
        plain: JsonValue = value
        return plain
    try:
        return TypeAdapter(type(value)).dump_python(value, mode="json", fallback=str)  # type: ignore[no-any-return]
    except Exception:
        return str(value)  # so does DSPy
