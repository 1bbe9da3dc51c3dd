"""The words that the encoding of types is made of: forms of types, settings of models, usable names."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Any, Final

import pydantic

SCALARS: Final[tuple[tuple[Any, Mapping[str, Any]], ...]] = (
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (type(None), {"type": "null"}),
    # DSPy prints list[None] and list[NoneType] differently.
    (None, {"const": None}),
    (datetime.date, {"type": "string", "format": "date"}),
    (datetime.datetime, {"type": "string", "format": "date-time"}),
    (datetime.time, {"type": "string", "format": "time"}),
    (decimal.Decimal, {"type": "string", "format": "decimal"}),
    (Any, {}),
)
"""Types without parts and how they are written."""

BARE: Final[tuple[tuple[Any, Mapping[str, Any]], ...]] = (
    (list, {"type": "array"}),
    (set, {"type": "array", "uniqueItems": True}),
    (tuple, {"type": "array", "python": "tuple"}),
    (dict, {"type": "object"}),
)
"""Containers, as written where nothing is said of their items."""

ENUM_BASES: Final = ("Enum", "StrEnum", "IntEnum", "str, Enum", "int, Enum")
"""The bases of an enumeration that can be written."""

CONFIG: Final = frozenset(
    "title extra frozen strict populate_by_name validate_by_name validate_by_alias serialize_by_alias "
    "str_strip_whitespace str_to_lower str_to_upper str_min_length str_max_length use_enum_values "
    "validate_default validate_assignment revalidate_instances allow_inf_nan coerce_numbers_to_str "
    "json_schema_extra".split()
)
"""Settings of ``model_config`` that are written."""

CONFIG_WITHOUT_TRACE: Final = frozenset(
    "alias_generator field_title_generator use_attribute_docstrings defer_build experimental_defer_build "
    "arbitrary_types_allowed from_attributes protected_namespaces ignored_types hide_input_in_errors "
    "loc_by_alias cache_strings plugin_settings validation_error_cause".split()
)
"""Settings that are not written: already applied to the fields, or without effect on values and schema."""


def usable_name(name: object) -> bool:
    """Whether a class or a model's field may have this name.

    Args:
        name: The name.

    Returns:
        True for an identifier that does not start with an underscore and is none of pydantic's own ``model_``
        names: those are how a class is told from its data.
    """
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not name.startswith("_")
        and not (name.startswith("model_") and hasattr(pydantic.BaseModel, name))
    )


def usable_member_name(name: object) -> bool:
    """Whether a member of an enumeration may have this name.

    Args:
        name: The name.

    Returns:
        True for an identifier that is not ``__private`` or ``_sunder_``, which ``enum`` keeps for itself.
    """
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not name.startswith("__")
        and not (name.startswith("_") and name.endswith("_"))
    )
