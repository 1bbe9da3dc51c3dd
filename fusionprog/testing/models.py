"""Language models for tests that run in the same process, without HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from fusionprog.lm.model import Completion, Messages, approximate_tokens
from fusionprog.testing.content import content_key
from fusionprog.testing.log import Counted, Outcome, RequestRecord
from fusionprog.testing.script import Script, ScriptAnswer
from fusionprog.testing.text import TextFunction, plain_messages, prompt_tokens, text_of

_PATH = "complete"


class TextModel(Counted):
    """A text function as a language model, for ``fusionprog.compile(lm=...)``.

    Args:
        text: Answers chat messages; it may be async.
        name: What the model is called. With a name, its answers are stored for other processes to find; without one
            they count for this process only, as those of a model that nothing is known about.
        latency: Seconds before every answer, at least 0; any number of calls wait at once.
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
        usd_per_token: tuple[float, float] | None = (0.0, 0.0),
        max_output_tokens: int | None = None,
        keep: int | None = None,
    ) -> None:
        super().__init__(keep)
        self._text = text
        self.latency = latency
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

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer; tokens are estimated from characters.

        Raises:
            LMError: if the text function says so, as a script does that has no rule for the prompt.
        """
        asked = plain_messages(messages)
        key = content_key(_PATH, {"messages": [dict(message) for message in asked]})
        arrival = self._log.arrive(key)
        outcome, detail = Outcome.ABANDONED, ""
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            text = await text_of(self._text, asked)
            outcome = Outcome.OK
        except Exception as error:
            outcome, detail = Outcome.FAILED, f"{type(error).__name__}: {error}"
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
        read, written, price = prompt_tokens(asked), approximate_tokens(text), self._usd_per_token
        return Completion(text, read, written, None if price is None else read * price[0] + written * price[1])


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
