"""How values stand in messages: DSPy's chat, JSON and XML formats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from xml.sax.saxutils import escape, unescape

from fusionprog.lm.offline.prompt_fields import Field, SystemMessage

# A field's name, where its header or tag begins and where its value does.
_Start = tuple[str, int, int]

_MISSING = (
    "Not supplied for this particular example.",
    "Not supplied for this conversation history message.",
)
_REMINDERS = (
    "Respond with the corresponding output fields, starting with the field `[[ ## ",
    "Respond with a JSON object in the following order of fields: `",
    "Respond with the corresponding output fields wrapped in XML tags `<",
)
_WORDS = re.compile(r"[^\W\d]\w*(?: \w+)*")
_JSON_CONSTANTS = ("true", "false", "null", "none")
_EMPTY_ELEMENT = re.compile(r"<(\w+) />")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Syntax(Protocol):
    """One way to write fields into messages."""

    def read_inputs(self, text: str, fields: Sequence[Field]) -> dict[str, str]:
        """The input values in a user message; a field that is not there is left out."""
        ...

    def read_outputs(self, text: str, fields: Sequence[Field]) -> dict[str, Any]:
        """The output values in an assistant message; a field that is not supplied is left out."""
        ...

    def write(self, answers: Sequence[tuple[Field, Any]]) -> str:
        """An assistant message with these values, None for null."""
        ...


def syntax_of(system: SystemMessage) -> Syntax:
    """The syntax that a system message asks for.

    Args:
        system: The message.

    Returns:
        JSON or XML where its structure shows that, else chat.
    """
    if "Outputs will be a JSON object" in system.structure:
        return JsonSyntax()
    if "[[ ## completed ## ]]" in system.structure:
        return ChatSyntax()
    return XmlSyntax()


class ChatSyntax:
    """Values below headers such as ``[[ ## team ## ]]``."""

    def read_inputs(self, text: str, fields: Sequence[Field]) -> dict[str, str]:
        """See `Syntax`."""
        return _below_headers(_without_reminder(text), fields)

    def read_outputs(self, text: str, fields: Sequence[Field]) -> dict[str, Any]:
        """See `Syntax`."""
        body = text.rstrip().removesuffix("[[ ## completed ## ]]")
        return _supplied(_below_headers(body, fields))

    def write(self, answers: Sequence[tuple[Field, Any]]) -> str:
        """See `Syntax`; null is a field left out, since any text would be read as text."""
        parts = [f"[[ ## {field.name} ## ]]\n{_text(field, value)}" for field, value in answers if value is not None]
        return "\n\n".join([*parts, "[[ ## completed ## ]]\n"])


class JsonSyntax:
    """Inputs below headers, outputs as one JSON object."""

    def read_inputs(self, text: str, fields: Sequence[Field]) -> dict[str, str]:
        """See `Syntax`."""
        return _below_headers(_without_reminder(text), fields)

    def read_outputs(self, text: str, fields: Sequence[Field]) -> dict[str, Any]:
        """See `Syntax`."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError:
            return {}
        known = {field.name for field in fields}
        return _supplied({k: v for k, v in values.items() if k in known}) if isinstance(values, dict) else {}

    def write(self, answers: Sequence[tuple[Field, Any]]) -> str:
        """See `Syntax`."""
        values = {field.name: _json_value(field, value) for field, value in answers}
        return json.dumps(values, ensure_ascii=False, indent=2)


class XmlSyntax:
    """Values between tags such as ``<team>`` and ``</team>``."""

    def read_inputs(self, text: str, fields: Sequence[Field]) -> dict[str, str]:
        """See `Syntax`; inputs are not escaped, so a field ends where the next one begins."""
        return _between_tags(_without_reminder(text), fields)

    def read_outputs(self, text: str, fields: Sequence[Field]) -> dict[str, Any]:
        """See `Syntax`."""
        values: dict[str, Any] = {}
        opened = _EMPTY_ELEMENT.sub(r"<\1></\1>", text)
        for name, value in _between_tags(opened, fields).items():
            items = re.findall(r"<item>(.*?)</item>", value, re.DOTALL)
            values[name] = [unescape(item) for item in items] if items else unescape(value)
        return _supplied(values)

    def write(self, answers: Sequence[tuple[Field, Any]]) -> str:
        """See `Syntax`; null is a field left out, since any text would be read as text."""
        return "\n\n".join(self._element(field, value) for field, value in answers if value is not None)

    def _element(self, field: Field, value: Any) -> str:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            content = "".join(f"<item>{_xml(item)}</item>" for item in value)
            return f"<{field.name}>{content}</{field.name}>"
        if value == {}:
            return f"<{field.name}></{field.name}>"
        return f"<{field.name}>\n{_xml(_text(field, value))}\n</{field.name}>"


def _text(field: Field, value: Any) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return str(value)
    # A label with blanks around it would lose them.
    quoted = _is_reread(field) or (value.strip() and value != value.strip())
    return json.dumps(value, ensure_ascii=False) if quoted else value


def _json_value(field: Field, value: Any) -> Any:
    # DSPy reads even a JSON string once more, so what looks like another kind of value needs quotes of its own.
    if not isinstance(value, str) or not _is_reread(field):
        return value
    plain = _WORDS.fullmatch(value) and value.lower() not in _JSON_CONSTANTS
    return value if plain else json.dumps(value, ensure_ascii=False)


def _is_reread(field: Field) -> bool:
    """Whether DSPy reads a text in this field as JSON: in unions, unless text and null are in them."""
    return field.type.union and not (field.type.kind == "str" and field.type.nullable)


def _xml(text: str) -> str:
    return escape(_NOT_IN_XML.sub("", text))


def _supplied(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if str(value).strip() not in _MISSING}


def _without_reminder(text: str) -> str:
    # The last one: the user's own text may hold the same words.
    cut = max(text.rfind(f"\n\n{reminder}") for reminder in _REMINDERS)
    return text if cut < 0 or "\n" in text[cut:].strip() else text[:cut]


def _below_headers(text: str, fields: Sequence[Field]) -> dict[str, str]:
    """Values below headers, each taken once and in order, so that a header inside of a value rarely fools."""
    starts: list[_Start] = []
    for field in fields:
        header = re.compile(rf"^\[\[ ## {re.escape(field.name)} ## \]\][^\S\n]*$\n?", re.MULTILINE)
        found = header.search(text, starts[-1][2] if starts else 0)
        if found:
            starts.append((field.name, found.start(), found.end()))
    return {name: value.strip() for name, value in _values(text, starts)}


def _between_tags(text: str, fields: Sequence[Field]) -> dict[str, str]:
    """Values between tags, each ending where the next one begins, since values may hold closing tags."""
    starts: list[_Start] = []
    for field in fields:
        opening = f"<{field.name}>"
        before = rf"</{re.escape(starts[-1][0])}>\s*" if starts else r"(?:^|\n\n)"
        found = re.compile(before + re.escape(opening)).search(text, starts[-1][2] if starts else 0)
        if found:
            starts.append((field.name, found.end() - len(opening), found.end()))
    return {name: value.rstrip().removesuffix(f"</{name}>").strip() for name, value in _values(text, starts)}


def _values(text: str, starts: Sequence[_Start]) -> Iterator[tuple[str, str]]:
    for place, (name, _, start) in enumerate(starts):
        yield name, text[start : starts[place + 1][1] if place + 1 < len(starts) else len(text)]
