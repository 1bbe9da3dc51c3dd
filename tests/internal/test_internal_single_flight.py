"""Work asked for at the same time is done once; failures and cancellations leave nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from fusionprog._internal.single_flight import Memo, SingleFlight


class Work:
    """Counts how often it is done; finishes when the test lets it."""

    def __init__(self) -> None:
        self.done = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.done += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.done


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", [SingleFlight, Memo])
def test_all_who_ask_at_the_same_time_get_one_result(kind: type[SingleFlight[int]] | type[Memo[int]]) -> None:
    async def main() -> None:
        work, flight = Work(), kind()
        asking = [asyncio.ensure_future(flight.get("key", work)) for _ in range(10)]
        other = asyncio.ensure_future(flight.get("other", work))
        await settle()
        work.go.set()
        assert set(await asyncio.gather(*asking)) <= {1, 2} and work.done == 2
        assert len({task.result() for task in asking}) == 1
        await other

    asyncio.run(main())


def test_only_a_memo_remembers() -> None:
    async def main() -> None:
        work = Work()
        work.go.set()
        flight, memo = SingleFlight[int](), Memo[int]()
        assert [await flight.get("key", work) for _ in range(3)] == [1, 2, 3]
        assert [await memo.get("key", work) for _ in range(3)] == [4, 4, 4]

    asyncio.run(main())


@pytest.mark.parametrize("kind", [SingleFlight, Memo])
def test_a_failure_reaches_all_who_wait_and_is_not_remembered(
    kind: type[SingleFlight[int]] | type[Memo[int]],
) -> None:
    async def main() -> None:
        work, flight = Work(), kind()
        work.error = ValueError("no")
        asking = [asyncio.ensure_future(flight.get("key", work)) for _ in range(3)]
        await settle()
        work.go.set()
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(result) for result in results] == [ValueError] * 3
        work.error = None
        assert await flight.get("key", work) == 2

    asyncio.run(main())


@pytest.mark.parametrize("kind", [SingleFlight, Memo])
def test_when_the_one_who_works_is_cancelled_another_takes_over(
    kind: type[SingleFlight[int]] | type[Memo[int]],
) -> None:
    async def main() -> None:
        work, flight = Work(), kind()
        first, second, third = (asyncio.ensure_future(flight.get("key", work)) for _ in range(3))
        await settle()
        first.cancel()
        await settle()
        work.go.set()
        assert await second == await third == 2
        assert first.cancelled() and work.done == 2

    asyncio.run(main())


def test_one_who_waits_can_be_cancelled_alone() -> None:
    async def main() -> None:
        work, flight = Work(), SingleFlight[int]()
        first, second = (asyncio.ensure_future(flight.get("key", work)) for _ in range(2))
        await settle()
        second.cancel()
        work.go.set()
        assert await first == 1
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(main())


def test_what_is_remembered_is_found_at_once_and_forgotten_last() -> None:
    async def main() -> None:
        memo, work = Memo[int](2), Work()
        work.go.set()
        assert memo.find("a") is None
        for key in "ab":
            await memo.get(key, work)
        assert memo.find("a") == 1
        await memo.get("c", work)
        assert memo.find("b") is None and memo.find("a") == 1 and memo.find("c") == 3

    asyncio.run(main())
