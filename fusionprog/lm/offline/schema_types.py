"""Types and least values from the JSON schemas that prompts print for types with a name of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog.lm.offline.field_types import FieldType, Kind, union_of

_FORMATS: dict[str, Kind] = {"date": "date", "date-time": "datetime", "time": "time"}
_KINDS: dict[str, Kind] = {"integer": "int", "number": "float", "boolean": "bool"}
_LEAST: dict[str, Any] = {
    "str": "",
    "int": 0,
    "float": 0.0,
    "bool": False,
    "list": [],
    "date": "1970-01-01",
    "datetime": "1970-01-01T00:00:00",
    "time": "00:00:00",
    "decimal": "0",
}
_MAX_DEPTH = 8


def type_from_schema(
    schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None, depth: int = 0
) -> FieldType:
    """The field type that a JSON schema describes.

    Args:
        schema: The schema.
        definitions: Its definitions, where they stand outside of it.
        depth: How deep in the type this schema stands; a schema that holds itself ends in an object.

    Returns:
        The type; what is not understood is text.
    """
    definitions = schema.get("$defs", definitions or {})
    schema = _resolved(schema, definitions)
    if depth > _MAX_DEPTH:
        return FieldType("object")
    if schema.get("enum"):
        return FieldType("choice", choices=tuple(schema["enum"]))
    if "const" in schema:
        return FieldType("choice", choices=(schema["const"],))
    if "anyOf" in schema:
        return union_of([type_from_schema(member, definitions, depth + 1) for member in schema["anyOf"]])
    kind = schema.get("type")
    if kind == "null":
        return FieldType("choice", choices=(None,))
    if kind == "array":
        # `prefixItems` is a record of several types, which cannot be read out of a text.
        items = schema.get("items")
        if "prefixItems" in schema or not isinstance(items, Mapping):
            return FieldType("list")
        return FieldType("list", item=type_from_schema(items, definitions, depth + 1))
    if kind == "object" or "properties" in schema:
        return FieldType("object", schema={**schema, "$defs": definitions})
    if kind in _KINDS:
        return FieldType(_KINDS[kind])
    return FieldType(_FORMATS.get(schema.get("format", ""), "str"))


def least_value(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
    """The smallest value that fits a schema: required properties only, empty texts, first choices.

    Args:
        schema: The schema.
        definitions: Its definitions, where they stand outside of it.
        depth: How deep in the value this schema stands; a schema that requires itself ends in null.

    Returns:
        A value that JSON can hold.
    """
    definitions = schema.get("$defs", definitions or {})
    schema = _resolved(schema, definitions)
    if depth > _MAX_DEPTH:
        return None
    field_type = type_from_schema(schema, definitions)
    if field_type.nullable:
        return None
    if field_type.kind == "choice":
        return field_type.choices[0]
    if field_type.kind == "object":
        required, properties = schema.get("required", []), schema.get("properties", {})
        return {name: least_value(properties.get(name, {}), definitions, depth + 1) for name in required}
    return _LEAST.get(field_type.kind, "")


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    target = definitions.get(reference)
    return target if isinstance(target, Mapping) else schema
