"""What a language model is to the rest of the package."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from fusionprog._internal.canonical import digest, jsonable
from fusionprog.lm.price import FREE, Price

Message: TypeAlias = Mapping[str, str]
Messages: TypeAlias = Sequence[Message]
CHARACTERS_PER_TOKEN = 4
Finish: TypeAlias = Literal["stop", "length", "refused", "context"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    Attributes:
        prefix: The messages that are the same in every call of a prompt.
        prefix_id: Their digest.
        content: The last message, the user's.
    """

    prefix: tuple[Message, ...]
    prefix_id: str
    content: str

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages."""
        return (*self.prefix, {"role": "user", "content": self.content})

    @property
    def approximate_tokens(self) -> int:
        """About how many tokens the messages have."""
        return sum(approximate_tokens(message["content"]) for message in self.messages)


def request_of(messages: Messages) -> Request:
    """Returns messages that end with the user's as a request."""
    *prefix, last = messages
    return Request(tuple(prefix), prefix_digest(prefix), last["content"])


def prefix_digest(prefix: Messages) -> str:
    """Returns the digest of messages, the same in every process."""
    return digest([[message["role"], message["content"]] for message in prefix])


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer.

    Attributes:
        text: What it said.
        input_tokens: Tokens of the prompt, as the provider counts them; estimated where it does not.
        output_tokens: Tokens of the answer.
        usd: The most that a call of so many tokens costs in dollars, which is the same in every run; ``None`` where the
            price is unknown.
        finish: Why it ended: ``"stop"``, the model was done; ``"length"``, it reached ``max_tokens``; ``"refused"``,
            a content filter held it back; ``"context"``, the prompt does not fit the model's context window, and
            nothing was said.
        kept: Whether the store had it already.
        paid_usd: What the call did cost, where the provider says that it was less: parts of a prompt that it had in its
            cache are cheaper. ``None`` for as much as ``usd``.
    """

    text: str
    input_tokens: int
    output_tokens: int
    usd: float | None = None
    finish: Finish = "stop"
    kept: bool = field(default=False, compare=False)
    paid_usd: float | None = field(default=None, compare=False)

    @property
    def tokens(self) -> int:
        """Tokens of prompt and answer."""
        return self.input_tokens + self.output_tokens


class LanguageModel(Protocol):
    """Answers chat messages.

    A model makes one attempt; the client retries. What it may answer beside a text is in ``Completion.finish``.

    Attributes:
        name: As users write it (``"openai/gpt-4o-mini"``, ``"offline"``).
        identity: What its answers depend on beside the messages, as JSON data without keys or secrets; calls are
            stored under it.
        persistent: Whether ``identity`` means the same model in another process.
        free: Whether calls cost nothing.
    """

    name: str
    identity: Mapping[str, Any]
    persistent: bool
    free: bool

    @property
    def usd_per_token(self) -> Price | tuple[float, float] | None:
        """Dollars per input and output token, or a price that depends on more; ``None`` where unknown."""
        ...

    @property
    def max_output_tokens(self) -> int | None:
        """Tokens that an answer can have at most; ``None`` where unknown."""
        ...

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer, after one attempt.

        Raises:
            LMUnavailableError: if there is none now; asking again may help.
            LMConfigurationError: if there will be none before something is set.
            LMError: if there is none for another reason; asking again does not help.
        """
        ...


def price_of(model: LanguageModel) -> Price | None:
    """Returns a model's price; ``None`` where it is unknown."""
    found = model.usd_per_token
    return found if found is None or isinstance(found, Price) else Price.flat(*found)


def dearness(model: LanguageModel) -> float:
    """Returns the dollars of a token read and one written, to compare models by; 0 where they are unknown."""
    return (price_of(model) or FREE).most(1, 1)


def approximate_tokens(text: str) -> int:
    """Returns about how many tokens a text has: a quarter of its characters."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def recorded_identity(model: LanguageModel) -> dict[str, Any]:
    """Returns a model's identity as it is kept, as JSON data.

    Of an engine that only this process knows it is but the kind: what else tells it apart means nothing tomorrow.
    """
    identity: dict[str, Any] = jsonable(dict(model.identity))
    if model.persistent:
        return identity
    engine = identity.get("engine")
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    return {"model": model.name, "engine": [engine[0] if isinstance(engine, list) and engine else kind]}
