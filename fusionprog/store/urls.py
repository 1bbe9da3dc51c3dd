"""What names a store: a file, or a URL of SQLite or PostgreSQL."""

from __future__ import annotations

import os
import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from fusionprog.errors import StoreError

_POSTGRES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")


def database_url(url: str | os.PathLike[str] | None) -> URL:
    """Returns the URL of a store with the driver that it is used with.

    Args:
        url: A URL as SQLAlchemy writes it, a file name, or ``None`` for a database in memory.

    Raises:
        StoreError: if it names neither a file nor a database of SQLite or PostgreSQL.
    """
    if url is None:
        return URL.create("sqlite")
    text = os.fspath(url) if isinstance(url, (str, os.PathLike)) else url
    if not isinstance(text, str) or not text.strip():
        raise no_store(repr(url), "no name" if isinstance(text, str) else type(url).__name__)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise no_store(text, type(error).__name__) from None
    backend, _, driver = parsed.drivername.partition("+")
    if backend in _POSTGRES and driver in ("", "psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and driver in ("", "pysqlite"):
        return parsed
    raise no_store(text, parsed.drivername)


def public_name(url: URL) -> str:
    """Returns a URL as it may be shown: without any password."""
    hidden = {key: "***" for key in url.query if key in _SECRETS}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def secrets_of(url: URL) -> list[str]:
    """Returns the passwords that a URL holds."""
    values = [url.password, *(url.query.get(key) for key in _SECRETS)]
    return [str(value) for value in values if value]


def no_store(text: str, found: str) -> StoreError:
    """Returns the error that a text names no store; a password in it is not shown."""
    shown = re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"//.*@", "//***@", text))
    return StoreError(
        f"{shown!r} names no store",
        expected="a file name, or a URL of SQLite or PostgreSQL (postgresql://user@host/name)",
        found=found,
        fix="Give another storage=",
    )


def no_driver() -> StoreError:
    """Returns the error that the driver for PostgreSQL is not installed."""
    return StoreError(
        "a store on PostgreSQL needs psycopg",
        found="it is not installed",
        fix='Run python -m pip install "fusionprog[postgres]", or give a file as storage=',
    )
