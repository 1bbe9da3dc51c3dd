"""The garbage collector and long work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled_heap() -> Iterator[None]:
    """Keeps the garbage collector from looking through everything that is there already, again and again.

    The libraries that a compile needs are some hundred thousand objects; each look through them stops all work for a
    tenth of a second and more. What is made from here on is collected as ever.
    """
    mine = gc.get_freeze_count() == 0
    if mine:
        gc.freeze()
    try:
        yield
    finally:
        if mine:
            gc.unfreeze()
