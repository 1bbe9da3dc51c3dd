"""Slots: how many calls may be under way at once, and who is next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_behind: ContextVar[int] = ContextVar("behind", default=0)


@contextmanager
def behind_others() -> Iterator[None]:
    """Lets what is started inside take only slots that nothing else waits for, and none of the last few."""
    token = _behind.set(1)
    try:
        yield
    finally:
        _behind.reset(token)


class Slots:
    """At most so many at once; those who wait get in in the order they came.

    Those behind others leave a sixteenth of the slots idle, which somebody may need in the next moment: so they last
    for the times when many slots are idle, between one part of the work and the next.

    Args:
        count: How many, 1 or more.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._spare = count // 16
        # Those who wait, and those who wait behind them.
        self._waiting: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())
        self._failure: Exception | None = None

    async def acquire(self) -> None:
        """Waits for a slot and takes it.

        Raises:
            Exception: that slots were closed with.
        """
        if self._failure is not None:
            raise self._failure
        behind = _behind.get()
        if self._free > behind * self._spare:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[behind].append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self.release()  # it was given in the moment of the cancellation
            raise

    def release(self, count: int = 1) -> None:
        """Gives slots back, or on to those who wait."""
        self._free += count
        for queue, least in zip(self._waiting, (0, self._spare), strict=True):
            while self._free > least and queue:
                waiting = queue.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    self._free -= 1

    async def pass_on(self) -> None:
        """Gives a slot back, and lets those who get one begin before the caller goes on."""
        self.release()
        for _ in range(2):  # they are woken in the next turn of the loop, and begin in it
            await asyncio.sleep(0)

    def close(self, error: Exception) -> None:
        """Lets nobody in any more: all who wait, and all who come, get the error."""
        self._failure = error
        for queue in self._waiting:
            for waiting in queue:
                if not waiting.done():
                    waiting.set_exception(error)
            queue.clear()
