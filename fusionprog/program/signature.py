"""Signatures are DSPy's own; here they are specialised for a task and asked for their fields.

``Signature``, ``InputField`` and ``OutputField`` *are* ``dspy.Signature``, ``dspy.InputField`` and
``dspy.OutputField``, so every DSPy signature works unchanged.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

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


def as_signature(signature: Any, where: str) -> SignatureType:
    """Returns a signature given as a class or in DSPy's short form (``"question -> answer"``).

    Args:
        signature: The signature.
        where: What it is for (``"Predict"``), for messages.

    Raises:
        ProgramError: if it is neither, the short form cannot be read, or it has no outputs.
    """
    if isinstance(signature, str):
        try:
            signature = Signature(signature)
        except (ValueError, TypeError, NameError, SyntaxError) as error:
            raise ProgramError(
                f"{where}: {signature!r} is no signature",
                expected="DSPy's short form, 'question, context: list[str] -> answer'",
                found=str(error),
            ) from error
    if not (isinstance(signature, type) and issubclass(signature, dspy.Signature)):
        raise ProgramError(
            f"{where} has no signature",
            expected="a subclass of fusionprog.Signature, or a text such as 'question -> answer'",
            found=repr(signature)[:80],
        )
    made: SignatureType = signature
    if not made.output_fields:
        raise ProgramError(
            f"{where}: the signature {made.__name__} has no outputs",
            fix="Declare at least one field with fusionprog.OutputField()",
        )
    return made


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
        return tuple(each.value if isinstance(each, enum.Enum) else each for each in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return closed_choice(get_args(annotation)[0])
    inner = [arg for arg in get_args(annotation) if arg not in (NoneType, Ellipsis)]
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
        signature = _replaced(signature, as_signature(replacement, f"{where}, signatures"), where)
    closed: dict[str, Any] = {}
    for field, choices in labels.items():
        if field not in signature.output_fields:
            raise ProgramError(
                f"{where}: labels are given for {field!r}, which is no output field of the node",
                fix=did_you_mean(field, signature.output_fields),
            )
        _check_labels(choices, f"{where}, field {field!r}")
        choice = Literal.__getitem__(tuple(choices))
        closed[field] = _closed(signature.output_fields[field].annotation, choice)
    return rebuild(signature, closed) if closed else signature


def _replaced(signature: SignatureType, replacement: SignatureType, where: str) -> SignatureType:
    for role in ("input_fields", "output_fields"):
        wanted, got = list(getattr(signature, role)), list(getattr(replacement, role))
        if sorted(wanted) != sorted(got):
            raise ProgramError(
                f"{where}: the replacing signature changes field names",
                expected=f"{role.replace('_', ' ')} {wanted}",
                found=str(got),
                fix="Keep the names; a task may change only texts and types",
            )
    return replacement


def _check_labels(choices: Any, where: str) -> None:
    if not isinstance(choices, Sequence) or isinstance(choices, (str, bytes)) or not choices:
        raise ProgramError(
            f"{where}: the label set is not usable",
            expected="a list of at least one label",
            found=repr(choices),
            fix="Pass labels={'node.field': ['one', 'two']}",
        )
    if any(type(label) not in (str, int) or not str(label).strip() for label in choices):
        raise ProgramError(
            f"{where}: a label cannot be used",
            expected="texts that are not blank, or whole numbers",
            found=repr(list(choices)),
        )
    texts = [str(label) for label in choices]
    if repeated := sorted({text for text in texts if texts.count(text) > 1}):
        raise ProgramError(f"{where}: labels are repeated", found=", ".join(repeated), fix="Give each label once")


def _closed(annotation: Any, choice: Any) -> Any:
    """The type with ``choice`` in place of its values: a list stays a list, what is optional stays so."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        closed = _closed(members[0] if len(members) == 1 else Any, choice)
        return closed if len(members) == len(get_args(annotation)) else closed | None
    if (origin or annotation) in (list, set, frozenset):
        return (origin or annotation)[choice]
    return choice
