"""A thin synchronous face for asynchronous code."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_GRACE = 5.0  # seconds that an interrupted call waits for its work to put things in order

_loop: asyncio.AbstractEventLoop | None = None
_starting = threading.Lock()


def _own_loop() -> asyncio.AbstractEventLoop:
    """One event loop for the whole process, so that connection pools outlive single calls."""
    global _loop
    with _starting:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_run_forever, args=(_loop,), name="fusionprog", daemon=True).start()
        return _loop


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        # Work that raises one of these (a function that calls sys.exit) hands it to its caller, and asyncio also
        # stops the loop; whatever else runs on it would then hang for ever.
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()
            return


def _on_own_loop() -> bool:
    try:
        return asyncio.get_running_loop() is _loop
    except RuntimeError:
        return False


def _forget_loop() -> None:
    """Threads do not survive a fork: a child process starts a loop of its own."""
    global _loop, _starting
    _loop, _starting = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_loop)


def start(work: Coroutine[Any, Any, T]) -> tuple[Future[T], Callable[[], None]]:
    """Starts a coroutine on the package's own event loop.

    Returns:
        Its future, and what cancels it. The caller's context variables go along.
    """
    done: Future[T] = Future()
    context = contextvars.copy_context()
    loop = _own_loop()
    tasks: list[asyncio.Task[T]] = []

    def begin() -> None:
        task = loop.create_task(work, context=context)
        tasks.append(task)
        task.add_done_callback(finish)

    def finish(task: asyncio.Task[T]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            done.cancel()
        if not done.set_running_or_notify_cancel():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(task.result())

    def cancel() -> None:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    loop.call_soon_threadsafe(begin)
    return done, cancel


def run(work: Coroutine[Any, Any, T], *, interrupted: Callable[[], None] = lambda: None) -> T:
    """Runs a coroutine to its end and returns its result.

    It may be called from plain code, from a thread and from inside a running event loop (a notebook). An interrupt
    cancels the work, and is passed on when the work has ended.

    Args:
        work: The coroutine.
        interrupted: Is called on the loop before the work is cancelled.

    Raises:
        RuntimeError: on the package's own event loop, where waiting would stop the very work that is waited for.
    """
    if _on_own_loop():
        work.close()
        raise RuntimeError(
            "a synchronous call was made from code that fusionprog itself runs asynchronously (a metric, a callback); "
            "make that function async and await the asynchronous form, e.g. program.acall(...)"
        )
    done, cancel = start(work)
    try:
        return done.result()
    except KeyboardInterrupt:
        _own_loop().call_soon_threadsafe(interrupted)
        cancel()
        concurrent.futures.wait([done], timeout=_GRACE)
        raise


async def arun(work: Coroutine[Any, Any, T]) -> T:
    """Awaits a coroutine that runs on the package's own event loop, from any other one."""
    done, cancel = start(work)
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        cancel()
        raise
