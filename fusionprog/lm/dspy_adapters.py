"""How prompts are written and answers are read: DSPy's adapters, by their public names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_origin

import dspy
from dspy.adapters.chat_adapter import field_header_pattern
from dspy.adapters.utils import format_field_value, get_annotation_name, parse_value
from dspy.utils.exceptions import AdapterParseError

from fusionprog.errors import LMOutputError
from fusionprog.lm.model import Message
from fusionprog.program.signature import SignatureType

_ADAPTERS = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}


def type_text(annotation: Any) -> str:
    """Returns a type as prompts print it (``Literal['a', 'b']``)."""
    return str(get_annotation_name(annotation))


class PromptFormat:
    """How prompts are written and answers are read: one of DSPy's adapters, without its second tries.

    Args:
        name: ``chat``, ``json`` or ``xml``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        # ChatAdapter would silently ask again in JSON where an answer cannot be read: two calls for one.
        self._adapter = _ADAPTERS[name]() if name == "json" else _ADAPTERS[name](use_json_adapter_fallback=False)

    def system(self, signature: SignatureType) -> str:
        """Returns the system message: fields, structure, and last the signature's instructions."""
        return str(self._adapter.format_system_message(signature))

    def demo(self, signature: SignatureType, demo: Mapping[str, Any]) -> tuple[Message, ...]:
        """Returns a demonstration as a user and an assistant message; none if it lacks inputs or outputs."""
        return tuple(self._adapter.format_demos(signature, [dict(demo)]))

    def is_complete(self, signature: SignatureType, demo: Mapping[str, Any]) -> bool:
        """Whether a demonstration has all fields; DSPy shows the others first."""
        return all(demo.get(name) is not None for name in signature.fields)

    def user_parts(self, signature: SignatureType) -> tuple[str, ...]:
        """Returns the last message cut at its inputs, which come in the signature's order between the parts."""
        marks = {name: f"\x00{name}\x00" for name in signature.input_fields}
        text = self._adapter.format_user_message_content(signature, marks, main_request=True)
        parts = []
        for mark in marks.values():
            before, _, text = text.partition(mark)
            parts.append(before)
        return (*parts, text)

    def value(self, signature: SignatureType, name: str, value: Any) -> str:
        """Returns an input's value as the prompt writes it."""
        if type(value) is str:
            return value
        return str(format_field_value(signature.input_fields[name], value))

    def parse(self, signature: SignatureType, text: str, plain: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Reads the output fields from an answer.

        Args:
            signature: What was asked.
            text: The answer.
            plain: ``plain_fields(signature)``, for who reads many answers to one signature.

        Raises:
            LMOutputError: if a field is missing or its value does not have the field's type.
        """
        try:
            fields = plain_fields(signature) if plain is None else plain
            return self._parse_plain(fields, text) or dict(self._adapter.parse(signature, text))
        except (AdapterParseError, ValueError, TypeError) as error:
            raise LMOutputError(
                "the model's answer cannot be read",
                expected=f"the fields {', '.join(signature.output_fields)} in {self.name} format",
                found=repr(text[:200]),
            ) from error

    def _parse_plain(self, plain: Mapping[str, Any], text: str) -> dict[str, Any] | None:
        """Reads a chat answer whose fields are all text or closed choices, by the adapter's rules.

        ``None`` leaves the answer to the adapter, also one that cannot be read.
        """
        if self.name != "chat" or not plain:
            return None
        sections: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in text.splitlines():
            header = field_header_pattern.match(line.strip())
            if header is None:
                lines.append(line)
            else:
                rest = line[header.end() :].strip()
                lines = [rest] if rest else []
                sections.setdefault(header.group(1), lines)
        if not plain.keys() <= sections.keys():
            return None
        return {name: parse_value("\n".join(sections[name]).strip(), plain[name]) for name in plain}


def plain_fields(signature: SignatureType) -> dict[str, Any]:
    """Returns the output fields of a signature whose outputs are all text or closed choices; else nothing."""
    types = {name: field.annotation for name, field in signature.output_fields.items()}
    return types if all(each is str or get_origin(each) is Literal for each in types.values()) else {}
