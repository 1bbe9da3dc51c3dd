"""Processes that share a store ask a model once: one has the claim, the others wait for its answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.locks import key_number
from fusionprog.store.store import Store, StoredCall

HELD = "select count(*) from pg_locks where locktype = 'advisory' and granted"
CALL = StoredCall("answer", 10, 3, None)


@pytest.fixture
def one(postgres: str) -> Iterator[Store]:
    with Store(postgres) as store:
        yield store


@pytest.fixture
def other(postgres: str) -> Iterator[Store]:
    """A store with a session of its own, as another process has one."""
    with Store(postgres) as store:
        yield store


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.01)


async def waiting(store: Store, key: bytes, since: float = 0.0) -> asyncio.Task[StoredCall | None]:
    """A search that was looked at and has to wait."""
    task = asyncio.create_task(store.find(key, since=since))
    await asyncio.sleep(0.2)
    assert not task.done()
    return task


def test_who_waits_gets_the_answer(one: Store, other: Store, hands: Any) -> None:
    async def work() -> None:
        key = hands.key("k")
        assert await one.find(key) is None
        task = await waiting(other, key)
        one.put_call(key, "m", "p", "", 0, CALL)
        assert await asyncio.wait_for(task, 20) == CALL
        assert await other.find(key) == CALL

    asyncio.run(work())


def test_who_gives_up_lets_another_ask(one: Store, other: Store, hands: Any) -> None:
    async def work() -> None:
        key = hands.key("k")
        assert await one.find(key) is None
        task = await waiting(other, key)
        one.give_up(key)
        assert await asyncio.wait_for(task, 20) is None
        back = await waiting(one, key)
        other.put_call(key, "m", "p", "", 0, CALL)
        assert await asyncio.wait_for(back, 20) == CALL

    asyncio.run(work())


def test_the_calls_of_a_process_that_is_stopped_are_made_by_another(
    one: Store, other: Store, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store's thread does nothing, as if the process were stopped: so it shows no sign of life."""
    stopped, goes_on = threading.Event(), threading.Event()

    def stop(count: int, error: StoreError | None) -> None:
        stopped.set()
        goes_on.wait(60)

    async def work() -> None:
        key = hands.key("k")
        assert await one.find(key) is None
        one.put_call(hands.key("other"), "m", "p", "", 0, CALL, written=stop)
        await asyncio.to_thread(stopped.wait, 20)
        monkeypatch.setattr("fusionprog.store.claims._STOPPED", 0.3)
        monkeypatch.setattr("fusionprog.store.claims._TOUCH", 0.1)
        assert await asyncio.wait_for(other.find(key), 20) is None  # it has the claim now
        other.put_call(key, "m", "p", "", 0, CALL)
        goes_on.set()
        one.put_call(hands.key("l"), "m", "p", "", 0, CALL)  # on a new connection
        one.flush()
        assert await one.find(key) == CALL

    try:
        asyncio.run(work())
    finally:
        goes_on.set()


def test_a_process_that_lives_is_waited_for(
    one: Store, other: Store, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long its call takes: it shows that it lives."""
    monkeypatch.setattr("fusionprog.store.claims._TOUCH", 0.05)

    async def work() -> None:
        key = hands.key("k")
        assert await one.find(key) is None
        one.wake()
        monkeypatch.setattr("fusionprog.store.claims._STOPPED", 0.5)
        task = await waiting(other, key)
        for _ in range(6):
            await asyncio.sleep(0.2)
            assert not task.done()
        one.put_call(key, "m", "p", "", 0, CALL)
        assert await asyncio.wait_for(task, 20) == CALL

    asyncio.run(work())


def test_who_closes_lets_another_ask(one: Store, postgres: str, hands: Any) -> None:
    async def work() -> None:
        with Store(postgres) as passing:
            assert await passing.find(hands.key("k")) is None
            task = await waiting(one, hands.key("k"))
        assert await asyncio.wait_for(task, 20) is None

    asyncio.run(work())


def test_an_old_answer_does_not_end_the_waiting_for_a_fresh_one(one: Store, other: Store, hands: Any) -> None:
    async def work() -> None:
        key = hands.key("k")
        one.put_call(key, "m", "p", "", 0, StoredCall("old", 1, 1, None))
        one.flush()
        since = one.now()
        assert await other.find(key, since=since) is None
        task = await waiting(one, key, since)
        other.put_call(key, "m", "p", "", 0, CALL)
        assert await asyncio.wait_for(task, 20) == CALL

    asyncio.run(work())


def test_no_claim_is_left_behind(one: Store, other: Store, postgres: str, hands: Any) -> None:
    keys = [hands.key(number) for number in range(100)]

    async def work(store: Store) -> None:
        async def each(key: bytes) -> None:
            if await store.find(key) is None:
                await asyncio.sleep(0)
                if key[0] % 3:
                    store.put_call(key, "m", "p", "", 0, CALL)
                else:
                    store.give_up(key)

        await asyncio.gather(*(each(key) for key in keys))

    async def both() -> None:
        await asyncio.gather(work(one), work(other))
        one.flush()
        other.flush()
        await until(lambda: hands.rows(postgres, HELD) == [(0,)])

    asyncio.run(both())
    assert hands.rows(postgres, "select max(paid_calls) from fusionprog_calls") == [(1,)]
    answered = sum(1 for key in keys if key[0] % 3)
    assert hands.rows(postgres, "select count(*) from fusionprog_calls") == [(answered,)]


def test_within_a_process_nobody_waits(one: Store, other: Store, hands: Any) -> None:
    async def work() -> None:
        key = hands.key("k")
        assert list(await asyncio.gather(one.find(key), one.find(key))) == [None, None]
        assert await one.find(key) is None
        task = await waiting(other, key)
        one.give_up(key)
        assert await asyncio.wait_for(task, 20) is None

    asyncio.run(work())


def test_who_is_cancelled_while_waiting_takes_no_claim(one: Store, other: Store, postgres: str, hands: Any) -> None:
    async def work() -> None:
        key = hands.key("k")
        assert await one.find(key) is None
        task = await waiting(other, key)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        one.give_up(key)
        await until(lambda: hands.rows(postgres, HELD) == [(0,)])
        await asyncio.sleep(0.2)
        assert hands.rows(postgres, HELD) == [(0,)]

    asyncio.run(work())


@pytest.mark.parametrize("steps", range(6))
def test_who_is_cancelled_at_any_moment_keeps_no_claim(one: Store, postgres: str, hands: Any, steps: int) -> None:
    async def work() -> None:
        tasks = [asyncio.create_task(one.find(hands.key(number))) for number in range(20)]
        for _ in range(steps):
            await asyncio.sleep(0.001)
        got = [task.done() for task in tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: hands.rows(postgres, HELD) == [(sum(got),)])
        for number in range(20):
            one.give_up(hands.key(number))
        await until(lambda: hands.rows(postgres, HELD) == [(0,)])

    asyncio.run(work())


def test_a_claim_for_a_loop_that_is_closed_is_let_go(one: Store, postgres: str, hands: Any) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(one.find(hands.key("k")))
    loop.call_soon(loop.stop)
    loop.run_forever()  # the search was begun, and nobody will hear its answer
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    asyncio.run(until(lambda: hands.rows(postgres, HELD) == [(0,)]))


def test_a_closed_store_ends_the_waiting(one: Store, postgres: str, hands: Any) -> None:
    async def work() -> None:
        assert await one.find(hands.key("k")) is None
        other = Store(postgres)
        task = await waiting(other, hands.key("k"))
        await asyncio.to_thread(other.close)
        with pytest.raises(StoreError, match="is closed"):
            await asyncio.wait_for(task, 20)

    asyncio.run(work())


def test_keys_are_locked_by_their_first_half() -> None:
    assert key_number(b"\x00" * 7 + b"\x01" + b"\xff" * 8) == 1
    assert key_number(b"\xff" * 16) == -1


WORKER = """
import asyncio, sys
from fusionprog.store.store import Store, StoredCall

async def work(store):
    async def each(number):
        key = number.to_bytes(16, "little")
        if await store.find(key) is None:
            print(number, flush=True)
            await asyncio.sleep(0.005 if number != 70 or "hang" not in sys.argv else 3600)
            store.put_call(key, "m", "p", "", 0, StoredCall("a", 1, 1, 0.5))
    slots = asyncio.Semaphore(8)
    async def bounded(number):
        async with slots:
            await each(number)
    await asyncio.gather(*(bounded(number) for number in range(200)))

with Store(sys.argv[1]) as store:
    asyncio.run(work(store))
"""


def test_three_processes_one_of_them_killed_ask_everything_and_only_what_the_dead_one_held_twice(
    postgres: str, hands: Any
) -> None:
    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, postgres, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    doomed = start("hang")
    assert doomed.stdout is not None
    held = [int(doomed.stdout.readline())]
    while held[-1] != 70:
        held.append(int(doomed.stdout.readline()))
    workers = [start(), start()]
    doomed.kill()
    asked = [int(line) for worker in workers for line in worker.communicate(timeout=60)[0].split()]
    held += [int(line) for line in doomed.communicate()[0].split()]

    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(asked) == len(set(asked))
    assert 70 in asked and set(asked) | set(held) == set(range(200))
    assert hands.rows(postgres, "select count(*) from fusionprog_calls") == [(200,)]
    assert len(set(asked) & set(held)) <= 8
