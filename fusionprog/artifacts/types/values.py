"""Default values, bounds and examples of typed fields as strict JSON.

Plain JSON values stand for themselves. What JSON has no word for is an object with one key that starts with
``$`` and names the Python type::

    {"$date": "2026-11-21"}    {"$datetime": "2026-11-21T08:30:00"}    {"$time": "08:30:00"}
    {"$decimal": "9.90"}       {"$float": "inf"}                       {"$tuple": [1, 2]}    {"$set": []}

and a member of an enumeration is ``{"$ref": "#/$defs/Color", "member": "RED"}``. A dictionary whose own keys start
with ``$`` is therefore refused.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from fusionprog.errors import ArtifactError, ProgramError

MAX_DEPTH: Final = 64
"""How deep types and values may nest, models that hold models included."""

# Beyond this Python itself refuses to read an integer's digits back.
_MAX_INTEGER_BITS: Final = 8192

_TEXTUAL: Final[Mapping[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]]] = {
    datetime.datetime: ("$datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("$date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: ("$time", datetime.time.isoformat, datetime.time.fromisoformat),
    decimal.Decimal: ("$decimal", str, decimal.Decimal),
    float: ("$float", str, float),
}


def encode_value(value: Any, member: Callable[[enum.Enum], dict[str, Any]], *, where: str, depth: int = 0) -> Any:
    """Write a value as strict JSON.

    Args:
        value: A JSON value, date, time, Decimal, tuple, enumeration member or a list or dictionary of these.
        member: Writes an enumeration's member; it also makes sure that the enumeration itself is written.
        where: What the value belongs to, for messages.
        depth: How deep the value is nested already.

    Returns:
        The value as JSON; the value itself wherever JSON has it.

    Raises:
        ProgramError: If the value has another type, nests too deeply or has no order that is the same in every
            process (a set).
    """

    def inner(item: Any) -> Any:
        return encode_value(item, member, where=where, depth=depth + 1)

    if depth > MAX_DEPTH:
        raise ProgramError(f"{where}: the value nests too deeply", expected=f"at most {MAX_DEPTH} levels")
    if isinstance(value, enum.Enum):
        return member(value)
    # Subclasses (a str that is more than a str) would come back as less than they were.
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int and value.bit_length() <= _MAX_INTEGER_BITS:
        return value
    if kind is float and math.isfinite(value):
        return value
    if kind in _TEXTUAL:
        tag, write, _ = _TEXTUAL[kind]
        return {tag: write(value)}
    if kind is list:
        return [inner(item) for item in value]
    if kind is tuple:
        return {"$tuple": [inner(item) for item in value]}
    if kind is set and len(value) <= 1:
        return {"$set": [inner(item) for item in value]}
    if kind is dict and all(type(key) is str and not key.startswith("$") for key in value):
        return {key: inner(item) for key, item in value.items()}
    raise ProgramError(
        f"{where}: a saved program cannot hold this value",
        expected="a JSON value, a date, time, Decimal or enumeration member, or lists, tuples and dicts of these",
        found=f"{shorten(repr(value))} of type {kind.__name__}",
        fix="Use such a value (a set with at most one member, no dictionary key that starts with $), None, or "
        "default_factory=list, dict or set",
    )


def decode_value(encoded: Any, member: Callable[[Mapping[str, Any]], enum.Enum], *, where: str, depth: int = 0) -> Any:
    """Read what `encode_value` wrote.

    Args:
        encoded: The JSON value.
        member: Reads an object that names an enumeration's member.
        where: What the value belongs to, for messages.
        depth: How deep the value is nested already.

    Returns:
        The value with the Python types it had.

    Raises:
        ArtifactError: If the JSON is not of the form that `encode_value` writes.
    """

    def inner(item: Any) -> Any:
        return decode_value(item, member, where=where, depth=depth + 1)

    if depth > MAX_DEPTH:
        raise ArtifactError(f"{where}: the value nests too deeply", expected=f"at most {MAX_DEPTH} levels")
    if isinstance(encoded, list):
        return [inner(item) for item in encoded]
    if not isinstance(encoded, Mapping):
        return encoded
    if not any(isinstance(key, str) and key.startswith("$") for key in encoded):
        return {key: inner(item) for key, item in encoded.items()}
    if "$ref" in encoded:
        return member(encoded)
    tag, body = next(iter(encoded.items()))
    if len(encoded) == 1 and tag in ("$tuple", "$set") and isinstance(body, list):
        items = [inner(item) for item in body]
        return tuple(items) if tag == "$tuple" else _set(items, where)
    for name, _, read in _TEXTUAL.values():
        if len(encoded) == 1 and tag == name and isinstance(body, str):
            try:
                return read(body)
            except (ValueError, decimal.InvalidOperation) as error:
                raise ArtifactError(f"{where}: {tag} cannot be read", found=shorten(repr(body))) from error
    raise ArtifactError(
        f"{where}: a value has an unknown form",
        expected="a JSON value or one of " + ", ".join(sorted(name for name, *_ in _TEXTUAL.values())),
        found=shorten(repr(encoded)),
    )


def _set(items: list[Any], where: str) -> set[Any]:
    try:
        return set(items)
    except TypeError as error:
        raise ArtifactError(f"{where}: a member of $set cannot be one", found=shorten(repr(items))) from error


def shorten(text: str, limit: int = 200) -> str:
    """Cut a text that goes into a message.

    Args:
        text: The text.
        limit: The most characters that are kept.

    Returns:
        The text, ending in ``...`` where it was cut.
    """
    return text if len(text) <= limit else text[: limit - 3] + "..."
