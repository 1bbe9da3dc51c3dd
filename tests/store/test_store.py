"""The store: nothing that was put is lost, and every failure names the store and a remedy."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.store import Store, StoredCall
from fusionprog.store.tables import SCHEMA_VERSION

CALL = StoredCall("answer", 10, 3, 0.5)


def put(store: Store, key: str, text: str = "answer") -> StoredCall:
    call = StoredCall(text, 10, 3, None)
    store.put_call(key, "model", "prompt", "é", 0, call)
    return call


def score(example: str, value: float = 1.0) -> dict[str, Any]:
    return {"candidate": "c", "task": "shop", "example": example, "score": value, "status": "ok", "error": ""}


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk.db"


@pytest.mark.parametrize("place", [None, "sqlite://", ":memory:", "file"])
def test_what_was_put_can_be_read_at_once_and_after_it_is_written(place: str | None, path: Path) -> None:
    with Store(str(path) if place == "file" else place) as store:
        assert store.get_call("k") is None
        store.put_call("k", "model", "prompt", "hi", 0, CALL)
        assert store.get_call("k") == CALL
        store.flush()
        assert store.get_call("k") == CALL
        assert store.get_call("other") is None


def test_a_file_keeps_everything_from_one_opening_to_the_next(path: Path) -> None:
    with Store(str(path)) as store:
        store.put_model("model", {"model": "m"})
        store.put_prompt("prompt", [{"role": "system", "content": "é"}])
        store.put_call("k", "model", "prompt", "hi", 2, CALL)
        store.put_scores("s", [score("1"), score("2", 0.25)])
        store.put_study("s", {"data": "d"})

    with Store(f"sqlite:///{path}") as store:
        assert store.get_call("k") == CALL
        assert store.get_studies() == {"s": {"data": "d"}}
    (call,) = rows(path, "select key, model, prompt, content, sample from fusionprog_calls")
    assert call == ("k", "model", "prompt", "hi", 2)
    assert rows(path, "select * from fusionprog_models") == [("model", '{"model": "m"}')]
    assert rows(path, "select * from fusionprog_prompts") == [("prompt", '[{"role": "system", "content": "é"}]')]
    assert rows(path, "select example, score from fusionprog_scores order by example") == [("1", 1.0), ("2", 0.25)]


def test_a_file_is_written_ahead(path: Path) -> None:
    with Store(path) as store:
        put(store, "k")

    assert rows(path, "pragma journal_mode") == [("wal",)]


def test_a_store_knows_its_place(path: Path) -> None:
    with Store(path) as kept, Store() as passing:
        assert (kept.path, kept.in_memory) == (path, False)
        assert (passing.path, passing.in_memory) == (None, True)


def test_odd_file_names_are_file_names(tmp_path: Path) -> None:
    path = tmp_path / "what? 50% #1 é.db"
    with Store(path) as store:
        put(store, "k")

    assert path.exists()
    with Store(str(path)) as store:
        assert store.get_call("k") is not None


def test_a_store_in_memory_is_its_own() -> None:
    with Store() as first, Store() as second:
        put(first, "k")
        first.flush()
        assert second.get_call("k") is None


def test_the_newest_answer_and_score_win(path: Path) -> None:
    with Store(path) as store:
        for number in range(50):
            put(store, "k", f"answer {number}")
            store.put_scores("s", [score("1", number), score("1", number + 0.5)])
            if number % 7 == 0:
                store.flush()
        last = store.get_call("k")

    assert last is not None and last.text == "answer 49"
    assert rows(path, "select text from fusionprog_calls") == [("answer 49",)]
    assert rows(path, "select score from fusionprog_scores") == [(49.5,)]


def test_closing_loses_nothing(path: Path) -> None:
    with Store(path) as store:
        for number in range(1000):
            put(store, str(number))

    assert rows(path, "select count(*) from fusionprog_calls") == [(1000,)]


def test_closing_twice_is_closing_once(path: Path) -> None:
    store = Store(path)
    put(store, "k")
    store.close()
    store.close()
    put(store, "too late")  # a call that was in flight when the program was interrupted

    assert rows(path, "select key from fusionprog_calls") == [("k",)]


def test_a_process_that_never_closes_still_writes(path: Path) -> None:
    program = f"""
from fusionprog.store.store import Store, StoredCall
store = Store({str(path)!r})
store.put_call("k", "model", "prompt", "", 0, StoredCall("answer", 1, 1, None))
"""
    subprocess.run([sys.executable, "-c", program], check=True)

    assert rows(path, "select key from fusionprog_calls") == [("k",)]


def test_answers_are_written_soon_without_being_asked_to(path: Path) -> None:
    written = threading.Event()
    with Store(path) as store:
        gather = store._write

        def noted() -> None:
            gather()
            written.set()

        store.__dict__["_write"] = noted
        put(store, "k")
        assert written.wait(20)
        assert rows(path, "select key from fusionprog_calls") == [("k",)]


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


def test_stores_that_open_a_new_file_together_do_not_disturb_each_other(tmp_path: Path) -> None:
    def opener(path: Path, number: int) -> Callable[[], None]:
        def work() -> None:
            with Store(path) as store:
                put(store, str(number))

        return work

    for turn in range(5):
        path = tmp_path / f"{turn}.db"
        many_at_once([opener(path, number) for number in range(8)])
        assert rows(path, "select count(*) from fusionprog_calls") == [(8,)]
        assert rows(path, "select value from fusionprog_info") == [(str(SCHEMA_VERSION),)]


def test_two_stores_on_one_file_write_side_by_side(path: Path) -> None:
    with Store(path) as first, Store(path) as second:

        def writer(store: Store, name: str) -> Callable[[], None]:
            def work() -> None:
                for number in range(200):
                    put(store, f"{name} {number}")
                    put(store, f"shared {number}", name)
                    if number % 40 == 0:
                        store.flush()

            return work

        many_at_once([writer(first, "one"), writer(second, "two")])

    assert rows(path, "select count(*) from fusionprog_calls") == [(600,)]


@pytest.mark.parametrize("place", [None, "file"])
def test_readers_and_the_writer_do_not_disturb_each_other(place: str | None, path: Path) -> None:
    with Store(path if place else None) as store:
        for number in range(300):
            put(store, f"old {number}")
        store.flush()

        def read() -> None:
            for number in range(300):
                assert store.get_call(f"old {number}") is not None

        def write() -> None:
            for number in range(300):
                put(store, f"new {number}")
                if number % 10 == 0:
                    store.flush()

        many_at_once([read, read, write])
        store.flush()
        assert all(store.get_call(f"new {number}") is not None for number in range(300))
        assert store._calls == {}


def while_writing(store: Store, work: Callable[[], None]) -> None:
    """Lets ``work`` happen once, in the middle of the writer's next transaction."""
    upsert = store._upsert

    def interrupted(connection: Any, table: Any, new: list[dict[str, Any]]) -> None:
        upsert(connection, table, new)
        if new and store.__dict__.pop("_upsert", None):
            work()

    store.__dict__["_upsert"] = interrupted


@pytest.mark.parametrize("place", [None, "file"])
def test_a_reader_does_not_end_the_writers_transaction(place: str | None, path: Path) -> None:
    with Store(path if place else None) as store:
        put(store, "old")
        store.flush()
        reader = threading.Thread(target=store.get_call, args=("old",))

        def read() -> None:
            reader.start()
            reader.join(0.2)  # in memory it has to wait for the writer

        while_writing(store, read)
        put(store, "new")
        store.flush()
        reader.join()
        assert store.get_call("new") is not None


def test_an_answer_that_is_put_again_while_it_is_written_is_not_lost(path: Path) -> None:
    with Store(path) as store:

        def again() -> None:
            put(store, "k", "second")

        while_writing(store, again)
        put(store, "k", "first")
        store.flush()
        found = store.get_call("k")
        assert found is not None and found.text == "second"

    assert rows(path, "select text from fusionprog_calls") == [("second",)]


def refused(place: str | os.PathLike[str]) -> str:
    with pytest.raises(StoreError) as caught:
        Store(place)
    assert "storage=" in str(caught.value)
    return str(caught.value)


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table fusionprog_info (key varchar(64) primary key, value text)")
    connection.execute("insert into fusionprog_info values ('schema_version', ?)", (str(SCHEMA_VERSION + 1),))
    connection.commit()
    connection.close()

    message = refused(path)

    assert "newer" in message and str(path) in message and f"found {SCHEMA_VERSION + 1}" in message
    assert rows(path, "select name from sqlite_master where type = 'table'") == [("fusionprog_info",)]


def test_a_version_that_is_no_number_is_refused(path: Path) -> None:
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("update fusionprog_info set value = 'two'")
    connection.commit()
    connection.close()

    assert "found two" in refused(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at\n" * 100)

    message = refused(path)

    assert str(path) in message and "file is not a database" in message


def test_a_database_with_other_tables_of_that_name_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table fusionprog_calls (name text)")
    connection.commit()
    connection.close()

    assert str(path) in refused(path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "desk.db"

    assert str(path) in refused(path)
    assert not (tmp_path / "no").exists()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)


def test_a_file_that_cannot_be_written_is_refused(path: Path) -> None:
    with Store(path) as store:
        put(store, "k")

    assert "readonly" in refused(f"sqlite:///file:{path}?mode=ro&immutable=1&uri=true")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write every file")
def test_a_file_without_rights_is_refused(path: Path) -> None:
    Store(path).close()
    path.chmod(stat.S_IREAD)

    assert str(path) in refused(path)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@127.0.0.1/desk",
        "nonsense://user:hunter2@127.0.0.1/desk",
        "postgresql://user:hunter2@127.0.0.1:port/desk",
        "postgresql+nonsense://user:hunter2@127.0.0.1/desk",
        "postgresql+pg8000://user:hunter2@127.0.0.1:1/desk",
        "sqlite://user:hunter2@/desk.db",
        "sqlite://desk.db",
        "://user:hunter2@x",
        "http//://user:hun/t@er2hunter2@x",
    ],
)
def test_passwords_are_in_no_message(url: str) -> None:
    message = refused(url)

    assert "hunter2" not in message
    assert "desk" in message or "x" in message


def break_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("alter table fusionprog_calls rename to away")
    connection.commit()
    connection.close()


def mend_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("alter table away rename to fusionprog_calls")
    connection.commit()
    connection.close()


def test_a_failed_write_is_told_and_nothing_is_lost(path: Path) -> None:
    store = Store(path)
    store.put_scores("s", [score("0")])
    store.flush()
    break_table(path)
    put(store, "k")
    store.put_scores("s", [score("1")])
    with pytest.raises(StoreError, match="cannot be written") as caught:
        store.flush()
    assert str(path) in str(caught.value) and "storage=" in str(caught.value)
    assert store.get_call("k") == StoredCall("answer", 10, 3, None)
    with pytest.raises(StoreError):
        store.flush()

    mend_table(path)
    store.flush()
    put(store, "l")
    store.close()

    assert rows(path, "select key from fusionprog_calls order by key") == [("k",), ("l",)]
    assert rows(path, "select example from fusionprog_scores order by example") == [("0",), ("1",)]


def test_a_write_that_fails_unseen_is_told_at_the_next_put(path: Path) -> None:
    store = Store(path)
    break_table(path)
    put(store, "k")
    store._writer.submit(lambda: None).result()  # the writer is past its attempt

    with pytest.raises(StoreError, match="cannot be written"):
        put(store, "l")
    mend_table(path)
    store.close()

    assert rows(path, "select key from fusionprog_calls order by key") == [("k",), ("l",)]


def test_a_store_that_cannot_be_read_says_so(path: Path) -> None:
    with Store(path) as store:
        put(store, "k")
        store.flush()
        break_table(path)
        with pytest.raises(StoreError, match="cannot be read") as caught:
            store.get_call("k")
        assert str(path) in str(caught.value)
        mend_table(path)


def test_text_that_is_no_unicode_is_a_store_error() -> None:
    store = Store()
    put(store, "k", "half \ud83d")
    with pytest.raises(StoreError, match="cannot be written"):
        store.flush()
    with pytest.raises(StoreError):
        put(store, "k", "whole")
    store.close()


def test_parts_of_a_study_are_json(path: Path) -> None:
    with Store(path) as store:
        store.put_study("s", {"b": "2", "a": "1"})
        store.put_study("s", {"a": "3"})
        assert store.get_studies() == {"s": {"a": "3"}}

    assert json.loads(rows(path, "select parts from fusionprog_studies")[0][0]) == {"a": "3"}
