"""The frame of a prompt: what all prompts of a signature share, written once."""

from __future__ import annotations

from collections.abc import Mapping

from fusionprog._internal.canonical import digest
from fusionprog.lm.dspy_adapters import PromptFormat
from fusionprog.lm.model import Message
from fusionprog.program.signature import SignatureType
from fusionprog.prompts.items import Demo
from fusionprog.prompts.schedule import FORMATS

PROMPT_FORMATS: Mapping[str, PromptFormat] = {name: PromptFormat(name) for name in FORMATS}


class Frame:
    """What the prompts of one signature in one format have in common, whatever their instructions say.

    Args:
        signature: What the node's module asks.
        format: ``chat``, ``json`` or ``xml``.

    Attributes:
        signature: The signature.
        format: How prompts are written.
        user_parts: The last message, cut at its inputs.
        input_names: The signature's input fields, in order.
        reader: Reads the answers.
        id: Equal ids ask and read alike.
    """

    def __init__(self, signature: SignatureType, format: str) -> None:
        self.signature = signature
        self.format = PROMPT_FORMATS[format]
        self.user_parts = self.format.user_parts(signature)
        self.input_names = tuple(signature.input_fields)
        self.reader = self.format.reader(signature)
        self.id = digest([list(self.user_parts), format])
        self._before = self.format.system_before_instructions(signature)
        self._demos: dict[int, tuple[Demo, bool, tuple[Message, ...]]] = {}

    def system(self, instructions: str) -> Message:
        """Returns the system message."""
        return {"role": "system", "content": f"{self._before}{self.format.instructions(instructions)}"}

    def demo(self, demo: Demo) -> tuple[bool, tuple[Message, ...]]:
        """Returns whether a demonstration has all fields, and its messages; none if it lacks inputs or outputs."""
        if id(demo) not in self._demos:
            complete = self.format.is_complete(self.signature, demo)
            self._demos[id(demo)] = demo, complete, self.format.demo(self.signature, demo)  # held: its id stays its own
        return self._demos[id(demo)][1:]
