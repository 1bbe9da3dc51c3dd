"""Starting and stopping."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fusionprog.testing import Fault, Faults, LMServer, Outcome


def yes(messages: object) -> str:
    return "yes"


def refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it closes its socket while it is being connected to; the next one is refused
    return False


def running() -> int:
    return sum(thread.name == "fusionprog.testing" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of other tests, which may serve on, do not count."""
    monkeypatch.setattr(sys.modules[__name__], "OTHERS", running())


OTHERS = 0


def servers() -> int:
    return running() - OTHERS


def test_a_server_has_no_address_before_it_starts() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        LMServer(yes).url  # noqa: B018
    assert LMServer(yes, port=8123).url == "http://127.0.0.1:8123/v1"


def test_starting_and_stopping_twice_does_nothing(client: Callable[..., Any]) -> None:
    server = LMServer(yes)
    server.stop()
    server.start()
    url = server.url
    server.start()
    assert (server.url, servers()) == (url, 1)
    server.stop()
    server.stop()
    assert servers() == 0


def test_a_server_starts_again_at_its_address_with_its_memory(client: Callable[..., Any]) -> None:
    server = LMServer(yes)
    with server:
        url = server.url
        client(server).ask()
    with pytest.raises(ConnectionRefusedError):
        client(server).ask()
    with server:
        assert server.url == url
        client(server).ask()
    assert server.counts == {"ok": 2}
    assert len(server.repeated_after_success) == 1


def test_two_servers_have_two_addresses_and_one_cannot_take_the_other_s() -> None:
    with LMServer(yes) as first, LMServer(yes) as second:
        assert first.url != second.url
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            LMServer(yes, port=first.address[1]).start()
        assert servers() == 2


def test_it_is_an_asynchronous_context_manager_too() -> None:
    async def main() -> bytes:
        async with LMServer(yes) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
            data = await reader.read()
            writer.close()
            await writer.wait_closed()
        assert len(asyncio.all_tasks()) == 1
        return data

    assert b"200 OK" in asyncio.run(main())


def test_requests_in_flight_are_answered_before_it_stops(
    client: Callable[..., Any], until: Callable[..., None]
) -> None:
    started, stopped = threading.Event(), threading.Event()

    async def text(messages: object) -> str:
        started.set()
        while not stopped.is_set():
            await asyncio.sleep(0.001)
        return "late"

    server = LMServer(text, grace=60)
    server.start()
    asked = client(server)
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(asked.ask)
        started.wait()
        stop = pool.submit(server.stop)
        until(lambda: refused(server.address))
        stopped.set()
        assert answer.result().text == "late"
        assert answer.result().headers["connection"] == "close"
        stop.result()
    assert server.counts == {"ok": 1}


def test_requests_that_take_too_long_are_dropped(client: Callable[..., Any], until: Callable[..., None]) -> None:
    server = LMServer(yes, faults=Faults(latency=600), grace=0.05)
    server.start()
    asked = client(server)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asked.ask)
        until(lambda: server.in_flight)
        server.stop()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            answer.result()
    assert server.counts == {Outcome.ABANDONED: 1}
    assert server.in_flight == 0


def test_hanging_requests_get_no_grace(client: Callable[..., Any], until: Callable[..., None]) -> None:
    server = LMServer(yes, grace=600)
    server.start()
    server.next(Fault.HANG)
    asked = client(server)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asked.ask)
        until(lambda: server.counts[Fault.HANG])
        server.stop()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            answer.result()
    assert (server.counts, server.in_flight) == ({Fault.HANG: 1}, 0)


def test_a_request_that_is_about_to_hang_does_not_keep_it_from_stopping(
    client: Callable[..., Any], until: Callable[..., None]
) -> None:
    server = LMServer(yes, faults=Faults(latency=0.1, hang=1), grace=600)
    server.start()
    asked = client(server)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asked.ask)
        until(lambda: server.in_flight)
        server.stop()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            answer.result()


def test_idle_and_half_read_connections_do_not_keep_it_from_stopping() -> None:
    with LMServer(yes, grace=600) as server:
        connections = [socket.create_connection(server.address) for _ in range(3)]
        connections[1].sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Le")
        connections[2].sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
    for connection in connections:
        with connection, contextlib.suppress(ConnectionResetError):
            connection.settimeout(20)
            assert connection.recv(100) == b""


def test_two_hundred_connections_stay_open_at_once(client: Callable[..., Any]) -> None:
    with LMServer(yes) as server:
        clients = [client(server) for _ in range(200)]
        for _ in range(2):
            assert {asked.ask().text for asked in clients} == {"yes"}
    assert server.counts == {"ok": 400}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are counted in /proc")
def test_nothing_stays_open() -> None:
    def once(place: int) -> None:
        with LMServer(yes, faults=Faults(cut=0.3, server_error=0.3), grace=0) as server:
            for turn in range(5):
                with socket.create_connection(server.address) as connection:
                    body = b'{"model": "m", "messages": [{"role": "user", "content": "%d"}]}' % turn
                    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
                    connection.sendall(body)
                    connection.recv(65536)

    once(0)
    before = len(os.listdir("/proc/self/fd"))
    for place in range(5):
        once(place)
    assert len(os.listdir("/proc/self/fd")) <= before
