"""What a call used, from the forms in which DSPy and LiteLLM report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fusionprog.lm.model import Messages, approximate_tokens
from fusionprog.lm.price import Usage


class Reported(NamedTuple):
    """Tokens of a call by kind, as in ``Usage``; ``None`` where nothing is reported."""

    read: int | None
    written: int | None
    cached: int | None
    kept: int | None
    reasoned: int | None

    def usage(self, messages: Messages, text: str) -> Usage:
        """Returns all kinds; what is not reported of the prompt and the answer is estimated from their texts."""
        read, written = self.read, self.written
        return Usage(
            sum(approximate_tokens(message["content"]) for message in messages) if read is None else read,
            approximate_tokens(text) if written is None else written,
            self.cached or 0,
            self.kept or 0,
            self.reasoned or 0,
        )


def reported(usage: Mapping[str, Any]) -> Reported:
    """Returns what a usage in the form of OpenAI's client says."""
    prompt, answer = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return Reported(
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        _part(prompt, "cached_tokens"),
        _part(prompt, "cache_creation_tokens"),
        _part(answer, "reasoning_tokens"),
    )


def _part(details: Any, name: str) -> int | None:
    """The tokens of one kind; LiteLLM has objects where DSPy has dictionaries."""
    found = details.get(name) if isinstance(details, Mapping) else getattr(details, name, None)
    return found if isinstance(found, int) else None
