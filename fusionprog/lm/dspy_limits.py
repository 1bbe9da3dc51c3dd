"""How long an answer may get by an LM's own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_THOUGHT = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
_THOUGHT |= {"off": 0, "none": 0, "None": 0}


def answer_limit(parameters: Mapping[str, Any], model: str) -> int | None:
    """Returns how many tokens an answer can have at most; ``None`` where the parameters set no limit.

    Of several limits nobody knows which one a provider goes by. DSPy's own client for Anthropic allows thinking beside
    the limit, by a table of efforts.

    Args:
        parameters: Of the LM.
        model: As it is named.
    """
    body = parameters.get("extra_body")
    places = [parameters, body] if isinstance(body, Mapping) else [parameters]
    limits = [limit for place in places for name in _LIMITS if isinstance(limit := place.get(name), int)]
    if not limits:
        return None
    beside = any(name in model.lower() for name in ("anthropic", "claude"))
    return max(limits) + (_thought(parameters) if beside else 0)


def _thought(parameters: Mapping[str, Any]) -> int:
    reasoning = parameters.get("reasoning")
    names = ("effort", "thinking_budget")
    told = reasoning if isinstance(reasoning, Mapping) else {name: getattr(reasoning, name, None) for name in names}
    effort = str(told.get("effort") or parameters.get("reasoning_effort"))
    budgets = [each for each in told.values() if isinstance(each, int)]
    return max([*budgets, _THOUGHT.get(effort, max(_THOUGHT.values()))])
