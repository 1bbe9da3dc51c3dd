"""Work that is done at once and fails as one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog._internal.together import together


async def after(turns: int, value: int, done: list[int] | None = None) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    if done is not None:
        done.append(value)
    if value < 0:
        raise ValueError(value)
    return value


@given(st.lists(st.integers(0, 20), max_size=12))
def test_results_come_in_the_order_of_the_work(turns: list[int]) -> None:
    async def main() -> list[int]:
        return await together(after(each, index) for index, each in enumerate(turns))

    assert asyncio.run(main()) == list(range(len(turns)))


def test_work_is_done_at_once() -> None:
    done: list[int] = []

    async def main() -> None:
        await together(after(10 - value, value, done) for value in range(10))

    asyncio.run(main())
    assert done == list(reversed(range(10)))


@pytest.mark.parametrize("nested", [False, True])
def test_the_first_failure_ends_all_of_it(nested: bool) -> None:
    done: list[int] = []

    async def main() -> None:
        work = [after(3, -1, done), after(2, 2, done), after(9, 9, done)]
        with pytest.raises(ValueError, match="-1"):
            if nested:
                await together([together(work), together([after(9, 8, done)])])
            else:
                await together(work)
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert done == [2, -1]


def test_cancelling_it_ends_all_of_it() -> None:
    done: list[int] = []

    async def main() -> None:
        task = asyncio.ensure_future(together(after(turns, turns, done) for turns in (1, 30, 40)))
        await after(5, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await after(60, 0)

    asyncio.run(main())
    assert done == [1]
