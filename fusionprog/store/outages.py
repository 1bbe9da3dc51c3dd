"""Work that is done again after a server was away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_BACKOFF = (0.05, 2.0)  # seconds before the first attempt to come back, and between later ones at most


def through_outage(work: Callable[[], T], is_lost: Callable[[Exception], bool], outage: float) -> T:
    """Returns what ``work`` returns, which is done again while its connection is lost.

    Args:
        work: Connects if it must; it must bear to be done again.
        is_lost: Whether an error of it says that the server is away.
        outage: Seconds after the first such error for which to try again.

    Raises:
        Exception: the work's last one, if it is another or the server stays away.
    """
    end: float | None = None
    pause = _BACKOFF[0]
    while True:
        try:
            return work()
        except Exception as error:
            if not is_lost(error):
                raise
            now = time.monotonic()
            end = now + outage if end is None else end
            if now + pause > end:
                raise
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, _BACKOFF[1])
