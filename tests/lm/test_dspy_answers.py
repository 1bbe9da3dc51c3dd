"""What engines return, read as a text and the reason why it ended: the bodies of several providers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from dspy.lm15 import DataPart, Message, Response, TextPart, ThinkingPart, Usage

from fusionprog.errors import LMIncompleteError
from fusionprog.lm.dspy_answers import read_response, read_result


def response(*parts: Any, body: Any = None, reason: Any = "stop") -> Response:
    return Response(
        id=None,
        model="m",
        message=Message(role="assistant", parts=parts or (TextPart("said"),)),
        finish_reason=reason,
        usage=Usage(),
        provider_data=body,
    )


def chat(content: str | None = "said", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, **choice}]}


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"of": "another kind"},
        chat(finish_reason="stop"),
        chat(finish_reason="stop", stop_reason=None),  # as vLLM sends it
        {"type": "message", "stop_reason": "end_turn"},
        {"candidates": [{"finishReason": "STOP"}]},
    ],
)
def test_a_body_that_is_finished_is_an_answer(body: Any) -> None:
    assert read_response(response(body=body), "m") == ("said", "stop")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"choices": []}, "without choices"),
        ({"choices": [None]}, "breaks off"),
        (chat(), "breaks off"),
        (chat(finish_reason=None), "breaks off"),
        ({"type": "message", "stop_reason": None}, "breaks off"),
        ({"candidates": []}, "without choices"),
        ({"candidates": [{"content": {}}]}, "breaks off"),
    ],
)
def test_a_body_that_is_not_finished_is_none(body: Any, found: str) -> None:
    with pytest.raises(LMIncompleteError, match=found):
        read_response(response(body=body), "m")


def test_no_text_and_an_empty_text_are_told_apart() -> None:
    empty = TextPart("")
    assert read_response(response(empty), "m") == ("", "stop")
    assert read_response(response(empty, body=chat("", finish_reason="stop")), "m") == ("", "stop")
    with pytest.raises(LMIncompleteError, match="without text"):
        read_response(response(empty, body=chat(None, finish_reason="stop")), "m")
    # A model that thought until it reached its limit.
    long = chat(None, finish_reason="length")
    assert read_response(response(empty, body=long, reason="length"), "m") == ("", "length")


def test_texts_and_data_are_joined_and_thoughts_left_out() -> None:
    parts = (ThinkingPart("hm"), TextPart("a"), TextPart("b"), DataPart(value={"c": "ü"}))
    assert read_response(response(*parts), "m") == ('ab{"c": "ü"}', "stop")


def result(outputs: list[Any], **raw: Any) -> Any:
    return SimpleNamespace(usage={}, responses=(), outputs=outputs, raw=SimpleNamespace(**raw))


def choice(reason: str | None = "stop", refusal: str | None = None) -> list[Any]:
    return [SimpleNamespace(finish_reason=reason, message=SimpleNamespace(refusal=refusal))]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (result(["said"], choices=choice()), ("said", "stop")),
        (result(["said"]), ("said", "stop")),
        (result([{"text": "said", "reasoning_content": "hm"}], choices=choice()), ("said", "stop")),
        (result(["sa"], choices=choice("length")), ("sa", "length")),
        (result(["sa"], choices=choice("content_filter")), ("sa", "refused")),
        (result([None], choices=choice("stop", "I must not")), ("I must not", "refused")),
        (result([{"text": "sa"}], incomplete_details={"reason": "max_output_tokens"}), ("sa", "length")),
        (result(["sa"], choices=choice(None)), ("sa", "stop")),  # an old form without a reason
    ],
)
def test_results_in_the_form_of_openais_client(given: Any, expected: tuple[str, str]) -> None:
    assert read_result(given, "m", heard=None) == expected


def test_what_the_provider_sent_counts_more_than_what_litellm_makes_of_it() -> None:
    given = result(["said"], choices=choice())
    whole = '{"choices": [{"finish_reason": "stop", "message": {"content": "say \\"finish_reason\\": null"}}]}'
    assert read_result(given, "m", heard=[whole]) == ("said", "stop")
    with pytest.raises(LMIncompleteError, match="breaks off"):
        read_result(given, "m", heard=['{"choices":[{"finish_reason":null,"message":{"content":"sa"}}]}'])
    with pytest.raises(LMIncompleteError, match="without choices"):
        read_result(result([], choices=[]), "m", heard=['{"choices": []}'])
