"""Blocking functions in worker threads, for an event loop that waits for many of them at once."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Any, TypeVar

A = TypeVar("A")
R = TypeVar("R")

_MIXED_UP = 5  # times that work is done again where Python itself makes a mistake


def mixed_up(error: BaseException | None) -> bool:
    """Whether an error is Python's own mistake: before 3.11.8 parsers in several threads disturb each other.

    Whoever parsed (``ast.parse``, ``ast.literal_eval``) may do so again. It is issue 106905 of CPython.
    """
    return isinstance(error, SystemError) and "recursion depth mismatch" in str(error)


async def past_mix_ups(work: Callable[[], Awaitable[R]]) -> R:
    """Returns what ``work`` returns, which is done again where its error comes from a mistake of Python's own.

    Args:
        work: Is done six times at most.
    """
    for _ in range(_MIXED_UP):
        try:
            return await work()
        except Exception as error:
            if not mixed_up(error.__cause__):
                raise
    return await work()


class _Mailbox:
    """Where threads leave results for one event loop; a burst of them wakes it once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False

    def leave(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Is called in a thread."""
        self._done.append((future, result, error))
        # The order matters: whoever finds the loop woken has left its result before the loop looks.
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


class Threads:
    """Runs functions in threads at a small cost per call; threads are started as calls need them and kept.

    They are daemons: a function that never returns does not keep the process from ending.

    Args:
        most: Threads at most, 1 or more; further calls wait for one.
        name: What the threads are called.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Threads do not survive a fork."""
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._mailboxes: dict[int, _Mailbox] = {}
        self._threads = 0
        self._open = 0  # calls that have not come back
        self._changing = threading.Lock()

    async def run(self, function: Callable[[A], R], argument: A) -> R:
        """Returns ``function(argument)``, called in a thread with the caller's context variables.

        Raises:
            RuntimeError: in place of a ``StopIteration``, which a coroutine cannot raise.
        """
        loop = asyncio.get_running_loop()
        mailbox = self._mailboxes.get(id(loop))
        if mailbox is None or mailbox.loop is not loop:
            mailbox = self._new_mailbox(loop)
        future: asyncio.Future[R] = loop.create_future()
        with self._changing:
            self._open += 1
            if self._open > self._threads and self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, args=(self._calls,), name=self._name, daemon=True).start()
        self._calls.put((mailbox, future, contextvars.copy_context(), function, argument))
        return await future

    def _new_mailbox(self, loop: asyncio.AbstractEventLoop) -> _Mailbox:
        for key, mailbox in list(self._mailboxes.items()):
            if mailbox.loop.is_closed():
                self._mailboxes.pop(key, None)
        return self._mailboxes.setdefault(id(loop), _Mailbox(loop))

    def _work(self, calls: SimpleQueue[Any]) -> None:
        while True:
            mailbox, future, context, function, argument = calls.get()
            result: Any = None
            error: BaseException | None = None
            try:
                if not future.cancelled():
                    result = context.run(function, argument)
            except StopIteration as stop:
                error = RuntimeError(f"StopIteration: {stop}")
                error.__cause__ = stop
            except BaseException as raised:
                error = raised
            with self._changing:
                self._open -= 1
            mailbox.leave(future, result, error)
            del mailbox, future, context, function, argument, result, error  # not held while nothing is to do
