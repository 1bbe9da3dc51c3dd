"""PostgreSQL: one database for any number of processes and machines."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg import Connection as DriverConnection
from sqlalchemy import Connection, create_engine, delete, text
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from fusionprog.store.calls import CallRow
from fusionprog.store.failures import given_up, store_failure
from fusionprog.store.locks import lock_number
from fusionprog.store.nul import escaped
from fusionprog.store.outages import Patience
from fusionprog.store.pending import Batch, Row
from fusionprog.store.schema import prepare
from fusionprog.store.session import Session, connect_options, says_away
from fusionprog.store.statements import upserts
from fusionprog.store.tables import RECEIPT, calls, info, metadata
from fusionprog.store.urls import public_name, secrets_of

T = TypeVar("T")

_CLOCK = "extract(epoch from clock_timestamp())::float8"
_CREATED = CallRow._fields.index("created")
_LAST_BATCH = "select value from fusionprog_info where key = %s"
_NOTE_BATCH = """
insert into fusionprog_info (key, value) values (%s, %s) on conflict (key) do update set value = excluded.value
"""


class PostgresDatabase:
    """A PostgreSQL database.

    Args:
        url: With the driver ``psycopg``.
        patience: How long a server that cannot be reached is tried again.

    Raises:
        StoreError: if it cannot be reached and written, or was made by a newer version.
    """

    shared = True
    in_memory = False

    def __init__(self, url: URL, patience: Patience) -> None:
        self.name, self._secrets = public_name(url), secrets_of(url)
        self._url = url
        self._patience = patience
        self._statements = upserts(
            psycopg_dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
            created=text(_CLOCK),
        )
        self._engine = create_engine(url, pool_pre_ping=True, connect_args=connect_options(url))
        self.session = Session(url, patience)
        self._receipt, self._batches = f"{RECEIPT}{secrets.token_hex(8)}", 0
        try:
            self._connect_once()
            self._transact(self._prepare, "opened")
        except BaseException:
            self._engine.dispose()
            raise

    def _connect_once(self) -> None:
        """Fails at once where nobody answers: the server is not waited for before it was there."""
        with self.transaction("opened", writes=False):
            pass

    def _prepare(self, connection: Connection) -> None:
        connection.execute(text("select pg_advisory_xact_lock(:number)"), {"number": lock_number("schema")})
        prepare(connection, self.name)

    @contextmanager
    def transaction(self, done: str, *, writes: bool) -> Iterator[Connection]:
        """A transaction; ``done`` is what its errors say the store could not be: opened, read or written."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, psycopg.Error, UnicodeError) as error:
            raise store_failure(self.name, done, error, self._secrets) from error

    def read(self, work: Callable[[Connection], T]) -> T:
        """Returns what ``work`` reads in a transaction; it reads once more after the server was away."""
        return self._transact(work, "read")

    def _transact(self, work: Callable[[Connection], T], done: str) -> T:
        def attempt() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        try:
            return self._patience.through_outage(attempt, _is_lost)
        except (SQLAlchemyError, psycopg.Error, UnicodeError) as error:
            raise store_failure(self.name, done, error, self._secrets) from error

    def write(self, batch: Batch) -> None:
        """Writes a batch in one transaction, from the store's thread alone.

        A connection that is lost during the commit leaves open whether there was one. The number of the batch is
        written with it, so that it can be looked up then, and nothing is counted twice. (The number of the transaction
        would not do: a server that crashed may give it to another one.)
        """
        tables = [(self._statements[name].sql, _values(name, rows)) for name, rows in batch.tables(self._statements)]
        self._batches += 1
        number, again = str(self._batches), False

        def work(connection: DriverConnection) -> None:
            nonlocal again
            if again and connection.execute(_LAST_BATCH, [self._receipt]).fetchone() == (number,):
                return
            again = True
            with connection.pipeline(), connection.transaction(), connection.cursor() as cursor:
                for sql, rows in tables:
                    cursor.executemany(sql, rows)
                cursor.execute(_NOTE_BATCH, [self._receipt, number])

        self.session.run(work, "written")

    def now(self) -> float:
        """The unix time by which rows of calls are marked: the server's."""
        return self.read(lambda connection: float(connection.execute(text(f"select {_CLOCK}")).scalar_one()))

    def size(self) -> int:
        """Bytes that the store's tables take on the server's disk."""
        sizes = text("select pg_total_relation_size(to_regclass(name)) from unnest(cast(:names as text[])) as name")
        names = {"names": list(metadata.tables)}
        return self.read(lambda connection: int(sum(connection.execute(sizes, names).scalars())))

    def compact(self) -> None:
        """Does nothing: the server gives the room of deleted rows to new ones by itself."""

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Holds what only one process, and one thread of it, holds at a time; waits for it as long as it takes."""
        holder = Session(self._url, self._patience)
        try:
            number = lock_number(f"exclusive {name}")

            def take(connection: DriverConnection) -> bool:
                row = connection.execute("select pg_try_advisory_lock(%s)", [number]).fetchone()
                return row == (True,)

            if not self._patience.until(lambda: holder.run(take, "locked")):
                raise given_up(self.name)
            yield
        finally:
            holder.close()

    def close(self) -> None:
        """Lets go of the database."""
        if self._batches:
            # Without it, a killed process leaves the row behind, as one does that cannot reach the server here.
            with contextlib.suppress(SQLAlchemyError), self._engine.begin() as connection:
                connection.execute(delete(info).where(info.c.key == self._receipt))
        self._engine.dispose()


def _is_lost(error: Exception) -> bool:
    """Whether a connection could not be made, or was lost; for a server that was there before."""
    if not isinstance(error, DBAPIError) or not isinstance(error.orig, psycopg.Error):
        return False
    unmade = isinstance(error.orig, psycopg.OperationalError) and error.orig.sqlstate is None
    return unmade or error.connection_invalidated or says_away(error.orig)


def _values(table: str, rows: list[Row]) -> list[Row]:
    if table == calls.name:  # the server's clock says when they are stored
        rows = [row[:_CREATED] + row[_CREATED + 1 :] for row in rows]
    return [tuple(escaped(value) if type(value) is str else value for value in row) for row in rows]
