"""How prompts are written, by DSPy's adapters, and what reads the answers; public names of DSPy only."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import dspy
from dspy.adapters.utils import format_field_value, get_annotation_name

from fusionprog.lm.formats.answer_reader import AnswerReader
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

    def system_before_instructions(self, signature: SignatureType) -> str:
        """Returns the system message's beginning: the signature's fields and their structure."""
        before = (self._adapter.format_field_description, self._adapter.format_field_structure)
        return "".join(f"{part(signature)}\n" for part in before)

    def instructions(self, text: str) -> str:
        """Returns the system message's end: the instructions."""
        return str(self._adapter.format_task_description(SimpleNamespace(instructions=inspect.cleandoc(text))))

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

    def reader(self, signature: SignatureType) -> AnswerReader:
        """Returns what reads the answers to a signature; make it once, for all of them."""
        return AnswerReader(self.name, signature, self._adapter)
