"""A database that cannot be used is told with a remedy, and no row is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.failures import store_failure
from fusionprog.store.sqlite import SqliteDatabase
from fusionprog.store.store import Store, StoredCall


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def break_table(path: Path) -> None:
    execute(path, "alter table fusionprog_calls rename to away")


def mend_table(path: Path) -> None:
    execute(path, "alter table away rename to fusionprog_calls")


def limit_pages(store: Store, pages: int) -> None:
    """Lets the file's disk have room for some pages only."""
    database = store._database
    assert isinstance(database, SqliteDatabase)
    database._writer.execute(f"PRAGMA max_page_count = {pages}")


def test_a_failed_write_is_told_and_nothing_is_lost(path: Path, hands: Any) -> None:
    store = Store(path)
    store.put_scores("s", [hands.score("0")])
    store.flush()
    break_table(path)
    hands.put(store, "k", written=lambda count, error: None)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        store.flush()
    assert str(path) in str(caught.value) and "storage=" in str(caught.value)
    assert hands.get(store, "k") == StoredCall("answer", 10, 3, None)
    with pytest.raises(StoreError):
        store.put_scores("s", [hands.score("1")])
    with pytest.raises(StoreError):
        store.flush()

    mend_table(path)
    store.flush()
    store.put_scores("s", [hands.score("2")])
    hands.put(store, "l")
    store.close()

    assert hands.rows(path, "select key from fusionprog_calls order by key") == sorted(
        [(hands.key("k"),), (hands.key("l"),)]
    )
    assert hands.rows(path, "select example from fusionprog_scores order by example") == [("0",), ("1",), ("2",)]


def test_one_who_waits_for_a_commit_is_told_that_it_failed_once(path: Path, hands: Any) -> None:
    told: list[tuple[int, StoreError | None]] = []
    store = Store(path)
    break_table(path)
    for name in "kl":
        hands.put(store, name, usd=0.5, written=lambda count, error: told.append((count, error)))
        with pytest.raises(StoreError):
            store.flush()
    mend_table(path)
    store.close()

    assert [count for count, _ in told] == [1, 1]
    assert all(isinstance(error, StoreError) for _, error in told)
    assert hands.rows(path, "select paid_calls, paid_usd from fusionprog_calls") == [(1, 0.5)] * 2


def test_a_write_that_fails_unseen_is_told_at_the_next_put(path: Path, hands: Any) -> None:
    store = Store(path)
    break_table(path)
    hands.put(store, "k")
    with pytest.raises(StoreError, match="cannot be written"):
        store.flush()

    with pytest.raises(StoreError, match="cannot be written"):
        hands.put(store, "l")
    mend_table(path)
    store.close()

    assert len(hands.rows(path, "select key from fusionprog_calls")) == 2


def test_a_later_put_tries_again_by_itself(path: Path, hands: Any) -> None:
    told: list[StoreError | None] = []
    with Store(path) as store:
        break_table(path)
        hands.put(store, "k", written=lambda count, error: told.append(error))
        with pytest.raises(StoreError):
            store.flush()
        mend_table(path)
        hands.put(store, "l", written=lambda count, error: told.append(error))
        store.flush()
        assert len(hands.rows(path, "select key from fusionprog_calls")) == 2
    assert [error is None for error in told] == [False, True]


def test_a_store_that_cannot_be_read_says_so(path: Path, hands: Any) -> None:
    with Store(path) as store:
        hands.put(store, "k")
        store.flush()
        break_table(path)
        with pytest.raises(StoreError, match="cannot be read") as caught:
            hands.get(store, "k")
        assert str(path) in str(caught.value)
        mend_table(path)


def test_a_full_disk_is_told_and_what_did_not_fit_is_written_when_there_is_room(path: Path, hands: Any) -> None:
    store = Store(path)
    limit_pages(store, 40)
    told: list[StoreError | None] = []
    for number in range(100):
        hands.put(store, number, "x" * 10_000, written=lambda count, error: told.append(error))
    with pytest.raises(StoreError, match=r"disk is full.*Make room"):
        store.flush()
    assert any(isinstance(error, StoreError) for error in told)
    assert all(hands.get(store, number) is not None for number in range(100))

    limit_pages(store, 100_000)
    store.close()
    assert hands.rows(path, "select count(*), sum(paid_calls) from fusionprog_calls") == [(100, 100)]


def test_a_file_that_another_process_holds_is_waited_for_and_told(
    path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "patience", 0.1)
    store = Store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    hands.put(store, "k")
    with pytest.raises(StoreError, match=r"locked.*Another process holds it"):
        store.flush()
    with pytest.raises(StoreError, match=r"locked.*Another process holds it"):
        Store(path)
    other.execute("rollback")
    other.close()
    store.close()

    assert hands.rows(path, "select key from fusionprog_calls") == [(hands.key("k"),)]


def test_who_has_to_end_does_not_wait_for_it(path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionprog.store.store.HURRIED", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(KeyboardInterrupt) as caught, Store(path) as store:
        hands.put(store, "first")
        store.flush()
        other.execute("begin immediate")
        hands.put(store, "k")
        raise KeyboardInterrupt
    assert caught.value.__notes__ == ["what was answered last may not be in the store: another process holds it"]
    other.execute("rollback")  # the store's thread goes on until the process ends
    other.close()
    store._writer._thread.join(20)
    assert len(hands.rows(path, "select key from fusionprog_calls")) == 2


def test_any_other_failure_leaves_time_to_write(path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionprog.store.store.HURRIED", 0.0)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with pytest.raises(ValueError, match="of the caller") as caught, Store(path) as store:
        hands.put(store, "first")
        store.flush()
        other.execute("begin immediate")
        hands.put(store, "k")
        threading.Timer(0.3, lambda: other.execute("rollback")).start()
        raise ValueError("of the caller")
    other.close()
    assert not hasattr(caught.value, "__notes__")
    assert len(hands.rows(path, "select key from fusionprog_calls")) == 2


def test_what_may_be_lost_is_said_where_the_store_itself_failed(
    path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusionprog.store.store.HURRIED", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(StoreError, match="cannot be read") as caught, Store(path) as store:
        hands.put(store, "first")
        store.flush()
        other.execute("begin immediate")
        hands.put(store, "k")
        raise StoreError("the store cannot be read")
    assert caught.value.__notes__ == ["what was answered last may not be in the store"]
    other.close()
    store._writer._thread.join(20)


def test_who_has_to_end_does_not_wait_for_what_another_process_has(tmp_path: Path) -> None:
    place = tmp_path / "desk.db"
    with Store(place) as one, Store(place) as two, one.exclusive("studies"):
        two.outages.hurry()
        with pytest.raises(StoreError, match="is used by another process"), two.exclusive("studies"):
            raise AssertionError


def damage(path: Path) -> None:
    """Overwrites everything but the first page."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


@pytest.mark.parametrize("use", ["find", "open"])
def test_a_damaged_file_is_told(path: Path, hands: Any, use: str) -> None:
    with Store(path) as store:
        for number in range(50):
            hands.put(store, number, "x" * 1000)
    damage(path)

    work: dict[str, Callable[[], Any]] = {"find": lambda: hands.get(Store(path), 1), "open": lambda: Store(path)}
    with pytest.raises(StoreError, match=r"malformed.*The file is damaged"):
        work[use]()


def test_a_file_that_is_damaged_while_it_is_open_loses_nothing_that_was_told_as_written(path: Path, hands: Any) -> None:
    with Store(path) as store:
        hands.put(store, "k")
    store = Store(path)
    damage(path)
    hands.put(store, "l", written=lambda count, error: None)
    with pytest.raises(StoreError, match="malformed"):
        store.close()
    assert hands.get(store, "l") is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("disk I/O error", "a quota, a limit on the size of files"),
        ("database or disk is full", "Make room on its disk"),
        ("database disk image is malformed", "The file is damaged"),
    ],
)
def test_what_the_disk_does_not_take_is_no_damage(words: str, said: str) -> None:
    assert said in store_failure("desk.db", "written", sqlite3.OperationalError(words)).fix


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="a limit on the size of files is POSIX's")
def test_a_file_that_may_not_grow_is_told_and_continues(tmp_path: Path, hands: Any) -> None:
    """The limit holds in a process of its own."""
    script = f"""
import resource, signal
from fusionprog.errors import StoreError
from fusionprog.store.store import Store, StoredCall
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store({str(tmp_path / "desk.db")!r})
store.put_model("m", {{"model": "m"}})
store.put_prompt("p", [])
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
try:
    for number in range(200):
        store.put_call(b"%016d" % number, "m", "p", "x" * 4000, 0, StoredCall("y" * 1000, 1, 1, 0.0, "stop"))
        store.flush()
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.flush()
store.close()
print(number)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *said, number = done.stdout.strip().splitlines()
    assert "a quota, a limit on the size of files" in said[0]
    kept = hands.rows(tmp_path / "desk.db", "select key from fusionprog_calls order by key")
    assert kept == [(b"%016d" % each,) for each in range(int(number) + 1)]
