"""What was asked and what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from fusionprog.lm.model import Message
from fusionprog.testing.faults import Fault


class Outcome(StrEnum):
    """What came of a request, where it was no ``Fault``."""

    OK = "ok"
    """It was answered."""
    ERROR = "error"
    """It got an error that the test had planned with ``error()``."""
    FAILED = "failed"
    """The text function raised an exception, or the script had no rule for it."""
    REFUSED = "refused"
    """It was no request of this API."""
    ABANDONED = "abandoned"
    """The client went away before the answer, or the server was stopped."""


@dataclass(frozen=True)
class RequestRecord:
    """A request and what came of it.

    Attributes:
        number: Its place in the order of arrival, from 0; ``reset`` does not start it again.
        path: Where it was sent (``/v1/chat/completions``); ``"complete"`` for a model without HTTP.
        model: The model that it asked for.
        messages: Its chat messages, of embeddings each input as a message.
        parameters: Everything else in its body.
        headers: Its headers in lower case, without authorization.
        key: Digest of its content: path, model, messages and parameters, without those of streaming; empty for a
            request without one.
        repeat: How often the same content was asked before, from 0.
        after_success: Whether the same content had been answered well before this request came.
        outcome: An ``Outcome``, or the ``Fault`` that it got.
        detail: Why it failed, if it did.
        started: When it had been read, in seconds of ``time.monotonic``.
        ended: When its answer was complete; ``None`` for a request that got none.
    """

    number: int
    path: str
    model: str
    messages: tuple[Message, ...]
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]
    key: str
    repeat: int
    after_success: bool
    outcome: Outcome | Fault
    detail: str
    started: float
    ended: float | None

    @property
    def fault(self) -> Fault | None:
        """The fault that it got, if it did."""
        return self.outcome if isinstance(self.outcome, Fault) else None


@dataclass(frozen=True)
class Arrival:
    """A request that has come.

    Attributes:
        number: Its place in the order of arrival, from 0; ``reset`` does not start it again.
        repeat: How often the same content was asked before, from 0.
        after_success: Whether the same content had been answered well before.
        started: Seconds of ``time.monotonic``.
    """

    number: int
    repeat: int
    after_success: bool
    started: float


class Snapshot(NamedTuple):
    """What a log knows at one moment.

    Attributes:
        records: By arrival.
        counts: Requests by outcome.
        distinct: Different contents.
        in_flight: Requests without their answer, now.
        max_in_flight: The same, at most.
    """

    records: tuple[RequestRecord, ...]
    counts: Counter[str]
    distinct: int
    in_flight: int
    max_in_flight: int


class RequestLog:
    """Counts requests; may be used by several threads.

    Args:
        keep: How many of the last records are kept; ``None`` for all. Counts are exact in any case.
    """

    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep
        self._changed = threading.Condition()
        self._arrived = 0
        self._in_flight = 0
        self._clear()

    def _clear(self) -> None:
        self._records: dict[int, RequestRecord] = {}
        self._counts: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._answered: set[str] = set()
        self._max_in_flight = self._in_flight

    def reset(self) -> None:
        """Forgets all requests; those in flight stay in flight and are counted when they end."""
        with self._changed:
            self._clear()

    def arrive(self, key: str) -> Arrival:
        """Notes that a request has come; every one must leave, with its record or with ``leave``."""
        with self._changed:
            arrival = Arrival(self._arrived, self._asked[key], key in self._answered, time.monotonic())
            self._arrived += 1
            self._asked[key] += bool(key)
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
            return arrival

    def leave(self) -> None:
        """Notes that a request is in flight no more."""
        with self._changed:
            self._leave()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._changed.notify_all()

    def add(self, record: RequestRecord, *, leave: bool = True) -> None:
        """Keeps what came of a request.

        Args:
            record: The request.
            leave: Whether it is in flight no more.
        """
        with self._changed:
            self._counts[str(record.outcome)] += 1
            if record.outcome is Outcome.OK and record.key:
                self._answered.add(record.key)
            if self._keep != 0:
                self._records[record.number] = record
            if self._keep and len(self._records) > self._keep:
                del self._records[next(iter(self._records))]
            if leave:
                self._leave()

    def wait_until_idle(self, timeout: float) -> bool:
        """Waits until no request is in flight; returns whether that came within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight, timeout)

    def read(self) -> Snapshot:
        """Returns what is known at this moment."""
        with self._changed:
            records = tuple(record for _, record in sorted(self._records.items()))
            return Snapshot(records, self._counts.copy(), len(+self._asked), self._in_flight, self._max_in_flight)


class Counted:
    """What a server and an in-process model tell about the requests that they got.

    Args:
        keep: How many of the last records are kept; ``None`` for all. Counts are exact in any case.
    """

    def __init__(self, keep: int | None = None) -> None:
        self._log = RequestLog(keep)

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """The requests that have got their outcome, in the order in which they came."""
        return self._log.read().records

    @property
    def counts(self) -> Counter[str]:
        """How many requests had which outcome; ``Outcome``, ``Fault`` and their texts are all keys."""
        return self._log.read().counts

    @property
    def distinct(self) -> int:
        """How many different contents were asked."""
        return self._log.read().distinct

    @property
    def repeated_after_success(self) -> tuple[RequestRecord, ...]:
        """The requests whose content had been answered well before they came."""
        return tuple(record for record in self.requests if record.after_success)

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answer now."""
        return self._log.read().in_flight

    @property
    def max_in_flight(self) -> int:
        """How many requests waited for their answers at one moment, at most."""
        return self._log.read().max_in_flight

    def wait_until_idle(self, timeout: float = 5.0) -> bool:
        """Waits until no request is in flight, so that the requests of clients that went away are counted too.

        Args:
            timeout: Seconds to wait, at most.

        Returns:
            Whether none is.
        """
        return self._log.wait_until_idle(timeout)

    def reset(self) -> None:
        """Forgets all requests and their counts."""
        self._log.reset()
