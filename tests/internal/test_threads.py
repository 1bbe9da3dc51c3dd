"""Blocking functions in threads: results, errors, context, cancellation, and many at once."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import threading
from typing import Any

import pytest

from fusionprog._internal.threads import Threads

THREADS = Threads(64, "test-threads")
NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("NUMBER", default=0)


def test_results_come_back_to_their_callers() -> None:
    async def main() -> list[int]:
        return list(await asyncio.gather(*(THREADS.run(lambda n: n * n, number) for number in range(500))))

    assert asyncio.run(main()) == [number * number for number in range(500)]


def test_errors_come_back_and_the_thread_lives_on() -> None:
    def fail(error: BaseException) -> None:
        raise error

    async def main() -> None:
        for error in (ValueError("wrong"), SystemExit(3), KeyboardInterrupt()):
            with pytest.raises(type(error)) as caught:
                await THREADS.run(fail, error)
            assert caught.value is error
        with pytest.raises(RuntimeError, match="StopIteration: over"):
            await THREADS.run(fail, StopIteration("over"))
        assert await THREADS.run(len, "abc") == 3

    asyncio.run(main())


def test_functions_see_the_callers_context_and_leave_it_alone() -> None:
    def look(_: None) -> int:
        seen = NUMBER.get()
        NUMBER.set(99)
        return seen

    async def one(number: int) -> tuple[int, int]:
        NUMBER.set(number)
        return await THREADS.run(look, None), NUMBER.get()

    async def main() -> list[tuple[int, int]]:
        return list(await asyncio.gather(*(one(number) for number in range(20))))

    assert asyncio.run(main()) == [(number, number) for number in range(20)]


def test_as_many_run_side_by_side_as_there_may_be_threads() -> None:
    few = Threads(8, "test-few")
    together = threading.Barrier(8)
    names = set()

    def meet(_: int) -> None:
        names.add(threading.get_ident())
        together.wait(timeout=20)  # passes only when all eight are here

    async def main() -> None:
        await asyncio.gather(*(few.run(meet, number) for number in range(32)))

    asyncio.run(main())
    assert len(names) == 8


def test_a_call_that_is_given_up_does_no_harm() -> None:
    release, started = threading.Event(), threading.Event()
    one = Threads(1, "test-one")
    ran: list[str] = []

    def wait(_: None) -> None:
        started.set()
        release.wait(20)

    async def main() -> None:
        first = asyncio.create_task(one.run(wait, None))
        second = asyncio.create_task(one.run(ran.append, "never"))
        await asyncio.to_thread(started.wait, 20)
        for task in (first, second):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        release.set()
        await one.run(ran.append, "after")

    asyncio.run(main())
    assert ran == ["after"]


def test_an_event_loop_that_is_gone_does_not_stop_the_threads() -> None:
    release = threading.Event()

    async def give_up() -> None:
        asyncio.create_task(THREADS.run(lambda _: release.wait(20), None))  # noqa: RUF006
        await asyncio.sleep(0)

    asyncio.run(give_up())
    release.set()
    for _ in range(3):  # each with an event loop of its own
        assert asyncio.run(THREADS.run(len, "abc")) == 3


def _child(queue: Any) -> None:
    queue.put((os.getpid(), asyncio.run(THREADS.run(lambda _: os.getpid(), None))))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="only where processes fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    asyncio.run(THREADS.run(len, "abc"))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    own, seen = queue.get()
    child.join(20)
    assert own == seen != os.getpid()
