"""Numbers as the artifact holds them: rounded, so that noise in the last bit changes no line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DIGITS = 6


def rounded(value: Any) -> Any:
    """Returns JSON data with every float in it rounded to six digits, and without a negative zero."""
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value
