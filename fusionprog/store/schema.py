"""Makes a database's tables, or brings those that are there up to date."""

from __future__ import annotations

from sqlalchemy import Connection, select

from fusionprog.errors import StoreError
from fusionprog.store.migrations import migrate
from fusionprog.store.tables import SCHEMA_VERSION, info, metadata

_VERSION = "schema_version"


def prepare(connection: Connection, name: str) -> None:
    """Makes what is missing, in the transaction of ``connection``, which must be the only one that does so now.

    The version is written even if it is there: a store that cannot be written is refused before anything is paid for.

    Raises:
        StoreError: if a newer version made the database.
    """
    info.create(connection, checkfirst=True)
    version = schema_version(connection, name)
    if version is not None and version < SCHEMA_VERSION:
        migrate(connection, version)
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        connection.execute(select(table).limit(0))  # another's table of that name lacks columns
    connection.execute(info.delete().where(info.c.key == _VERSION))
    connection.execute(info.insert().values(key=_VERSION, value=str(SCHEMA_VERSION)))


def schema_version(connection: Connection, name: str) -> int | None:
    """Returns the version of a database's tables; ``None`` where there are none.

    Raises:
        StoreError: if it is newer than this package, or no version.
    """
    version = connection.execute(select(info.c.value).where(info.c.key == _VERSION)).scalar()
    if version is None:
        return None
    if not (version.isdecimal() and 1 <= int(version) <= SCHEMA_VERSION):
        raise StoreError(
            f"the store {name!r} was made by a newer fusionprog",
            expected=f"schema version {SCHEMA_VERSION} or older",
            found=version or "none",
            fix="Update fusionprog, or give another storage=",
        )
    return int(version)
