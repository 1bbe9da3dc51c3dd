"""What an LM's own parameters say of its answers: how long they may get, and what they cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fusionprog.lm.price import Price
from fusionprog.lm.prices import list_price

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CHARGED = ("web_search_options", "speed", "inference_geo")  # for each of which more is charged than for tokens
_PLACES = ("vertex_location", "vertex_ai_location", "api_base", "base_url")
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
    limits = [limit for name in _LIMITS for limit in _values(parameters, name) if isinstance(limit, int)]
    if not limits:
        return None
    beside = any(name in model.lower() for name in ("anthropic", "claude"))
    return max(limits) + (_thought(parameters) if beside else 0)


def price_with(parameters: Mapping[str, Any], model: str) -> Price | None:
    """Returns what tokens cost; ``None`` where that is not known, or more than tokens is charged for.

    Args:
        parameters: Of the LM.
        model: As LiteLLM names it.
    """
    tools = [str(tool) for asked in _values(parameters, "tools") for tool in asked]
    if any("web_search" in tool for tool in tools) or any(_values(parameters, name) for name in _CHARGED):
        return None
    tier = next(iter(_values(parameters, "service_tier")), None)
    keeps = bool(_values(parameters, "prompt_cache")) or "cache_control" in str(parameters)
    places = [str(place) for name in _PLACES for place in _values(parameters, name)]
    in_region = any(place != "global" and not place.startswith("http") for place in places)
    in_region |= any(re.match(r"https?://[a-z]{2}\.api\.", place) for place in places)
    return list_price(model, None if tier is None else str(tier), keeps=keeps, in_region=in_region)


def _values(parameters: Mapping[str, Any], name: str) -> list[Any]:
    """A parameter that is set, and the same in what is added to the body of a request."""
    body = parameters.get("extra_body")
    places = [parameters, body] if isinstance(body, Mapping) else [parameters]
    return [place[name] for place in places if place.get(name) is not None]


def _thought(parameters: Mapping[str, Any]) -> int:
    reasoning = parameters.get("reasoning")
    names = ("effort", "thinking_budget")
    told = reasoning if isinstance(reasoning, Mapping) else {name: getattr(reasoning, name, None) for name in names}
    effort = str(told.get("effort") or parameters.get("reasoning_effort"))
    budgets = [each for each in told.values() if isinstance(each, int)]
    return max([*budgets, _THOUGHT.get(effort, max(_THOUGHT.values()))])
