"""One kept connection to PostgreSQL, which comes back after the server was away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.engine import URL, Dialect

from fusionprog.store.failures import store_failure
from fusionprog.store.outages import Patience
from fusionprog.store.urls import public_name, secrets_of

T = TypeVar("T")

# Without it, what psycopg logs of connections that are lost goes to stderr where nobody has set logging up.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

# Seconds; a host that is gone is noticed after 10 + 4 * 5 of them, by either side.
_ALIVE = {"idle": 10, "interval": 5, "count": 4}
_UNACKNOWLEDGED = 30_000  # milliseconds that sent data may wait for the other side
_REPEATS = 10  # of a transaction that the server gave up in favour of another's
_GIVEN_UP = ("40001", "40P01")
_AWAY = ("08", "57P")  # how the states begin by which a server says that it goes, or is not up yet
_STOPPED = "60000"  # milliseconds
_SETTINGS = {
    "tcp_keepalives_idle": str(_ALIVE["idle"]),
    "tcp_keepalives_interval": str(_ALIVE["interval"]),
    "tcp_keepalives_count": str(_ALIVE["count"]),
    "tcp_user_timeout": str(_UNACKNOWLEDGED),
    "idle_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    # The server ends one whose process is stopped, and lets go of its rows (in mid-pipeline from version 17 on).
    "idle_in_transaction_session_timeout": _STOPPED,
    "transaction_timeout": _STOPPED,
    "synchronous_commit": "on",  # what was said to be committed outlives the server
}


def connect_options(url: URL) -> dict[str, Any]:
    """Returns what connections are opened with, beside what the URL says."""
    own: Mapping[str, Any] = {
        "connect_timeout": 10,
        "keepalives": 1,
        **{f"keepalives_{name}": value for name, value in _ALIVE.items()},
        "tcp_user_timeout": _UNACKNOWLEDGED,
        "application_name": "fusionprog",
    }
    return {name: value for name, value in own.items() if name not in url.query}


def says_away(error: psycopg.Error) -> bool:
    """Whether a server says by an error that it goes, or is not up yet."""
    return (error.sqlstate or "").startswith(_AWAY)


class Session:
    """A connection for one thread's use, opened when it is first needed.

    Its advisory locks last until it is closed, so it must reach the server itself, or a pooler in session mode.

    Args:
        url: Of the database.
        patience: How long a server that cannot be reached is tried again.
        returned: Called with every new connection, before anything else uses it.
    """

    def __init__(self, url: URL, patience: Patience, returned: Callable[[Connection], None] | None = None) -> None:
        dialect: Dialect = psycopg_dialect()  # type: ignore[no-untyped-call]
        self._arguments, self._options = dialect.create_connect_args(url)
        self._options.update(connect_options(url))
        self._name, self._secrets = public_name(url), secrets_of(url)
        self._patience = patience
        self._connection: Connection | None = None
        self.returned = returned

    def run(self, work: Callable[[Connection], T], done: str) -> T:
        """Returns what ``work`` makes of the connection, which is in autocommit mode.

        ``work`` is done again after the connection was lost, and must bear that.

        Args:
            work: Runs statements.
            done: What an error says that the store could not be: ``"read"``, ``"written"`` or ``"locked"``.

        Raises:
            StoreError: if it fails, or the server stays away.
        """
        try:
            return self._patience.through_outage(lambda: self._attempt(work), self._is_lost)
        except psycopg.Error as error:
            raise store_failure(self._name, done, error, self._secrets) from error

    def close(self) -> None:
        """Ends the connection, and with it all its locks."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        repeats = 0
        while True:
            try:
                return work(self._connected())
            except psycopg.Error as error:
                if error.sqlstate in _GIVEN_UP and repeats < _REPEATS:
                    repeats += 1
                    continue
                if self._is_lost(error):
                    self.close()
                raise

    def _connected(self) -> Connection:
        if self._connection is None:
            connection: Connection = psycopg.connect(*self._arguments, **self._options, autocommit=True)
            self._connection = connection
            connection.execute(
                # Settings that an older server does not have are left out.
                "select set_config(name, setting, false) from unnest(%s::text[], %s::text[]) as own(name, setting)"
                " where name in (select name from pg_settings)",
                [list(_SETTINGS), list(_SETTINGS.values())],
            )
            if self.returned is not None:
                self.returned(connection)
        return self._connection

    def _is_lost(self, error: Exception) -> bool:
        if self._connection is None or self._connection.closed:
            return isinstance(error, psycopg.Error)
        return isinstance(error, psycopg.Error) and says_away(error)
