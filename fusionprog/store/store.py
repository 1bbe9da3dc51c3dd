"""The store: model calls, scores and studies, written off the caller's path."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable

from fusionprog.errors import StoreError
from fusionprog.store.tables import SCHEMA_VERSION, calls, info, metadata, models, prompts, scores, studies

_PATIENCE = 30  # seconds that one who opens or writes a file waits for others
_GATHER = 0.02  # seconds that the writer waits for more rows: what a killed process can lose
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True)
class StoredCall:
    """A model's answer as the store has it."""

    text: str
    input_tokens: int
    output_tokens: int
    usd: float | None


class Store:
    """Everything that was measured, in one database.

    Writes are gathered for a moment and done by one thread; ``flush`` waits for them. What was put can be read back at
    once. Calls that another process stores after this one has opened the store are not seen.

    Args:
        url: A SQLAlchemy URL of SQLite or PostgreSQL, a file name, or ``None`` for a store that lasts as long as the
            process.

    Raises:
        StoreError: if the database cannot be opened or was made by a newer version.
    """

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        parsed = _database_url(url)
        self.url = parsed.render_as_string(hide_password=False)
        self.name = parsed.render_as_string(hide_password=True)
        self._engine = _open(parsed)
        # One connection is all that a database in memory has; a reader's end would roll the writer back.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.in_memory else nullcontext()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="fusionprog-store")
        self._lock = threading.Lock()
        self._calls: dict[str, dict[str, Any]] = {}
        self._models: dict[str, dict[str, Any]] = {}
        self._prompts: dict[str, dict[str, Any]] = {}
        self._named: set[str] = set()
        self._scores: dict[tuple[str, ...], dict[str, Any]] = {}
        self._due = False
        self._hurry = threading.Event()
        self._failure: StoreError | None = None
        self._closed = False
        try:
            self._known = self._prepare()
        except BaseException:
            self._engine.dispose()
            raise

    def _prepare(self) -> set[str]:
        with self._connection("opened") as connection:
            connection.execute(CreateTable(info, if_not_exists=True))
            query = select(info.c.value).where(info.c.key == "schema_version")
            version = connection.execute(query).scalar()
            if version is not None and not (version.isdecimal() and int(version) <= SCHEMA_VERSION):
                raise StoreError(
                    f"the store {self.name!r} was made by a newer fusionprog",
                    expected=f"schema version {SCHEMA_VERSION} or older",
                    found=version,
                    fix="Update fusionprog, or give another storage=",
                )
            for table in metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
            # Written even if it is there: a store that cannot be written is refused before anything is paid for.
            self._upsert(connection, info, [{"key": "schema_version", "value": str(SCHEMA_VERSION)}])
            return set(connection.execute(select(calls.c.key)).scalars())

    @contextmanager
    def _connection(self, done: str) -> Iterator[Connection]:
        """A transaction, whose errors say what the store could not be: opened, read or written."""
        try:
            with self._turn, self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, UnicodeError) as error:
            raise StoreError(
                f"the store {self.name!r} cannot be {done}",
                found=str(error).splitlines()[0],
                fix="Check its folder, its rights and the room on its disk, or give another storage=",
            ) from error

    @property
    def in_memory(self) -> bool:
        """Whether the store lasts only as long as the process."""
        return isinstance(self._engine.pool, StaticPool)

    @property
    def path(self) -> Path | None:
        """The database's file, where it is one."""
        url = self._engine.url
        return Path(url.database or "") if url.get_backend_name() == "sqlite" and not self.in_memory else None

    def get_call(self, key: str) -> StoredCall | None:
        """Returns the answer stored under ``key``, if there is one."""
        row = self._calls.get(key)
        if row is not None:
            return StoredCall(row["text"], row["input_tokens"], row["output_tokens"], row["usd"])
        if key not in self._known:
            return None
        columns = (calls.c.text, calls.c.input_tokens, calls.c.output_tokens, calls.c.usd)
        with self._connection("read") as connection:
            found = connection.execute(select(*columns).where(calls.c.key == key)).one_or_none()
        return None if found is None else StoredCall(*found)

    def put_model(self, model_id: str, identity: Mapping[str, Any]) -> None:
        """Stores what a model is, once; it is written with the next call."""
        if model_id not in self._named:
            self._named.add(model_id)
            with self._lock:
                self._models[model_id] = {"id": model_id, "identity": json.dumps(identity, sort_keys=True)}

    def put_prompt(self, prompt_id: str, messages: Sequence[Mapping[str, str]]) -> None:
        """Stores the messages that many calls begin with, once; they are written with the next call."""
        if prompt_id not in self._named:
            self._named.add(prompt_id)
            text = json.dumps([dict(message) for message in messages], ensure_ascii=False)
            with self._lock:
                self._prompts[prompt_id] = {"id": prompt_id, "messages": text}

    def put_call(self, key: str, model_id: str, prompt_id: str, content: str, sample: int, call: StoredCall) -> None:
        """Stores an answer under ``key``; it is written soon after.

        Args:
            key: What it is found by.
            model_id: Of a model that was put.
            prompt_id: Of messages that were put: those before the last.
            content: The last message.
            sample: Tells repeated answers to the same messages apart.
            call: The answer.

        Raises:
            StoreError: if what was put before could not be written; nothing of it is lost yet.
        """
        row = {
            "key": key,
            "model": model_id,
            "prompt": prompt_id,
            "content": content,
            "sample": sample,
            "text": call.text,
            "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens,
            "usd": call.usd,
        }
        with self._lock:
            self._calls[key] = row
        self._write_soon()

    def put_scores(self, study: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Stores per-example scores of a study (columns ``candidate, task, example, score, status, error``).

        Raises:
            StoreError: if what was put before could not be written; nothing of it is lost yet.
        """
        with self._lock:
            for row in rows:
                self._scores[study, row["candidate"], row["task"], row["example"]] = {"study": study, **row}
        self._write_soon()

    def put_study(self, fingerprint: str, parts: Mapping[str, str]) -> None:
        """Stores what a study is made of."""
        row = {"fingerprint": fingerprint, "parts": json.dumps(parts, sort_keys=True)}
        with self._connection("written") as connection:
            self._upsert(connection, studies, [row])

    def get_studies(self) -> dict[str, dict[str, str]]:
        """Returns fingerprint → parts of every study in the store."""
        with self._connection("read") as connection:
            rows = connection.execute(select(studies.c.fingerprint, studies.c.parts)).all()
        return {fingerprint: json.loads(parts) for fingerprint, parts in rows}

    def flush(self) -> None:
        """Waits until everything that was put is in the database.

        Raises:
            StoreError: if it could not be written; it is kept, and the next ``flush`` tries again.
        """
        self._hurry.set()
        try:
            self._writer.submit(self._write).result()
        finally:
            self._hurry.clear()

    def close(self) -> None:
        """Writes what is left and lets go of the database."""
        if self._closed:
            return
        self._closed = True
        try:
            self.flush()
        finally:
            self._writer.shutdown()
            self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_soon(self) -> None:
        if self._failure is not None:
            raise self._failure
        with self._lock:
            wake, self._due = not self._due and not self._closed, True
        if wake:
            self._writer.submit(self._gather_and_write)

    def _gather_and_write(self) -> None:
        self._hurry.wait(_GATHER)
        try:
            self._write()
        except StoreError as error:
            self._failure = error

    def _write(self) -> None:
        with self._lock:
            self._due = False
            call_rows, score_rows = dict(self._calls), self._scores
            model_rows, prompt_rows = self._models, self._prompts
            self._models, self._prompts, self._scores = {}, {}, {}
        try:
            with self._connection("written") as connection:
                self._upsert(connection, models, list(model_rows.values()))
                self._upsert(connection, prompts, list(prompt_rows.values()))
                self._upsert(connection, calls, list(call_rows.values()))
                self._upsert(connection, scores, list(score_rows.values()))
        except StoreError:
            with self._lock:
                self._models = {**model_rows, **self._models}
                self._prompts = {**prompt_rows, **self._prompts}
                self._scores = {**score_rows, **self._scores}
            raise
        self._failure = None
        self._known.update(call_rows)
        with self._lock:
            for key, row in call_rows.items():
                if self._calls[key] is row:
                    del self._calls[key]

    def _upsert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        """Inserts rows; the newest one of a key wins, as two processes may measure the same thing."""
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        statement = _INSERT[self._engine.dialect.name](table)
        values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


def _database_url(url: str | os.PathLike[str] | None) -> URL:
    if url is None:
        return URL.create("sqlite")
    text = os.fspath(url)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        parsed = make_url(text)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise _no_store(text, type(error).__name__) from None
    if backend not in _INSERT:
        raise _no_store(text, backend)
    return parsed


def _no_store(text: str, found: str) -> StoreError:
    return StoreError(
        f"{re.sub(r'//.*@', '//***@', text)!r} names no store",
        expected="a file name, or a URL of SQLite or PostgreSQL as SQLAlchemy writes it",
        found=found,
        fix="Give another storage=, or install the driver that its URL names",
    )


def _open(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    in_memory = is_sqlite and url.database in (None, "", ":memory:")
    options: dict[str, Any] = {"connect_args": {"timeout": _PATIENCE}} if is_sqlite else {"pool_pre_ping": True}
    if in_memory:
        options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
    try:
        engine = create_engine(url, **options)
    except (ArgumentError, ImportError) as error:
        raise _no_store(url.render_as_string(), str(error).splitlines()[0]) from error
    if is_sqlite and not in_memory:
        event.listen(engine, "connect", _write_ahead)
    return engine


def _write_ahead(connection: Any, _: Any) -> None:
    # SQLite does not wait for others while it changes the mode; stores that open a new file together wait here.
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > patience:
                raise
            time.sleep(_GATHER)
    connection.execute("PRAGMA synchronous=NORMAL")
