"""The JSON of chat completions, whole and streamed, and of the errors and models beside them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from fusionprog.lm.model import approximate_tokens
from fusionprog.testing.content import Content
from fusionprog.testing.faults import ErrorAnswer
from fusionprog.testing.text import prompt_tokens

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+|\s+$")
_DONE = b"data: [DONE]\n\n"


def completion(content: Content, texts: Sequence[str], finish: str | None, name: str) -> bytes:
    """Returns the body of a chat completion.

    Args:
        content: What was asked.
        texts: The choices; none for an answer without choices.
        finish: Their finish reason; ``None`` for null.
        name: The answer's id.
    """
    choices = [
        {
            "index": place,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": _logprobs(content, words_of(text)),
            "finish_reason": finish,
        }
        for place, text in enumerate(texts)
    ]
    return _encoded(_envelope(content, name, "chat.completion") | {"choices": choices, "usage": _usage(content, texts)})


def events(content: Content, texts: Sequence[str], finish: str | None, name: str) -> Iterator[bytes]:
    """Yields the server-sent events of a streamed chat completion, a word each; the arguments are ``completion``'s."""
    head = _envelope(content, name, "chat.completion.chunk")
    with_usage = bool((content.parameters.get("stream_options") or {}).get("include_usage"))

    def event(place: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": place, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return _event(head | {"choices": [choice]} | ({"usage": None} if with_usage else {}))

    for place, text in enumerate(texts):
        yield event(place, {"role": "assistant", "content": ""})
        for word in words_of(text):
            yield event(place, {"content": word}, logprobs=_logprobs(content, [word]))
        yield event(place, {}, finish)
    if with_usage or not texts:
        yield _event(head | {"choices": []} | ({"usage": _usage(content, texts)} if with_usage else {}))
    yield _DONE


def error_body(answer: ErrorAnswer) -> bytes:
    """Returns the body of an error."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(answer.status, "invalid_request_error")
    if answer.status >= 500:
        kind = "server_error"
    return _encoded({"error": {"message": answer.message, "type": kind, "param": None, "code": answer.code}})


def models_body(names: Sequence[str]) -> bytes:
    """Returns the body of a list of models."""
    return _encoded({"object": "list", "data": list(map(_model, names))})


def model_body(name: str) -> bytes:
    """Returns the body of one model."""
    return _encoded(_model(name))


def words_of(text: str) -> list[str]:
    """Returns a text cut into words with the space before them; together they are the text."""
    return _WORD.findall(text)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "fusionprog"}


def _envelope(content: Content, name: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{name}", "object": kind, "created": 0, "model": content.model}


def _usage(content: Content, texts: Sequence[str]) -> dict[str, int]:
    read = prompt_tokens(content.messages)
    written = sum(map(approximate_tokens, texts))
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _logprobs(content: Content, words: list[str]) -> dict[str, Any] | None:
    if not content.parameters.get("logprobs"):
        return None
    others = int(content.parameters.get("top_logprobs") or 0)
    return {"content": [_scored(word, others) for word in words], "refusal": None}


def _scored(word: str, others: int) -> dict[str, Any]:
    """A word with a log probability in (-2, 0] made from its letters, and the alternatives that are asked for."""
    drawn = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=4).digest(), "big")
    own = _token(word, -2 * drawn / 2**32)
    below = [_token(f"{word}~{place}", own["logprob"] - place) for place in range(1, others)]
    return own | {"top_logprobs": [own, *below] if others else []}


def _token(word: str, logprob: float) -> dict[str, Any]:
    return {"token": word, "logprob": logprob, "bytes": list(word.encode("utf-8", "replace"))}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + _encoded(data) + b"\n\n"


def _encoded(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
