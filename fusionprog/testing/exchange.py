"""One request and its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import MappingProxyType

from fusionprog.testing.chat import error_body
from fusionprog.testing.content import Content
from fusionprog.testing.faults import ErrorAnswer, Fault
from fusionprog.testing.http import Connection, HTTPRequest
from fusionprog.testing.log import Outcome, RequestLog, RequestRecord

_SECRET = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})
_UNANSWERED = frozenset({Fault.HANG, Outcome.ABANDONED})


class Exchange:
    """A request and its answer. What came of it is in the log before the client can know it.

    Args:
        log: Where it is counted, from now on.
        request: As it was read.
        content: What it asks.
        connection: Where it is answered.
    """

    def __init__(self, log: RequestLog, request: HTTPRequest, content: Content, connection: Connection) -> None:
        self._log = log
        self._request = request
        self._content = content
        self._connection = connection
        self._noted = False
        self.arrival = log.arrive(content.key)

    @property
    def name(self) -> str:
        """An id that depends on the content and its repeat count."""
        return f"{self._content.key[:16] or 'none'}-{self.arrival.repeat}"

    def note(self, outcome: Outcome | Fault, detail: str = "") -> None:
        """Records what came of the request, the first time that it is called; one that hangs stays in flight."""
        if self._noted:
            return
        self._noted = True
        content, arrival = self._content, self.arrival
        headers = {name: value for name, value in self._request.headers.items() if name not in _SECRET}
        self._log.add(
            RequestRecord(
                number=arrival.number,
                path=content.path,
                model=content.model,
                messages=content.messages,
                parameters=content.parameters,
                headers=MappingProxyType(headers),
                key=content.key,
                repeat=arrival.repeat,
                after_success=arrival.after_success,
                outcome=outcome,
                detail=detail,
                started=arrival.started,
                ended=None if outcome in _UNANSWERED else time.monotonic(),
            ),
            leave=outcome is not Fault.HANG,
        )

    def send(self, body: bytes, outcome: Outcome | Fault) -> None:
        """Answers with status 200, and half of the body if the connection is to be cut."""
        self.note(outcome)
        if outcome is Fault.CUT:
            self._connection.cut(body, self._headers())
        else:
            self._connection.send(200, body, self._headers())

    def refuse(self, answer: ErrorAnswer, outcome: Outcome | Fault) -> None:
        """Answers with an error."""
        self.note(outcome, answer.message)
        headers = self._headers()
        if answer.retry_after is not None:
            headers["retry-after"] = f"{answer.retry_after:g}"
        self._connection.send(answer.status, error_body(answer), headers)

    async def stream(self, pieces: Iterable[bytes], outcome: Outcome | Fault, pause: float) -> None:
        """Answers with server-sent events, half of them if the connection is to be cut.

        Args:
            pieces: The events.
            outcome: What comes of it.
            pause: Seconds between the events; without a pause they leave in one write.
        """
        events = list(pieces)
        if outcome is Fault.CUT:
            events = events[: (len(events) + 1) // 2]
        if not pause:
            events = [b"".join(events)]
        for place, event in enumerate(events):
            if place:
                await asyncio.sleep(pause)
            last = place == len(events) - 1
            if last:
                self.note(outcome)
            self._connection.stream(event, first=not place, last=last and outcome is not Fault.CUT)
        if outcome is Fault.CUT:
            self._connection.close()

    def _headers(self) -> dict[str, str]:
        return {"x-request-id": f"req-{self.name}"}
