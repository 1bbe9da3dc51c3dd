"""Reads a model's answers to one signature in one format: quickly, and as DSPy's adapter does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import dspy
from dspy.utils.exceptions import AdapterParseError

from fusionprog.errors import LMOutputError
from fusionprog.lm.formats.chat import ChatAnswers
from fusionprog.lm.formats.json import JsonAnswers
from fusionprog.lm.formats.xml import XmlAnswers
from fusionprog.program.signature import SignatureType

# Thousands of brackets or minus signs, as a model that repeats itself writes them, end in one of the latter two.
_UNREADABLE = (ValueError, TypeError, RecursionError, MemoryError)


class Answers(Protocol):
    """Reads the answers to one signature in one format."""

    def read(self, text: str) -> dict[str, Any]:
        """Returns the output fields; raises ``ValueError`` or ``TypeError`` for what it leaves to the adapter."""


ANSWERS: Mapping[str, Callable[[SignatureType], Answers]] = {
    "chat": ChatAnswers,
    "json": JsonAnswers,
    "xml": XmlAnswers,
}


class AnswerReader:
    """Reads the answers to one signature; validators and schemas of its types are made once.

    Args:
        format: ``chat``, ``json`` or ``xml``.
        signature: What is asked.
        adapter: DSPy's adapter of this format. It gets the answers that cannot be read, for a rare repair or its error.
    """

    def __init__(self, format: str, signature: SignatureType, adapter: dspy.Adapter) -> None:
        self._format = format
        self._signature = signature
        self._adapter = adapter
        self._answers = ANSWERS[format](signature)

    def read(self, text: str) -> dict[str, Any]:
        """Returns the output fields of an answer.

        Raises:
            LMOutputError: if a field is missing or its value does not have the field's type.
        """
        try:
            return self._answers.read(text)
        except _UNREADABLE:
            return self._by_adapter(text)

    def _by_adapter(self, text: str) -> dict[str, Any]:
        try:
            return dict(self._adapter.parse(self._signature, text))
        except (AdapterParseError, *_UNREADABLE) as error:
            raise LMOutputError(
                "the model's answer cannot be read",
                expected=f"the fields {', '.join(self._signature.output_fields)} in {self._format} format",
                found=repr(text[:200]),
            ) from error
