"""The garbage collector and long work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# A look at new objects at every 10,000 of them, and one at those that outlived a look at 2,000,000. Next to nothing in
# a compile is a cycle (a megabyte in 8,000 calls), and with the usual thresholds all work stops for a sixth of a second
# whenever some 200,000 answers and scores have gathered.
_RARELY = (10_000, 200, 50)


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
