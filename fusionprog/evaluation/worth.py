"""What tokens and dollars are worth, in units of score."""

from __future__ import annotations

from fusionprog.lm.model import approximate_tokens
from fusionprog.lm.price import FREE, Price
from fusionprog.prompts.items import Content
from fusionprog.prompts.mixture import CAPS

WORTH_OF_TOKEN = 3e-5
"""Score that a token of an example must bring."""

WORTH_OF_DOLLAR = 10.0
"""Score that a dollar of an example must bring: a dollar more for a thousand examples must gain a hundredth."""


def worth_of_call(tokens_in: float, tokens_out: float, price: Price | None) -> float:
    """Returns the score that a model call must bring; where no price is known, its tokens alone count.

    Args:
        tokens_in: Tokens of the prompt.
        tokens_out: Tokens of the answer.
        price: What they cost; ``None`` where unknown.
    """
    usd = (price or FREE).most(tokens_in, tokens_out)
    return WORTH_OF_TOKEN * (tokens_in + tokens_out) + WORTH_OF_DOLLAR * usd


def tokens_shown(content: Content) -> int:
    """Returns what a text, or as many demonstrations as a prompt shows, makes a prompt longer by."""
    if isinstance(content, str):
        return approximate_tokens(content)
    whole = sum(approximate_tokens(str(value)) for demo in content for value in demo.values())
    return whole * min(len(content), CAPS["demos"]) // max(1, len(content))
