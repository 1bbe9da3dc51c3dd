"""DSPy's canonical requests, made of messages that are plain text without DSPy's checks: those were passed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dspy.lm15 import Message, Request, TextPart

from fusionprog.lm.model import Messages

_new, _set = object.__new__, object.__setattr__


def like(request: Any, messages: Messages) -> Any:
    """A copy of a request with other messages of the same roles.

    Args:
        request: A request that DSPy made of messages of these roles.
        messages: The messages; every text is valid Unicode.
    """
    has_system = messages[0]["role"] == "system"
    said = [_message(each["role"], each["content"]) for each in messages[has_system:]]
    return _copy(request, messages[0]["content"] if has_system else request.system, said)


def ending_with(text: str, request: Any) -> Any:
    """A copy of a request with another question."""
    return _copy(request, request.system, (*request.messages[:-1], _message("user", text)))


def _copy(request: Any, system: Any, messages: Sequence[Any]) -> Any:
    made = _new(Request)
    _set(made, "model", request.model)
    _set(made, "messages", tuple(messages))
    _set(made, "system", system)
    _set(made, "tools", request.tools)
    _set(made, "config", request.config)
    return made


def _message(role: str, text: str) -> Any:
    part = _new(TextPart)
    _set(part, "text", text)
    _set(part, "continuation", ())
    _set(part, "type", "text")
    message = _new(Message)
    _set(message, "role", role)
    _set(message, "parts", (part,))
    _set(message, "continuation", ())
    return message
