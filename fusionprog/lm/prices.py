"""Prices and keys from LiteLLM's bundled tables; nothing is downloaded."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from fusionprog.lm.price import Price, Rates

_SEARCH_ALWAYS = ("perplexity",)  # providers that search in every call and charge for it
_SEARCH_NAMES = ("-search-preview", "-search-api")  # and models
_ROUTERS = ("model-router", "model_router")  # the model that they choose is charged for, too
_REGION = re.compile(r"/[a-z]{2}(-gov)?-[a-z]+-\d")  # of Bedrock's: bedrock/eu-north-1
_GEOGRAPHY = re.compile(r"[a-z]{2,4}(-gov)?")  # in front of its models' names, where they are priced by it
_SAME = {"vertex_ai_beta": "vertex_ai"}
_FREE = (  # of whom a price of 0 is one; others' is not known, or charged for by the hour
    *("ollama", "ollama_chat", "lemonade", "gemini", "publicai", "zai", "opencode_go"),
    *("codestral", "text-completion-codestral"),
)
_KEPT_WHEN_ASKED = ("claude", "anthropic", "bedrock", "qwen", "minimax")  # of who charges for keeping prompts
_KEPT = tuple(f"cache_creation_input_token_cost{age}" for age in ("", "_above_1hr", "_above_12hr"))
_LONG = re.compile(r"(.+)_above_(\d+)k_tokens(.*)")  # the price of long prompts
_USUAL_TIERS = (None, "auto", "default", "standard", "standard_only")
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
def list_price(model: str, tier: str | None = None, *, keeps: bool = False, in_region: bool = False) -> Price | None:
    """Returns what a model's tokens cost, or ``None`` where that is not known.

    What is also charged per request (a search that belongs to every call) has no price per token.

    Args:
        model: As LiteLLM names it.
        tier: The service tier that is asked for; ``None`` for the usual one.
        keeps: Whether the provider is asked to keep prompts in its cache; some do so unasked, and charge for it.
        in_region: Whether the provider is asked to answer in one region, which may be dearer.
    """
    entry = _entry(model)
    searches = entry.get("litellm_provider") in _SEARCH_ALWAYS or any(part in model for part in _SEARCH_NAMES)
    if entry.get("input_cost_per_request") or (searches and entry.get("search_context_cost_per_query")):
        return None
    suffix = "" if tier in _USUAL_TIERS else f"_{tier}"
    asked = any(part in f"{entry.get('litellm_provider')}/{model}" for part in _KEPT_WHEN_ASKED)
    kinds = _KEPT if keeps else () if asked else _KEPT[:1]
    uplift = max(
        (value for name, value in entry.items() if name.startswith("regional_") and "uplift" in name), default=1
    )
    steps = [(least, _rates(named, suffix, kinds, uplift if in_region else 1.0)) for least, named in _by_length(entry)]
    known = tuple((least, rates) for least, rates in steps if rates is not None)
    if not any(any(rates) for _, rates in known) and entry.get("litellm_provider") not in _FREE:
        return None
    return Price(known) if known and len(known) == len(steps) else None


def _by_length(entry: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    """The dollars of a table's entry by the tokens of a prompt from which they hold, ascending from 0."""
    if tiers := entry.get("tiered_pricing"):
        return sorted(((int(tier["range"][0]), tier) for tier in tiers if "range" in tier), key=itemgetter(0))
    dollars = {name: float(value) for name, value in entry.items() if "cost" in name and isinstance(value, int | float)}
    steps: dict[int, dict[str, float]] = {0: dollars}
    long = [(int(found[2]) * 1000, found[1] + found[3], name) for name in dollars if (found := _LONG.match(name))]
    for least, usual, name in sorted(long):
        steps.setdefault(least, dict(steps[max(steps)]))[usual] = dollars[name]
    return list(steps.items())


def _rates(dollars: Mapping[str, float], suffix: str, kinds: Sequence[str], factor: float) -> Rates | None:
    """The rates of a tier, times a factor; ``kinds`` of the cache's prices are those that a prompt may cost."""
    read, written = (dollars.get(f"{side}_cost_per_token{suffix}") for side in ("input", "output"))
    if read is None or (written is None and suffix):
        return None
    written = written or 0.0
    rates = (
        read,
        written,
        dollars.get(f"cache_read_input_token_cost{suffix}", read),
        max((dollars.get(f"{kind}{suffix}", read) for kind in kinds), default=read),
        dollars.get(f"output_cost_per_reasoning_token{suffix}", written),
    )
    return Rates._make(factor * rate for rate in rates)


@functools.cache
def max_output_tokens(model: str) -> int | None:
    """Returns how many tokens an answer of the model can have at most, or ``None`` where that is not known."""
    limit = _entry(model).get("max_output_tokens") or _entry(model).get("max_tokens")
    return int(limit) if isinstance(limit, (int, float)) else None


def _entry(model: str) -> dict[str, Any]:
    if any(part in model for part in _ROUTERS):
        return {}
    if model in _prices():
        return _prices()[model]
    # The table has some models without their provider or their route; another provider's price is none.
    provider, _, bare = model.rpartition("/")
    if provider.startswith("bedrock/"):  # the region, and which of its interfaces is asked
        if _REGION.search(provider):
            bare = _dearest_of_regions(bare)
        provider = "bedrock"
    if bare.startswith("ft:"):  # ft:gpt-4o-mini-2024-07-18:mine::id is priced by what it was made of
        bare = ":".join(bare.split(":")[:2])
    entry = _prices().get(bare, {})
    known = str(entry.get("litellm_provider", "")).startswith(_SAME.get(provider, provider) or "openai")
    return entry if known else {}


def _dearest_of_regions(model: str) -> str:
    """The name under which a model of Bedrock is dearest, of those with a geography in front (``eu.``)."""
    table = _prices()
    named = [name for name in table if name.endswith(f".{model}") and _GEOGRAPHY.fullmatch(name[: -len(model) - 1])]
    return max([model, *named], key=lambda name: table.get(name, {}).get("input_cost_per_token") or 0.0)


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
