"""Demonstrations, and what their values mean for a field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusionprog.lm.offline.prompt_fields import Field

Shown = Sequence[tuple[str, list[str]]]


@dataclass(frozen=True)
class Demonstration:
    """One worked example of the prompt.

    Attributes:
        inputs: The inputs that it supplies, by field name.
        outputs: The outputs that it supplies, by field name, as its syntax reads them.
    """

    inputs: dict[str, str]
    outputs: dict[str, Any]

    @property
    def text(self) -> str:
        """All inputs, a line each."""
        return "\n".join(self.inputs.values())


def shown_values(field: Field, demonstrations: Sequence[Demonstration]) -> Shown:
    """What demonstrations answer for a field.

    Args:
        field: The field.
        demonstrations: The demonstrations.

    Returns:
        Pairs of a demonstration's inputs and its values as plain text: one value, or a list's items; null is
        none. A demonstration that does not supply the field, or has no input to learn from, is left out.
    """
    return [
        (demonstration.text, _plain_values(field, demonstration.outputs[field.name]))
        for demonstration in demonstrations
        if field.name in demonstration.outputs and demonstration.text.strip()
    ]


def _plain_values(field: Field, value: Any) -> list[str]:
    if field.type.kind == "list" and isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = [value] if value.strip() else []
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if item is not None and not (field.type.nullable and item == "None")]
