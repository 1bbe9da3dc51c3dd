"""Signatures are DSPy's own; here they are specialised for a task and asked for their fields.

``Signature``, ``InputField`` and ``OutputField`` *are* ``dspy.Signature``, ``dspy.InputField`` and
``dspy.OutputField``, so every DSPy signature works unchanged.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args, get_origin

import dspy

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError

Signature = dspy.Signature
InputField = dspy.InputField
OutputField = dspy.OutputField
Prediction = dspy.Prediction
make_signature = dspy.make_signature

SignatureType: TypeAlias = type[dspy.Signature]


def input_types(signature: SignatureType) -> dict[str, Any]:
    """Returns the annotations of a signature's input fields, in order."""
    return {name: field.annotation for name, field in signature.input_fields.items()}


def output_types(signature: SignatureType) -> dict[str, Any]:
    """Returns the annotations of a signature's output fields, in order."""
    return {name: field.annotation for name, field in signature.output_fields.items()}


def field_description(field: Any) -> str:
    """Returns what the author wrote about a field, or an empty string (DSPy's placeholder is not text)."""
    description = str((field.json_schema_extra or {}).get("desc", ""))
    return "" if description.startswith("${") else description


def closed_choice(annotation: Any) -> tuple[Any, ...]:
    """Returns the values a type is closed over: a ``Literal``'s or an ``Enum``'s, also inside list or optional.

    The tuple is empty for an open type.
    """
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return tuple(member.value for member in annotation)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    inner = [arg for arg in get_args(annotation) if arg is not type(None)]
    if len(inner) == 1:
        return closed_choice(inner[0])
    return ()


def rebuild(signature: SignatureType, types: Mapping[str, Any], instructions: str | None = None) -> SignatureType:
    """Returns the signature with other types for some fields and, if given, other instructions."""
    fields = {
        name: (types.get(name, field.annotation), copy.deepcopy(field)) for name, field in signature.fields.items()
    }
    text = signature.instructions if instructions is None else instructions
    made: SignatureType = make_signature(fields, text, signature.__name__)
    return made


def specialise(
    signature: SignatureType,
    *,
    labels: Mapping[str, Sequence[Any]],
    replacement: SignatureType | None,
    where: str,
) -> SignatureType:
    """Returns a node's signature as one task sees it.

    Args:
        signature: The signature as the program declares it.
        labels: Output field name → the closed choice it gets in this task; a list field becomes a list of it.
        replacement: A signature whose texts and types replace the original's; field names must be the same.
        where: ``"task 'bank', node 'triage'"``, for messages.

    Raises:
        ProgramError: if the replacement changes a field name, or ``labels`` names no output field, is empty,
            repeats a label or holds something that is neither text nor a whole number.
    """
    if replacement is not None:
        for role in ("input_fields", "output_fields"):
            wanted, got = list(getattr(signature, role)), list(getattr(replacement, role))
            if sorted(wanted) != sorted(got):
                raise ProgramError(
                    f"{where}: the replacing signature changes field names",
                    expected=f"{role.replace('_', ' ')} {wanted}",
                    found=str(got),
                    fix="Keep the names; a task may change only texts and types",
                )
        signature = replacement
    for field, choices in labels.items():
        if field not in signature.output_fields:
            raise ProgramError(
                f"{where}: labels are given for {field!r}, which is no output field of the node",
                fix=did_you_mean(field, signature.output_fields),
            )
        _check_labels(choices, f"{where}, field {field!r}")
    closed = {
        field: _closed_type(signature.output_fields[field].annotation, tuple(choices))
        for field, choices in labels.items()
    }
    return rebuild(signature, closed) if closed else signature


def _check_labels(choices: Sequence[Any], where: str) -> None:
    if isinstance(choices, str) or not choices:
        raise ProgramError(
            f"{where}: the label set is not usable",
            expected="a list of at least one label",
            found=repr(choices),
        )
    if any(not isinstance(label, (str, int)) or label == "" for label in choices):
        raise ProgramError(f"{where}: labels must be text or whole numbers", found=repr(list(choices)))
    repeated = sorted({str(label) for label in choices if list(choices).count(label) > 1})
    if repeated:
        raise ProgramError(f"{where}: labels are repeated", found=", ".join(repeated), fix="Give each label once")


def _closed_type(annotation: Any, choices: tuple[Any, ...]) -> Any:
    choice = Literal.__getitem__(choices)
    return list.__class_getitem__(choice) if get_origin(annotation) is list else choice
