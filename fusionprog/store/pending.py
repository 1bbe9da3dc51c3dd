"""What was put and is not in the database yet."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, TypeAlias

from fusionprog.errors import StoreError
from fusionprog.store.calls import CallRow
from fusionprog.store.tables import calls

Written: TypeAlias = Callable[[int, StoreError | None], None]
Row: TypeAlias = tuple[Any, ...]


class Batch:
    """Rows that are written in one transaction.

    Attributes:
        calls: Rows of calls, in the order in which they were put; a key may be there twice, since both were paid for.
        rows: Table name → primary key → row of the other tables.
        told: Who is told of the commit → for how many rows.
    """

    def __init__(self) -> None:
        self.calls: list[CallRow] = []
        self.rows: dict[str, dict[Any, Row]] = {}
        self.told: Counter[Written] = Counter()

    def __len__(self) -> int:
        return len(self.calls) + sum(len(rows) for rows in self.rows.values())

    def tables(self, order: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
        """Returns the rows of each table that has any, in the order of ``order`` and of their keys.

        Processes that write the same rows wait for each other then, and never each for the other.
        """
        found: list[tuple[str, list[Row]]] = []
        for name in order:
            rows = self.rows.get(name, {})
            ordered: list[Row] = [rows[key] for key in sorted(rows)]
            if name == calls.name:
                ordered = list(sorted(self.calls, key=itemgetter(0)))
            if ordered:
                found.append((name, ordered))
        return found

    def before(self, later: Batch) -> Batch:
        """Returns this batch and one that was put after it as one; nobody is told of this one again."""
        joined = Batch()
        joined.calls = self.calls + later.calls
        for name in {**self.rows, **later.rows}:
            joined.rows[name] = {**self.rows.get(name, {}), **later.rows.get(name, {})}
        joined.told = later.told
        return joined


class Pending:
    """Collects rows from any thread until the writer takes them; calls can be found meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batch = Batch()
        self._by_key: dict[bytes, CallRow] = {}
        self._woken = False
        self._under_way = False

    def __len__(self) -> int:
        return len(self._batch)

    @property
    def settled(self) -> bool:
        """Whether all that was added is in the database: nothing waits, and nothing is being written."""
        with self._lock:
            return not self._under_way and not len(self._batch)

    def find(self, key: bytes) -> CallRow | None:
        """Returns the newest row of a call that is not known to be in the database."""
        return self._by_key.get(key)

    def add_call(self, row: CallRow, written: Written | None, *, wake: bool = True) -> bool:
        """Adds a call; returns whether the writer has to be woken."""
        with self._lock:
            self._batch.calls.append(row)
            self._by_key[row.key] = row
            if written is not None:
                self._batch.told[written] += 1
            return wake and self._wake()

    def add(self, table: str, rows: Mapping[Any, Row], *, wake: bool = True) -> bool:
        """Adds rows of another table under their primary keys; returns whether the writer has to be woken."""
        with self._lock:
            self._batch.rows.setdefault(table, {}).update(rows)
            return wake and self._wake()

    def take(self) -> Batch:
        """Returns everything for one transaction; what is put from now on is the next one's."""
        with self._lock:
            taken, self._batch, self._woken = self._batch, Batch(), False
            self._under_way = len(taken) > 0
            return taken

    def written(self, batch: Batch) -> None:
        """Forgets a batch that is in the database."""
        with self._lock:
            self._under_way = False
            by_key = self._by_key
            for row in batch.calls:
                if by_key.get(row.key) is row:
                    del by_key[row.key]

    def put_back(self, batch: Batch) -> None:
        """Keeps a batch that could not be written for the next attempt."""
        with self._lock:
            self._under_way = False
            self._batch = batch.before(self._batch)

    def forget(self) -> None:
        """Drops what nobody is told of, as nobody will look for it."""
        with self._lock:
            if not self._batch.told:
                self._batch = Batch()

    def _wake(self) -> bool:
        wake, self._woken = not self._woken, True
        return wake
