"""What a model's tokens cost: at most, and really."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Usage(NamedTuple):
    """The tokens of a call, as its provider counts them.

    Attributes:
        read: Of the prompt, with the two kinds below.
        written: Of the answer, with those of reasoning.
        cached: Of the prompt, found in the provider's cache.
        kept: Of the prompt, written to the provider's cache.
        reasoned: Of the answer, reasoning.
    """

    read: int
    written: int
    cached: int = 0
    kept: int = 0
    reasoned: int = 0


class Rates(NamedTuple):
    """Dollars per token of every kind of ``Usage``; ``read`` and ``written`` are those of tokens of no other kind.

    Where a prompt is not written to a provider's cache, ``kept`` is as much as ``read``.
    """

    read: float
    written: float
    cached: float
    kept: float
    reasoned: float


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost.

    Attributes:
        steps: Tokens of a prompt → the rates of a whole call whose prompt has as many or more; ascending, the first
            from 0 on.
    """

    steps: tuple[tuple[int, Rates], ...]

    @classmethod
    def flat(cls, read: float, written: float) -> Price:
        """Returns the price that is the same for all tokens of prompts, and all of answers."""
        return cls(((0, Rates(read, written, read, read, written)),))

    def rates(self, prompt: float) -> Rates:
        """Returns the rates of a call whose prompt has so many tokens."""
        return next(rates for least, rates in reversed(self.steps) if prompt >= least)

    def most(self, read: float, written: float, longest: float | None = None) -> float:
        """Returns the dollars that calls cost at most, however much of them is reasoning or written to a cache.

        Args:
            read: Tokens of their prompts.
            written: Tokens of their answers.
            longest: Tokens of the longest prompt; of a single call they are ``read``.
        """
        rates = self.rates(read if longest is None else longest)
        return read * max(rates.read, rates.kept) + written * max(rates.written, rates.reasoned)

    def paid(self, usage: Usage) -> float:
        """Returns the dollars that a call has cost."""
        rates = self.rates(usage.read)
        plain = max(0, usage.read - usage.cached - usage.kept)
        said = max(0, usage.written - usage.reasoned)
        return (
            plain * rates.read
            + usage.cached * rates.cached
            + usage.kept * rates.kept
            + said * rates.written
            + usage.reasoned * rates.reasoned
        )


FREE = Price.flat(0.0, 0.0)
