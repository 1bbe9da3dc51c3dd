"""What goes wrong on request, on the wire."""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fusionprog.testing import ErrorAnswer, Fault, Faults, LMServer, Outcome, Script, error

TEXT = "one two three four"


@pytest.fixture
def server() -> Iterator[LMServer]:
    with LMServer(lambda messages: TEXT) as running:
        yield running


def test_nothing_goes_wrong_unless_told(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    assert [asked.ask(f"prompt {place}").status for place in range(20)] == [200] * 20
    assert server.counts == {Outcome.OK: 20}


@pytest.mark.parametrize("retry_after", [None, 0.25, 3])
@pytest.mark.parametrize(("fault", "status"), [(Fault.RATE_LIMIT, 429), (Fault.OVERLOADED, 503)])
def test_a_busy_server_may_say_when_to_come_again(
    fault: Fault, status: int, retry_after: float | None, server: LMServer, client: Callable[..., Any]
) -> None:
    server.next(fault, retry_after=retry_after)
    answer = client(server).ask()
    assert answer.status == status
    assert answer.headers.get("retry-after") == (None if retry_after is None else f"{retry_after:g}")
    assert answer.json["error"]["code"] in ("rate_limit_exceeded", "overloaded")
    assert client(server).ask().text == TEXT
    assert server.counts == {fault: 1, "ok": 1}


def test_a_server_error_is_a_500(server: LMServer, client: Callable[..., Any]) -> None:
    server.next(Fault.SERVER_ERROR)
    assert client(server).ask().status == 500


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "invalid_api_key"),
        (402, "insufficient_quota"),
        (404, "model_not_found"),
        (400, "context_length_exceeded"),
        (418, "error"),
    ],
)
def test_errors_have_the_usual_code_of_their_status(
    status: int, code: str, server: LMServer, client: Callable[..., Any]
) -> None:
    server.next(error(status))
    answer = client(server).ask()
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert answer.json["error"]["message"]
    assert (server.requests[0].outcome, server.requests[0].fault) == (Outcome.ERROR, None)
    assert server.requests[0].detail == answer.json["error"]["message"]


def test_an_error_may_have_its_own_words(server: LMServer, client: Callable[..., Any]) -> None:
    server.next(error(429, "insufficient_quota", "no money", retry_after=60))
    answer = client(server).ask()
    assert answer.status == 429
    assert (answer.json["error"]["code"], answer.json["error"]["message"]) == ("insufficient_quota", "no money")
    assert answer.headers["retry-after"] == "60"
    assert error(429, "insufficient_quota").message == error(402).message
    with pytest.raises(ValueError, match="400 to 599"):
        error(200)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_ends_in_its_middle(stream: bool, server: LMServer, client: Callable[..., Any]) -> None:
    server.next(Fault.CUT)
    with pytest.raises(http.client.IncompleteRead) as caught:
        client(server).ask(stream=stream)
    assert caught.value.partial
    assert client(server).ask(stream=stream).status == 200


def test_a_malformed_answer_is_no_json(server: LMServer, client: Callable[..., Any]) -> None:
    server.next(Fault.MALFORMED)
    answer = client(server).ask()
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json  # noqa: B018


@pytest.mark.parametrize("stream", [False, True])
def test_empty_choices_are_an_empty_list(stream: bool, server: LMServer, client: Callable[..., Any]) -> None:
    server.next(Fault.EMPTY_CHOICES)
    answer = client(server).ask(stream=stream)
    assert [each["choices"] for each in (answer.events if stream else [answer.json])] == [[]]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "reason"), [(Fault.TRUNCATED, "length"), (Fault.UNFINISHED, None)])
def test_half_of_the_text_comes_with_its_reason(
    fault: Fault, reason: str | None, stream: bool, server: LMServer, client: Callable[..., Any]
) -> None:
    server.next(fault)
    answer = client(server).ask(stream=stream)
    if stream:
        text = "".join(event["choices"][0]["delta"].get("content", "") for event in answer.events)
        finish = answer.events[-1]["choices"][0]["finish_reason"]
    else:
        text, finish = answer.text, answer.json["choices"][0]["finish_reason"]
    assert (text, finish) == (TEXT[: len(TEXT) // 2], reason)


def test_a_hanging_request_is_in_the_log_while_the_client_still_waits(
    server: LMServer, client: Callable[..., Any], until: Callable[..., None]
) -> None:
    server.next(Fault.HANG)
    asked = client(server)
    asked.send_prompt()
    until(lambda: server.counts[Fault.HANG])
    (record,) = server.requests
    assert (record.outcome, record.ended, server.in_flight) == (Fault.HANG, None, 1)
    asked.connection.close()
    assert server.wait_until_idle()
    assert client(server).ask().text == TEXT


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(Fault.EMPTY_CHOICES, Fault.EMPTY_CHOICES), (Fault.TRUNCATED, Outcome.OK), (Fault.UNFINISHED, Outcome.OK)],
)
def test_embeddings_have_the_faults_that_they_can_have(
    fault: Fault, outcome: str, server: LMServer, client: Callable[..., Any]
) -> None:
    server.next(fault)
    answer = client(server).request("POST", "/embeddings", {"model": "e", "input": "x"})
    assert len(answer.json["data"]) == (fault is not Fault.EMPTY_CHOICES)
    assert server.counts == {outcome: 1}


def test_plans_are_used_up_in_order_and_by_what_they_match(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    server.next(error(401), match="bank")
    server.next(Fault.SERVER_ERROR, times=2)
    server.next(Fault.OVERLOADED, match=re.compile("BANK", re.IGNORECASE))
    prompts = ["shop", "bank", "shop", "bank", "shop", "bank"]
    assert [asked.ask(prompt).status for prompt in prompts] == [500, 401, 500, 503, 200, 200]


def test_a_plan_for_all_requests_ends_with_a_reset(server: LMServer, client: Callable[..., Any]) -> None:
    server.next(error(404), times=None)
    assert {client(server).ask(f"{place}").status for place in range(5)} == {404}
    server.reset()
    assert client(server).ask().status == 200
    with pytest.raises(ValueError, match="times"):
        server.next(error(404), times=0)


def test_random_faults_let_the_third_try_through(server: LMServer, client: Callable[..., Any]) -> None:
    server.faults = Faults(rate_limited=0.5, server_error=0.5, retry_after=0.5)
    asked = client(server)
    answers = [asked.ask("same") for _ in range(9)]
    assert [answer.status == 200 for answer in answers] == [False, False, True] * 3
    assert {answer.headers.get("retry-after") for answer in answers if answer.status == 429} == {"0.5"}
    server.faults = Faults(server_error=1, at_most=None)
    assert {asked.ask("same").status for _ in range(5)} == {500}
    server.faults = Faults()
    assert asked.ask("same").status == 200


def _outcomes(threads: int, client: Callable[..., Any]) -> dict[str, Counter[str]]:
    """What every prompt got, when each is asked four times."""
    kinds = ["rate_limited", "server_error", "cut", "malformed", "empty_choices", "unfinished", "truncated"]
    shares: Any = dict.fromkeys(kinds, 0.1)
    prompts = [f"prompt {place}" for place in range(25)] * 4

    def ask(prompt: str) -> None:
        try:
            client(server).ask(prompt)
        except http.client.IncompleteRead:
            pass

    with LMServer(lambda messages: TEXT, faults=Faults(seed=3, jitter=0.005, **shares)) as server:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(ask, prompts))
        got: dict[str, Counter[str]] = {}
        for record in server.requests:
            got.setdefault(record.messages[0]["content"], Counter())[record.outcome] += 1
    return got


def test_faults_do_not_depend_on_concurrency_or_order(client: Callable[..., Any]) -> None:
    alone = _outcomes(1, client)
    assert sum(alone.values(), Counter())["ok"] < 75  # faults there are
    assert {fault for counts in alone.values() for fault in counts} > {"ok", "cut", "malformed", "rate_limited"}
    assert _outcomes(16, client) == alone


def test_what_a_script_does_not_know_is_a_500_that_says_so(client: Callable[..., Any]) -> None:
    script = Script([("parcel", "delivery")])
    with LMServer(script) as server:
        asked = client(server)
        assert asked.ask("my parcel").text == "delivery"
        answer = asked.ask("my card")
    assert answer.status == 500
    assert answer.headers["retry-after"] == "0"
    assert "no rule of the script matches the prompt" in answer.json["error"]["message"]
    assert "my card" in answer.json["error"]["message"]
    assert script.unmatched == ("my card",)
    assert server.counts == {"ok": 1, "failed": 1}
    with pytest.raises(AssertionError, match="my card"):
        script.check()


class Fatal(BaseException):
    """As pytest's own failures are: no ``Exception``."""


@pytest.mark.parametrize("problem", [ValueError("broken"), Fatal("broken"), AssertionError("broken")])
def test_what_a_text_function_raises_is_a_500_that_is_counted(
    problem: BaseException, client: Callable[..., Any]
) -> None:
    def text(messages: object) -> str:
        raise problem

    with LMServer(text) as server:
        answer = client(server).ask()
        assert client(server).request("GET", "/models").status == 200
    assert answer.status == 500
    assert answer.json["error"]["message"] == f"{type(problem).__name__}: broken"
    assert [record.detail for record in server.requests if record.outcome is Outcome.FAILED] == [
        f"{type(problem).__name__}: broken"
    ]


def test_an_answer_that_is_no_text_is_a_failure(client: Callable[..., Any]) -> None:
    with LMServer(lambda messages: 3) as server:  # type: ignore[arg-type, return-value]
        assert "must return a str" in client(server).ask().json["error"]["message"]


def test_error_answers_are_values() -> None:
    assert error(401) == ErrorAnswer(401, "invalid_api_key", "Incorrect API key provided.")
