"""Output fields that an answer may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dspy.adapters.utils import apply_output_field_defaults

from fusionprog.program.signature import SignatureType


def with_defaults(signature: SignatureType, found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all output fields: what was found, else the field's default, else ``None`` where its type has it.

    Raises:
        ValueError: if a field is missing that has neither.
    """
    fields: dict[str, Any] = apply_output_field_defaults(signature, found)
    if missing := signature.output_fields.keys() - fields.keys():
        raise ValueError(f"the fields {sorted(missing)} are missing")
    return fields
