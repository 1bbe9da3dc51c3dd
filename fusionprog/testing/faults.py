"""What can go wrong with a request, and how often."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum


class Fault(StrEnum):
    """A way in which a request fails; the value is the name of its share in ``Faults`` and of its outcome."""

    RATE_LIMIT = "rate_limited"
    """Status 429, with ``Retry-After`` if one is set."""
    SERVER_ERROR = "server_error"
    """Status 500."""
    OVERLOADED = "overloaded"
    """Status 503, with ``Retry-After`` if one is set."""
    HANG = "hang"
    """No answer until the client or the server gives up."""
    CUT = "cut"
    """The connection is closed in the middle of the body."""
    MALFORMED = "malformed"
    """Status 200 and a body that is no JSON."""
    EMPTY_CHOICES = "empty_choices"
    """Status 200 and no choices (of embeddings: no data)."""
    UNFINISHED = "unfinished"
    """Half of the text, with ``finish_reason`` null: cut on its way; embeddings are not affected."""
    TRUNCATED = "truncated"
    """Half of the text, with ``finish_reason`` "length", as a model that has reached its limit; embeddings are not
    affected. A client that asks again after a failure takes it as an answer."""


HALVED: Mapping[Fault, str | None] = {Fault.UNFINISHED: None, Fault.TRUNCATED: "length"}
"""Faults that leave half of a text, and the finish reason that comes with it."""


def half(text: str) -> str:
    """Returns what is left of a text under a fault of ``HALVED``."""
    return text[: len(text) // 2]


@dataclass(frozen=True)
class ErrorAnswer:
    """An error as OpenAI's API sends it; ``error()`` makes one.

    Attributes:
        status: HTTP status, 400 to 599.
        code: Machine-readable code in the body.
        message: Words in the body.
        retry_after: Seconds in the header ``Retry-After``; ``None`` sends none.
    """

    status: int
    code: str
    message: str
    retry_after: float | None = None


_CODES = {
    400: "context_length_exceeded",
    401: "invalid_api_key",
    402: "insufficient_quota",
    403: "permission_denied",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "overloaded",
}
_MESSAGES = {
    "context_length_exceeded": "This model's maximum context length is 8192 tokens.",
    "invalid_api_key": "Incorrect API key provided.",
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
    "permission_denied": "You are not allowed to use this model.",
    "model_not_found": "The model does not exist or you do not have access to it.",
    "rate_limit_exceeded": "Rate limit reached for requests.",
    "server_error": "The server had an error while processing your request.",
    "overloaded": "The engine is currently overloaded, please try again later.",
}


def error(
    status: int, code: str | None = None, message: str | None = None, *, retry_after: float | None = None
) -> ErrorAnswer:
    """Returns an error for ``LMServer.next``.

    Args:
        status: HTTP status, 400 to 599.
        code: Its code; without one the usual code of the status (401 ``invalid_api_key``, 402 ``insufficient_quota``,
            404 ``model_not_found``, 400 ``context_length_exceeded``, …).
        message: Its words; without them the usual ones of the code.
        retry_after: Seconds in the header ``Retry-After``; ``None`` sends none.

    Raises:
        ValueError: if the status is none of an error.
    """
    if not 400 <= status <= 599:
        raise ValueError(f"an error's status must lie in 400 to 599, and is {status}")
    code = code or _CODES.get(status, "error")
    return ErrorAnswer(
        status, code, message or _MESSAGES.get(code, f"The request failed with status {status}."), retry_after
    )


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How a server misbehaves. What a request gets depends on the seed, its content and its repeat count alone.

    Attributes:
        latency: Seconds before every answer, at least 0.
        jitter: Seconds, at least 0; a request waits up to this much longer, the same every time.
        token_latency: Seconds between the words of a streamed answer, at least 0.
        rate_limited: Share of requests that get status 429, in [0, 1]. All shares together are at most 1.
        server_error: Share that get status 500.
        overloaded: Share that get status 503.
        hang: Share that get no answer.
        cut: Share whose connection is closed in the middle of the body.
        malformed: Share that get a body that is no JSON.
        empty_choices: Share that get an answer without choices.
        unfinished: Share that get half of the text, and no reason why it ends.
        truncated: Share that get half of the text, as from a model that has reached its limit.
        retry_after: Seconds in ``Retry-After`` with status 429 and 503; ``None`` sends none.
        at_most: Faulty answers in a row to one content, after which it is answered well, so that retries come
            through; ``None`` for no limit.
        seed: Another seed is another draw.
    """

    latency: float = 0.0
    jitter: float = 0.0
    token_latency: float = 0.0
    rate_limited: float = 0.0
    server_error: float = 0.0
    overloaded: float = 0.0
    hang: float = 0.0
    cut: float = 0.0
    malformed: float = 0.0
    empty_choices: float = 0.0
    unfinished: float = 0.0
    truncated: float = 0.0
    retry_after: float | None = None
    at_most: int | None = 2
    seed: int = 0
    _shares: tuple[tuple[Fault, float], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "token_latency"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0 seconds, and is {getattr(self, name)}")
        shares = tuple((fault, float(getattr(self, fault.value))) for fault in Fault)
        if any(not 0 <= share <= 1 for _, share in shares) or sum(share for _, share in shares) > 1 + 1e-9:
            found = ", ".join(f"{fault}={share}" for fault, share in shares if share)
            raise ValueError(f"shares must lie in [0, 1] and sum up to at most 1: {found}")
        if self.at_most is not None and self.at_most < 0:
            raise ValueError(f"at_most must be at least 0, and is {self.at_most}")
        object.__setattr__(self, "_shares", tuple((fault, share) for fault, share in shares if share))

    @property
    def none(self) -> bool:
        """Whether nothing goes wrong and nothing waits."""
        return not (self._shares or self.latency or self.jitter)

    def draw(self, key: str, repeat: int) -> tuple[Fault | None, float]:
        """Returns the fault, if any, and the seconds to wait for a request.

        Args:
            key: Digest of the request's content.
            repeat: How often the content was asked before, from 0.
        """
        if self.none:
            return None, 0.0
        drawn = hashlib.blake2b(f"{self.seed} {key} {repeat}".encode(), digest_size=16).digest()
        place = int.from_bytes(drawn[:8], "big") / 2**64
        delay = self.latency + self.jitter * int.from_bytes(drawn[8:], "big") / 2**64
        for fault, share in self._shares:
            if place < share:
                return fault, delay
            place -= share
        return None, delay


assert {fault.value for fault in Fault} <= {each.name for each in fields(Faults)}
