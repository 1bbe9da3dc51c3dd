"""Work that is done again after a server was away."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from fusionprog.errors import StoreError

T = TypeVar("T")

HURRIED = 2.0
"""Seconds that who has to end waits for a database at most."""
_LOOK = 0.5  # seconds between looks whether something is free, at most
_BACKOFF = (0.05, 2.0)  # seconds before the first attempt to come back, and between later ones at most


def has_to_end(error: BaseException) -> bool:
    """Whether what ends a process, or a store that failed already, leaves no time to wait for a database."""
    return not isinstance(error, Exception) or isinstance(error, StoreError)


class Patience:
    """How long a server that is away is waited for, by all who use one store together.

    Args:
        seconds: For which to try again after the first attempt of any of them that failed.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._hurried = threading.Event()
        self._since: float | None = None  # when an attempt failed, where none has succeeded after it

    @property
    def hurried(self) -> bool:
        """Whether nobody waits any more."""
        return self._hurried.is_set()

    def hurry(self) -> None:
        """Ends the patience, also of those who wait now: they try for ``HURRIED`` seconds more."""
        self._hurried.set()

    def until(self, taken: Callable[[], bool]) -> bool:
        """Tries something until it is taken, and returns whether it is: not where nobody waits any more."""
        pause = _BACKOFF[0]
        while not taken():
            if self._hurried.wait(pause * random.uniform(0.5, 1.0)):
                return False
            pause = min(2 * pause, _LOOK)
        return True

    def through_outage(self, work: Callable[[], T], is_lost: Callable[[Exception], bool]) -> T:
        """Returns what ``work`` returns, which is done again while its connection is lost.

        Args:
            work: Connects if it must; it must bear to be done again.
            is_lost: Whether an error of it says that the server is away.

        Raises:
            Exception: the work's last one, if it is another or the server stays away.
        """
        pause, latest = _BACKOFF[0], math.inf
        first: float | None = None
        while True:
            try:
                done = work()
            except Exception as error:
                if not is_lost(error):
                    raise
                now = time.monotonic()
                since = self._since = now if self._since is None else self._since
                first = min(since, now if first is None else first)  # others may get through where this one does not
                if self.hurried:
                    latest = min(latest, now + HURRIED)
                if now + pause > min(latest, first + self._seconds):
                    raise
            else:
                self._since = None
                return done
            wait = pause * random.uniform(0.5, 1.0)
            if latest < math.inf:
                time.sleep(wait)
            else:
                self._hurried.wait(wait)
            pause = min(2 * pause, _BACKOFF[1])
