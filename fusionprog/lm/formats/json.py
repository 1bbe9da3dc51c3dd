"""The JSON format: one object, a key a field."""

from __future__ import annotations

from typing import Any

from fusionprog.lm.formats.defaults import with_defaults
from fusionprog.lm.formats.value_reader import decoded, value_readers
from fusionprog.program.signature import SignatureType


class JsonAnswers:
    """Reads the answers to one signature in JSON, as ``dspy.JSONAdapter`` does, also within text or a code fence.

    Args:
        signature: What is asked.
    """

    def __init__(self, signature: SignatureType) -> None:
        self._signature = signature
        self._fields = {name: reader.read for name, reader in value_readers(signature).items()}

    def read(self, text: str) -> dict[str, Any]:
        """Returns the output fields.

        Raises:
            ValueError: if the text is no object, a field is missing or its value is not of its type.
            TypeError: likewise.
        """
        given = decoded(text)
        if not isinstance(given, dict):
            raise ValueError("the answer is no JSON object")
        found = {name: read(given[name]) for name, read in self._fields.items() if name in given}
        return found if len(found) == len(self._fields) else with_defaults(self._signature, found)
