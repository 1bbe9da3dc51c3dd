"""Asynchronous code behind a synchronous face: from anywhere, with its errors, and never hanging."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import subprocess
import sys
import threading
from typing import Any

import pytest

from fusionprog._internal import sync

PATIENCE = 20.0  # seconds after which a test that hangs fails instead


async def answer(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def loop_id() -> int:
    return id(asyncio.get_running_loop())


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


def test_plain_code_gets_the_result() -> None:
    assert sync.run(answer(5)) == 5


def test_all_calls_share_one_loop_which_is_not_the_callers() -> None:
    async def inside() -> tuple[int, int]:
        return await loop_id(), sync.run(loop_id())

    callers, ours = asyncio.run(inside())

    assert ours == sync.run(loop_id())
    assert ours != callers


def test_threads_get_their_results_and_run_at_the_same_time() -> None:
    met = {name: threading.Event() for name in ("one", "two")}

    async def meet(mine: str, other: str) -> str:
        met[mine].set()
        while not met[other].is_set():
            await asyncio.sleep(0)
        return mine

    with concurrent.futures.ThreadPoolExecutor() as pool:
        one = pool.submit(sync.run, meet("one", "two"))
        two = pool.submit(sync.run, meet("two", "one"))

        assert (one.result(PATIENCE), two.result(PATIENCE)) == ("one", "two")


def test_a_running_loop_may_call_it() -> None:
    async def notebook() -> Any:
        return sync.run(answer("here"))

    assert asyncio.run(notebook()) == "here"


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyError("k"), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_is_the_callers_and_the_loop_lives_on(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        sync.run(fail(error))

    assert caught.value is error
    assert sync.run(answer("still there")) == "still there"


def test_an_exit_in_a_part_of_the_work_does_not_stop_the_rest() -> None:
    waiting, released = threading.Event(), threading.Event()

    async def other() -> str:
        waiting.set()
        while not released.is_set():
            await asyncio.sleep(0)
        return "done"

    async def parts() -> None:
        await asyncio.gather(answer(1), fail(SystemExit(3)))

    rest, _ = sync.start(other())
    assert waiting.wait(PATIENCE)
    with pytest.raises(SystemExit):
        sync.run(parts())
    released.set()

    assert rest.result(PATIENCE) == "done"


def test_work_that_was_cancelled_is_reported_as_such() -> None:
    with pytest.raises(concurrent.futures.CancelledError):
        sync.run(fail(asyncio.CancelledError()))


def test_started_work_can_be_cancelled() -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    done, cancel = sync.start(work())
    assert started.wait(PATIENCE)
    cancel()

    assert ended.wait(PATIENCE)
    with pytest.raises(concurrent.futures.CancelledError):
        done.result(PATIENCE)


def test_an_interrupt_ends_the_work_before_it_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    class Interrupted(concurrent.futures.Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            assert started.wait(PATIENCE)
            raise KeyboardInterrupt

    monkeypatch.setattr(sync, "Future", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        sync.run(work())

    assert ended.is_set()


colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


def test_context_variables_go_along_and_do_not_come_back() -> None:
    async def repaint() -> str:
        seen = colour.get()
        colour.set("blue")
        return seen

    token = colour.set("red")
    try:
        assert sync.run(repaint()) == "red"
        assert colour.get() == "red"
    finally:
        colour.reset(token)
    assert sync.run(repaint()) == "none"


def test_another_loop_can_await_the_work() -> None:
    async def outside() -> tuple[int, Any]:
        return await sync.arun(loop_id()), await sync.arun(answer(7))

    assert asyncio.run(outside()) == (sync.run(loop_id()), 7)


def test_an_awaited_exception_is_the_callers() -> None:
    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(sync.arun(fail(ValueError("wrong"))))


@pytest.mark.parametrize("obeys", [True, False])
def test_cancelling_who_awaits_cancels_the_work(obeys: bool, caplog: pytest.LogCaptureFixture) -> None:
    started, ended = threading.Event(), threading.Event()

    async def work() -> str:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if obeys:
                raise
        finally:
            ended.set()
        return "late"

    async def outside() -> None:
        task = asyncio.ensure_future(sync.arun(work()))
        while not started.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(outside())

    assert ended.wait(PATIENCE)
    assert sync.run(answer(1)) == 1  # all callbacks of the work have run
    assert caplog.records == []


def test_waiting_on_the_own_loop_is_refused_instead_of_hanging() -> None:
    async def metric() -> Any:
        return sync.run(answer(1))

    with pytest.raises(RuntimeError, match="make that function async and await"):
        sync.run(metric())


def test_code_on_the_own_loop_can_await() -> None:
    async def metric() -> Any:
        return await sync.arun(answer("score"))

    assert sync.run(metric()) == "score"


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_process_has_a_loop_of_its_own() -> None:
    code = """
import os
from fusionprog._internal import sync
async def five(): return 5
sync.run(five())
child = os.fork()
if child == 0:
    os._exit(sync.run(five()))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )

    assert done.stdout.strip() == "5"
