"""HTTP/1.1, as much of it as clients of language models speak: keep-alive, pipelining, chunked answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 256 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class HTTPRequest:
    """A request as it was read.

    Attributes:
        method: In capitals.
        path: Without its query.
        headers: Names in lower case; of several headers with one name the last.
        body: As it was sent.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class BadRequest(Exception):
    """What was sent cannot be read as a request; the connection is closed after the answer.

    Args:
        status: HTTP status of the answer.
        problem: What is wrong.
    """

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        super().__init__(problem)


Handler: TypeAlias = Callable[[HTTPRequest, "Connection"], Awaitable[None]]


class Connection(asyncio.Protocol):
    """A client's connection: reads one request after the other and hands them to a handler, which answers on it.

    Args:
        handle: Gets a request and this connection, on which it must call ``send``, ``cut`` or ``stream``. It is
            cancelled when the client goes away.
        connections: Where the connection enters itself while it is open.
    """

    def __init__(self, handle: Handler, connections: set[Connection]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._handle = handle
        self._connections = connections
        self._buffer = bytearray()
        self._head: HTTPRequest | None = None
        self._length = 0
        self._keep_alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts; answers leave at once instead of waiting for more to send."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends, and with it the work for the client."""
        self._connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        self._buffer += data
        self._advance()

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Sends a JSON answer, head and body in one write."""
        self._transport.write(self._answer(status, len(body), headers or {}) + body)

    def cut(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Announces the whole body, sends half of it and closes the connection."""
        self._transport.write(self._answer(200, len(body), headers or {}) + body[: len(body) // 2])
        self.close()

    def stream(self, data: bytes, *, first: bool = False, last: bool = False) -> None:
        """Sends a part of an event stream in one write.

        Args:
            data: Events; not empty.
            first: Whether the head goes before it.
            last: Whether nothing comes after it.
        """
        head = self._answer(200, None, {}) if first else b""
        self._transport.write(b"%b%x\r\n%b\r\n%b" % (head, len(data), data, _LAST_CHUNK if last else b""))

    def close(self, *, now: bool = False) -> None:
        """Closes the connection.

        Args:
            now: Whether what is still to be sent is dropped.
        """
        self._keep_alive = False
        if now:
            self._transport.abort()
        else:
            self._transport.close()

    def close_when_idle(self) -> None:
        """Closes the connection after the answer that is being made, or at once."""
        self._keep_alive = False
        if self.task is None:
            self._transport.close()

    def _advance(self) -> None:
        if self.task is not None or self._transport.is_closing():
            return
        try:
            request = self._take()
        except BadRequest as error:
            self._keep_alive = False
            self.send(error.status, b'{"error": {"message": "%b"}}' % str(error).encode())
            self._transport.close()
            return
        if request is not None:
            self.task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: HTTPRequest) -> None:
        try:
            await self._handle(request, self)
        except BaseException:
            self._transport.abort()
            raise
        finally:
            self.task = None
        if self._keep_alive:
            self._advance()
        else:
            self._transport.close()

    def _take(self) -> HTTPRequest | None:
        """Returns the next request of the buffer, or ``None`` as long as it is not whole."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _HEAD_LIMIT:
                    raise BadRequest(431, "the head of the request is too long")
                return None
            self._head = _read_head(bytes(self._buffer[:end]))
            self._length = _body_length(self._head.headers)
            del self._buffer[: end + 4]
            if self._head.headers.get("expect", "").lower() == "100-continue" and len(self._buffer) < self._length:
                self._transport.write(_CONTINUE)
        if len(self._buffer) < self._length:
            return None
        head, self._head = self._head, None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        if head.headers.get("connection", "").lower() == "close":
            self._keep_alive = False
        return HTTPRequest(head.method, head.path, head.headers, body)

    def _answer(self, status: int, length: int | None, headers: Mapping[str, str]) -> bytes:
        kind = "text/event-stream" if length is None else "application/json"
        size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}", f"content-type: {kind}", size]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not self._keep_alive:
            lines.append("connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _read_head(head: bytes) -> HTTPRequest:
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = first.split(" ")
    except ValueError:
        raise BadRequest(400, "the first line is none of HTTP") from None
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if version != "HTTP/1.1":
        headers["connection"] = "close"
    return HTTPRequest(method, target.partition("?")[0], headers, b"")


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest(411, "the body must have a content-length")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise BadRequest(400, "the content-length is no number")
    if int(length) > _BODY_LIMIT:
        raise BadRequest(413, "the body is too long")
    return int(length)
