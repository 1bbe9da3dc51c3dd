"""Signatures to and from plain JSON data."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from fusionprog.artifacts.schema import FieldSpec, SignatureSpec
from fusionprog.artifacts.text import from_lines, to_lines
from fusionprog.artifacts.types import decode_type, encode_type
from fusionprog.artifacts.values import decode_default, encode_default
from fusionprog.errors import ArtifactError, FusionProgError, ProgramError
from fusionprog.program.signature import InputField, OutputField, SignatureType, make_signature

Types = Mapping[str, type]

_FACTORIES = (None, list, dict, set)


def signature_spec(signature: SignatureType, node: str) -> SignatureSpec:
    """Returns a signature as the artifact holds it.

    Raises:
        ProgramError: if a type or a default of it cannot be kept in JSON.
    """
    return SignatureSpec(
        name=signature.__name__,
        instructions=to_lines(signature.instructions),
        inputs=[_field_spec(name, field, node) for name, field in signature.input_fields.items()],
        outputs=[_field_spec(name, field, node) for name, field in signature.output_fields.items()],
    )


def decode_signature(spec: SignatureSpec, node: str, types: Types) -> SignatureType:
    """Returns the signature that a spec describes.

    Raises:
        ArtifactError: if it is not sound.
    """
    check_unique((each.name for each in (*spec.inputs, *spec.outputs)), f"fields of node {node!r}")
    fields: dict[str, Any] = {}
    for make, specs in ((InputField, spec.inputs), (OutputField, spec.outputs)):
        for each in specs:
            where = f"{node}.{each.name}"
            if not each.name.isidentifier() or each.name.startswith("_"):
                raise ArtifactError(f"{each.name!r} is no name of a field of node {node!r}")
            annotation = annotation_of(each.type, types, where)
            more: dict[str, Any] = {"desc": from_lines(each.description)} if each.description else {}
            if each.default is not None:
                more["default"] = decode_default(each.default, annotation, where)
            field = make(**more)
            if each.constraints:
                field.json_schema_extra["constraints"] = each.constraints
            fields[each.name] = (annotation, field)
    text = from_lines(spec.instructions)
    try:
        made: SignatureType = make_signature(fields, text, spec.name)
        # DSPy writes instructions where there are none, and reads them as a docstring: what is indented below the
        # first line would lose that, unless it begins with a line break.
        made.instructions = text if inspect.cleandoc(text) == text else f"\n{text}"
    except Exception as error:
        refuse_built(f"the signature of node {node!r}", error)
    return made


def type_spec(annotation: Any, where: str) -> dict[str, Any]:
    """Returns a type as the artifact holds it; see ``encode_type``."""
    known = next((form for kind, form in _scalars().items() if annotation is kind), None)
    return encode_type(annotation, where=where) if known is None else known


def annotation_of(spec: Mapping[str, Any], types: Types, where: str) -> Any:
    """Returns the type that a spec describes; see ``decode_type``."""
    known = next((kind for kind, form in _scalars().items() if spec == form), None)
    return decode_type(spec, types=types, where=where) if known is None else known


def check_unique(names: Iterable[str], what: str) -> None:
    """Checks that names are given once.

    Raises:
        ArtifactError: if not.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ArtifactError(f"two {what} are named {name!r}")
        seen.add(name)


def refuse_built(what: str, error: Exception) -> NoReturn:
    """Raises an ``ArtifactError`` for something that its class would not be made of."""
    if isinstance(error, FusionProgError):  # says what to do itself
        raise ArtifactError(f"{what} cannot be built", found=str(error).rstrip(".")) from error
    raise ArtifactError(
        f"{what} cannot be built", found=repr(error), fix="Save the program again with the fusionprog that wrote it"
    ) from error


@functools.cache
def _scalars() -> dict[type, dict[str, Any]]:
    """What most fields are; a program with many tasks has thousands of them."""
    return {kind: encode_type(kind, where=kind.__name__) for kind in (str, int, float, bool)}


def _field_spec(name: str, field: Any, node: str) -> FieldSpec:
    where = f"{node}.{name}"
    if field.default_factory not in _FACTORIES:
        raise ProgramError(
            f"{where}: a saved program cannot hold this default_factory",
            expected="list, dict or set",
            found=repr(field.default_factory)[:80],
            fix="Use one of these, or a default",
        )
    extra = field.json_schema_extra or {}
    description = str(extra.get("desc", ""))
    default = None
    if not field.is_required():
        default = encode_default(field.get_default(call_default_factory=True), field.annotation, where)
    return FieldSpec(
        name=name,
        type=type_spec(field.annotation, where),
        # DSPy's placeholder for no description, which it does not print.
        description=[] if description == f"${{{name}}}" else to_lines(description),
        constraints=str(extra.get("constraints", "")),
        default=default,
    )
