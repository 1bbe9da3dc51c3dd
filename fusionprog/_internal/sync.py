"""A thin synchronous face for asynchronous code."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """One event loop for the whole process, so that connection pools outlive single calls."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="fusionprog", daemon=True).start()
    return loop


def start(work: Coroutine[Any, Any, T]) -> tuple[Future[T], Callable[[], None]]:
    """Starts a coroutine on the package's own event loop.

    Returns:
        Its future, and what cancels it. The caller's context variables go along.
    """
    done: Future[T] = Future()
    context = contextvars.copy_context()
    loop = _loop()
    tasks: list[asyncio.Task[T]] = []

    def begin() -> None:
        task = loop.create_task(work, context=context)
        tasks.append(task)
        task.add_done_callback(finish)

    def finish(task: asyncio.Task[T]) -> None:
        if task.cancelled():
            done.cancel()
            done.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(task.result())

    def cancel() -> None:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    loop.call_soon_threadsafe(begin)
    return done, cancel


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end and returns its result.

    It may be called from plain code, from a thread and from inside a running event loop (a notebook). An interrupt
    cancels the work before it is passed on.
    """
    done, cancel = start(work)
    try:
        return done.result()
    except KeyboardInterrupt:
        cancel()
        raise


async def arun(work: Coroutine[Any, Any, T]) -> T:
    """Awaits a coroutine that runs on the package's own event loop, from any other one."""
    done, cancel = start(work)
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        cancel()
        raise
