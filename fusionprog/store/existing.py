"""Opens a store only where there is one."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from fusionprog.errors import StoreError
from fusionprog.store.failures import store_failure
from fusionprog.store.store import Store
from fusionprog.store.tables import info
from fusionprog.store.urls import database_url, no_driver, public_name, secrets_of


def open_existing(url: str | os.PathLike[str]) -> Store:
    """Returns the store at ``url``, brought up to date if an older version made it.

    Raises:
        StoreError: if there is none, which is then not made, or if it cannot be opened.
    """
    parsed = database_url(url)
    name = public_name(parsed)
    is_file = parsed.get_backend_name() == "sqlite" and not parsed.query
    if is_file and not Path(parsed.database or "").is_file():
        raise _nothing(name, "no such file")
    try:
        engine = create_engine(parsed)
    except ImportError as error:
        raise no_driver() from error
    try:
        if not inspect(engine).has_table(info.name):
            raise _nothing(name, "a database that is no store")
    except SQLAlchemyError as error:
        raise store_failure(name, "opened", error, secrets_of(parsed)) from error
    finally:
        engine.dispose()
    return Store(url)


def _nothing(name: str, found: str) -> StoreError:
    return StoreError(
        f"there is no store {name!r}", found=found, fix="Name the file or the URL that a compile was given"
    )
