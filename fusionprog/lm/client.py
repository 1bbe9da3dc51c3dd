"""The client: every model call goes through here, is stored, and is never made twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import replace

from fusionprog._internal.canonical import digest
from fusionprog.errors import FusionProgError, LMConfigurationError, LMError
from fusionprog.lm.model import Completion, LanguageModel, Messages
from fusionprog.store.store import Store, StoredCall


class LMClient:
    """Asks models with bounded concurrency; identical requests are one call.

    Args:
        store: Where answers are looked up and kept; without one every request is a call.
        concurrency: Calls in flight at most, 1 or more.
        fresh: Whether answers that earlier runs stored are asked for again.

    Raises:
        LMConfigurationError: if ``concurrency`` is below 1.

    Attributes:
        paid: Calls that went to a model.
        stored: Calls that the store answered from earlier runs.
        usd_paid: Dollars for the calls that went to a model, where prices are known.
    """

    def __init__(self, store: Store | None, concurrency: int = 16, *, fresh: bool = False) -> None:
        if concurrency < 1:
            raise LMConfigurationError("concurrency must be 1 or more", found=str(concurrency))
        self._fresh = fresh
        self._store = store
        self._slots = asyncio.Semaphore(concurrency)
        self._flying: dict[str, asyncio.Task[Completion]] = {}
        self._mine: set[str] = set()
        self._numbers = itertools.count()
        self._counts: Counter[str] = Counter()
        self.usd_paid = 0.0

    @property
    def paid(self) -> int:
        """Calls that went to a model."""
        return self._counts["paid"]

    @property
    def stored(self) -> int:
        """Calls that the store answered from earlier runs."""
        return self._counts["stored"]

    async def complete(self, model: LanguageModel, messages: Messages, *, sample: int = 0) -> tuple[str, Completion]:
        """Returns a request's key and the model's answer.

        Args:
            model: The model.
            messages: What it is asked.
            sample: Tells repeated answers to the same messages apart.

        Raises:
            LMError: if the model gives no answer; nothing is stored then.
        """
        if self._store is None:
            return f"call {next(self._numbers)}", await self._ask(model, messages)
        key = _key(model, messages, sample)
        known = not self._fresh or key in self._mine
        if known and (stored := self._store.get_call(key)) is not None:
            if key not in self._mine:
                self._mine.add(key)
                self._counts["stored"] += 1
            return key, Completion(stored.text, stored.input_tokens, stored.output_tokens, stored.usd)
        if key not in self._flying:
            task = asyncio.ensure_future(self._ask_and_keep(self._store, key, model, messages, sample))
            self._flying[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return key, await asyncio.shield(self._flying[key])

    def _landed(self, key: str, done: asyncio.Task[Completion]) -> None:
        self._flying.pop(key, None)
        if not done.cancelled():
            done.exception()  # looked at here, since all who waited for it may have been cancelled

    async def _ask_and_keep(
        self, store: Store, key: str, model: LanguageModel, messages: Messages, sample: int
    ) -> Completion:
        answer = await self._ask(model, messages)
        self._mine.add(key)
        call = StoredCall(answer.text, answer.input_tokens, answer.output_tokens, answer.usd)
        store.put_call(key, model.identity, messages, sample, call)
        return answer

    async def _ask(self, model: LanguageModel, messages: Messages) -> Completion:
        async with self._slots:
            try:
                answer = await model.complete(messages)
            except FusionProgError:
                raise
            except Exception as error:
                raise LMError(f"the model {model.name!r} gave no answer", found=repr(error)) from error
        self._counts["paid"] += 1
        self.usd_paid += answer.usd or 0.0
        # Half of a surrogate pair, which JSON can hold, is no Unicode: neither a database nor a file takes it.
        return replace(answer, text=answer.text.encode("utf-8", "replace").decode("utf-8"))


def _key(model: LanguageModel, messages: Messages, sample: int) -> str:
    try:
        return digest([model.identity, [[message["role"], message["content"]] for message in messages], sample])
    except UnicodeEncodeError as error:
        raise LMConfigurationError(
            "a prompt holds text that is not valid Unicode",
            found=repr(error.object[max(0, error.start - 20) : error.end + 20]),
            fix="Repair the row or the fragment that it comes from",
        ) from error
