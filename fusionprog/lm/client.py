"""The client: every model call goes through here, is stored, and is never made twice."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import Counter
from dataclasses import replace

from fusionprog._internal.canonical import digest
from fusionprog._internal.single_flight import SingleFlight
from fusionprog.errors import FusionProgError, LMConfigurationError, LMError
from fusionprog.lm.model import Completion, LanguageModel, Request
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
        self._flights: SingleFlight[Completion] = SingleFlight()
        self._identities: dict[int, tuple[LanguageModel, str]] = {}
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

    async def complete(self, model: LanguageModel, request: Request, *, sample: int = 0) -> tuple[str, Completion]:
        """Returns a request's key and the model's answer.

        Args:
            model: The model.
            request: What it is asked.
            sample: Tells repeated answers to the same messages apart.

        Raises:
            LMError: if the model gives no answer; nothing is stored then.
        """
        store = self._store
        if store is None:
            return f"call {next(self._numbers)}", await self._ask(model, request)
        identity = self._identity_digest(model)
        key = _key(identity, request, sample)
        stored_under = bytes.fromhex(key)
        known = not self._fresh or key in self._mine
        if known and (stored := await store.find(stored_under)) is not None:
            if key not in self._mine:
                self._mine.add(key)
                self._counts["stored"] += 1
            return key, Completion(stored.text, stored.input_tokens, stored.output_tokens, stored.usd)

        async def ask_and_keep() -> Completion:
            try:
                answer = await self._ask(model, request)
            except BaseException:
                store.give_up(stored_under)
                raise
            self._mine.add(key)
            call = StoredCall(answer.text, answer.input_tokens, answer.output_tokens, answer.usd)
            store.put_model(identity, model.identity)
            store.put_prompt(request.prefix_id, request.prefix)
            store.put_call(stored_under, identity, request.prefix_id, request.content, sample, call)
            return answer

        return key, await self._flights.get(key, ask_and_keep)

    async def _ask(self, model: LanguageModel, request: Request) -> Completion:
        async with self._slots:
            try:
                answer = await model.complete(request.messages)
            except FusionProgError:
                raise
            except Exception as error:
                raise LMError(f"the model {model.name!r} gave no answer", found=repr(error)) from error
        self._counts["paid"] += 1
        self.usd_paid += answer.usd or 0.0
        if answer.text.isascii():
            return answer
        # Half of a surrogate pair, which JSON can hold, is no Unicode: neither a database nor a file takes it.
        return replace(answer, text=answer.text.encode("utf-8", "replace").decode("utf-8"))

    def _identity_digest(self, model: LanguageModel) -> str:
        """The digest of a model's identity; the model is held, so that nothing else is given its ``id``."""
        known = self._identities.get(id(model))
        if known is None:
            known = self._identities[id(model)] = (model, digest(model.identity))
        return known[1]


def _key(identity: str, request: Request, sample: int) -> str:
    try:
        asked = f"{identity}\n{request.prefix_id}\n{sample}\n{request.content}".encode()
    except UnicodeEncodeError as error:
        raise LMConfigurationError(
            "a prompt holds text that is not valid Unicode",
            found=repr(error.object[max(0, error.start - 20) : error.end + 20]),
            fix="Repair the row or the fragment that it comes from",
        ) from error
    return hashlib.blake2b(asked, digest_size=16).hexdigest()
