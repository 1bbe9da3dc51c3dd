"""A model's answer as the store has it, and the row that it is written as."""

from __future__ import annotations

from typing import Any, NamedTuple


class StoredCall(NamedTuple):
    """A model's answer as the store has it.

    Attributes:
        text: What the model said.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        usd: The most that such a call costs in dollars; ``None`` where the price is unknown.
        finish: Why the answer ended, as the model's client says.
    """

    text: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    finish: str = "stop"


class CallRow(NamedTuple):
    """A row of the table of calls; the fields are its columns, in the order in which they are written."""

    key: bytes
    model: str
    prompt: str
    content: str
    sample: int
    text: str
    input_tokens: int
    output_tokens: int
    usd: float | None
    finish: str
    created: float
    paid_calls: int
    paid_tokens: int
    paid_usd: float

    @property
    def call(self) -> StoredCall:
        """The answer."""
        return StoredCall(self.text, self.input_tokens, self.output_tokens, self.usd, self.finish)


def row_of(
    key: bytes,
    model: str,
    prompt: str,
    content: str,
    sample: int,
    call: StoredCall,
    created: float,
    paid_usd: float | None = None,
) -> CallRow:
    """Returns the row of an answer that was paid for just now; it has cost ``call.usd`` where nothing else is said."""
    tokens = call.input_tokens + call.output_tokens
    values: tuple[Any, ...] = (
        key,
        model,
        prompt,
        content,
        sample,
        call.text,
        call.input_tokens,
        call.output_tokens,
        call.usd,
        call.finish,
        created,
        1,
        tokens,
        (call.usd if paid_usd is None else paid_usd) or 0.0,
    )
    return CallRow._make(values)
