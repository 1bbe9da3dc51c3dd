"""How answers are compared with gold values."""

from __future__ import annotations

import enum
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel, ValidationError

from fusionprog._internal.canonical import jsonable


def normal(value: Any) -> Any:
    """Returns JSON data whose texts have one case and single spaces."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return " ".join(value.casefold().split())
    if isinstance(value, (list, tuple)):
        return [normal(each) for each in value]
    plain = jsonable(value)
    return normal(plain) if isinstance(plain, (str, list)) else plain


def read_as(want: Any, got: Any) -> Any:
    """Returns a gold value as the answer's type reads it, also inside lists: with a model's defaults, as a decimal.

    What that type refuses stays as it is. A validator that fails otherwise is at fault itself, and its error is told.
    """
    if isinstance(got, str):
        return want
    if isinstance(got, (list, tuple)) and isinstance(want, (list, tuple)) and len(got) == len(want):
        return [read_as(*each) for each in zip(want, got, strict=True)]
    try:
        if isinstance(got, BaseModel) and isinstance(want, Mapping) and want.keys() <= _names(type(got)):
            read: Any = type(got).model_validate(dict(want))
        elif isinstance(got, Decimal) and isinstance(want, (str, int, float)):
            read = Decimal(str(want))
        else:
            return want
        return got if read == got else read  # 1.10 is 1.1, whose text is another
    except (ValidationError, InvalidOperation):
        return want


def _names(model: type[BaseModel]) -> set[str]:
    """What gold may name: a name that is none of these is a mistake, which pydantic would leave out."""
    fields = model.model_fields
    aliases = [alias for each in fields.values() for alias in (each.alias, each.validation_alias)]
    return {*fields, *(alias for alias in aliases if isinstance(alias, str))}


def same(want: Any, got: Any) -> bool:
    """Whether two normal values are equal; a number or a bool also equals its text, as CSV files have it."""
    if isinstance(want, str) != isinstance(got, str):
        text, other = (want, got) if isinstance(want, str) else (got, want)
        return isinstance(other, (bool, int, float)) and text == str(other).casefold()
    return bool(want == got)


def text_of(value: Any) -> str:
    """Returns a value as normal text: a list's items line by line, nothing for ``None``, JSON for the rest."""
    plain = normal(value)
    if isinstance(plain, list):
        return "\n".join(text_of(each) for each in plain)
    if plain is None or isinstance(plain, str):
        return plain or ""
    return json.dumps(plain, sort_keys=True, ensure_ascii=False).casefold()


def members(value: Any) -> set[str]:
    """Returns the texts in a list, or the one text; none for ``None``."""
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [] if value is None else [value]
    return {text_of(each) for each in values}


def words(value: Any) -> list[str]:
    """Returns the words of a value's normal text."""
    return re.findall(r"\w+", text_of(value))


def f1(want: Counter[str], got: Counter[str]) -> float:
    """Returns the harmonic mean of precision and recall, in [0, 1]; 1 where both are empty."""
    if not want and not got:
        return 1.0
    common = sum((want & got).values())
    return 2 * common / (sum(want.values()) + sum(got.values()))


def number(value: Any) -> float | None:
    """Returns a number, or the first one in a text; ``None`` where there is none or it is not finite."""
    if isinstance(value, str):
        match = re.search(r"[-+−]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", value)
        value = match and match.group().replace(",", "").replace("−", "-")
    elif not hasattr(value, "__float__"):
        return None
    try:
        number = math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
