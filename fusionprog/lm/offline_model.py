"""The offline reader as a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog.lm.model import CHARACTERS_PER_TOKEN, Completion, Messages, approximate_tokens
from fusionprog.lm.offline import OfflineReader

OFFLINE = "offline"
_VERSION = 1
_LONGEST = 4_096  # tokens of an answer, as other models have a limit too


class OfflineModel:
    """Answers with the embedded reader: no key, no network, no cost; it sees only the rendered messages."""

    name = OFFLINE
    identity: Mapping[str, Any] = {"model": OFFLINE, "version": _VERSION}
    persistent = True
    free = True
    usd_per_token = (0.0, 0.0)
    max_output_tokens = _LONGEST

    def __init__(self) -> None:
        self._reader = OfflineReader()

    async def complete(self, messages: Messages) -> Completion:
        """Returns the reader's answer; tokens are estimated from characters."""
        text = self._reader.read(messages)
        prompt = sum(approximate_tokens(message["content"]) for message in messages)
        cut = text[: CHARACTERS_PER_TOKEN * _LONGEST]
        return Completion(cut, prompt, approximate_tokens(cut), 0.0, "stop" if cut == text else "length")
