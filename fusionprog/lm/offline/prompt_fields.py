"""What a system message asks for: fields, their types and descriptions, and the objective.

The layout is that of DSPy's chat, JSON and XML adapters, which share it::

    Your input fields are:
    1. `message` (str): what the customer wrote
    Your output fields are:
    1. `team` (Literal['billing', 'delivery']): who answers
    All interactions will be structured in the following way, with the appropriate values filled in.
    ... the structure, with remarks on values ...
    In adhering to this structure, your objective is:
            Decide which team ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fusionprog.lm.offline.field_types import FieldType, parse_field_type
from fusionprog.lm.offline.schema_types import type_from_schema

_INPUTS = "Your input fields are:\n"
_OUTPUTS = "Your output fields are:\n"
_STRUCTURE = "All interactions will be structured in the following way, with the appropriate values filled in."
_OBJECTIVE = "In adhering to this structure, your objective is:"
_JSON_OUTPUTS = "Outputs will be a JSON object with the following fields.\n\n"
_NOTE = re.compile(r"\s+# note: the value you produce (.*)")
_FIELD = re.compile(r"^(\d+)\. `([^`\n]+)` \(", re.MULTILINE)
_ENUM = "must be one of: "
_SCHEMA = "must adhere to the JSON schema: "
_BOUNDS = {
    "lower": re.compile(r"greater than(?: or equal to)?: (-?\d+(?:\.\d+)?)"),
    "upper": re.compile(r"less than(?: or equal to)?: (-?\d+(?:\.\d+)?)"),
}


@dataclass(frozen=True)
class Field:
    """One input or output as the system message lists it.

    Attributes:
        name: The field's name.
        type: What it holds.
        description: What the prompt says about it; may be empty.
        lower: The least number allowed, if the prompt names one.
        upper: The greatest number allowed, if the prompt names one.
    """

    name: str
    type: FieldType
    description: str = ""
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class SystemMessage:
    """A system message, taken apart.

    Attributes:
        inputs: The input fields in order.
        outputs: The output fields in order; empty where the message has another layout.
        structure: The part that shows how values are written.
        objective: The instructions.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    structure: str
    objective: str


def parse_system_message(text: str) -> SystemMessage:
    """Take a system message apart.

    Args:
        text: The message.

    Returns:
        Its parts; a message of another layout is all objective.
    """
    head, found, rest = text.partition(_STRUCTURE)
    _, has_inputs, fields = head.partition(_INPUTS)
    inputs, has_outputs, outputs = fields.partition(_OUTPUTS)
    if not (found and has_inputs and has_outputs):
        return SystemMessage((), (), "", text)
    structure, _, objective = rest.partition(_OBJECTIVE)
    notes = _notes(structure)
    return SystemMessage(
        inputs=_fields(inputs, {}),
        outputs=_fields(outputs, notes),
        structure=structure,
        objective="\n".join(line.removeprefix(" " * 8).rstrip() for line in objective.splitlines()).strip(),
    )


def _fields(text: str, notes: Mapping[str, str]) -> tuple[Field, ...]:
    starts: list[re.Match[str]] = []
    for found in _FIELD.finditer(text):
        # A numbered line inside of a description is no field, unless it happens to go on with the count.
        if int(found[1]) == len(starts) + 1:
            starts.append(found)
    ends = [*(found.start() for found in starts), len(text)][1:]
    return tuple(_field(found[2], text[found.end() : end], notes) for found, end in zip(starts, ends, strict=True))


def _field(name: str, text: str, notes: Mapping[str, str]) -> Field:
    try:
        field_type, end = parse_field_type(text)
    except ValueError:
        field_type, end = FieldType("unknown"), text.find("):")
    description, _, constraints = text[end:].removeprefix("):").strip().partition("Constraints: ")
    bounds = {name: pattern.search(constraints) for name, pattern in _BOUNDS.items()}
    limits = {name: float(found[1]) for name, found in bounds.items() if found}
    return Field(name, _explained(field_type, notes.get(name, "")), description.strip(), **limits)


def _explained(field_type: FieldType, note: str) -> FieldType:
    """The type of a bare class name, from what the prompt remarks on its values."""
    inner = field_type.item if field_type.kind == "list" else field_type
    if inner is None or inner.kind not in ("unknown", "object"):
        return field_type
    if note.startswith(_ENUM):
        values = note.removeprefix(_ENUM).split("; ")
        # The prompt does not show whether "1; 2" are numbers; an Enum of numbers is the likelier one.
        numbers = all(re.fullmatch(r"-?\d+", value) for value in values)
        return replace(field_type, kind="choice", choices=tuple(map(int, values) if numbers else values))
    if note.startswith(_SCHEMA):
        try:
            schema: Any = json.loads(note.removeprefix(_SCHEMA))
        except json.JSONDecodeError:
            return field_type
        shown = type_from_schema(schema if isinstance(schema, dict) else {})
        return replace(shown, nullable=shown.nullable or field_type.nullable, union=field_type.union)
    return field_type


def _notes(structure: str) -> dict[str, str]:
    _, is_json, outputs = structure.partition(_JSON_OUTPUTS)
    if is_json:
        try:
            values, _ = json.JSONDecoder().raw_decode(outputs.strip())
        except json.JSONDecodeError:
            return {}
        lines = [str(value) for value in values.values()] if isinstance(values, dict) else []
    else:
        lines = structure.splitlines()
    notes: dict[str, str] = {}
    for line in lines:
        name, closed, rest = line.removeprefix("{").partition("}")
        note = _NOTE.match(rest)
        if line.startswith("{") and closed and note:
            notes.setdefault(name, note[1])
    return notes
