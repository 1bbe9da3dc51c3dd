"""Numerics whose results do not depend on how many threads a machine has."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from threadpoolctl import ThreadpoolController

_libraries = functools.cache(ThreadpoolController)  # finding them takes a while
_lock = threading.Lock()
_limit = ExitStack()
_inside = 0  # blocks that are running now, in any thread


@contextmanager
def one_thread() -> Iterator[None]:
    """Keeps BLAS on one thread: sums in another order are other numbers.

    Libraries have one limit for the whole process. So the first block that begins sets it, and the last one that ends
    puts back what was there before: several may run at once, in threads of several compiles.
    """
    global _inside
    with _lock:
        if not _inside:
            _limit.enter_context(_libraries().limit(limits=1))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _limit.close()
