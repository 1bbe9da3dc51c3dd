"""Rate limits are shared by all processes that use a store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.store import Store


@pytest.fixture
def store(postgres: str) -> Iterator[Store]:
    with Store(postgres) as made:
        yield made


async def waits(
    store: Store, count: int, *, tokens: int = 0, request: float = 0.0, token: float = 0.0, model: str = "m"
) -> list[float]:
    asked = [
        store.pace(model, tokens=tokens, seconds_per_request=request, seconds_per_token=token) for _ in range(count)
    ]
    return list(await asyncio.gather(*asked))


def test_requests_of_one_batch_are_spaced_out(store: Store) -> None:
    found = asyncio.run(waits(store, 5, request=1000))
    assert found == pytest.approx([0, 1000, 2000, 3000, 4000], abs=60)
    assert found[0] == 0


def test_processes_share_the_limit(store: Store, postgres: str) -> None:
    async def work() -> None:
        with Store(postgres) as other:
            assert await waits(store, 1, request=1000) == [0]
            assert await waits(other, 2, request=1000) == pytest.approx([1000, 2000], abs=60)
            assert await waits(store, 1, request=1000) == pytest.approx([3000], abs=60)

    asyncio.run(work())


def test_tokens_put_off_what_comes_after_them(store: Store) -> None:
    async def work() -> None:
        assert await waits(store, 1, tokens=50, token=100) == [0]
        assert await waits(store, 1, tokens=1, token=100) == pytest.approx([5000], abs=60)
        assert await waits(store, 1, tokens=1, token=100, request=1) == pytest.approx([5100], abs=60)

    asyncio.run(work())


def test_tokens_that_were_not_reserved_put_off_others_too(store: Store, postgres: str) -> None:
    async def work() -> None:
        with Store(postgres) as other:
            assert await waits(store, 1, tokens=10, token=100) == [0]
            store.correct_pace("m", 4000.0)  # the answer was longer
            store.correct_pace("never asked", 4000.0)
            assert await waits(store, 1, tokens=10, token=100) == pytest.approx([5000], abs=60)
            assert await waits(other, 1, tokens=10, token=100) == pytest.approx([6000], abs=60)
            store.correct_pace("m", -6500.0)  # others were shorter
            assert await waits(store, 1, tokens=10, token=100) == pytest.approx([500], abs=60)
            store.correct_pace("m", -1e9)  # what was not used is not saved up
            assert await waits(store, 1, tokens=10, token=100) == [0]
            assert await waits(store, 1, tokens=10, token=100) == pytest.approx([1000], abs=60)

    asyncio.run(work())


def test_the_tighter_limit_decides(store: Store) -> None:
    async def work() -> None:
        found = await waits(store, 3, tokens=10, token=10, request=1000)
        assert found == pytest.approx([0, 1000, 2000], abs=60)
        found = await waits(store, 2, tokens=10_000, token=10, request=0)
        assert found == pytest.approx([3000, 100_300], abs=60)

    asyncio.run(work())


def test_models_have_limits_of_their_own(store: Store) -> None:
    async def work() -> None:
        both = await asyncio.gather(waits(store, 2, request=1000), waits(store, 2, request=500, model="other"))
        assert both[0] == pytest.approx([0, 1000], abs=60)
        assert both[1] == pytest.approx([0, 500], abs=60)

    asyncio.run(work())


def test_time_that_has_passed_is_not_saved_up(store: Store) -> None:
    async def work() -> None:
        assert await waits(store, 1, request=0.01) == [0]
        await asyncio.sleep(0.1)
        assert await waits(store, 3, request=1000) == pytest.approx([0, 1000, 2000], abs=60)

    asyncio.run(work())


def test_without_limits_nobody_waits(store: Store) -> None:
    assert asyncio.run(waits(store, 50)) == [0] * 50


def test_a_store_that_is_not_shared_paces_nobody() -> None:
    with Store() as store, pytest.raises(StoreError, match="not shared"):
        asyncio.run(waits(store, 1, request=1))
