"""A raw client, and the checks that tests leave nothing behind."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from fusionprog.testing import LMServer


class Answer(NamedTuple):
    """What a raw client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The first choice."""
        return str(self.json["choices"][0]["message"]["content"])

    @property
    def events(self) -> list[Any]:
        """The data of server-sent events, without the last ``[DONE]``."""
        blocks = self.body.decode().split("\n\n")
        assert blocks[-2:] == ["data: [DONE]", ""]
        return [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]


class Client:
    """One keep-alive connection of the standard library's client."""

    def __init__(self, server: LMServer) -> None:
        self.base = urlsplit(server.url)
        self.connection = http.client.HTTPConnection(str(self.base.hostname), self.base.port, timeout=20)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        """Sends a request and does not wait for its answer."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.connection.request(method, self.base.path + path, data, headers)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        self.send(method, path, body, **headers)
        response = self.connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def send_prompt(self, prompt: str = "hello") -> None:
        """Sends a prompt and does not wait for its answer."""
        self.send("POST", "/chat/completions", {"model": "m", "messages": [{"role": "user", "content": prompt}]})

    def ask(self, prompt: str = "hello", **parameters: Any) -> Answer:
        messages = parameters.pop("messages", [{"role": "user", "content": prompt}])
        return self.request("POST", "/chat/completions", {"model": "m", "messages": messages, **parameters})


@pytest.fixture
def client() -> Iterator[Callable[[LMServer], Client]]:
    """Makes raw clients and closes them."""
    with contextlib.ExitStack() as stack:

        def make(server: LMServer) -> Client:
            return stack.enter_context(Client(server))

        yield make


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """Waits until something holds."""

    def wait(holds: Callable[[], Any], timeout: float = 20.0) -> None:
        end = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.001)

    return wait


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    """The threads of a test's servers have ended; those of other tests may serve on."""
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if thread.name == "fusionprog.testing"] == []


@pytest.fixture(autouse=True, scope="module")
def no_leaks() -> Iterator[None]:
    """What these tests leave open is found, since warnings are errors; what others have left is theirs."""
    gc.unfreeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    yield
    gc.collect()
