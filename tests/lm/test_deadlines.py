"""Deadlines: what takes too long ends with a timeout, and nothing else does."""

from __future__ import annotations

import asyncio

import pytest

from fusionprog.lm.deadlines import Deadlines

LONG = 60.0


async def wait(deadlines: Deadlines, seconds: float) -> str:
    try:
        with deadlines.deadline():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "late"
    return "done"


def test_what_takes_too_long_ends_and_the_rest_does_not() -> None:
    async def work() -> list[str]:
        deadlines = Deadlines(0.05)
        return await asyncio.gather(*(wait(deadlines, seconds) for seconds in (0, LONG, 0.001, LONG)))

    assert asyncio.run(work()) == ["done", "late", "done", "late"]


def test_what_begins_later_has_its_own_time() -> None:
    async def work() -> None:
        loop, deadlines = asyncio.get_running_loop(), Deadlines(0.05)
        tasks = []
        for _ in range(4):
            tasks.append((loop.time(), asyncio.ensure_future(wait(deadlines, LONG))))
            await asyncio.sleep(0.02)
        for began, task in tasks:
            assert await task == "late"
            assert loop.time() - began >= 0.05

    asyncio.run(work())


def test_it_can_be_late_again_and_again() -> None:
    async def work() -> list[str]:
        deadlines = Deadlines(0.01)
        return [await wait(deadlines, seconds) for seconds in (LONG, 0, LONG)]

    assert asyncio.run(work()) == ["late", "done", "late"]


def test_deadlines_move_on_to_the_next_loop() -> None:
    deadlines = Deadlines(0.01)
    assert [asyncio.run(wait(deadlines, seconds)) for seconds in (0, LONG, 0, LONG)] == ["done", "late"] * 2


def test_one_who_is_cancelled_is_not_late() -> None:
    async def work() -> None:
        task = asyncio.ensure_future(wait(Deadlines(LONG), LONG))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())


def test_one_who_is_cancelled_and_late_is_cancelled() -> None:
    async def work() -> None:
        deadlines = Deadlines(0.01)

        async def both() -> None:
            with deadlines.deadline():
                try:
                    await asyncio.sleep(LONG)
                except asyncio.CancelledError:
                    asyncio.current_task().cancel()  # type: ignore[union-attr]
                    raise

        with pytest.raises(asyncio.CancelledError):
            await asyncio.ensure_future(both())

    asyncio.run(work())


def test_other_failures_pass_through() -> None:
    async def work() -> None:
        with pytest.raises(KeyError), Deadlines(LONG).deadline():
            raise KeyError("mine")

    asyncio.run(work())
