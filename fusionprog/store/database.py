"""What the store needs of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from fusionprog.store.pending import Batch

T = TypeVar("T")


class Database(Protocol):
    """A database of measurements; all errors are ``StoreError``.

    Attributes:
        shared: Whether processes on other machines may be using it now.
        in_memory: Whether it lasts only as long as the process.
    """

    shared: bool
    in_memory: bool

    def transaction(self, done: str, *, writes: bool) -> AbstractContextManager[Connection]:
        """A transaction; ``done`` is what its errors say the store could not be: opened, read or written."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Returns what ``work`` reads in a transaction; it may be done again, after a server was away."""

    def write(self, batch: Batch) -> None:
        """Writes a batch in one transaction, from the store's thread alone."""

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Holds what only one process, and one thread of it, holds at a time; waits for it as long as it takes."""

    def now(self) -> float:
        """The unix time by which rows of calls are marked."""

    def size(self) -> int:
        """Bytes that the store takes on its disk, or in memory."""

    def compact(self) -> None:
        """Gives back the room of what was deleted, where the database does not do so by itself."""

    def close(self) -> None:
        """Lets go of the database."""
