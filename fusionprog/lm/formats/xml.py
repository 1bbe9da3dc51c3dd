"""The XML format: an element a field; lists have ``<item>`` elements, mappings and models an element a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from pydantic import ValidationError

from fusionprog.lm.formats.defaults import with_defaults
from fusionprog.lm.formats.value_reader import ValueReader, value_readers
from fusionprog.program.signature import SignatureType


class XmlAnswers:
    """Reads the answers to one signature in XML, as ``dspy.XMLAdapter`` does.

    Args:
        signature: What is asked.
    """

    def __init__(self, signature: SignatureType) -> None:
        self._signature = signature
        self._fields = {name: _Field(reader) for name, reader in value_readers(signature).items()}

    def read(self, text: str) -> dict[str, Any]:
        """Returns the output fields.

        Raises:
            ValueError: if the text is no XML, a field is missing or its value is not of its type.
            TypeError: likewise.
        """
        try:
            root = ElementTree.fromstring(f"<answer>{text}</answer>")
        except ElementTree.ParseError as error:
            raise ValueError("the answer is no XML") from error
        given = _by_name(root)
        found = {name: field.read(given[name]) for name, field in self._fields.items() if name in given}
        return found if len(found) == len(self._fields) else with_defaults(self._signature, found)


class _Field:
    """Reads one field's elements by the JSON schema of its type, which is made once."""

    def __init__(self, reader: ValueReader) -> None:
        self._reader = reader

    @cached_property
    def _schemas(self) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]:
        """The schemas that are tried, the type's own first, then each of a union; and what they refer to."""
        schema = self._reader.validator.json_schema(by_alias=False)
        return [schema, *schema.get("anyOf", [])], schema.get("$defs", {})

    def read(self, elements: Sequence[Element]) -> Any:
        schemas, definitions = self._schemas
        why: ValueError | None = None
        for schema in schemas:
            try:
                value = _value(elements, schema, definitions)
                try:
                    return self._reader.read(value)
                except ValidationError:
                    return self._reader.validator.validate_python(value, by_name=True)
            except ValueError as error:
                why = error
        assert why is not None
        raise why


def _value(elements: Sequence[Element], schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """What the elements of one name say: lists, mappings and texts, as the schema lets expect."""
    schema = definitions.get(schema.get("$ref", "").rsplit("/", 1)[-1], schema)
    first = elements[0]
    if choices := schema.get("anyOf"):
        if {"type": "null"} in choices and not len(first) and not _text(first):
            return None
        schema = _expected([choice for choice in choices if choice.get("type") != "null"], first)
    if schema.get("type") == "array":
        return _items(elements, schema.get("items", {}), definitions)
    if not len(first):
        if schema.get("type") == "object" and not _text(first):
            return {}
        texts = [_text(element) for element in elements]
        return texts[0] if len(texts) == 1 else texts
    if schema.get("type") == "string":
        return (first.text or "") + "".join(ElementTree.tostring(child, encoding="unicode") for child in first)
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    if not isinstance(others, dict):
        others = {}
    return {name: _value(same, properties.get(name, others), definitions) for name, same in _by_name(first).items()}


def _expected(choices: Sequence[Mapping[str, Any]], element: Element) -> Mapping[str, Any]:
    """The schema of a union that an element is read by: one with children is no text."""
    if len(element):
        return next((choice for choice in choices if choice.get("type") != "string"), choices[0])
    return choices[0]


def _items(elements: Sequence[Element], schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A list's items: ``<item>`` elements, the repeated element itself, or a text in brackets."""
    if len(elements) == 1:
        only = elements[0]
        text = _text(only)
        if not len(only) and (not text or text.startswith("[")):
            return text or []
        elements = _by_name(only).get("item") or elements
    return [_value([element], schema, definitions) for element in elements]


def _by_name(elements: Iterable[Element]) -> dict[str, list[Element]]:
    """Elements by their name; an ``<entry key="...">`` by its key."""
    named: dict[str, list[Element]] = {}
    for each in elements:
        name = each.attrib.get("key", each.tag) if each.tag == "entry" else each.tag
        named.setdefault(name, []).append(each)
    return named


def _text(element: Element) -> str:
    return (element.text or "").strip()
