"""The store: model calls, scores, trials and studies, written off the caller's path."""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sqlalchemy import Connection, func, select

from fusionprog.errors import StoreError
from fusionprog.store.asks import Abandon, Ask, Correct, Find, GiveUp, Pace
from fusionprog.store.calls import StoredCall, row_of
from fusionprog.store.database import Database
from fusionprog.store.failures import closed_store
from fusionprog.store.outages import HURRIED, Patience, has_to_end
from fusionprog.store.pending import Pending, Written
from fusionprog.store.rows import score_rows, trial_rows
from fusionprog.store.sqlite import SqliteDatabase
from fusionprog.store.tables import models, prompts, scores, studies, trials
from fusionprog.store.unicode import as_unicode, check_unicode
from fusionprog.store.urls import database_url, no_driver, public_name
from fusionprog.store.writer import Writer

if TYPE_CHECKING:
    from fusionprog.store.claims import Claims

__all__ = ["Store", "StoredCall"]

T = TypeVar("T")

_NAMED = 20_000  # models and prompts that are remembered as put; those that are forgotten are put once more


class Store:
    """Everything that was measured, in one database.

    One thread writes, at once where it is idle, else everything that has come meanwhile in one transaction; ``flush``
    waits for it. What was put can be read back at once, and so can what other processes have committed. What lasts as
    long as the process anyway is written only when more than an answer is looked up.

    Args:
        url: A SQLAlchemy URL of SQLite or PostgreSQL, a file name, or ``None`` for a store that lasts as long as the
            process.

    Raises:
        StoreError: if the database cannot be opened and written, or was made by a newer version.

    Attributes:
        patience: Seconds to wait for another process that holds a SQLite file.
        outage: Seconds for which a PostgreSQL server that cannot be reached is tried again.
        url: The database's URL for SQLAlchemy, with its password.
        name: The URL as it may be shown.
        outages: How long a server is waited for now.
    """

    patience: ClassVar[float] = 30.0
    outage: ClassVar[float] = 60.0

    def __init__(self, url: str | os.PathLike[str] | None = None) -> None:
        self._parsed = database_url(url)
        self.url = self._parsed.render_as_string(hide_password=False)
        self.name = public_name(self._parsed)
        self._pending = Pending()
        self._models_put: set[str] = set()
        self._prompts_put: set[str] = set()
        self._closed = False
        self.outages = Patience(self.outage)
        self._open()
        atexit.register(self.close)

    def _open(self) -> None:
        self._claims: Claims | None
        if self._parsed.get_backend_name() == "sqlite":
            files = SqliteDatabase(self._parsed, self.patience, self.outages)
            self._database: Database = files
            self._files: SqliteDatabase | None = files
            self._writer = Writer(self._pending, files.write, None, files.close)
            self._claims = None
            return
        try:
            from fusionprog.store.claims import Claims
            from fusionprog.store.postgres import PostgresDatabase
        except ImportError as error:
            raise no_driver() from error
        server = PostgresDatabase(self._parsed, self.outages)
        self._database, self._files = server, None
        self._claims = Claims(server.session, self.name)
        self._writer = Writer(self._pending, server.write, self._claims, server.close)

    @property
    def shared(self) -> bool:
        """Whether processes on other machines may be doing the same work now."""
        return self._database.shared

    @property
    def in_memory(self) -> bool:
        """Whether the store lasts only as long as the process."""
        return self._database.in_memory

    @property
    def path(self) -> Path | None:
        """The database's file, where it is one."""
        return None if self.shared or self.in_memory else Path(self._parsed.database or "")

    async def find(self, key: bytes, *, since: float = 0.0) -> StoredCall | None:
        """Returns the answer stored under ``key``, or ``None`` for who is to ask the model now.

        On a shared store ``None`` also is a claim: other processes that look for ``key`` wait until the answer was
        put, until ``give_up``, or until this process ends. So every ``None`` must be followed by one of the two.
        Within a process nobody waits for anybody; that is the caller's business.

        Args:
            key: Digest of what the model is asked, 16 bytes.
            since: Answers that were stored before this unix time, by the clock of ``now``, do not count.

        Raises:
            StoreError: if the store cannot be read, or was closed.
        """
        row = self._pending.find(key)
        if row is not None and (self.shared or row.created >= since):
            return row.call
        if self._closed:
            raise closed_store(self.name)
        if self._files is not None:
            return self._files.find(key, since)
        ask = Find(key, since)
        try:
            found: StoredCall | None = await self._answer(ask)
        except BaseException:
            self._writer.ask(Abandon(ask))
            raise
        return found

    def claim_at_most(self, count: int) -> None:
        """Limits the claims that this process holds on a shared store; who claims more than it can ask blocks others.

        Args:
            count: How many, 1 or more: the calls that it can have in flight.
        """
        if self._claims is not None:
            self._claims.most = count

    def give_up(self, key: bytes) -> None:
        """Says that there will be no answer under ``key`` for now: another process may ask."""
        if self.shared and not self._closed:
            self._writer.ask(GiveUp(key))

    def now(self) -> float:
        """Returns the unix time by which calls are marked as stored: on PostgreSQL the server's.

        Raises:
            StoreError: if the server cannot be reached.
        """
        return self._database.now()

    async def pace(self, model_id: str, *, tokens: int, seconds_per_request: float, seconds_per_token: float) -> float:
        """Reserves a place for a request among those of all processes; for shared stores only.

        Args:
            model_id: Whose limits they are.
            tokens: What the request may cost at most.
            seconds_per_request: 60 over the requests per minute; 0 where they are not limited.
            seconds_per_token: 60 over the tokens per minute; 0 where they are not limited.

        Returns:
            Seconds to wait before the request is sent, 0 or more.

        Raises:
            StoreError: if the store is not shared, cannot be reached, or was closed.
        """
        if self._closed:
            raise closed_store(self.name)
        if not self.shared:
            raise StoreError(f"the store {self.name!r} is not shared", fix="Keep the limits in this process")
        return float(await self._answer(Pace(model_id, seconds_per_request, tokens * seconds_per_token)))

    async def _answer(self, ask: Ask) -> Any:
        self._writer.ask(ask)
        return await ask.future

    def correct_pace(self, model_id: str, seconds: float) -> None:
        """Says that a request put off later ones by so many seconds more, in tokens, than was reserved for it."""
        if self.shared and not self._closed:
            self._writer.ask(Correct(model_id, seconds))

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Holds a lock that one thread of one process has at a time, and waits for it as long as it takes.

        Raises:
            StoreError: if it cannot be taken.
        """
        return self._database.exclusive(name)

    def put_model(self, model_id: str, identity: Mapping[str, Any]) -> None:
        """Stores what a model is, once; it is written with the next call."""
        if _is_new(self._models_put, model_id):
            text = as_unicode(json.dumps(identity, sort_keys=True))
            self._pending.add(models.name, {model_id: (model_id, text)}, wake=False)

    def put_prompt(self, prompt_id: str, messages: Sequence[Mapping[str, str]]) -> None:
        """Stores the messages that many calls begin with, once; they are written with the next call."""
        if _is_new(self._prompts_put, prompt_id):
            text = as_unicode(json.dumps([dict(message) for message in messages], ensure_ascii=False))
            self._pending.add(prompts.name, {prompt_id: (prompt_id, text)}, wake=False)

    def put_call(
        self,
        key: bytes,
        model_id: str,
        prompt_id: str,
        content: str,
        sample: int,
        call: StoredCall,
        written: Written | None = None,
        *,
        paid_usd: float | None = None,
        wake: bool = True,
    ) -> None:
        """Stores an answer that was paid for under ``key``; it is found at once and written soon.

        An answer that is there already is replaced, and what was paid for it is added up. A call that could not be
        written stays pending, and the next put, ``flush`` or ``close`` tries again.

        Args:
            key: What it is found by, 16 bytes.
            model_id: Of a model that was put.
            prompt_id: Of messages that were put: those before the last.
            content: The last message.
            sample: Tells repeated answers to the same messages apart.
            call: The answer.
            written: Is called in the store's thread after the transaction that was to write the call, once for all
                calls of it that name this same function, with their number and the error if it failed.
            paid_usd: Dollars that it did cost; ``None`` for ``call.usd``.
            wake: Whether it is to be written at once; else only after ``wake``, together with what is put until then.

        Raises:
            StoreError: if a text is not valid Unicode; the call is not stored then. Without ``written`` also if what
                was put before could not be written; nothing is lost then.
        """
        for text in (content, call.text):
            check_unicode(text)
        if self._closed:
            if written is not None:
                written(1, closed_store(self.name))
            return
        row = row_of(key, model_id, prompt_id, content, sample, call, time.time(), paid_usd)
        if self._pending.add_call(row, written, wake=wake and (written is not None or not self.in_memory)):
            self._writer.wake()
        if written is None:
            self._raise_failure()

    def wake(self) -> None:
        """Lets what was put be written now."""
        self._writer.wake()

    def put_scores(self, study: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Stores per-example scores of a study (columns ``candidate, task, example, score, status, error``).

        Raises:
            StoreError: if what was put before could not be written; nothing of it is lost yet.
        """
        self._put(scores.name, score_rows(study, rows))

    def put_trials(self, study: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Stores trials of a study (columns ``fold, number, params`` as JSON text, ``value, state``).

        Raises:
            StoreError: if what was put before could not be written; nothing of it is lost yet.
        """
        self._put(trials.name, trial_rows(study, rows))

    def put_study(self, fingerprint: str, parts: Mapping[str, str]) -> None:
        """Stores what a study is made of.

        Raises:
            StoreError: if it cannot be written.
        """
        row = (fingerprint, json.dumps(parts, sort_keys=True))
        self._pending.add(studies.name, {fingerprint: row}, wake=False)
        self.flush()

    def get_studies(self) -> dict[str, dict[str, str]]:
        """Returns fingerprint → parts of every study in the store."""
        query = select(studies.c.fingerprint, studies.c.parts)
        rows = self._read(lambda connection: connection.execute(query).all())
        return {fingerprint: json.loads(parts) for fingerprint, parts in rows}

    def get_trial_count(self, fingerprint: str) -> int:
        """Returns how many trials of a study there are, in all its folds."""
        query = select(func.count()).select_from(trials).where(trials.c.study == fingerprint)
        return self._read(lambda connection: int(connection.execute(query).scalar_one()))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees everything that was put; for work that is off the calls' path."""
        self._settle()
        with self._database.transaction("read", writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes what is stored; for work that is off the calls' path."""
        self.flush()
        with self._database.transaction("written", writes=True) as connection:
            yield connection

    def size(self) -> int:
        """Returns the bytes that the store takes."""
        return self._database.size()

    def compact(self) -> None:
        """Gives back the room of what was deleted; a server does so by itself."""
        self.flush()
        self._database.compact()

    def flush(self) -> None:
        """Waits until everything that was put is in the database.

        Raises:
            StoreError: if it could not be written; it is kept, and the next attempt writes it.
        """
        self._writer.flush().result()

    def close(self) -> None:
        """Writes what is left, where it lasts longer than the process, and lets go of the database.

        Raises:
            StoreError: if not everything could be written.
        """
        self._close(None)

    def _close(self, patience: float | None) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        if self.in_memory:
            self._pending.forget()
        done = self._writer.flush()
        try:
            done.result(patience)
        finally:
            # One that is held up goes on in its thread, which ends with the process at the latest.
            self._writer.stop(wait=done.done())

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        hurried = has_to_end(error)
        if hurried:
            self.outages.hurry()
        try:
            self._close(2 * HURRIED if hurried else None)
        except (StoreError, TimeoutError) as failure:  # the other one is told of
            why = "" if isinstance(error, StoreError) else f": {str(failure) or 'another process holds it'}"
            error.add_note(f"what was answered last may not be in the store{why}")

    def _read(self, work: Callable[[Connection], T]) -> T:
        self._settle()
        return self._database.read(work)

    def _settle(self) -> None:
        if not self._pending.settled:
            self.flush()

    def _put(self, table: str, rows: Mapping[Any, tuple[Any, ...]]) -> None:
        if self._pending.add(table, rows, wake=not self.in_memory):
            self._writer.wake()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._writer.failure is not None:
            raise self._writer.failure


def _is_new(put: set[str], name: str) -> bool:
    if name in put:
        return False
    if len(put) >= _NAMED:
        put.clear()
    put.add(name)
    return True
