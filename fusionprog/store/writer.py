"""The thread that does a store's work: it writes what was put, and answers what only it may ask the database."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from fusionprog.errors import StoreError
from fusionprog.store.calls import CallRow
from fusionprog.store.pending import Batch, Pending, Written


class Desk(Protocol):
    """Answers what is asked of the store's thread, beside the rows that it writes."""

    def serve(self, asks: Sequence[Any], written: Sequence[CallRow]) -> float | None:
        """Answers what can be answered now.

        Args:
            asks: What was asked since the last time, in order.
            written: Calls that were committed since the last time.

        Returns:
            Seconds after which to come again, even if nothing is asked; ``None`` where nobody waits.
        """

    def close(self) -> None:
        """Ends the waiting of all who are not answered, and lets go of the database."""


_STOP = object()


class Writer:
    """Writes batches in a thread: at once where it is idle, else what has come meanwhile together (group commit).

    Args:
        pending: Where the rows come from.
        write: Writes a batch in one transaction, or raises a ``StoreError`` and has written none of it.
        desk: Serves what else is asked, where the database has such.
        end: Lets go of the database, when all is done.

    Attributes:
        failure: Why the last attempt to write failed, else what a listener raised that no flush has told of yet;
            ``None`` if all is well.
    """

    def __init__(
        self, pending: Pending, write: Callable[[Batch], None], desk: Desk | None, end: Callable[[], None]
    ) -> None:
        self._pending = pending
        self._write = write
        self._desk = desk
        self._end = end
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._not_written: StoreError | None = None
        self._not_heard: StoreError | None = None
        # A daemon, as nothing may keep a process from its end; the store's own exit handler writes what is left.
        self._thread = threading.Thread(target=self._run, name="fusionprog-store", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> StoreError | None:
        """Why the last attempt to write failed, or what a listener raised."""
        return self._not_written or self._not_heard

    def wake(self) -> None:
        """Says that rows are pending."""
        self._inbox.put(None)

    def ask(self, ask: Any) -> None:
        """Hands something to the desk."""
        self._inbox.put(ask)

    def flush(self) -> Future[None]:
        """Returns what is done when everything that was put before is in the database, or has failed to get there."""
        done: Future[None] = Future()
        self._inbox.put(done)
        return done

    def stop(self, *, wait: bool = True) -> None:
        """Ends the thread after what was asked before."""
        self._inbox.put(_STOP)
        if wait:
            self._thread.join()

    def _run(self) -> None:
        again: float | None = None
        while True:
            items = self._next(again)
            flushes = [item for item in items if isinstance(item, Future)]
            asks = [item for item in items if item is not None and item is not _STOP and not isinstance(item, Future)]
            written = self._write_pending()
            again = self._desk.serve(asks, written) if self._desk is not None else None
            failure = self.failure
            if flushes and not len(self._pending):
                self._not_written = self._not_heard = None  # they are told now, and nothing is left to write
            for done in flushes:
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
            if _STOP in items:
                if self._desk is not None:
                    self._desk.close()
                self._end()
                return

    def _next(self, timeout: float | None) -> list[Any]:
        items = []
        with contextlib.suppress(Empty):
            items.append(self._inbox.get(timeout=timeout))
            while True:
                items.append(self._inbox.get_nowait())
        return items

    def _write_pending(self) -> list[CallRow]:
        batch = self._pending.take()
        if not len(batch):
            return []
        self._not_written = None
        try:
            self._write(batch)
        except Exception as error:
            found = StoreError("calls and scores cannot be written", found=repr(error))
            self._not_written = error if isinstance(error, StoreError) else found
            self._pending.put_back(batch)
        else:
            self._pending.written(batch)
        for written, count in batch.told.items():
            self._tell(written, count)
        return [] if self._not_written else batch.calls

    def _tell(self, written: Written, count: int) -> None:
        try:
            written(count, self._not_written)
        except Exception as error:  # of who listens: it must not end the thread, and the next put or flush raises it
            self._not_heard = StoreError("what was to be told of written calls failed", found=repr(error))
