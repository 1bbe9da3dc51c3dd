"""The client: every model call goes through here, is stored, and is never made twice."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from fusionprog._internal.canonical import digest
from fusionprog._internal.single_flight import SingleFlight
from fusionprog.errors import (
    FusionProgError,
    LMConfigurationError,
    LMError,
    LMIncompleteError,
    LMTimeoutError,
    LMUnavailableError,
    StoreError,
)
from fusionprog.lm.deadlines import Deadlines
from fusionprog.lm.limits import Limits
from fusionprog.lm.model import Completion, Finish, LanguageModel, Request, price_of
from fusionprog.lm.pacing import Pacer
from fusionprog.lm.price import FREE, Price, Usage
from fusionprog.lm.slots import Slots
from fusionprog.store.store import Store, StoredCall
from fusionprog.store.unicode import around, as_unicode

_A_MOMENT = 0.001  # seconds
_AT_ONCE = 0.001  # seconds; for a model that takes no longer, no slot is empty for long
_USUAL_ANSWER = 200  # tokens that an answer is taken to have until it is there, for the pace alone


@dataclass
class Paid:
    """What a run really paid, as against what its results are worth in its budget.

    Attributes:
        calls: Calls that a model answered in this run.
        tokens: Their tokens, and those of answers that could not be used and were asked for again.
        usd: The dollars of all these; calls without a price add nothing.
        failed: Attempts that got no answer that can be used.
    """

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    failed: int = 0


class LMClient:
    """Asks models: stored answers first, equal requests once, as many at once and as often as is allowed.

    A call holds its slot until its answer is committed to the store, so that a killed process loses at most as many
    answers as it has slots; where the store ends with the process, until the answer is there. Then those who wait for
    a slot begin first, and the answer is worked on.

    Args:
        store: Where answers are looked up and kept; without one every request is a call.
        concurrency: Calls in flight at most, 1 or more.
        limits: Model name → how it may be asked.
        fresh: Whether answers that earlier runs stored are asked for again.
        needs_all: Whether nothing is of use without every answer: then a model that cannot answer before something is
            set ends all calls, those of other models too.

    Raises:
        LMConfigurationError: if ``concurrency`` is below 1.

    Attributes:
        paid: What was really paid.
    """

    def __init__(
        self,
        store: Store | None,
        concurrency: int = 16,
        *,
        limits: Mapping[str, Limits] | None = None,
        fresh: bool = False,
        needs_all: bool = False,
    ) -> None:
        if concurrency < 1:
            raise LMConfigurationError("concurrency must be 1 or more", found=str(concurrency))
        self.paid = Paid()
        self._store = store
        if store is not None:
            store.claim_at_most(concurrency)
        self._slots = Slots(concurrency)
        self._limits = dict(limits or {})
        self._fresh = fresh
        self._needs_all = needs_all
        self._since = store.now() if fresh and store is not None else 0.0
        self._flights: SingleFlight[Completion] = SingleFlight()
        self._lanes: dict[int, _Lane] = {}
        self._numbers = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waking = False
        self._uncommitted: deque[asyncio.Future[None] | None] = deque()  # who waits for the answers that were put

    async def complete(self, model: LanguageModel, request: Request, *, sample: int = 0) -> tuple[bytes, Completion]:
        """Returns a request's key and the model's answer.

        Args:
            model: The model.
            request: What it is asked.
            sample: Tells repeated answers to the same messages apart.

        Raises:
            LMUnavailableError: if the model still gives no answer after all attempts; nothing is stored then.
            LMError: if it will give none.
            StoreError: if answers cannot be kept.
        """
        lane = self._lane(model)
        if self._store is None:
            answer = await self._ask(lane, request)
            await self._pass_on(lane)
            return b"%d" % next(self._numbers), answer
        key = _key(lane.identity, request, sample)
        return key, await self._flights.get(key, self._find_or_ask, lane, request, sample, key)

    def stop(self, error: LMError) -> None:
        """Lets no call begin any more: those that wait for a slot get the error. Called on the loop."""
        self._slots.close(error)

    async def _find_or_ask(self, lane: _Lane, request: Request, sample: int, key: bytes) -> Completion:
        store = self._store
        assert store is not None
        stored = await store.find(key, since=self._since)
        if stored is not None:
            finish = cast(Finish, stored.finish)
            usd = lane.usd_now(stored)
            return Completion(stored.text, stored.input_tokens, stored.output_tokens, usd, finish, not self._fresh)
        try:
            answer = await self._ask(lane, request)
        except BaseException:
            store.give_up(key)
            raise
        if store.in_memory:  # what ends with the process in any case: nothing waits for it to be written
            try:
                await self._pass_on(lane)
            finally:
                self._put(store, lane, request, sample, key, answer, None)
            return answer
        try:
            self._put(store, lane, request, sample, key, answer, self._written)
        except BaseException:
            self._slots.release()
            raise
        committed = asyncio.get_running_loop().create_future() if lane.takes_time else None
        self._uncommitted.append(committed)
        self._wake_soon(store)
        if committed is not None:
            await committed
        return answer

    async def _pass_on(self, lane: _Lane) -> None:
        """Gives the slot of an answer to who waits for one, who begins first where that is worth the detour."""
        if lane.takes_time:
            await self._slots.pass_on()
        else:
            self._slots.release()

    def _put(
        self,
        store: Store,
        lane: _Lane,
        request: Request,
        sample: int,
        key: bytes,
        answer: Completion,
        written: Callable[[int, StoreError | None], None] | None,
    ) -> None:
        store.put_model(lane.identity, lane.model.identity)
        store.put_prompt(request.prefix_id, request.prefix)
        call = StoredCall(answer.text, answer.input_tokens, answer.output_tokens, answer.usd, answer.finish)
        store.put_call(
            key,
            lane.identity,
            request.prefix_id,
            request.content,
            sample,
            call,
            written,
            paid_usd=answer.paid_usd,
            wake=False,
        )

    async def _ask(self, lane: _Lane, request: Request) -> Completion:
        """Asks until there is an answer, which still has its slot."""
        for attempt in itertools.count():
            await self._slots.acquire()
            try:
                answer = await self._attempt(lane, request)
            except BaseException as error:
                if self._needs_all and isinstance(error, LMConfigurationError):
                    self.stop(error)
                self._slots.release()
                if not isinstance(error, LMUnavailableError):
                    raise
                self._note_failed(lane.model, error)
                wait = lane.limits.wait_after(attempt, error)
                if wait is None:
                    raise
                if error.retry_after is not None:
                    lane.pacer.pause(error.retry_after)
            else:
                self.paid.calls += 1
                self.paid.tokens += answer.input_tokens + answer.output_tokens
                self.paid.usd += (answer.usd if answer.paid_usd is None else answer.paid_usd) or 0.0
                return answer if answer.text.isascii() else replace(answer, text=as_unicode(answer.text))
            await asyncio.sleep(wait)
        raise AssertionError("attempts do not end by themselves")

    def _note_failed(self, model: LanguageModel, error: LMUnavailableError) -> None:
        """Counts an attempt without an answer that can be used; what its tokens cost is paid all the same."""
        self.paid.failed += 1
        if isinstance(error, LMIncompleteError):
            used = Usage(*error.tokens)
            self.paid.tokens += used.read + used.written
            self.paid.usd += (price_of(model) or FREE).paid(used)

    async def _attempt(self, lane: _Lane, request: Request) -> Completion:
        reserved = await self._pace(lane, request) if lane.paced or lane.pacer.paused else 0
        begun = time.perf_counter()
        try:
            with lane.deadlines.deadline():
                answer = await lane.model.complete(request.messages)
        except FusionProgError:
            raise
        except TimeoutError as error:
            raise LMTimeoutError(
                f"the model {lane.model.name!r} gave no answer",
                expected=f"one within {lane.limits.timeout:g} seconds",
                fix="Allow it more time with limits=fusionprog.Limits(timeout=...)",
            ) from error
        except Exception as error:
            raise LMError(
                f"the model {lane.model.name!r} gave no answer",
                found=repr(error),
                fix="Mend its complete(); where asking again may help, let it raise an LMUnavailableError",
            ) from error
        lane.takes_time = time.perf_counter() - begun > _AT_ONCE
        if reserved:
            self._correct(lane, reserved - answer.tokens)
        return answer

    async def _pace(self, lane: _Lane, request: Request) -> int:
        """Waits for the model's limits, and returns how many tokens were reserved.

        Where the model asks for a pause meanwhile, a new place is taken after it.
        """
        tokens = request.approximate_tokens + min(_USUAL_ANSWER, lane.model.max_output_tokens or _USUAL_ANSWER)
        while await self._wait_for_place(lane, tokens):
            self._correct(lane, tokens)
        return tokens

    def _correct(self, lane: _Lane, tokens: int) -> None:
        """Gives back tokens that were reserved and not used, or takes more if negative."""
        lane.pacer.correct(tokens)
        if lane.limits.tokens_per_minute and self._store is not None:
            self._store.correct_pace(lane.identity, -tokens * lane.limits.seconds_per_token)

    async def _wait_for_place(self, lane: _Lane, tokens: int) -> bool:
        """Takes the next place and waits for it; returns whether there was a pause then."""
        wait = lane.pacer.reserve(tokens)
        if lane.paced and self._store is not None and self._store.shared:
            limits = lane.limits
            wait = max(
                lane.pacer.paused,
                await self._store.pace(
                    lane.identity,
                    tokens=tokens,
                    seconds_per_request=limits.seconds_per_request,
                    seconds_per_token=limits.seconds_per_token,
                ),
            )
        if wait > 0:
            await asyncio.sleep(wait)
        return lane.pacer.paused > _A_MOMENT

    def _wake_soon(self, store: Store) -> None:
        """Lets the store write when all tasks that have their answers by now have put them: one commit for all."""
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._wake, store)

    def _wake(self, store: Store) -> None:
        self._waking = False
        store.wake()

    def _written(self, count: int, error: StoreError | None) -> None:
        """Is called by the store's writer; the slots are given back on the loop."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits for slots any more
            if error is not None:
                self._loop.call_soon_threadsafe(self._slots.close, error)
            self._loop.call_soon_threadsafe(self._committed, count)

    def _committed(self, count: int) -> None:
        """Gives on the slots of the first answers that were put, and lets these be worked on after that."""
        self._slots.release(count)
        for _ in range(min(count, len(self._uncommitted))):
            waiting = self._uncommitted.popleft()
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _lane(self, model: LanguageModel) -> _Lane:
        """What is known of a model; the model is held, so that nothing else is given its ``id``."""
        lane = self._lanes.get(id(model))
        if lane is None:
            self._loop = asyncio.get_running_loop()
            limits = self._limits.get(model.name, Limits())
            lane = self._lanes[id(model)] = _Lane(
                model,
                digest(model.identity),
                limits,
                Pacer(limits),
                Deadlines(limits.timeout),
                paced=limits.requests_per_minute is not None or limits.tokens_per_minute is not None,
            )
        return lane


@dataclass(slots=True)
class _Lane:
    model: LanguageModel
    identity: str
    limits: Limits
    pacer: Pacer
    deadlines: Deadlines
    paced: bool  # whether there is a limit per minute
    takes_time: bool = True  # whether the model's last answer did

    def usd_now(self, stored: StoredCall) -> float | None:
        """What an answer that is stored counts as: as much as it would if it were asked for now.

        Prices may have been unknown, or others, when it was. A model that prices its answers by itself is believed.
        """
        listed = self.model.usd_per_token
        if isinstance(listed, Price) or (stored.usd is None and listed is not None):
            return (price_of(self.model) or FREE).most(stored.input_tokens, stored.output_tokens)
        return stored.usd


def _key(identity: str, request: Request, sample: int) -> bytes:
    try:
        asked = f"{identity}\n{request.prefix_id}\n{sample}\n{request.content}".encode()
    except UnicodeEncodeError as error:
        raise LMConfigurationError(
            "a prompt holds text that is not valid Unicode",
            found=around(error),
            fix="Repair the row or the fragment that it comes from",
        ) from error
    return hashlib.blake2b(asked, digest_size=16).digest()
