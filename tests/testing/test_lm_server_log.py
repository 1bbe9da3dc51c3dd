"""What the server remembers."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fusionprog.testing import Fault, Faults, LMServer, Outcome


@pytest.fixture
def server() -> Iterator[LMServer]:
    with LMServer(lambda messages: "yes") as running:
        yield running


def test_a_record_tells_what_was_asked_and_what_came_of_it(server: LMServer, client: Callable[..., Any]) -> None:
    before = time.monotonic()
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 0.3}
    client(server).request(
        "POST", "/chat/completions", body, Authorization="Bearer sk-secret", **{"X-Api-Key": "secret", "X-Trace": "7"}
    )
    (record,) = server.requests
    assert (record.number, record.path, record.model) == (0, "/v1/chat/completions", "m")
    assert [dict(message) for message in record.messages] == body["messages"]
    assert record.parameters == {"temperature": 0.3}
    assert record.headers["x-trace"] == "7"
    assert "secret" not in repr(record)
    assert (record.outcome, record.fault, record.detail) == (Outcome.OK, None, "")
    assert record.ended is not None
    assert before <= record.started <= record.ended <= time.monotonic()


def test_records_cannot_be_changed(server: LMServer, client: Callable[..., Any]) -> None:
    client(server).ask(temperature=1)
    (record,) = server.requests
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.model = "other"  # type: ignore[misc]
    mappings: tuple[Any, ...] = (record.parameters, record.headers, record.messages[0])
    for mapping in mappings:
        with pytest.raises(TypeError):
            mapping["x"] = "y"


def test_content_is_path_model_messages_and_parameters_but_not_streaming(
    server: LMServer, client: Callable[..., Any]
) -> None:
    asked = client(server)
    asked.ask("a", temperature=0, seed=1)
    asked.ask("a", seed=1, temperature=0, stream=True, stream_options={"include_usage": True})
    assert server.distinct == 1
    asked.ask("b")
    asked.ask("a")
    asked.ask("a", temperature=0.5)
    asked.request("POST", "/embeddings", {"model": "m", "input": "a"})
    assert server.distinct == 5
    asked.request("GET", "/models")
    asked.request("GET", "/models")
    assert server.distinct == 5
    assert [each.repeat for each in server.requests] == [0, 1, 0, 0, 0, 0, 0, 0]


def test_what_is_asked_again_after_its_answer_is_found(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    server.next(Fault.SERVER_ERROR)
    server.next(Fault.TRUNCATED)
    for _ in range(3):
        asked.ask("same")  # an error, half of an answer, the answer
    asked.ask("other")
    assert not server.repeated_after_success
    asked.ask("same")
    assert [record.messages[0]["content"] for record in server.repeated_after_success] == ["same"]
    assert [(record.repeat, record.after_success) for record in server.requests] == [
        (0, False),
        (1, False),
        (2, False),
        (0, False),
        (3, True),
    ]


def test_reset_forgets_everything_but_the_faults(server: LMServer, client: Callable[..., Any]) -> None:
    server.faults = Faults(truncated=0.5)
    server.next(Fault.SERVER_ERROR, times=2)
    client(server).ask()
    server.reset()
    assert not server.requests
    assert (server.counts, server.distinct, server.max_in_flight) == ({}, 0, 0)
    assert server.faults == Faults(truncated=0.5)
    client(server).ask()
    (record,) = server.requests
    assert (record.repeat, record.after_success) == (0, False)
    assert record.outcome is not Fault.SERVER_ERROR


@pytest.mark.parametrize(("keep", "kept"), [(0, []), (2, ["3", "4"]), (None, ["0", "1", "2", "3", "4"])])
def test_counts_are_exact_whatever_is_kept(keep: int | None, kept: list[str], client: Callable[..., Any]) -> None:
    with LMServer(lambda messages: "yes", keep=keep) as server:
        for place in range(5):
            client(server).ask(str(place))
    assert [record.messages[0]["content"] for record in server.requests] == kept
    assert (server.counts, server.distinct) == ({"ok": 5}, 5)


def test_sixty_four_clients_at_once_are_all_counted(client: Callable[..., Any]) -> None:
    together = 64
    arrived = 0

    async def text(messages: list[dict[str, str]]) -> str:
        nonlocal arrived
        arrived += 1
        while arrived < together:  # nobody is answered before all are here
            await asyncio.sleep(0.001)
        return messages[0]["content"]

    with LMServer(text) as server:
        barrier = threading.Barrier(together)

        def work(place: int) -> list[str]:
            asked = client(server)
            barrier.wait()
            return [asked.ask(f"{place}/{turn}").text for turn in range(5)]

        with ThreadPoolExecutor(together) as pool:
            answers = list(pool.map(work, range(together)))
        assert answers == [[f"{place}/{turn}" for turn in range(5)] for place in range(together)]
        assert server.wait_until_idle()
        assert (server.max_in_flight, server.in_flight) == (together, 0)
    assert server.counts == {"ok": 5 * together}
    assert server.distinct == len(server.requests) == 5 * together
    assert [record.number for record in server.requests] == list(range(5 * together))


def test_latency_lets_requests_wait_side_by_side(client: Callable[..., Any]) -> None:
    with LMServer(lambda messages: "yes", faults=Faults(latency=0.3)) as server:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda place: client(server).ask(f"{place}"), range(8)))
    assert server.max_in_flight > 1
    assert all(record.ended is not None and record.ended - record.started >= 0.29 for record in server.requests)


def test_a_client_that_goes_away_is_counted(client: Callable[..., Any], until: Callable[..., None]) -> None:
    with LMServer(lambda messages: "yes", faults=Faults(latency=600)) as server:
        asked = client(server)
        asked.send_prompt()
        until(lambda: server.in_flight)
        asked.connection.close()
        assert server.wait_until_idle()
        (record,) = server.requests
    assert (record.outcome, record.ended) == (Outcome.ABANDONED, None)


def test_waiting_for_idleness_ends(client: Callable[..., Any], until: Callable[..., None]) -> None:
    with LMServer(lambda messages: "yes") as server:
        assert server.wait_until_idle(0)
        server.next(Fault.HANG)
        client(server).send_prompt()
        until(lambda: server.in_flight)
        assert not server.wait_until_idle(0.01)
