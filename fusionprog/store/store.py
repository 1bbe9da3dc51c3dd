"""The store: model calls, scores and studies, written off the caller's path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Engine, Table, create_engine, event, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from fusionprog.errors import StoreError
from fusionprog.store.tables import SCHEMA_VERSION, calls, info, metadata, scores, studies

_BATCH = 256


@dataclass(frozen=True)
class StoredCall:
    """A model's answer as the store has it."""

    text: str
    input_tokens: int
    output_tokens: int
    usd: float | None


class Store:
    """Everything that was measured, in one database.

    Writes are gathered and done by one thread; ``flush`` waits for them. What was put can be read back at once.

    Args:
        url: A SQLAlchemy URL, a file name, or ``None`` for a store that lasts as long as the process.

    Raises:
        StoreError: if the database cannot be opened or was made by a newer version.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = _database_url(url)
        self._engine = _open(self.url)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="fusionprog-store")
        self._writes: list[Future[None]] = []
        self._pending: dict[str, dict[str, Any]] = {}
        self._scores: list[dict[str, Any]] = []
        self._prepare()
        with self._engine.connect() as connection:
            self._known = set(connection.execute(select(calls.c.key)).scalars())

    def _prepare(self) -> None:
        try:
            metadata.create_all(self._engine)
            with self._engine.begin() as connection:
                query = select(info.c.value).where(info.c.key == "schema_version")
                version = connection.execute(query).scalar()
                if version is None:
                    connection.execute(insert(info).values(key="schema_version", value=str(SCHEMA_VERSION)))
        except SQLAlchemyError as error:
            raise StoreError(
                f"the store {self.name!r} cannot be opened",
                found=_first_line(error),
                fix="Give another storage=",
            ) from error
        if version is not None and int(version) > SCHEMA_VERSION:
            raise StoreError(
                f"the store {self.name!r} was made by a newer fusionprog",
                expected=f"schema version {SCHEMA_VERSION} or older",
                found=version,
                fix="Update fusionprog, or give another storage=",
            )

    @property
    def in_memory(self) -> bool:
        """Whether the store lasts only as long as the process."""
        return isinstance(self._engine.pool, StaticPool)

    @property
    def path(self) -> Path | None:
        """The database's file, where it is one."""
        url = make_url(self.url)
        return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None

    @property
    def name(self) -> str:
        """The database's URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    def get_call(self, key: str) -> StoredCall | None:
        """Returns the answer stored under ``key``, if there is one."""
        if key in self._pending:
            row = self._pending[key]
            return StoredCall(row["text"], row["input_tokens"], row["output_tokens"], row["usd"])
        if key not in self._known:
            return None
        columns = (calls.c.text, calls.c.input_tokens, calls.c.output_tokens, calls.c.usd)
        with self._engine.connect() as connection:
            found = connection.execute(select(*columns).where(calls.c.key == key)).one_or_none()
        return None if found is None else StoredCall(*found)

    def put_call(
        self,
        key: str,
        model: Mapping[str, Any],
        messages: Sequence[Mapping[str, str]],
        sample: int,
        call: StoredCall,
    ) -> None:
        """Stores an answer under ``key``; it is written soon after."""
        self._pending[key] = {
            "key": key,
            "model": json.dumps(model, sort_keys=True),
            "messages": json.dumps([dict(message) for message in messages], ensure_ascii=False),
            "sample": sample,
            "text": call.text,
            "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens,
            "usd": call.usd,
        }
        if len(self._pending) % _BATCH == 0:
            self._submit()

    def put_scores(self, study: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Stores per-example scores of a study (columns ``candidate, task, example, score, status, error``)."""
        self._scores += [{"study": study, **row} for row in rows]

    def put_study(self, fingerprint: str, parts: Mapping[str, str]) -> None:
        """Stores what a study is made of."""
        row = {"fingerprint": fingerprint, "parts": json.dumps(parts, sort_keys=True)}
        self._write(studies, [row])

    def get_studies(self) -> dict[str, dict[str, str]]:
        """Returns fingerprint → parts of every study in the store."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(studies.c.fingerprint, studies.c.parts)).all()
        return {fingerprint: json.loads(parts) for fingerprint, parts in rows}

    def flush(self) -> None:
        """Waits until everything that was put is in the database.

        Raises:
            StoreError: if it could not be written.
        """
        self._submit()
        done, self._writes = self._writes, []
        for write in done:
            write.result()

    def close(self) -> None:
        """Writes what is left and lets go of the database."""
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

    def _submit(self) -> None:
        rows, score_rows = list(self._pending.values()), self._scores
        self._scores = []
        if rows or score_rows:
            self._writes.append(self._writer.submit(self._write_all, rows, score_rows))

    def _write_all(self, rows: list[dict[str, Any]], score_rows: list[dict[str, Any]]) -> None:
        self._write(calls, rows)
        self._write(scores, score_rows)
        self._known.update(row["key"] for row in rows)
        for row in rows:
            self._pending.pop(row["key"], None)

    def _write(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        try:
            with self._engine.begin() as connection:
                connection.execute(_upsert(self._engine, table), rows)
        except SQLAlchemyError as error:
            raise StoreError(
                f"the store {self.name!r} cannot be written",
                found=_first_line(error),
                fix="Make room or give another storage=; what was measured before is kept",
            ) from error


def _database_url(url: str | None) -> str:
    if url is None:
        return "sqlite://"
    return url if "://" in url else f"sqlite:///{Path(url)}"


def _open(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_pre_ping=True)
        if parsed.database in (None, "", ":memory:"):
            return create_engine(parsed, poolclass=StaticPool, connect_args={"check_same_thread": False})
        engine = create_engine(parsed, connect_args={"timeout": 30})
    except (ArgumentError, ImportError) as error:
        raise StoreError(
            f"{url!r} names no store", expected="a file name or a SQLAlchemy URL", found=_first_line(error)
        ) from error

    @event.listens_for(engine, "connect")
    def _write_ahead(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _upsert(engine: Engine, table: Table) -> Any:
    """An insert in which the newest row of a key wins: two processes may measure the same thing."""
    keys = [column.name for column in table.primary_key]
    insert_into: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[engine.dialect.name]
    statement = insert_into(table)
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
