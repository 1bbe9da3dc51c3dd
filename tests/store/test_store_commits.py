"""Rows are committed in groups, and those who wait for a commit are told of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.pending import Batch
from fusionprog.store.sqlite import SqliteDatabase
from fusionprog.store.store import Store
from fusionprog.store.tables import SCHEMA_VERSION


class Told:
    """Counts what it is told of commits, and lets a test wait for it."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.errors: list[StoreError | None] = []
        self._changed = threading.Condition()

    def __call__(self, count: int, error: StoreError | None) -> None:
        with self._changed:
            self.counts.append(count)
            self.errors.append(error)
            self._changed.notify_all()

    def wait(self, total: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: sum(self.counts) >= total, 20)


def many_at_once(work: list[Callable[[], None]]) -> None:
    """Runs everything at the same time and passes the first error on."""
    start, errors = threading.Barrier(len(work)), list[BaseException]()

    def run(each: Callable[[], None]) -> None:
        try:
            start.wait(20)
            each()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def while_writing(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Lets ``work`` happen once, in the middle of the next transaction."""
    tables = Batch.tables

    def interrupted(self: Batch, order: Any) -> Any:
        yield from tables(self, order)
        if interrupted in first:
            first.remove(interrupted)
            work()

    first: list[Any] = [interrupted]
    monkeypatch.setattr(Batch, "tables", interrupted)


def test_calls_are_committed_without_being_asked_to(place: str, hands: Any) -> None:
    told = Told()
    with Store(place) as store:
        hands.put(store, "k", written=told)
        told.wait(1)
        assert hands.rows(place, "select key from fusionprog_calls") == [(hands.key("k"),)]
    assert (told.counts, told.errors) == ([1], [None])


def test_each_is_told_once_for_its_own_calls(store: Store, hands: Any) -> None:
    one, other = Told(), Told()
    for number in range(100):
        hands.put(store, number, written=one if number % 4 else other)
        hands.put(store, f"untold {number}")
    store.flush()
    assert (sum(one.counts), sum(other.counts)) == (75, 25)
    assert set(one.errors) == {None}


def test_what_comes_during_a_commit_is_the_next_one(path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    with Store(path) as store:
        while_writing(monkeypatch, lambda: [hands.put(store, n, written=told) for n in range(10)])
        hands.put(store, "first", written=told)
        told.wait(11)
    assert told.counts == [1, 10]


def test_calls_that_are_gathered_are_one_commit(path: Path, hands: Any) -> None:
    told = Told()
    with Store(path) as store:
        for number in range(5):
            hands.put(store, number, written=told, wake=False)
        assert told.counts == [] and hands.get(store, 3) is not None
        store.wake()
        told.wait(5)
    assert told.counts == [5]


def test_calls_that_are_still_gathered_are_written_at_the_end(path: Path, hands: Any) -> None:
    with Store(path) as store:
        hands.put(store, "k", wake=False)
    assert hands.rows(path, "select key from fusionprog_calls") == [(hands.key("k"),)]


def test_one_who_fails_when_told_does_not_hold_up_the_others(path: Path, hands: Any) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    told = Told()
    with Store(path) as store:
        hands.put(store, "k", written=lambda count, error: loop.call_soon_threadsafe(print) and None, wake=False)
        hands.put(store, "l", written=told)
        told.wait(1)
        with pytest.raises(StoreError, match="Event loop is closed"):
            store.flush()


def test_one_who_fails_when_told_is_an_error_of_the_next_flush(path: Path, hands: Any) -> None:
    def fail(count: int, error: StoreError | None) -> None:
        raise KeyError("mine")

    told = Told()
    with Store(path) as store:
        hands.put(store, "k", written=fail)
        hands.put(store, "l", written=told)
        told.wait(1)
        hands.put(store, "m", written=told)  # a commit later that goes well does not make up for it
        told.wait(2)
        with pytest.raises(StoreError, match=r"KeyError\('mine'\)"):
            store.flush()
        hands.put(store, "n")
        store.flush()
    assert hands.rows(path, "select count(*) from fusionprog_calls") == [(4,)]


def test_stores_that_open_a_new_database_together_do_not_disturb_each_other(tmp_path: Path, hands: Any) -> None:
    def opener(path: Path, number: int) -> Callable[[], None]:
        def work() -> None:
            with Store(path) as store:
                hands.put(store, number)

        return work

    for turn in range(5):
        path = tmp_path / f"{turn}.db"
        many_at_once([opener(path, number) for number in range(8)])
        assert hands.rows(path, "select count(*) from fusionprog_calls") == [(8,)]
        assert hands.rows(path, "select value from fusionprog_info") == [(str(SCHEMA_VERSION),)]


def test_stores_that_open_a_new_server_database_together_do_not_disturb_each_other(postgres: str, hands: Any) -> None:
    def work() -> None:
        with Store(postgres) as store:
            hands.put(store, threading.get_ident())

    many_at_once([work] * 8)
    assert hands.rows(postgres, "select value from fusionprog_info") == [(str(SCHEMA_VERSION),)]


def test_two_stores_on_one_database_write_side_by_side(place: str, hands: Any) -> None:
    with Store(place) as first, Store(place) as second:

        def writer(store: Store, name: str) -> Callable[[], None]:
            def work() -> None:
                for number in range(200):
                    hands.put(store, f"{name} {number}")
                    hands.put(store, f"shared {number if name == 'one' else 199 - number}", name)
                    store.put_prompt(f"p{number}", [])
                    store.put_scores("s", [hands.score(str(number))])
                    if number % 40 == 0:
                        store.flush()

            return work

        many_at_once([writer(first, "one"), writer(second, "two")])

    assert hands.rows(place, "select count(*), sum(paid_calls) from fusionprog_calls") == [(600, 800)]
    assert hands.rows(place, "select count(*) from fusionprog_scores") == [(200,)]


def test_readers_and_the_writer_do_not_disturb_each_other(store: Store, hands: Any) -> None:
    for number in range(100):
        hands.put(store, f"old {number}")
    store.flush()

    def read() -> None:
        for number in range(100):
            assert hands.get(store, f"old {number}") is not None

    def write() -> None:
        for number in range(100):
            hands.put(store, f"new {number}")
            if number % 10 == 0:
                store.flush()

    many_at_once([read, read, write])
    store.flush()
    assert all(hands.get(store, f"new {number}") is not None for number in range(100))
    assert all(store._pending.find(hands.key(f"new {number}")) is None for number in range(100))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_reader_does_not_end_the_writers_transaction(
    in_memory: bool, path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(None if in_memory else path) as store:
        hands.put(store, "old")
        store.flush()
        reader = threading.Thread(target=hands.get, args=(store, "old"))

        def read() -> None:
            reader.start()
            reader.join(0.2)  # in memory it has to wait for the writer

        while_writing(monkeypatch, read)
        hands.put(store, "new")
        store.flush()
        reader.join()
        assert hands.get(store, "new") is not None


def test_an_answer_that_is_put_again_while_it_is_written_is_not_lost(
    path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(path) as store:
        while_writing(monkeypatch, lambda: hands.put(store, "k", "second"))
        hands.put(store, "k", "first")
        store.flush()
        found = hands.get(store, "k")
        assert found is not None and found.text == "second"

    assert hands.rows(path, "select text, paid_calls from fusionprog_calls") == [("second", 2)]


def test_finding_leaves_no_old_view_of_the_file_behind(path: Path, hands: Any) -> None:
    with Store(path) as store:
        hands.put(store, "k")
        store.flush()
        assert hands.get(store, "k") is not None
        database = store._database
        assert isinstance(database, SqliteDatabase)
        assert not database._reader.in_transaction
        # All that was written ahead can go into the file: nobody reads an older state.
        assert hands.rows(path, "pragma wal_checkpoint(truncate)") == [(0, 0, 0)]
