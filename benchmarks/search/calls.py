"""Calls, counted at the language model: what a side may ask, and what it has asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from fusionprog.lm.model import Completion, approximate_tokens

Messages = Sequence[Mapping[str, str]]
Answer = Callable[[Messages], str]
_USAGE = Usage(input_tokens=300, output_tokens=10)


class CallsSpentError(BaseException):
    """A side asked for more calls than it has; no plain exception, as libraries make those a score of 0."""


class Meter:
    """A language model that counts what it is asked, and refuses calls beyond what a side may make.

    The same messages again are answered from memory and cost nothing, on all sides alike: every side has a cache.

    Args:
        answer: The model: a function of the messages alone.

    Attributes:
        refused: Whether a call was refused since the last grant.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._known: dict[tuple[tuple[str, str], ...], str] = {}
        self._limit = 0
        self._open = False
        self._seen: list[Messages] | None = None
        self.count = 0
        self.refused = False

    def grant(self, calls: int) -> None:
        """Allows so many calls from now on, beside those that were made; what was left before is lost."""
        self._limit = self.count + calls
        self.refused = False

    def open(self) -> None:
        """Lets everything through uncounted from now on: the side is done, and test is scored."""
        self._open = True

    @contextmanager
    def watched(self) -> Iterator[list[Messages]]:
        """Hands out all that is asked meanwhile."""
        self._seen = []
        try:
            yield self._seen
        finally:
            self._seen = None

    @property
    def left(self) -> int:
        """Calls that may still be made."""
        return self._limit - self.count

    def __call__(self, messages: Messages) -> str:
        """Returns the model's answer.

        Raises:
            CallsSpentError: if no call is left.
        """
        if self._seen is not None:
            self._seen.append(messages)
        key = tuple([(message["role"], message["content"]) for message in messages])
        if key in self._known:
            return self._known[key]
        if self._open:
            return self._answer(messages)
        if self.count >= self._limit:
            self.refused = True
            raise CallsSpentError(f"all {self._limit} calls are spent")
        self.count += 1
        text = self._known[key] = self._answer(messages)
        return text


class MeteredModel:
    """The meter as a model of fusionprog's.

    Args:
        meter: Answers.
        identity: What its answers depend on beside the messages.
    """

    name = "benchmark"
    persistent = False
    free = True
    usd_per_token = (0.0, 0.0)
    max_output_tokens = 4_096

    def __init__(self, meter: Meter, identity: Mapping[str, Any]) -> None:
        self._meter = meter
        self.identity = identity

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer."""
        text = self._meter(messages)
        tokens = sum(approximate_tokens(message["content"]) for message in messages)
        return Completion(text, tokens, approximate_tokens(text), 0.0)


class _Engine:
    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def complete(self, request: Request) -> Response:
        """Returns one answer."""
        messages = [{"role": "system", "content": str(request.system)}]
        for each in request.messages:
            messages.append({"role": each.role, "content": "".join(getattr(part, "text", "") for part in each.parts)})
        said = Message.assistant(self._meter(messages))
        return Response(id="1", model=request.model, message=said, finish_reason="stop", usage=_USAGE)


def dspy_lm(meter: Meter) -> dspy.LM:
    """Returns the meter as a ``dspy.LM``, without DSPy's own cache and retries."""
    return dspy.LM("test/benchmark", engine=_Engine(meter), cache=False, num_retries=0)
