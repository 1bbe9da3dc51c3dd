"""SQLite: a file that is written ahead, or a database in memory."""

from __future__ import annotations

import hashlib
import math
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from fusionprog.store.calls import StoredCall
from fusionprog.store.failures import given_up, store_failure
from fusionprog.store.outages import Patience
from fusionprog.store.pending import Batch
from fusionprog.store.schema import prepare
from fusionprog.store.statements import upserts
from fusionprog.store.urls import no_store, public_name

T = TypeVar("T")

_RETRY = 0.02  # seconds between attempts where SQLite itself does not wait
_FIND = "select text, input_tokens, output_tokens, usd, finish from fusionprog_calls where key = ? and created >= ?"


class SqliteDatabase:
    """A SQLite database; every process that uses the file sees what the others have committed.

    Args:
        url: Of the file, or of a database in memory.
        patience: Seconds to wait for another process that holds the file.
        outages: Says when nobody waits any more.

    Raises:
        StoreError: if it cannot be opened and written, or was made by a newer version.
    """

    shared = False

    def __init__(self, url: URL, patience: float, outages: Patience) -> None:
        self.in_memory = url.database in (None, "", ":memory:")
        self.name = public_name(url)
        self._url = url
        self._patience = patience
        self._outages = outages
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._statements = upserts(pysqlite.dialect(paramstyle="qmark"))
        self._engine = self._open()
        self._kept: list[PoolProxiedConnection] = []
        # One connection is all that a database in memory has, so its users take turns.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.in_memory else nullcontext()
        # Nobody else writes a database in memory, so what was never written here need not be looked for.
        self._keys: set[bytes] | None = set() if self.in_memory else None
        self._reading = self._turn if self.in_memory else threading.Lock()
        try:
            with self.transaction("opened", writes=True) as connection:
                prepare(connection, self.name)
            self._reader, self._writer = self._driver_connection(), self._driver_connection()
        except BaseException:
            self._engine.dispose()
            raise

    def _open(self) -> Engine:
        connect: dict[str, Any] = {"timeout": self._patience, "check_same_thread": False}
        try:
            engine = create_engine(
                self._url, connect_args=connect, **({"poolclass": StaticPool} if self.in_memory else {})
            )
        except ArgumentError as error:
            raise no_store(self.name, str(error).splitlines()[0]) from error

        @event.listens_for(engine, "connect")
        def own_transactions(connection: sqlite3.Connection, _: Any) -> None:
            connection.isolation_level = None
            if not self.in_memory:
                _write_ahead(connection, self._patience)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def _driver_connection(self) -> sqlite3.Connection:
        try:
            pooled = self._engine.raw_connection()
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise store_failure(self.name, "opened", error) from error
        self._kept.append(pooled)
        connection = pooled.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection

    @contextmanager
    def transaction(self, done: str, *, writes: bool) -> Iterator[Connection]:
        """A transaction; ``done`` is what its errors say the store could not be: opened, read or written."""
        try:
            with self._turn, self._engine.connect() as connection:
                with connection.execution_options(writes=writes).begin():
                    yield connection
        except (SQLAlchemyError, sqlite3.Error, UnicodeError) as error:
            raise store_failure(self.name, done, error) from error

    def read(self, work: Callable[[Connection], T]) -> T:
        """Returns what ``work`` reads in a transaction."""
        with self.transaction("read", writes=False) as connection:
            return work(connection)

    def find(self, key: bytes, since: float) -> StoredCall | None:
        """Returns the answer under a key that was stored at ``since`` or later."""
        if self._keys is not None and key not in self._keys:
            return None
        try:
            with self._reading:
                # Fetched to the end: a statement that is not would hold on to what the file was like at its start.
                rows = self._reader.execute(_FIND, (key, since)).fetchall()
        except sqlite3.Error as error:
            raise store_failure(self.name, "read", error) from error
        return StoredCall(*rows[0]) if rows else None

    def write(self, batch: Batch) -> None:
        """Writes a batch in one transaction, from the store's thread alone."""
        connection = self._writer
        try:
            with self._turn:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    for table, rows in batch.tables(self._statements):
                        connection.executemany(self._statements[table].sql, rows)
                    connection.execute("COMMIT")
                    if self._keys is not None:
                        self._keys.update(row.key for row in batch.calls)
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except Exception as error:
            raise store_failure(self.name, "written", error) from error

    def now(self) -> float:
        """The unix time by which rows of calls are marked: this machine's."""
        return time.time()

    def size(self) -> int:
        """Bytes that the database takes."""

        def pages_and_size(connection: Connection) -> list[int]:
            return [int(connection.exec_driver_sql(f"PRAGMA page_{of}").scalar_one()) for of in ("count", "size")]

        return math.prod(self.read(pages_and_size))

    def compact(self) -> None:
        """Gives back the room of what was deleted."""
        try:
            with self._turn:
                self._writer.execute("VACUUM")
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise store_failure(self.name, "compacted", error) from error

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Holds what only one process, and one thread of it, holds at a time; waits for it as long as it takes.

        The lock is an empty SQLite file beside the database, which works on every system and ends with its process.
        """
        with self._locks[name]:
            if self.in_memory or not self._url.database or self._url.query:
                yield
                return
            place = _lock_file(Path(self._url.database), name)
            try:
                connection = sqlite3.connect(place, timeout=0, isolation_level=None)
            except sqlite3.Error as error:
                raise store_failure(str(place), "opened", error) from error
            try:
                if not self._outages.until(lambda: _holds(connection, place)):
                    raise given_up(self.name)
                yield
            finally:
                connection.close()

    def close(self) -> None:
        """Lets go of the database."""
        for pooled in self._kept:
            pooled.close()
        self._engine.dispose()


def _lock_file(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}.{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}.lock")


def _holds(connection: sqlite3.Connection, place: Path) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise store_failure(str(place), "opened", error) from error
        return False
    return True


def _write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    # SQLite does not wait for others while it changes the mode; stores that open a new file together wait here.
    end = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_RETRY)
    connection.execute("PRAGMA synchronous=NORMAL")
