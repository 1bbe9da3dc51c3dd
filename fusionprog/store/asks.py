"""What an event loop asks of the store's thread, and how it gets the answer."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fusionprog.errors import StoreError


class Ask:
    """Something that is awaited; to be made on the event loop that waits."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


class Find(Ask):
    """Asks for the answer under a key, or for the right to get one.

    Attributes:
        key: Of the call.
        since: Answers that were stored before this unix time do not count.
        claimed: Whether it was given the right; set by the store's thread.
        blocked: Since when another process has had the right, by the monotonic clock; set by the store's thread.
    """

    def __init__(self, key: bytes, since: float) -> None:
        super().__init__()
        self.key = key
        self.since = since
        self.claimed = False
        self.blocked: float | None = None


class Pace(Ask):
    """Asks how long to wait before a request is sent.

    Attributes:
        model: Id of the model whose limits are shared.
        requests_cost: Seconds by which the request puts off the next one, 0 where requests are not limited.
        tokens_cost: Seconds by which its tokens put off the next ones, 0 where tokens are not limited.
    """

    def __init__(self, model: str, requests_cost: float, tokens_cost: float) -> None:
        super().__init__()
        self.model = model
        self.requests_cost = requests_cost
        self.tokens_cost = tokens_cost


@dataclass(frozen=True, slots=True)
class Correct:
    """Says that a request took other tokens than were reserved for it.

    Attributes:
        model: Id of the model whose limits are shared.
        tokens_cost: Seconds by which the next ones are put off further; below 0 where fewer were used.
    """

    model: str
    tokens_cost: float


@dataclass(frozen=True, slots=True)
class Abandon:
    """Says that nobody waits for an answer any more."""

    find: Find


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Says that there will be no answer under a key for now."""

    key: bytes


def deliver(answers: Iterable[tuple[Ask, Any]]) -> list[Ask]:
    """Hands answers, or ``StoreError`` in their place, to those who wait, from another thread.

    Returns:
        The asks whose event loop is closed.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Ask, Any]]] = defaultdict(list)
    for ask, answer in answers:
        by_loop[ask.loop].append((ask, answer))
    unheard: list[Ask] = []
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, group)
        except RuntimeError:
            unheard += [ask for ask, _ in group]
    return unheard


def _settle(group: list[tuple[Ask, Any]]) -> None:
    for ask, answer in group:
        if ask.future.done():
            continue
        if isinstance(answer, StoreError):
            ask.future.set_exception(answer)
        else:
            ask.future.set_result(answer)
