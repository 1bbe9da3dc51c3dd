"""What a function in threads asks of the event loop that waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class FromThreads:
    """Lets threads wait for coroutines on the loop that made this, until the function that they run has ended.

    Attributes:
        closed: Whether it has ended.
    """

    __slots__ = ("_loop", "_open", "_thread", "closed")

    def __init__(self) -> None:
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._open: set[Future[Any]] = set()

    @property
    def on_loop(self) -> bool:
        """Whether the caller is the loop's own thread, which must not wait for it."""
        return threading.get_ident() == self._thread

    def wait(self, function: Callable[..., Coroutine[Any, Any, R]], *arguments: Any) -> R:
        """Returns what the coroutine ``function(*arguments)`` returns; in a thread that is not the loop's."""
        future = self._begun(function(*arguments))
        try:
            return future.result()
        finally:
            self._open.discard(future)

    async def elsewhere(self, function: Callable[..., Coroutine[Any, Any, R]], *arguments: Any) -> R:
        """Returns what the coroutine returns, which runs on the loop that made this; awaited on any loop."""
        if asyncio.get_running_loop() is self._loop:
            return await function(*arguments)
        future = self._begun(function(*arguments))
        try:
            return await asyncio.wrap_future(future)
        finally:
            self._open.discard(future)

    def _begun(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._open.add(future)
        return future

    def close(self) -> None:
        """Lets threads that still wait go on: nobody waits for what they make."""
        self.closed = True
        for future in list(self._open):
            future.cancel()
