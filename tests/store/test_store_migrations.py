"""Databases of older versions are brought up to date, whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from fusionprog.errors import StoreError
from fusionprog.store import migrations
from fusionprog.store.store import Store, StoredCall
from fusionprog.store.tables import SCHEMA_VERSION
from fusionprog.store.urls import database_url

# What version 1 wrote, as ``sqlite3 desk.db .dump`` shows it; PostgreSQL takes it too.
VERSION_1 = """
CREATE TABLE fusionprog_info (key VARCHAR(64) NOT NULL, value TEXT, PRIMARY KEY (key));
INSERT INTO fusionprog_info VALUES('schema_version','1');
CREATE TABLE fusionprog_calls (
    key VARCHAR(64) NOT NULL, model VARCHAR(64) NOT NULL, prompt VARCHAR(64) NOT NULL, content TEXT NOT NULL,
    sample INTEGER NOT NULL, text TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    usd FLOAT, PRIMARY KEY (key)
);
INSERT INTO fusionprog_calls
VALUES('0123456789abcdef0123456789abcdef','m1','p1','Where is it?',0,'delivery',100,7,0.25);
INSERT INTO fusionprog_calls VALUES('ffffffffffffffffffffffffffffffff','m1','p1','Was ist das?',1,'é',90,5,NULL);
INSERT INTO fusionprog_calls VALUES('made by hand','m1','p1','?',1,'x',90,5,NULL);
CREATE TABLE fusionprog_models (id VARCHAR(64) NOT NULL, identity TEXT NOT NULL, PRIMARY KEY (id));
INSERT INTO fusionprog_models VALUES('m1','{"model": "openai/gpt-4o-mini"}');
CREATE TABLE fusionprog_prompts (id VARCHAR(64) NOT NULL, messages TEXT NOT NULL, PRIMARY KEY (id));
INSERT INTO fusionprog_prompts VALUES('p1','[{"role": "system", "content": "Be kind."}]');
CREATE TABLE fusionprog_scores (
    study VARCHAR(64) NOT NULL, candidate VARCHAR(64) NOT NULL, task VARCHAR(255) NOT NULL,
    example VARCHAR(64) NOT NULL, score FLOAT NOT NULL, status VARCHAR(32) NOT NULL, error TEXT NOT NULL,
    PRIMARY KEY (study, candidate, task, example)
);
INSERT INTO fusionprog_scores VALUES('s1','c1','shop','e1',1.0,'ok','');
CREATE TABLE fusionprog_studies (fingerprint VARCHAR(64) NOT NULL, parts TEXT NOT NULL, PRIMARY KEY (fingerprint));
INSERT INTO fusionprog_studies VALUES('s1','{"data": "d"}');
"""


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, path: Path) -> str:
    """A database of version 1."""
    if request.param == "file":
        connection = sqlite3.connect(path)
        connection.executescript(VERSION_1)
        connection.close()
        return str(path)
    url = str(request.getfixturevalue("postgres"))
    request.getfixturevalue("postgres_server").run(VERSION_1, database=url)
    return url


def shape(place: str) -> dict[str, Any]:
    """Tables → their columns and keys, as the database has them."""
    engine = create_engine(database_url(place))
    try:
        found = inspect(engine)
        return {
            table: (
                [(each["name"], str(each["type"]), each["nullable"]) for each in found.get_columns(table)],
                found.get_pk_constraint(table),
                found.get_indexes(table),
            )
            for table in found.get_table_names()
        }
    finally:
        engine.dispose()


def test_everything_of_version_1_is_there_in_the_newest(old: str, hands: Any) -> None:
    with Store(old) as store:
        found = asyncio.run(store.find(bytes.fromhex("0123456789abcdef" * 2)))
        assert found == StoredCall("delivery", 100, 7, 0.25, "stop")
        found = asyncio.run(store.find(b"\xff" * 16))
        assert found == StoredCall("é", 90, 5, None, "stop")
        assert store.get_studies() == {"s1": {"data": "d"}}
        assert store.get_trial_count("s1") == 0
    assert hands.rows(old, "select value from fusionprog_info") == [(str(SCHEMA_VERSION),)]
    paid = "select paid_calls, paid_tokens, paid_usd, content, prompt from fusionprog_calls order by key"
    assert hands.rows(old, paid) == [(1, 107, 0.25, "Where is it?", "p1"), (1, 95, 0.0, "Was ist das?", "p1")]
    assert hands.rows(old, "select example, score, status from fusionprog_scores") == [("e1", 1.0, "ok")]


def test_a_migrated_database_is_like_a_new_one(old: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    Store(old).close()
    server = request.getfixturevalue("postgres_server") if "://" in old else None
    new = server.new_database() if server else str(tmp_path / "new.db")
    Store(new).close()
    assert shape(old) == shape(new)
    if server:
        server.drop(new)


def test_a_migration_that_fails_changes_nothing(old: str, monkeypatch: pytest.MonkeyPatch, hands: Any) -> None:
    before = shape(old)

    def fail(operations: Any, connection: Any) -> None:
        migrations._bytes_for_keys(operations, connection)
        operations.execute("insert into nothing values (1)")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="cannot be opened"):
        patch.setattr(migrations, "STEPS", {1: fail})
        Store(old)
    assert shape(old) == before
    assert hands.rows(old, "select value from fusionprog_info") == [("1",)]
    Store(old).close()
    assert hands.rows(old, "select count(*) from fusionprog_calls") == [(2,)]


def test_two_that_migrate_at_the_same_time_both_end_well(old: str, hands: Any) -> None:
    start, errors = threading.Barrier(4), list[BaseException]()

    def work() -> None:
        try:
            start.wait(20)
            with Store(old) as store:
                hands.put(store, threading.get_ident())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert hands.rows(old, "select value from fusionprog_info") == [(str(SCHEMA_VERSION),)]
    assert hands.rows(old, "select count(*) from fusionprog_calls where model = 'm1'") == [(2,)]


def test_there_is_a_step_from_every_older_version() -> None:
    assert sorted(migrations.STEPS) == list(range(1, SCHEMA_VERSION))
