"""What a request asks: the content of its body, and the digest that content is known by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fusionprog.lm.model import Message
from fusionprog.testing.http import HTTPRequest
from fusionprog.testing.text import plain_messages

CHAT, EMBEDDINGS, MODELS = "/v1/chat/completions", "/v1/embeddings", "/v1/models"

_NO_CONTENT = ("stream", "stream_options")


@dataclass(frozen=True)
class Content:
    """What a request asks.

    Attributes:
        path: Where it was sent.
        model: The model that it asks for; empty where it asks for none.
        messages: Its chat messages; the inputs of embeddings, a message each.
        parameters: Everything else in its body.
        key: Digest of all this without the parameters of streaming; empty for a request without content.
    """

    path: str
    model: str = ""
    messages: tuple[Message, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    key: str = ""

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return int(self.parameters.get("n") or 1)


def read_content(request: HTTPRequest) -> Content:
    """Returns what a POST request asks.

    Raises:
        ValueError: if its body does not fit its path.
    """
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    if not isinstance(body.get("model"), str):
        raise ValueError("'model' must be a text")
    embeddings = request.path == EMBEDDINGS
    messages = _inputs(body.get("input")) if embeddings else plain_messages(body.get("messages"))
    choices = body.get("n")
    if choices is not None and (type(choices) is not int or not 1 <= choices <= 128):
        raise ValueError("'n' must be a whole number from 1 to 128")
    parameters = {name: value for name, value in body.items() if name not in ("model", "messages", "input")}
    return Content(request.path, body["model"], messages, MappingProxyType(parameters), content_key(request.path, body))


def content_key(path: str, body: Mapping[str, Any]) -> str:
    """Returns the digest of what is asked: the same whatever the order of the body's keys, streamed or not."""
    content = {name: value for name, value in body.items() if name not in _NO_CONTENT}
    text = json.dumps([path, content], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _inputs(value: Any) -> tuple[Message, ...]:
    """The inputs of an embeddings request: a text, texts, or one or several lists of token numbers."""
    many = value if isinstance(value, list) and value and isinstance(value[0], (str, list)) else [value]
    if not all(isinstance(each, (str, list)) and each for each in many):
        raise ValueError("'input' must be a text or a list of texts that are not empty")
    return tuple(
        MappingProxyType({"role": "input", "content": each if isinstance(each, str) else " ".join(map(str, each))})
        for each in many
    )
