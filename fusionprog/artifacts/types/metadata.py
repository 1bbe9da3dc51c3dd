"""What pydantic's ``Field`` says about a type, as keys beside the type.

Constraints have their JSON Schema names (``ge`` is ``minimum``, ``min_length`` is ``minLength``, ``minItems`` or
``minProperties`` as the type has it); what JSON Schema has no name for keeps pydantic's (``strict``,
``max_digits``, ``alias``). Functions cannot be written: validators are left out here and named by
`fusionprog.artifacts.types.validators.lost_validators`, everything else that is a function is refused.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import annotated_types
import pydantic
from pydantic import functional_serializers, functional_validators
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fusionprog.artifacts.types.values import shorten
from fusionprog.errors import ArtifactError, ProgramError

FUNCTIONS: Final = (
    functional_validators.AfterValidator,
    functional_validators.BeforeValidator,
    functional_validators.PlainValidator,
    functional_validators.WrapValidator,
    functional_serializers.PlainSerializer,
    functional_serializers.WrapSerializer,
    annotated_types.Predicate,
)
"""Metadata that runs a user's function on values and leaves the type as it is."""

FACTORIES: Final[Mapping[str, type]] = {"list": list, "dict": dict, "set": set}
"""Default factories that can be named."""

PYTHON_NAMES: Final[Mapping[str, type]] = {
    kind.__name__: kind
    for kind in (
        annotated_types.Ge,
        annotated_types.Gt,
        annotated_types.Interval,
        annotated_types.Le,
        annotated_types.Len,
        annotated_types.Lt,
        annotated_types.MaxLen,
        annotated_types.MinLen,
        annotated_types.MultipleOf,
        pydantic.AllowInfNan,
        pydantic.FailFast,
        pydantic.Strict,
        pydantic.StringConstraints,
    )
}
"""Constraint classes by name. DSPy prints the class that was written, so ``Gt(0)`` and ``Field(gt=0)`` differ."""

_SCHEMA_NAMES: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_LENGTH_NOUNS: Final = {"string": "Length", "array": "Items", "object": "Properties"}
_PYDANTIC_NAMES: Final = (
    "pattern",
    "strict",
    "max_digits",
    "decimal_places",
    "allow_inf_nan",
    "coerce_numbers_to_str",
    "union_mode",
    "fail_fast",
)
_STRING_ONLY: Final = ("strip_whitespace", "to_upper", "to_lower", "ascii_only")
_FIELD_CONSTRAINTS: Final = frozenset({*_SCHEMA_NAMES, *_PYDANTIC_NAMES, "min_length", "max_length"})

CONSTRAINT_NAMES: Final[Mapping[str, str]] = {
    **{key: name for name, key in _SCHEMA_NAMES.items()},
    **{name: name for name in (*_PYDANTIC_NAMES, *_STRING_ONLY)},
    **{f"{end}{noun}": f"{end}_length" for noun in _LENGTH_NOUNS.values() for end in ("min", "max")},
}
"""Keys of the encoding and the parameters of ``Field`` that they stand for."""

NOTES: Final[Mapping[str, str]] = {
    "title": "title",
    "description": "description",
    "examples": "examples",
    "discriminator": "discriminator",
    "extra": "json_schema_extra",
}
"""Keys that say something about a type wherever ``Field`` may stand, and their parameters."""

ATTRIBUTES: Final[Mapping[str, str]] = {
    name: name for name in ("alias", "validation_alias", "serialization_alias", "exclude", "frozen", "validate_default")
}
"""Keys that only a model's field may have, and their parameters."""

_TEXT: Final = ("title", "description", "discriminator", "alias", "validation_alias", "serialization_alias")
_KINDS: Final[Mapping[str, type]] = {
    **dict.fromkeys(_TEXT, str),
    **dict.fromkeys(("exclude", "frozen", "validate_default"), bool),
    "examples": list,
    "json_schema_extra": dict,
}

_REFUSED: Final = ("exclude_if", "deprecated", "init", "init_var", "kw_only")


def constraints_of(item: Any) -> dict[str, Any] | None:
    """Read what one metadata object demands.

    Args:
        item: An object from an ``Annotated`` type or from ``FieldInfo.metadata``.

    Returns:
        Values by the name that ``Field`` has for them, or None if the object is no constraint.
    """
    if type(item) in PYTHON_NAMES.values():
        named = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
        # Len's minimum of 0 is its default, which pydantic itself leaves out.
        return {
            name: value
            for name, value in named.items()
            if value is not None and not (isinstance(item, annotated_types.Len) and name == "min_length" and not value)
        }
    # pydantic's bag for constraints without a class (pattern, max_digits) is private, so it is known by its base.
    if isinstance(item, annotated_types.BaseMetadata) and type(item).__module__.startswith("pydantic."):
        return {name: value for name, value in vars(item).items() if value is not None}
    return None


def field_takes(constraints: Mapping[str, Any]) -> bool:
    """Whether ``pydantic.Field`` has a parameter for each of these constraints.

    Args:
        constraints: Values by name, as from `constraints_of`.

    Returns:
        True if it has.
    """
    return _FIELD_CONSTRAINTS.issuperset(constraints)


def write_constraints(
    constraints: Mapping[str, Any], described: Mapping[str, Any], write: Callable[[Any], Any], *, where: str
) -> dict[str, Any]:
    """Write constraints as keys beside the type.

    Args:
        constraints: Values by name, as from `constraints_of`.
        described: The encoded type that is constrained; a length is named by what it counts.
        write: Writes one value as JSON.
        where: What the type belongs to, for messages.

    Returns:
        JSON values by key, in the order of `CONSTRAINT_NAMES`.

    Raises:
        ProgramError: If a constraint has no key, or its value is a compiled regular expression.
    """
    written: dict[str, Any] = {}
    for name, value in constraints.items():
        # pydantic runs a compiled pattern with Python's engine and a text with Rust's: not the same language.
        if isinstance(value, re.Pattern):
            raise ProgramError(
                f"{where}: a saved program cannot hold a compiled pattern",
                found=shorten(repr(value)),
                fix=f"Give {name}= as text",
            )
        if name in ("min_length", "max_length"):
            counted = (member.get("type", "") for member in (described, *described.get("anyOf", ())))
            noun = next((_LENGTH_NOUNS[kind] for kind in counted if kind in _LENGTH_NOUNS), "Length")
            key = name[:3] + noun
        elif name in _SCHEMA_NAMES:
            key = _SCHEMA_NAMES[name]
        elif name in _PYDANTIC_NAMES or name in _STRING_ONLY:
            key = name
        else:
            raise ProgramError(
                f"{where}: a saved program cannot hold the constraint {name!r}",
                expected=f"one of {', '.join(sorted(_FIELD_CONSTRAINTS))}",
                fix="Leave it out",
            )
        written[key] = write(value)
    return {key: written[key] for key in CONSTRAINT_NAMES if key in written}


def notes_of(field: FieldInfo, *, where: str, of_model: bool) -> dict[str, Any]:
    """Read what a ``Field`` says besides its constraints and its default.

    Args:
        field: What ``pydantic.Field`` returned, or a model's field.
        where: What it belongs to, for messages.
        of_model: Whether it is a field of a model, which may have more attributes than a type has.

    Returns:
        Values by their key in the encoding.

    Raises:
        ProgramError: If it says something that a saved program cannot hold.
    """
    unheld = list(_REFUSED)
    if not of_model:
        unheld += [*ATTRIBUTES.values(), "default_factory", "field_title_generator"]
        if field.default is not PydanticUndefined:
            raise ProgramError(
                f"{where}: a type inside another has a default",
                found=shorten(repr(field.default)),
                fix="Give the default to the field of the signature or of a pydantic model",
            )
    for name in unheld:
        if getattr(field, name, None) is not None:
            raise ProgramError(
                f"{where}: a saved program cannot hold Field({name}=...)",
                found=shorten(repr(getattr(field, name))),
                fix="Leave it out",
            )
    held = {**NOTES, **ATTRIBUTES} if of_model else NOTES
    said = {key: getattr(field, name) for key, name in held.items() if getattr(field, name) is not None}
    for key in said:
        if unfit := unfit_note(held[key], said[key]):
            raise ProgramError(f"{where}: a saved program cannot hold this {held[key]}", **unfit)
    if of_model and said.get("alias") == said.get("validation_alias") == said.get("serialization_alias"):
        # Field(alias="x") sets all three.
        said.pop("validation_alias", None)
        said.pop("serialization_alias", None)
    return said


def unfit_note(name: str, value: Any) -> dict[str, str]:
    """Check the type of what a ``Field`` says: pydantic does not.

    Args:
        name: The parameter of ``Field``.
        value: Its value.

    Returns:
        What was expected and found, for an error; empty if the value fits or the parameter is a constraint.
    """
    kind = _KINDS.get(name, object)
    if isinstance(value, kind):
        return {}
    return {"expected": kind.__name__, "found": shorten(repr(value))}


def keyword_arguments(entry: dict[str, Any], names: Mapping[str, str], *, where: str) -> dict[str, Any]:
    """Take the keys that stand for parameters out of an encoded type.

    Args:
        entry: The encoded type; the keys that are taken are removed from it.
        names: Parameters by key.
        where: What the type belongs to, for messages.

    Returns:
        Encoded values by parameter.

    Raises:
        ArtifactError: If two keys stand for one parameter, or a text is none.
    """
    taken: dict[str, Any] = {}
    for key in [key for key in entry if key in names]:
        if names[key] in taken:
            raise ArtifactError(f"{where}: {names[key]} is given twice", found=f"again as {key!r}")
        taken[names[key]] = entry.pop(key)
        if unfit := unfit_note(names[key], taken[names[key]]):
            raise ArtifactError(f"{where}: {key} is not what it should be", **unfit)
    return taken
