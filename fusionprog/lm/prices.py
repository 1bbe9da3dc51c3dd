"""Prices and keys from LiteLLM's bundled tables; nothing is downloaded."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

_SEARCH_ALWAYS = ("perplexity",)  # providers that search in every call and charge for it
_SEARCH_NAMES = ("-search-preview", "-search-api")  # and models
_PRICES = "model_prices_and_context_window_backup.json"


@functools.cache
def _litellm() -> ModuleType:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm  # takes seconds, so it is imported where a model is given by name

    litellm.suppress_debug_info = True
    return litellm


@functools.cache
def _prices() -> dict[str, dict[str, Any]]:
    """The table as LiteLLM ships it, read without importing LiteLLM."""
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        return {}
    table: dict[str, dict[str, Any]] = json.loads((Path(found.origin).parent / _PRICES).read_text(encoding="utf-8"))
    return table


@functools.cache
def usd_per_token(model: str) -> tuple[float, float] | None:
    """Returns dollars per input and per output token, or ``None`` where the model has no known price.

    Where tokens of reasoning are dearer than others, all tokens of an answer are taken to cost as much. What is also
    charged per request (a search that belongs to every call) has no price per token.
    """
    entry = _entry(model)
    searches = entry.get("litellm_provider") in _SEARCH_ALWAYS or any(part in model for part in _SEARCH_NAMES)
    per_request = entry.get("input_cost_per_request") or (searches and entry.get("search_context_cost_per_query"))
    if entry.get("input_cost_per_token") is None or per_request:
        return None
    written = max(
        float(entry.get(name) or 0.0) for name in ("output_cost_per_token", "output_cost_per_reasoning_token")
    )
    return float(entry["input_cost_per_token"]), written


@functools.cache
def max_output_tokens(model: str) -> int | None:
    """Returns how many tokens an answer of the model can have at most, or ``None`` where that is not known."""
    limit = _entry(model).get("max_output_tokens") or _entry(model).get("max_tokens")
    return int(limit) if isinstance(limit, (int, float)) else None


def _entry(model: str) -> dict[str, Any]:
    provider, _, bare = model.rpartition("/")
    entry = _prices().get(model)
    if entry is None:
        # The table has some models without their provider; another provider's price is none.
        entry = _prices().get(bare, {})
        if not str(entry.get("litellm_provider", "")).startswith(provider or "openai"):
            return {}
    return entry


def known_provider(model: str) -> bool:
    """Whether LiteLLM knows the provider in front of a model's name."""
    litellm = _litellm()
    try:
        litellm.get_llm_provider(model)
    except litellm.exceptions.BadRequestError:
        return False
    return True


def missing_keys(model: str) -> str:
    """Returns the environment variables that the model's provider needs and that are not set, as a phrase.

    It is empty where no key is needed, or where there are other ways to give credentials (a cloud's profile).
    """
    missing = list(_litellm().validate_environment(model)["missing_keys"])
    keys = [name for name in missing if name.endswith("_API_KEY")]
    if not keys:
        return ""
    return " or ".join(keys) if keys == missing else " and ".join(missing)
