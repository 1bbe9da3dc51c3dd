"""What names a store, and what is refused with a remedy and without a secret."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.store import Store
from fusionprog.store.tables import SCHEMA_VERSION
from fusionprog.store.urls import database_url, public_name, secrets_of

_NOBODY = 65534  # the user that owns nothing


def refused(place: str | os.PathLike[str]) -> str:
    with pytest.raises(StoreError) as caught:
        Store(place)
    assert "storage=" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("place", [None, "sqlite://", ":memory:", "sqlite:///:memory:"])
def test_places_in_memory(place: str | None) -> None:
    with Store(place) as store:
        assert store.in_memory


def test_a_url_of_a_file_is_the_file(path: Path) -> None:
    with Store(f"sqlite:///{path}") as store:
        assert store.path == path
    assert path.exists()


def test_a_file_is_written_ahead(path: Path, hands: Any) -> None:
    with Store(path) as store:
        hands.put(store, "k")

    assert hands.rows(path, "pragma journal_mode") == [("wal",)]


def test_odd_file_names_are_file_names(tmp_path: Path, hands: Any) -> None:
    path = tmp_path / "what? 50% #1 é.db"
    with Store(path) as store:
        hands.put(store, "k")

    assert path.exists()
    with Store(str(path)) as store:
        assert hands.get(store, "k") is not None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_uses_the_one_driver(scheme: str) -> None:
    url = database_url(f"{scheme}://ann:hunter2@127.0.0.1:5/desk")
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://ann:hunter2@127.0.0.1:5/desk"
    assert public_name(url) == "postgresql+psycopg://ann:***@127.0.0.1:5/desk"


def test_passwords_in_a_query_are_passwords() -> None:
    url = database_url("postgresql://ann@127.0.0.1/desk?password=hunter2&sslpassword=hunter3&sslmode=require")
    assert "hunter" not in public_name(url) and "sslmode=require" in public_name(url)
    assert secrets_of(url) == ["hunter2", "hunter3"]


def test_a_server_store_shows_no_password_but_hands_it_on(postgres: str) -> None:
    with Store(postgres.replace("postgresql://", "postgres://")) as store:
        assert "hunter2" not in store.name
        assert store.url == postgres.replace("postgresql://", "postgresql+psycopg://")


def test_a_newer_store_is_refused_and_left_alone(path: Path, hands: Any) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table fusionprog_info (key varchar(64) primary key, value text)")
    connection.execute("insert into fusionprog_info values ('schema_version', ?)", (str(SCHEMA_VERSION + 1),))
    connection.commit()
    connection.close()

    message = refused(path)

    assert "newer" in message and str(path) in message and f"found {SCHEMA_VERSION + 1}" in message
    assert hands.rows(path, "select name from sqlite_master where type = 'table'") == [("fusionprog_info",)]


@pytest.mark.parametrize("version", ["two", "0", "-1", "1.5", ""])
def test_a_version_that_is_none_is_refused(path: Path, version: str) -> None:
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("update fusionprog_info set value = ?", (version,))
    connection.commit()
    connection.close()

    assert f"found {version or 'none'}" in refused(path)


def test_a_newer_server_store_is_refused(postgres: str, postgres_server: Any) -> None:
    Store(postgres).close()
    postgres_server.run("update fusionprog_info set value = '99'", database=postgres)
    assert "found 99" in refused(postgres)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at\n" * 100)

    message = refused(path)

    assert str(path) in message and "file is not a database" in message and "move it away" in message


def test_a_database_with_other_tables_of_that_name_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table fusionprog_calls (name text)")
    connection.commit()
    connection.close()

    assert str(path) in refused(path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "desk.db"

    message = refused(path)

    assert str(path) in message and "Check that its folder exists" in message
    assert not (tmp_path / "no").exists()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)


def test_a_file_that_cannot_be_written_is_refused(path: Path, hands: Any) -> None:
    with Store(path) as store:
        hands.put(store, "k")

    message = refused(f"sqlite:///file:{path}?mode=ro&immutable=1&uri=true")
    assert "readonly" in message and "may be written" in message


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder of a plain user, as whom the test runs: the superuser may write every file."""
    with tempfile.TemporaryDirectory() as folder:
        user = os.geteuid()
        if user == 0:
            os.chown(folder, _NOBODY, _NOBODY)
            os.seteuid(_NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def test_a_file_without_rights_is_refused(nobodys: Path) -> None:
    path = nobodys / "desk.db"
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
        "postgresql+pg8000://user@127.0.0.1:1/desk?password=hunter2",
        "postgresql://user:hunter2@127.0.0.1:1/desk",
        "postgresql://user@127.0.0.1:1/desk?password=hunter2",
        "postgresql://user:hunter2@127.0.0.1:1/desk?nonsense=1",
        "sqlite://user:hunter2@/desk.db",
        "sqlite+aiosqlite://user:hunter2@/desk.db",
        "sqlite://desk.db",
        "://user:hunter2@x",
        "http//://user:hun/t@er2hunter2@x",
    ],
)
def test_passwords_are_in_no_message(url: str) -> None:
    message = refused(url)

    assert "hunter2" not in message
    assert "desk" in message or "x" in message


def test_a_server_that_is_not_there_is_refused_at_once() -> None:
    assert "Check that the server runs" in refused("postgresql://user:hunter2@127.0.0.1:1/desk")


def test_a_database_that_is_not_there_is_refused(postgres: str) -> None:
    assert "does not exist" in refused(f"{postgres}_not")


def test_without_the_driver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("psycopg", "fusionprog.store."))]:
        if name.startswith("psycopg") or name.rpartition(".")[2] in ("claims", "postgres", "session", "pacing"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    message = refused("postgresql://user:hunter2@127.0.0.1:1/desk")

    assert "fusionprog[postgres]" in message and "hunter2" not in message
