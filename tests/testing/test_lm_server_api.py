"""The endpoints, as a client of the standard library sees them."""

from __future__ import annotations

import base64
import itertools
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fusionprog.lm.model import approximate_tokens
from fusionprog.testing import LMServer

TEXT = "[[ ## team ## ]]\nbilling  desk\n"


@pytest.fixture
def server() -> Iterator[LMServer]:
    with LMServer(lambda messages: TEXT, models=["small", "large"], embedding_size=16) as running:
        yield running


def test_a_completion_has_the_text_and_its_usage(server: LMServer, client: Callable[..., Any]) -> None:
    answer = client(server).ask("a question of some length").json
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert (answer["object"], answer["model"]) == ("chat.completion", "m")
    read, written = approximate_tokens("a question of some length"), approximate_tokens(TEXT)
    assert answer["usage"] == {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def test_the_same_request_gets_the_same_bytes_but_for_its_id(server: LMServer, client: Callable[..., Any]) -> None:
    first, second = client(server).ask("same").json, client(server).ask("same").json
    assert first.pop("id") != second.pop("id")
    assert first == second


def test_the_text_function_gets_plain_messages(client: Callable[..., Any]) -> None:
    got: list[Any] = []

    def text(messages: list[dict[str, str]]) -> str:
        got.append([dict(message) for message in messages])
        messages.clear()  # what a function does to its messages is its own affair
        return "ok"

    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "two"}]
    with LMServer(text) as server:
        messages = [{"role": "system", "content": None}, {"role": "user", "content": parts, "name": "ada"}]
        assert client(server).ask(messages=messages).text == "ok"
        (record,) = server.requests
    plain = [{"role": "system", "content": ""}, {"role": "user", "content": "one\n\ntwo"}]
    assert got == [plain]
    assert list(record.messages) == plain


def test_n_choices_ask_the_function_n_times(client: Callable[..., Any]) -> None:
    count = itertools.count()
    with LMServer(lambda messages: f"answer {next(count)}") as server:
        answer = client(server).ask(n=3).json
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["answer 0", "answer 1", "answer 2"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] == 3 * approximate_tokens("answer 0")


def test_logprobs_are_one_token_per_word(server: LMServer, client: Callable[..., Any]) -> None:
    tokens = client(server).ask(logprobs=True, top_logprobs=3).json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == TEXT
    assert [token["token"].split() for token in tokens] == [[word] for word in TEXT.split()]
    for token in tokens:
        assert -2 < token["logprob"] <= 0
        assert bytes(token["bytes"]).decode() == token["token"]
        tops = [top["logprob"] for top in token["top_logprobs"]]
        assert len(tops) == 3 and tops == sorted(tops, reverse=True) and tops[0] == token["logprob"]
    again = client(server).ask("another prompt", logprobs=True, top_logprobs=3).json
    assert again["choices"][0]["logprobs"]["content"] == tokens


@pytest.mark.parametrize("text", ["", " ", "\n", "a", " a ", "a b\n", "\n\na  b\t"])
def test_words_put_together_are_the_text(text: str, client: Callable[..., Any]) -> None:
    with LMServer(lambda messages: text) as server:
        tokens = client(server).ask(logprobs=True).json["choices"][0]["logprobs"]["content"]
        streamed = client(server).ask(stream=True).events
    assert "".join(token["token"] for token in tokens) == text
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in streamed) == text


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x"}}])
def test_a_response_format_is_accepted_and_recorded(
    form: dict[str, Any], server: LMServer, client: Callable[..., Any]
) -> None:
    assert client(server).ask(response_format=form, temperature=0.5).text == TEXT
    assert server.requests[0].parameters == {"response_format": form, "temperature": 0.5}


def test_a_stream_is_the_answer_in_words(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    whole = asked.ask(logprobs=True).json
    answer = asked.ask(stream=True, stream_options={"include_usage": True}, logprobs=True)
    assert answer.headers["content-type"] == "text/event-stream"
    *chunks, last = answer.events
    assert {chunk["object"] for chunk in answer.events} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == TEXT
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    scores = [chunk["choices"][0]["logprobs"] for chunk in chunks if chunk["choices"][0]["logprobs"]]
    assert [score for each in scores for score in each["content"]] == whole["choices"][0]["logprobs"]["content"]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]) == ([], whole["usage"])


def test_a_stream_without_options_has_no_usage(server: LMServer, client: Callable[..., Any]) -> None:
    assert all("usage" not in event for event in client(server).ask(stream=True).events)


def test_a_stream_of_several_choices_numbers_them(server: LMServer, client: Callable[..., Any]) -> None:
    events = client(server).ask(stream=True, n=2).events
    for place in (0, 1):
        mine = [event["choices"][0] for event in events if event["choices"][0]["index"] == place]
        assert "".join(choice["delta"].get("content", "") for choice in mine) == TEXT


def test_embeddings_are_unit_vectors_in_which_shared_words_are_near(
    server: LMServer, client: Callable[..., Any]
) -> None:
    texts = ["my parcel is late", "the parcel is late", "stolen card", "!"]
    answer = client(server).request("POST", "/embeddings", {"model": "e", "input": texts}).json
    assert [each["index"] for each in answer["data"]] == [0, 1, 2, 3]
    first, near, far, _ = vectors = [each["embedding"] for each in answer["data"]]
    assert [len(vector) for vector in vectors] == [16] * 4
    assert all(math.isclose(math.hypot(*vector), 1) for vector in vectors)
    assert sum(a * b for a, b in zip(first, near, strict=True)) > sum(a * b for a, b in zip(first, far, strict=True))
    total = sum(approximate_tokens(text) for text in texts)
    assert answer["usage"] == {"prompt_tokens": total, "total_tokens": total}


def test_embeddings_follow_dimensions_and_encoding(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    body = {"model": "e", "input": "a text", "dimensions": 8}
    (plain,) = asked.request("POST", "/embeddings", body).json["data"]
    (packed,) = asked.request("POST", "/embeddings", body | {"encoding_format": "base64"}).json["data"]
    assert struct.unpack("<8f", base64.b64decode(packed["embedding"])) == pytest.approx(plain["embedding"])


def test_embeddings_take_tokens(server: LMServer, client: Callable[..., Any]) -> None:
    for tokens, count in (([1, 2], 1), ([[1, 2], [3]], 2)):
        answer = client(server).request("POST", "/embeddings", {"model": "e", "input": tokens}).json
        assert len(answer["data"]) == count


def test_models_are_listed(server: LMServer, client: Callable[..., Any]) -> None:
    answer = client(server).request("GET", "/models").json
    assert [model["id"] for model in answer["data"]] == ["small", "large"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON object"),
        ([1], "JSON object"),
        ({"messages": [{"role": "user", "content": "x"}]}, "'model'"),
        ({"model": "m"}, "'messages'"),
        ({"model": "m", "input": "x"}, "'messages'"),
        ({"model": "m", "messages": []}, "'messages'"),
        ({"model": "m", "messages": "hello"}, "'messages'"),
        ({"model": "m", "messages": ["hello"]}, "'role'"),
        ({"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 0}, "'n'"),
    ],
)
def test_what_is_no_request_is_refused_and_counted(
    body: Any, says: str, server: LMServer, client: Callable[..., Any]
) -> None:
    answer = client(server).request("POST", "/chat/completions", body)
    assert answer.status == 400
    assert says in answer.json["error"]["message"]
    assert server.counts == {"refused": 1}
    assert server.distinct == 0


@pytest.mark.parametrize("value", [None, "", [], [""], 3])
def test_embeddings_without_texts_are_refused(value: Any, server: LMServer, client: Callable[..., Any]) -> None:
    answer = client(server).request("POST", "/embeddings", {"model": "m", "input": value})
    assert (answer.status, "'input'" in answer.json["error"]["message"]) == (400, True)


def test_unknown_addresses_and_methods_are_named(server: LMServer, client: Callable[..., Any]) -> None:
    asked = client(server)
    unknown = asked.request("POST", "/completions", {"model": "m", "input": "x"})
    assert (unknown.status, "/v1/chat/completions" in unknown.json["error"]["message"]) == (404, True)
    assert asked.request("GET", "/chat/completions").status == 405
    assert asked.ask().status == 200  # on the same connection


def test_the_offline_reader_answers_dspy_prompts(client: Callable[..., Any]) -> None:
    system = (
        "Your input fields are:\n1. `message` (str):\nYour output fields are:\n"
        "1. `team` (Literal['billing', 'delivery']):\nAll interactions will be structured in the following way, "
        "with the appropriate values filled in.\n\n[[ ## message ## ]]\n{message}\n\n[[ ## team ## ]]\n{team}\n\n"
        "[[ ## completed ## ]]"
    )
    user = "[[ ## message ## ]]\na question about billing\n\nRespond with the corresponding output fields."
    with LMServer.offline() as server:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        assert "billing" in client(server).ask(messages=messages).text


def test_a_model_is_shown_alone(server: LMServer, client: Callable[..., Any]) -> None:
    answer = client(server).request("GET", "/models/large")
    assert answer.status == 200 and answer.json["id"] == "large"
    assert client(server).request("GET", "/models/huge").status == 404
    assert client(server).request("POST", "/models/large", {"model": "large"}).status == 404
