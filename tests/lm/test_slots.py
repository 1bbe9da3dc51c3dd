"""Slots: never more than there are, first come first served, and nothing leaks."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.lm.slots import Slots, behind_others


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_there_are_never_more_than_slots_and_none_is_lost(count: int, seed: int) -> None:
    draw = random.Random(seed)
    inside = most = 0

    async def one(slots: Slots) -> None:
        nonlocal inside, most
        await slots.acquire()
        inside += 1
        most = max(most, inside)
        try:
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
        finally:
            inside -= 1
            slots.release()

    async def work() -> None:
        slots = Slots(count)
        tasks = [asyncio.ensure_future(one(slots)) for _ in range(30)]
        for _ in range(20):
            await asyncio.sleep(0)
            draw.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(count):
            await asyncio.wait_for(slots.acquire(), 1)

    asyncio.run(work())
    assert most == count


def test_who_came_first_gets_in_first_and_others_behind() -> None:
    order: list[str] = []

    async def one(slots: Slots, name: str) -> None:
        await slots.acquire()
        order.append(name)

    async def work() -> None:
        slots = Slots(1)
        await slots.acquire()
        with behind_others():
            tasks = [asyncio.ensure_future(one(slots, "behind"))]
            await asyncio.sleep(0)
        tasks += [asyncio.ensure_future(one(slots, name)) for name in ("first", "second")]
        await asyncio.sleep(0)
        slots.release(3)
        await asyncio.gather(*tasks)

    asyncio.run(work())
    assert order == ["first", "second", "behind"]


def test_closed_slots_let_nobody_in() -> None:
    async def work() -> None:
        slots = Slots(1)
        await slots.acquire()
        waiting = asyncio.ensure_future(slots.acquire())
        await asyncio.sleep(0)
        slots.close(ValueError("closed"))
        for each in (waiting, slots.acquire()):
            with pytest.raises(ValueError, match="closed"):
                await each

    asyncio.run(work())


def test_who_gets_a_slot_begins_before_who_gave_it_goes_on() -> None:
    order: list[str] = []

    async def one(slots: Slots, name: str) -> None:
        await slots.acquire()
        order.append(f"{name} begins")
        await asyncio.sleep(0)
        await slots.pass_on()
        order.append(f"{name} goes on")

    async def work() -> None:
        slots = Slots(2)
        await asyncio.gather(*(one(slots, name) for name in "abcd"))

    asyncio.run(work())
    assert order[:4] == ["a begins", "b begins", "c begins", "d begins"]
    assert order[4:] == ["a goes on", "b goes on", "c goes on", "d goes on"]
