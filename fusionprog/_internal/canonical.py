"""One byte form for every value, and the digests made of it."""

from __future__ import annotations

import enum
import hashlib
import json
import numbers
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_AS_THEY_ARE = (str, int, bool, float, type(None))


def jsonable(value: Any) -> Any:
    """Returns ``value`` as plain JSON data (dates, decimals, enums and models as pydantic writes them).

    Numbers and arrays of other libraries become numbers and lists, classes their names, other objects their text.

    Raises:
        ValueError: if two keys of a mapping become one, or bytes are no text.
    """
    return _plain(value, _foreign)


def canonical_json(value: Any) -> str:
    """Returns the one JSON text of a value: sorted keys, no spaces, no nan.

    Raises:
        TypeError: if the text of an object would not be the same in every process.
        ValueError: as ``jsonable``; also for a number that is not finite.
    """
    return _encode(_plain(value, _same_everywhere))


def digest(value: Any, *, size: int = 16) -> str:
    """Returns the BLAKE2b digest of a value's canonical JSON as ``2 * size`` hexadecimal characters."""
    return hashlib.blake2b(canonical_json(value).encode("utf-8"), digest_size=size).hexdigest()


def seed_of(*parts: Any) -> int:
    """Returns a 32-bit seed that depends on ``parts`` alone, the same in every process."""
    return int(digest(list(parts), size=4), 16)


def _plain(value: Any, foreign: Callable[[Any], Any]) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is list or kind is tuple:
        return [_plain(item, foreign) for item in value]
    if isinstance(value, enum.Enum):
        return _plain(value.value, foreign)
    if isinstance(value, Mapping):
        made = {
            key if type(key) is str else str(_plain(key, foreign)): _plain(item, foreign) for key, item in value.items()
        }
        if len(made) != len(value):
            raise ValueError(f"two keys are one in JSON: {list(value)!r}")
        return made
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, foreign) for item in value), key=canonical_json)
    if isinstance(value, (list, tuple)):
        return [_plain(item, foreign) for item in value]
    return to_jsonable_python(value, fallback=foreign)


def _foreign(value: Any) -> Any:
    if isinstance(value, numbers.Integral):
        return int(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else str(value)


def _same_everywhere(value: Any) -> Any:
    made = _foreign(value)
    if isinstance(made, str) and " at 0x" in made:
        raise TypeError(f"{made} has no JSON form that is the same in every process")
    return made
