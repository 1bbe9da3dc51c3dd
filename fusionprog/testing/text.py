"""Text functions: what stands in for a language model, messages in and text out."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from fusionprog.lm.model import Completion, Message, Messages, approximate_tokens

TextAnswer: TypeAlias = str | Completion
TextFunction: TypeAlias = Callable[[list[dict[str, str]]], TextAnswer | Awaitable[TextAnswer]]


async def answer_of(function: TextFunction, messages: Messages) -> TextAnswer:
    """Returns a text function's answer; the function gets a copy of the messages.

    Raises:
        TypeError: if the answer is neither a text nor a ``Completion``.
    """
    answer = function([dict(message) for message in messages])
    return checked(await answer if inspect.isawaitable(answer) else answer)


def checked(answer: Any) -> TextAnswer:
    """Returns an answer of a text function.

    Raises:
        TypeError: if it is neither a text nor a ``Completion``.
    """
    if isinstance(answer, (str, Completion)):
        return answer
    raise TypeError(f"a text function must return a str or a Completion, and returned {answer!r}")


def as_completion(answer: TextAnswer, messages: Messages) -> Completion:
    """Returns an answer with its tokens, counted as the offline model counts them where it is a text."""
    if isinstance(answer, Completion):
        return answer
    return Completion(answer, prompt_tokens(messages), approximate_tokens(answer))


def offline_text(reader: str = "offline") -> TextFunction:
    """Returns an embedded reader as a text function; what it needs is imported here, not at its first answer.

    Args:
        reader: ``"offline"``, or ``"offline-semantic"`` of the extra ``semantic``.

    Raises:
        EmbedderError: if that is not installed.
        ValueError: if it is neither.
    """
    from fusionprog.lm.offline import OfflineReader

    if reader not in ("offline", "offline-semantic"):
        raise ValueError(f"there is no embedded reader {reader!r}")
    if reader == "offline":
        return OfflineReader().read

    from fusionprog.lm.offline.semantic import semantic_reader

    return semantic_reader().read


def plain_messages(messages: Any) -> tuple[Message, ...]:
    """Returns chat messages, read-only, with ``role`` and ``content`` alone; of parts, the texts among them.

    Raises:
        ValueError: if these are no chat messages.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise ValueError("'messages' must be a list of at least one message")
    plain = []
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise ValueError("every message must be an object with a 'role'")
        text = _plain_content(message.get("content"))
        plain.append(MappingProxyType({"role": message["role"], "content": text}))
    return tuple(plain)


def prompt_text(messages: Messages) -> str:
    """Returns the contents of all messages, with an empty line between them: what patterns are searched in."""
    return "\n\n".join(message["content"] for message in messages)


def prompt_tokens(messages: Messages) -> int:
    """Returns about how many tokens the messages have, counted as the offline model counts them."""
    return sum(approximate_tokens(message["content"]) for message in messages)


def _plain_content(content: Any) -> str:
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = "\n".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return str(content or "")
