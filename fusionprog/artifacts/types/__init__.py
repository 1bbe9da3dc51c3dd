"""Typed fields as JSON, so that a saved program has its types back without the user's code.

The encoding is JSON Schema (draft 2020-12) where JSON Schema has a word, plus what is needed to build the
same Python type again::

    str int float bool          {"type": "string"} integer, number, boolean
    None                        {"type": "null"}; {"const": null} where the None itself is printed: list[None]
    Any                         {}
    date datetime time Decimal  {"type": "string", "format": "date"} date-time, time, decimal
    Literal["a", 1]             {"enum": ["a", 1]}
    list[T] set[T]              {"type": "array", "items": T}, with "uniqueItems": true for the set
    tuple[T, ...]               {"type": "array", "python": "tuple", "items": T}
    tuple[T, U]                 {"type": "array", "python": "tuple", "prefixItems": [T, U], "items": false}
    dict[str, T]                {"type": "object", "additionalProperties": T}, other keys as "propertyNames"
    list dict set tuple         the same without a word about the items
    T | U, Optional[T]          {"anyOf": [T, U]}
    Annotated[T, a, b]          T with "allOf": [a, b], each {"minimum": 0, "description": ...} for a Field,
                                with "python": "Gt" where a constraint class was written instead
    enumeration or model        {"$ref": "#/$defs/Color"}

Definitions stand in the outermost object under ``$defs``, by name::

    enumeration   {"python": "str, Enum", "description": docstring, "enum": values, "names": names,
                   "aliases": {alias: name}}
    model         {"type": "object", "description": docstring, "config": settings,
                   "properties": {name: property}, "required": names, "order": all names}

A property is its type, the field's constraints under their JSON Schema names (`metadata`) and any of
``title``, ``description``, ``examples``, ``extra``, ``discriminator``, ``alias``, ``validation_alias``,
``serialization_alias``, ``exclude``, ``frozen``, ``validate_default``, and ``default`` (`values`) or
``default_factory``. Keys without a value are left out. The order of an object's keys says nothing, except inside
a default that is a dictionary.

What holds: a type that is encoded comes back so that it encodes to the same bytes, has the same JSON schema
and prints the same in DSPy's prompts. Where that cannot be had, encoding refuses. Models and enumerations come
back without the code in them; `lost_validators` names the part of it that judges or changes values.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import pydantic

from fusionprog.artifacts.types.changes import type_changes
from fusionprog.artifacts.types.decode import TypeDecoder
from fusionprog.artifacts.types.encode import TypeEncoder
from fusionprog.artifacts.types.validators import lost_validators
from fusionprog.artifacts.types.values import shorten
from fusionprog.errors import ArtifactError, ArtifactMismatchError, ProgramError

__all__ = ["decode_type", "encode_type", "lost_validators"]


def encode_type(annotation: Any, *, where: str) -> dict[str, Any]:
    """Describe an annotation so that `decode_type` can build it again.

    Args:
        annotation: The annotation of a signature's field, such as ``FieldInfo.rebuild_annotation()`` gives.
        where: The field, as ``"answer.total"``, for messages.

    Returns:
        Strict JSON, the same in every process.

    Raises:
        ProgramError: If the annotation holds a type, a default or a constraint that JSON cannot hold, or if a
            model could not be built again with the same JSON schema.
    """
    encoded = TypeEncoder(where).document(annotation)
    try:
        difference = _first_difference(_json_schema(annotation), _json_schema(_rebuild(encoded, {}, where)[0]))
    except (ArtifactError, pydantic.errors.PydanticUserError) as error:
        raise ProgramError(
            f"{where}: this type cannot be built again from a file",
            found=_one_line(error),
            fix="Use a simpler type, or a pydantic model without its own schema",
        ) from error
    if difference:
        raise ProgramError(
            f"{where}: {shorten(str(annotation))} would come back with another JSON schema",
            found=f"at {difference}",
            fix="Leave out what changes the schema there, such as a validator's own schema",
        )
    return encoded


def decode_type(encoded: Mapping[str, Any], *, types: Mapping[str, type] | None = None, where: str) -> Any:
    """Build the annotation that `encode_type` described.

    Equal definitions give the same class, so fields that shared a model share it again.

    Args:
        encoded: The description.
        types: The user's own models and enumerations by name, which take the place of rebuilt ones, with all
            that they refer to. Names that are not in the description do not matter.
        where: The field, as ``"answer.total"``, for messages.

    Returns:
        The annotation.

    Raises:
        ArtifactError: If the description is malformed; ``ArtifactMismatchError`` if one of the user's classes has
            another JSON schema than the one that was saved.
    """
    rebuilt, classes = _rebuild(encoded, {}, where)
    supplied = _supplied({name: cls for name, cls in (types or {}).items() if name in classes}, where)
    for name, cls in supplied.items():
        difference = _first_difference(_json_schema(classes[name]), _json_schema(cls)) if name in classes else ""
        if difference:
            lines = type_changes(_alone(name, encoded["$defs"]), TypeEncoder(where).document(cls)) or [difference]
            raise ArtifactMismatchError(
                f"{where}: {name} in types is not the class that was saved",
                found="; ".join(lines),
                fix=f"Give the {name} that the program was compiled with, or leave it out of types",
                differences=tuple(lines),
            )
    if not supplied:
        return rebuilt
    own_types = _rebuild(encoded, supplied, where)[0]
    if difference := _first_difference(_json_schema(rebuilt), _json_schema(own_types)):
        raise ArtifactError(f"{where}: the classes in types do not fit together", found=f"at {difference}")
    return own_types


def _rebuild(encoded: Mapping[str, Any], supplied: Mapping[str, type], where: str) -> tuple[Any, Mapping[str, type]]:
    try:
        with warnings.catch_warnings():
            # A field that hides one of pydantic's methods warned the user who wrote it; a reader can do nothing.
            warnings.simplefilter("ignore")
            decoder = TypeDecoder(encoded, supplied, where)
            rebuilt = decoder.annotation()
            # Only now does pydantic look at patterns, bounds and discriminators.
            pydantic.TypeAdapter(rebuilt).json_schema()
            # The user's own class may differ from what was saved in all that its JSON schema does not say.
            again = encoded if supplied else TypeEncoder(where).document(rebuilt)
            same = json.dumps(again, sort_keys=True) == json.dumps(encoded, sort_keys=True)
    except ArtifactError:
        raise
    except Exception as error:
        raise ArtifactError(
            f"{where}: the saved type cannot be built",
            found=f"{type(error).__name__}: {_one_line(error)}",
            fix="Save the program again with the fusionprog that wrote it",
        ) from error
    if not same:
        raise ArtifactError(
            f"{where}: the saved type is not written as it should be",
            found=f"at {_first_difference(again, encoded)}",
            fix="Save the program again with the fusionprog that wrote it",
        )
    return rebuilt, decoder.classes


def _supplied(types: Mapping[str, type], where: str) -> dict[str, type]:
    supplied: dict[str, type] = {}
    for name, cls in types.items():
        encoder = TypeEncoder(f"{where}, types[{name!r}]")
        try:
            encoder.document(cls)
        except ProgramError as error:
            known = {"expected": error.expected, "found": error.found, "fix": error.fix}
            raise ArtifactError(error.problem, **known) from error
        if name not in encoder.classes or encoder.classes[name] is not cls:
            raise ArtifactError(
                f"{where}: types[{name!r}] is not that class",
                expected=f"a pydantic model or Enum named {name}",
                found=shorten(repr(cls)),
            )
        # A model brings all that it refers to: of an inner class there must not be two.
        for inner, own in encoder.classes.items():
            if supplied.setdefault(inner, own) is not own:
                raise ArtifactError(
                    f"{where}: two of the classes in types are named {inner}",
                    found=f"{supplied[inner]!r} and {own!r}",
                    fix="Give one of them, and let the others use it",
                )
    return supplied


def _alone(name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", "$defs": definitions}


def _one_line(error: Exception) -> str:
    return shorten(" ".join(str(error).split()).rstrip("."), 500)


def _json_schema(annotation: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydantic.TypeAdapter(annotation).json_schema()


def _first_difference(wanted: Any, found: Any, path: str = "") -> str:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in (*wanted, *(key for key in found if key not in wanted)):
            inner = f"{path}.{key}"
            if key not in wanted or key not in found:
                return f"{inner.lstrip('.')}: {'missing' if key in wanted else 'not expected'}"
            if difference := _first_difference(wanted[key], found[key], inner):
                return difference
        same = list(wanted) == list(found) or not path.endswith("properties")
        return "" if same else f"{path.lstrip('.')}: order {list(found)} instead of {list(wanted)}"
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return next((d for at, (a, b) in pairs if (d := _first_difference(a, b, f"{path}[{at}]"))), "")
    # Compared as JSON, since 1 equals True and NaN differs from itself.
    if json.dumps(wanted, default=repr) == json.dumps(found, default=repr):
        return ""
    return f"{path.lstrip('.') or 'type'}: {shorten(repr(found))} instead of {shorten(repr(wanted))}"
