"""Language models for tests that run in the same process, without HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from fusionprog.lm.model import Completion, Messages, approximate_tokens
from fusionprog.testing.content import content_key
from fusionprog.testing.faults import HALVED, Fault, Faults, half
from fusionprog.testing.injection import failure
from fusionprog.testing.log import Counted, Outcome, RequestRecord
from fusionprog.testing.scenario import Scenario
from fusionprog.testing.script import Script, ScriptAnswer
from fusionprog.testing.text import TextAnswer, TextFunction, answer_of, as_completion, plain_messages, prompt_text

_PATH = "complete"


class TextModel(Counted):
    """A text function as a language model, for ``fusionprog.compile(lm=...)``.

    Args:
        text: Answers chat messages; it may be async. A text is priced and its tokens are counted; a ``Completion`` is
            the answer as it is, with its ``finish``. What it raises is raised.
        name: What the model is called. With a name, its answers are stored for other processes to find; without one
            they count for this process only, as those of a model that nothing is known about.
        latency: Seconds before every answer, at least 0; any number of calls wait at once.
        faults: More latency, and random faults: an ``LMUnavailableError`` of the kind that a client makes of the
            fault (a request that hangs is an ``LMTimeoutError`` at once), or for ``truncated`` half of the text, with
            ``finish="length"``. ``model.faults = ...`` changes them.
        usd_per_token: Dollars per input and output token; ``None`` for unknown prices. The model is free where both
            are 0.
        max_output_tokens: Tokens that an answer has at most, as far as the model is concerned; ``None`` for unknown.
        keep: How many of the last requests are kept in ``requests``; ``None`` for all.

    Example:
        >>> model = TextModel(lambda messages: "billing")
        >>> asyncio.run(model.complete([{"role": "user", "content": "Hello"}])).text
        'billing'
        >>> model.counts["ok"]
        1
    """

    def __init__(
        self,
        text: TextFunction,
        name: str | None = None,
        *,
        latency: float = 0.0,
        faults: Faults | None = None,
        usd_per_token: tuple[float, float] | None = (0.0, 0.0),
        max_output_tokens: int | None = None,
        keep: int | None = None,
    ) -> None:
        super().__init__(keep)
        self._text = text
        self.latency = latency
        self._scenario = Scenario(faults or Faults())
        self.name: str = name or "test-model"
        self.persistent = name is not None
        self.free = usd_per_token == (0.0, 0.0)
        self._usd_per_token = usd_per_token
        self.max_output_tokens = max_output_tokens
        # An engine that is no text says that the model cannot be made again from its name.
        state = name or f"process {os.getpid()}:{id(self)}"
        self.identity: Mapping[str, Any] = {"model": self.name, "engine": ["fusionprog.testing", state]}

    @property
    def usd_per_token(self) -> tuple[float, float] | None:
        """Dollars per input and output token; ``None`` where unknown."""
        return self._usd_per_token

    @property
    def faults(self) -> Faults:
        """Latency and random faults."""
        return self._scenario.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._scenario.faults = faults

    def next(
        self,
        what: Fault,
        *,
        times: int | None = 1,
        match: str | re.Pattern[str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Plans what the next call gets; plans are used up in order, before random faults are drawn.

        Args:
            what: A fault.
            times: How many calls get it, at least 1; ``None`` for all to come.
            match: Only calls get it in whose prompt this regular expression is found.
            retry_after: Seconds that an error of ``RATE_LIMIT`` or ``OVERLOADED`` asks to wait.

        Raises:
            ValueError: if ``times`` is below 1.
        """
        self._scenario.plan(what, times=times, match=match, retry_after=retry_after)

    def reset(self) -> None:
        """Forgets all calls, their counts and repeats, and what is planned; latency and faults stay."""
        super().reset()
        self._scenario.clear()

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer.

        Raises:
            LMUnavailableError: as a fault.
            LMError: if the text function says so, as a script does that has no rule for the prompt.
        """
        asked = plain_messages(messages)
        key = content_key(_PATH, {"messages": [dict(message) for message in asked]})
        arrival = self._log.arrive(key)
        outcome: Outcome | Fault = Outcome.ABANDONED
        detail = ""
        try:
            decision = self._scenario.decide(key, arrival.repeat, lambda: prompt_text(asked))
            if self.latency or decision.delay:
                await asyncio.sleep(self.latency + decision.delay)
            if (error := failure(decision, self.name)) is not None:
                outcome = decision.fault or Outcome.FAILED
                raise error
            answer = await answer_of(self._text, asked)
            outcome = decision.fault or Outcome.OK
            if decision.fault not in HALVED:
                return self._priced(answer, asked)
            return replace(self._priced(_cut(answer), asked), finish="length")
        except Exception as error:
            if not isinstance(outcome, Fault):
                outcome = Outcome.FAILED
            detail = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._log.add(
                RequestRecord(
                    number=arrival.number,
                    path=_PATH,
                    model=self.name,
                    messages=asked,
                    parameters=MappingProxyType({}),
                    headers=MappingProxyType({}),
                    key=key,
                    repeat=arrival.repeat,
                    after_success=arrival.after_success,
                    outcome=outcome,
                    detail=detail,
                    started=arrival.started,
                    ended=None if outcome is Outcome.ABANDONED else time.monotonic(),
                )
            )

    def _priced(self, answer: TextAnswer, asked: Messages) -> Completion:
        said, price = as_completion(answer, asked), self._usd_per_token
        if isinstance(answer, Completion) or price is None:
            return said
        return replace(said, usd=said.input_tokens * price[0] + said.output_tokens * price[1])


def _cut(answer: TextAnswer) -> TextAnswer:
    if isinstance(answer, str):
        return half(answer)
    text = half(answer.text)
    return replace(answer, text=text, output_tokens=approximate_tokens(text))


class ScriptedModel(TextModel):
    """A script as a language model.

    Args:
        rules: As ``Script`` takes them.
        name: As ``TextModel`` takes it.
        search: As ``Script`` takes it.
        options: The others of ``TextModel``.

    Attributes:
        script: The script: what it did not match, and ``check()``.
    """

    def __init__(
        self,
        rules: Iterable[tuple[str | re.Pattern[str], ScriptAnswer]],
        name: str | None = None,
        *,
        search: Literal["prompt", "last"] = "prompt",
        **options: Any,
    ) -> None:
        self.script = Script(rules, search=search)
        super().__init__(self.script, name, **options)
