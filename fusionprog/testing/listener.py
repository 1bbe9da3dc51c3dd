"""The thread and event loop that listen for clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import Future
from typing import Any

from fusionprog.testing.http import Connection, Handler

_BACKLOG = 1024


class Listener:
    """Listens on 127.0.0.1 in a thread of its own.

    Args:
        handle: Answers a request; runs on the listener's event loop.
        port: Where to listen; 0 for any free port, which then stays the same.
        grace: Seconds that requests in flight have for their end when the listener stops.
    """

    def __init__(self, handle: Handler, port: int, grace: float) -> None:
        self.port = port
        self._handle = handle
        self._grace = grace
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[Connection] = set()
        self._coming: set[asyncio.Task[Any]] = set()
        self._idle_forever: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._thread is not None

    def start(self) -> None:
        """Starts to listen; returns when clients can connect.

        Raises:
            OSError: if the port is taken.
        """
        if self.running:
            return
        ready: Future[int] = Future()
        thread = threading.Thread(target=self._run, args=(ready,), name="fusionprog.testing", daemon=True)
        thread.start()
        try:
            self.port = ready.result()
        except OSError:
            thread.join()
            raise
        self._thread = thread

    def stop(self) -> None:
        """Stops to listen; requests in flight are answered within the grace time or dropped."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = None

    async def hang(self) -> None:
        """Waits until the client goes away or the listener stops; nobody is given grace time for it."""
        task = asyncio.current_task()
        assert task is not None
        self._idle_forever.add(task)
        try:
            if not self._stopping.is_set():
                await asyncio.get_running_loop().create_future()
            raise asyncio.CancelledError
        finally:
            self._idle_forever.discard(task)

    def _run(self, ready: Future[int]) -> None:
        # The selector loop, on every platform and whatever policy is set: only it has readers.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._listen(ready))

    async def _listen(self, ready: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            listening = socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG)
        except OSError as error:
            ready.set_exception(error)
            return
        with listening:
            listening.setblocking(False)
            self._loop.add_reader(listening, self._accept, listening)
            ready.set_result(listening.getsockname()[1])
            await self._stopping.wait()
            self._loop.remove_reader(listening)
        await self._part()

    def _accept(self, listening: socket.socket) -> None:
        """Takes all clients that wait; asyncio's own servers lose those that come while they are closed."""
        assert self._loop is not None
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                client, _ = listening.accept()
                client.setblocking(False)
                coming = self._loop.connect_accepted_socket(lambda: Connection(self._handle, self._connections), client)
                task = self._loop.create_task(coming)
                self._coming.add(task)
                task.add_done_callback(self._coming.discard)

    async def _part(self) -> None:
        """Takes leave of all clients."""
        for connection in list(self._connections):
            connection.close_when_idle()
        if self._coming:
            await asyncio.wait(self._coming)
        for connection in list(self._connections):
            connection.close_when_idle()
        for task in list(self._idle_forever):
            task.cancel()
        busy = {connection.task for connection in self._connections if connection.task is not None}
        if busy:
            await asyncio.wait(busy, timeout=self._grace)
        for connection in list(self._connections):
            connection.close(now=True)
        while self._connections:  # closing is done by the event loop, in its next rounds
            await asyncio.sleep(0)
