"""Text functions as engines of ``dspy.LM``. DSPy is imported when one is asked, not before."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from fusionprog._internal.sync import run
from fusionprog.testing.text import TextAnswer, TextFunction, answer_of, as_completion, checked

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response


class TextEngine:
    """Answers lm15 requests with a text function; an async one runs on the package's own event loop.

    Args:
        text: Answers chat messages.
    """

    def __init__(self, text: TextFunction) -> None:
        self._text = text

    def complete(self, request: Request) -> Response:
        """Returns one answer."""
        messages = _messages(request)
        answer = self._text([dict(message) for message in messages])
        waiting = inspect.isawaitable(answer)
        return _response(request, messages, run(answer_of(lambda _: answer, messages)) if waiting else checked(answer))


class AsyncTextEngine:
    """Answers lm15 requests with a text function, awaited.

    Args:
        text: Answers chat messages.
    """

    def __init__(self, text: TextFunction) -> None:
        self._text = text

    async def complete(self, request: Request) -> Response:
        """Returns one answer."""
        messages = _messages(request)
        return _response(request, messages, await answer_of(self._text, messages))


def engine(text: TextFunction) -> tuple[TextEngine, AsyncTextEngine]:
    """Returns the pair of engines that ``dspy.LM`` takes, both in front of one text function.

    Args:
        text: Answers chat messages; it may be async. What it raises, the caller of the LM gets; errors of
            ``fusionprog.errors`` reach a compile as they are.

    Example:
        >>> sync, both = engine(lambda messages: "billing")
        >>> import dspy
        >>> dspy.LM("test/model", engine=sync, async_engine=both, cache=False)("Hello")
        ['billing']
    """
    return TextEngine(text), AsyncTextEngine(text)


def _messages(request: Request) -> tuple[dict[str, str], ...]:
    turns: list[dict[str, str]] = []
    if request.system is not None:
        system = request.system if isinstance(request.system, str) else _texts(request.system)
        turns.append({"role": "system", "content": system})
    turns += [{"role": message.role, "content": _texts(message.parts)} for message in request.messages]
    return tuple(turns)


def _texts(parts: Any) -> str:
    """The texts among a message's parts."""
    return "\n".join(part.text for part in parts if part.type == "text")


def _response(request: Request, messages: tuple[dict[str, str], ...], answer: TextAnswer) -> Response:
    from dspy.lm15 import ContextLengthError, Message, Response, TextPart, Usage

    said = as_completion(answer, messages)
    if said.finish == "context":
        raise ContextLengthError("the prompt does not fit the context window")
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant(TextPart(said.text)),
        finish_reason="content_filter" if said.finish == "refused" else said.finish,
        usage=Usage(input_tokens=said.input_tokens, output_tokens=said.output_tokens),
    )
