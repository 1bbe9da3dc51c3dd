"""The garbage collector and long work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_RARELY = (10_000, 20, 50)  # the usual thresholds are for programs that make far fewer objects in a second


@contextmanager
def settled_heap() -> Iterator[None]:
    """Keeps the garbage collector from looking through everything that is there already, again and again.

    The libraries that a compile needs are some hundred thousand objects; each look through them stops all work for a
    tenth of a second and more. What is made from here on is collected as ever, but looked through less often: most of
    it stays, and each look would stop what is under way for a while.
    """
    mine, thresholds = gc.get_freeze_count() == 0, gc.get_threshold()
    if mine:
        gc.freeze()
        gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        if mine:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
