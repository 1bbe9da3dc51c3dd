"""The chat format: a section a field, each below its header ``[[ ## name ## ]]``."""

from __future__ import annotations

from typing import Any

from dspy.adapters.chat_adapter import field_header_pattern

from fusionprog.lm.formats.defaults import with_defaults
from fusionprog.lm.formats.value_reader import value_readers
from fusionprog.program.signature import SignatureType

_header = field_header_pattern.match


class ChatAnswers:
    """Reads the answers to one signature in chat format, as ``dspy.ChatAdapter`` does.

    Args:
        signature: What is asked.
    """

    def __init__(self, signature: SignatureType) -> None:
        self._signature = signature
        self._fields = {name: reader.read for name, reader in value_readers(signature).items()}

    def read(self, text: str) -> dict[str, Any]:
        """Returns the output fields; of a repeated section the first counts.

        Raises:
            ValueError: if a field is missing or its value is not of its type.
            TypeError: likewise.
        """
        sections: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in text.splitlines():
            header = _header(line.strip()) if "[[ ## " in line else None
            if header is None:
                lines.append(line)
            else:
                rest = line[header.end() :].strip()
                lines = [rest] if rest else []
                sections.setdefault(header.group(1), lines)
        found = {
            name: read("\n".join(sections[name]).strip()) for name, read in self._fields.items() if name in sections
        }
        return found if len(found) == len(self._fields) else with_defaults(self._signature, found)
