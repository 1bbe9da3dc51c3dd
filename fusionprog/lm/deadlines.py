"""Deadlines: what takes too long is ended, with one timer for all that is under way."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """How long each of many pieces of work may take; one that takes longer ends with a ``TimeoutError``.

    ``asyncio.timeout`` has a timer of its own for each, a good part of what a short call costs. Here all may take the
    same time, so who began first is due first, and one timer that is set for the first is enough.

    Args:
        seconds: What each may take, above 0.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Deadline, None] = {}  # in the order in which they are due
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def deadline(self) -> Deadline:
        """Returns the deadline of what is done from now on in the running task, as a context manager."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._open.clear()  # of a loop that runs no more
        made = Deadline(self._open, loop.time() + self._seconds)
        self._open[made] = None
        if self._timer is None:
            self._timer = loop.call_at(made.due, self._ring, loop)
        return made

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for each in list(self._open):
            if each.due > loop.time():
                self._timer = loop.call_at(each.due, self._ring, loop)
                return
            each.expire()


class Deadline:
    """One deadline; see ``Deadlines``.

    Attributes:
        due: When it is, by the loop's clock.
    """

    __slots__ = ("_cancelled_before", "_expired", "_open", "_task", "due")

    def __init__(self, open_ones: dict[Deadline, None], due: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.due = due
        self._open = open_ones
        self._task = task
        self._cancelled_before = task.cancelling()
        self._expired = False

    def expire(self) -> None:
        """Ends the work."""
        del self._open[self]
        self._expired = True
        self._task.cancel()

    def __enter__(self) -> Deadline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._expired:
            self._open.pop(self, None)
        # Who was cancelled by others too is cancelled.
        elif self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError from error
