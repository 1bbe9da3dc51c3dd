"""A server that goes away and comes back costs time, and no row."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from fusionprog.errors import StoreError
from fusionprog.store.schema import prepare
from fusionprog.store.store import Store, StoredCall

CALL = StoredCall("answer", 10, 3, 0.5)


@pytest.fixture
def restart(postgres_server: Any, postgres: str) -> Callable[[], None]:
    """Cuts all connections, and restarts the server where it is the tests' own."""

    def work() -> None:
        if postgres_server.own:
            postgres_server.stop()
            postgres_server.start()
        else:
            postgres_server.cut(postgres)

    return work


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "outage", 0.3)


def test_a_restart_in_mid_run_loses_no_row(postgres: str, restart: Callable[[], None], hands: Any) -> None:
    told: list[tuple[int, StoreError | None]] = []
    with Store(postgres) as store:
        hands.put(store, "first")
        store.flush()
        putting = threading.Event()

        def put() -> None:
            for number in range(3000):
                hands.put(store, number, usd=0.25, written=lambda count, error: told.append((count, error)))
                if number == 200:
                    putting.set()
                if number > 200 and number % 20 == 0:
                    threading.Event().wait(0.005)

        thread = threading.Thread(target=put)
        thread.start()
        putting.wait()
        restart()
        thread.join()
        store.flush()
        assert hands.get(store, 2999) is not None
        assert store.get_studies() == {}

    assert hands.rows(postgres, "select count(*), max(paid_calls) from fusionprog_calls") == [(3001, 1)]
    assert (sum(count for count, _ in told), {error for _, error in told}) == (3000, {None})


def test_searches_and_claims_survive_a_restart(postgres: str, restart: Callable[[], None], hands: Any) -> None:
    async def work() -> None:
        with Store(postgres) as one, Store(postgres) as other:
            key = hands.key("k")
            assert await one.find(key) is None
            task = asyncio.create_task(other.find(key))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(restart)
            assert await one.find(hands.key("l")) is None  # its session is back
            one.put_call(key, "m", "p", "", 0, CALL)
            found = await asyncio.wait_for(task, 30)
            assert found in (CALL, None)  # who came back first has the claim
            assert await other.pace("m", tokens=1, seconds_per_request=1, seconds_per_token=1) == 0

    asyncio.run(work())


def test_a_claim_is_taken_again_on_the_new_connection(postgres: str, postgres_server: Any, hands: Any) -> None:
    async def work() -> None:
        with Store(postgres) as one:
            key = hands.key("k")
            assert await one.find(key) is None
            await asyncio.to_thread(postgres_server.cut, postgres)
            assert await one.find(hands.key("l")) is None
            with Store(postgres) as other:
                task = asyncio.create_task(other.find(key))
                await asyncio.sleep(0.2)
                assert not task.done()
                one.put_call(key, "m", "p", "", 0, CALL)
                assert await asyncio.wait_for(task, 20) == CALL

    asyncio.run(work())


def test_a_server_that_is_away_is_waited_for_by_readers(postgres: str, postgres_server: Any) -> None:
    if not postgres_server.own:
        pytest.skip("the server is not the tests' own to stop")
    with Store(postgres) as store:
        store.put_study("f", {"program": "p"})
        postgres_server.stop()
        back = threading.Timer(0.3, postgres_server.start)
        back.start()
        try:
            assert store.get_studies() == {"f": {"program": "p"}}
            assert store.get_trial_count("f") == 0
            assert store.now() > 0 and store.size() > 0
        finally:
            back.join()


def test_a_connection_that_is_lost_while_the_store_is_opened_is_made_again(
    postgres: str, postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    def cut(connection: Connection, name: str) -> None:
        attempts.append(name)
        if len(attempts) == 1:
            postgres_server.cut(postgres)
        prepare(connection, name)

    monkeypatch.setattr("fusionprog.store.postgres.prepare", cut)
    with Store(postgres) as store:
        assert store.get_studies() == {}
    assert len(attempts) == 2


@pytest.mark.usefixtures("short")
def test_all_who_wait_for_a_server_wait_together(postgres: str, postgres_server: Any, hands: Any) -> None:
    """Not one after the other, each for as long."""
    if not postgres_server.own:
        pytest.skip("the server is not the tests' own to stop")
    store = Store(postgres)
    postgres_server.stop()
    try:
        with pytest.raises(StoreError, match="cannot be read"):
            store.get_studies()
        time.sleep(0.3)
        tries: list[int] = []

        def fail() -> None:
            tries.append(1)
            raise OSError("it is away")

        with pytest.raises(OSError, match="it is away"):
            store.outages.through_outage(fail, lambda error: True)
        assert len(tries) == 1
    finally:
        postgres_server.start()
    assert store.get_studies() == {}
    store.close()


def test_who_has_to_end_does_not_wait_for_a_server(postgres: str, postgres_server: Any, hands: Any) -> None:
    if not postgres_server.own:
        pytest.skip("the server is not the tests' own to stop")
    with pytest.raises(KeyboardInterrupt) as caught, Store(postgres) as store:
        postgres_server.stop()
        try:
            hands.put(store, "k")
            raise KeyboardInterrupt
        finally:
            store.outages.hurry()  # as on the way out; the server is back when it is closed
            with pytest.raises(StoreError, match="Check that the server runs"):
                store.flush()
            postgres_server.start()
    assert not hasattr(caught.value, "__notes__")
    assert hands.rows(postgres, "select paid_calls from fusionprog_calls") == [(1,)]


def test_what_is_no_outage_is_told_at_once(postgres: str) -> None:
    with Store(postgres) as store, pytest.raises(StoreError, match="cannot be read: found column"):
        store._database.read(lambda connection: connection.execute(text("select nothing")))


@pytest.mark.usefixtures("short")
def test_a_server_that_stays_away_is_told_and_gets_the_rows_when_it_is_back(
    postgres: str, postgres_server: Any, hands: Any
) -> None:
    if not postgres_server.own:
        pytest.skip("the server is not the tests' own to stop")
    told: list[StoreError | None] = []
    store = Store(postgres)
    postgres_server.stop()
    try:
        hands.put(store, "k", written=lambda count, error: told.append(error))
        with pytest.raises(StoreError, match="Check that the server runs"):
            store.flush()
        with pytest.raises(StoreError, match="cannot be read"):
            hands.get(store, "l")
        with pytest.raises(StoreError, match="Check that the server runs"):
            asyncio.run(store.pace("m", tokens=1, seconds_per_request=1, seconds_per_token=1))
        assert hands.get(store, "k") is not None
    finally:
        postgres_server.start()
    store.flush()
    store.close()

    assert [type(error) for error in told] == [StoreError]
    assert "hunter2" not in str(told)
    assert hands.rows(postgres, "select paid_calls from fusionprog_calls") == [(1,)]


class Cut:
    """A connection that is lost in a commit: before the server did it, or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> None:
        self.times = 0
        pipeline = psycopg.Connection.pipeline
        test = self

        def cut(connection: psycopg.Connection) -> Any:
            if test.times:
                return pipeline(connection)
            test.times += 1
            return test._cut(connection, pipeline(connection), committed)

        monkeypatch.setattr(psycopg.Connection, "pipeline", cut)

    def _cut(self, connection: psycopg.Connection, inner: Any, committed: bool) -> Any:
        @contextlib.contextmanager
        def work() -> Iterator[None]:
            if committed:
                with inner:
                    yield
                connection.close()
                raise psycopg.OperationalError("the connection was lost")
            yield
            connection.close()
            raise psycopg.OperationalError("the connection was lost")

        return work()


@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_that_is_lost_in_a_commit_counts_nothing_twice(
    postgres: str, hands: Any, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    with Store(postgres) as store:
        cut = Cut(monkeypatch, committed=committed)
        hands.put(store, "k", usd=0.5)
        store.flush()
        assert cut.times == 1
    assert hands.rows(postgres, "select paid_calls, paid_usd from fusionprog_calls") == [(1, 0.5)]


def test_the_note_of_the_last_batch_is_there_while_the_store_is_open(postgres: str, hands: Any) -> None:
    notes = "select value from fusionprog_info where key like 'batch %'"
    with Store(postgres) as store:
        for number in (1, 2):
            hands.put(store, f"k{number}")
            store.flush()
            assert hands.rows(postgres, notes) == [(str(number),)]
    assert hands.rows(postgres, notes) == []


def test_the_server_ends_a_transaction_of_a_process_that_is_stopped(postgres: str) -> None:
    with Store(postgres) as store:
        session = store._database.session  # type: ignore[attr-defined]
        (limit,) = session.run(
            lambda connection: connection.execute("show idle_in_transaction_session_timeout").fetchone(), "read"
        )
    assert limit == "1min"


def test_the_session_notices_a_host_that_is_gone(postgres: str) -> None:
    with Store(postgres) as store:
        session = store._database.session  # type: ignore[attr-defined]
        rows = session.run(
            lambda connection: connection.execute(
                "select name, setting from pg_settings where name like 'tcp_keepalives%'"
            ).fetchall(),
            "read",
        )
    assert dict(rows) == {
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "4",
    }
