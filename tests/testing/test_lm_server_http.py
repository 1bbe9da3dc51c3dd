"""The bytes on the wire."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fusionprog.testing import Faults, LMServer


@pytest.fixture
def server() -> Iterator[LMServer]:
    with LMServer(lambda messages: messages[-1]["content"].upper()) as running:
        yield running


@pytest.fixture
def wire(server: LMServer) -> Iterator[socket.socket]:
    with socket.create_connection(server.address, timeout=20) as connection:
        yield connection


def post(prompt: str, *headers: str, version: str = "1.1", **parameters: Any) -> bytes:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}], **parameters}).encode()
    head = ["POST /v1/chat/completions HTTP/" + version, f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def test_one_connection_serves_many_requests(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    asked.ask("first")
    used = asked.connection.sock
    for stream in (False, True, False):
        asked.ask("more", stream=stream)
        assert asked.connection.sock is used


def test_an_answer_leaves_in_one_write(wire: socket.socket) -> None:
    for stream in (False, True):
        wire.sendall(post("word " * 100, stream=stream))
        assert wire.recv(1 << 20).endswith(b"}" if not stream else b"0\r\n\r\n")


def test_a_request_may_come_in_pieces(wire: socket.socket) -> None:
    data = post("piecewise")
    for place in range(0, len(data), 7):
        wire.sendall(data[place : place + 7])
    assert b"PIECEWISE" in wire.recv(65536)


def test_requests_sent_at_once_are_answered_in_order(server: LMServer, wire: socket.socket) -> None:
    wire.sendall(post("one") + post("two") + post("three", "Connection: close"))
    data = read_all(wire)
    assert data.count(b"HTTP/1.1 200 OK") == 3
    assert data.index(b"ONE") < data.index(b"TWO") < data.index(b"THREE")
    assert server.max_in_flight == 1


@pytest.mark.parametrize("request_", [post("x", "Connection: close"), post("x", version="1.0")])
def test_connections_that_are_not_kept_are_closed(request_: bytes, wire: socket.socket) -> None:
    wire.sendall(request_)
    assert b"\r\nconnection: close\r\n" in read_all(wire)


def test_a_client_that_waits_for_leave_to_send_gets_it(wire: socket.socket) -> None:
    head, body = post("waited", "Expect: 100-continue").split(b"\r\n\r\n")
    wire.sendall(head + b"\r\n\r\n")
    assert wire.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(body)
    assert b"WAITED" in wire.recv(65536)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /v1/models HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /v1/models HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /v1/models HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"x" * 70_000, 431),
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(data: bytes, status: int, wire: socket.socket) -> None:
    wire.sendall(data)
    answer = read_all(wire)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert "message" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_queries_are_no_part_of_the_address(server: LMServer, client: Callable[..., Any]) -> None:
    assert client(server).request("GET", "/models?limit=1").status == 200
    assert server.requests[0].path == "/v1/models"


def test_a_slow_stream_comes_word_by_word() -> None:
    with LMServer(lambda messages: "a b c", faults=Faults(token_latency=600)) as server:
        with socket.create_connection(server.address, timeout=20) as connection:
            connection.sendall(post("x", stream=True))
            first = connection.recv(65536)
            assert b"chat.completion.chunk" in first
            assert b"[DONE]" not in first
            assert server.in_flight == 1
        assert server.wait_until_idle()
        assert server.counts == {"abandoned": 1}
        server.faults = Faults(token_latency=0.001)
        with socket.create_connection(server.address, timeout=20) as connection:
            connection.sendall(post("x", "Connection: close", stream=True))
            assert read_all(connection).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert server.counts == {"abandoned": 1, "ok": 1}


def test_large_prompts_and_answers_pass(server: LMServer, client: Callable[..., Any]) -> None:
    prompt = "größer " * 200_000
    assert client(server).ask(prompt).text == prompt.upper()


def test_lone_surrogates_do_not_break_an_answer(client: Callable[..., Any]) -> None:
    with LMServer(lambda messages: "half \ud83d", embedding_size=4) as server:
        asked = client(server)
        assert asked.ask(logprobs=True, top_logprobs=2).status == 200
        assert asked.request("POST", "/embeddings", {"model": "e", "input": "\ud83d"}).status == 200
