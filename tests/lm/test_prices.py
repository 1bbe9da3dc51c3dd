"""Prices come from LiteLLM's own table, and are no lower than what a provider may charge."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.lm import prices
from fusionprog.lm.price import Price, Rates, Usage
from fusionprog.lm.prices import list_price

PLAIN = {"litellm_provider": "lab", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
SEARCH = {"search_context_cost_per_query": {"search_context_size_low": 0.005}}
COUNTS = st.integers(0, 10_000)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Any]], None]]:
    def use(entries: dict[str, Any]) -> None:
        monkeypatch.setattr(prices, "_prices", lambda: entries)
        list_price.cache_clear()

    yield use
    list_price.cache_clear()


def test_prices_are_litellms_and_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "False")
    prices._prices.cache_clear()
    list_price.cache_clear()

    for name in ("openai/gpt-4o-mini", "gpt-4o-mini"):
        assert list_price(name) == Price(((0, Rates(1.5e-7, 6e-7, 7.5e-8, 1.5e-7, 6e-7)),))
    assert list_price("ollama/llama3") == Price.flat(0.0, 0.0)


@pytest.mark.parametrize("name", ["openai/my-own", "local/gpt-4o-mini", "hosted_vllm/gpt-4o-mini", "gpt-4o-mini/", ""])
def test_another_providers_price_is_no_price(name: str) -> None:
    assert list_price(name) is None


@pytest.mark.parametrize(
    ("name", "priced_as"),
    [
        ("openai/ft:gpt-4o-mini-2024-07-18:mine::a1b2", "ft:gpt-4o-mini-2024-07-18"),
        ("bedrock/converse/anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("bedrock/eu-north-1/amazon.nova-lite-v1:0", "eu.amazon.nova-lite-v1:0"),
        ("vertex_ai_beta/gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_a_model_is_priced_whatever_way_to_it_is_named(name: str, priced_as: str) -> None:
    assert list_price(name) is not None and list_price(name) == list_price(priced_as)


@pytest.mark.parametrize(
    "name", ["azure_ai/model-router", "azure/model-router", "sagemaker/meta-textgeneration-llama-2-7b"]
)
def test_what_is_charged_for_elsewhere_is_not_free(name: str) -> None:
    assert list_price(name) is None


def test_what_is_charged_beside_tokens_has_no_price(table: Callable[[dict[str, Any]], None]) -> None:
    table(
        {
            "lab/plain": {**PLAIN, **SEARCH},  # it searches where it is asked to, which prompts do not
            "lab/by-request": {**PLAIN, "input_cost_per_request": 0.005},
            "perplexity/searches": {**PLAIN, "litellm_provider": "perplexity", **SEARCH},
        }
    )

    assert list_price("lab/plain") == Price.flat(1e-6, 2e-6)
    assert list_price("lab/by-request") is None and list_price("perplexity/searches") is None


def test_a_price_is_no_lower_than_what_may_be_charged(table: Callable[[dict[str, Any]], None]) -> None:
    kept = {"cache_creation_input_token_cost": 1.25e-6, "cache_creation_input_token_cost_above_1hr": 2e-6}
    table(
        {
            "lab/reasons": {**PLAIN, "output_cost_per_reasoning_token": 5e-6},
            "lab/keeps": {**PLAIN, **kept},
            "lab/claude": {**PLAIN, **kept},
        }
    )

    def most(model: str, **options: Any) -> float:
        price = list_price(model, **options)
        assert price is not None
        return price.most(100, 10)

    assert most("lab/reasons") == pytest.approx(100 * 1e-6 + 10 * 5e-6)
    assert most("lab/keeps") == pytest.approx(100 * 1.25e-6 + 10 * 2e-6)  # prompts are kept unasked
    assert most("lab/claude") == pytest.approx(100 * 1e-6 + 10 * 2e-6)  # only where that is asked for
    assert most("lab/claude", keeps=True) == pytest.approx(100 * 2e-6 + 10 * 2e-6)  # it may be for hours


def test_long_prompts_cost_what_the_table_says(table: Callable[[dict[str, Any]], None]) -> None:
    long = {"input_cost_per_token_above_200k_tokens": 3e-6, "output_cost_per_token_above_200k_tokens": 4e-6}
    ranges = [
        {"range": [0, 200_000], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
        {"range": [200_000, 1e6], "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6},
    ]
    longer = {"input_cost_per_token_above_1000k_tokens": 9e-6}
    table(
        {
            "lab/long": {**PLAIN, **long, **longer},
            "lab/ranges": {"litellm_provider": "lab", "tiered_pricing": ranges},
        }
    )

    found = list_price("lab/long")
    assert found is not None
    assert [least for least, _ in found.steps] == [0, 200_000, 1_000_000]
    assert found.most(199_999, 10) == pytest.approx(0.199999 + 10 * 2e-6)
    assert found.most(200_000, 10) == pytest.approx(0.6 + 10 * 4e-6)
    assert found.most(1_000_000, 10) == pytest.approx(9 + 10 * 4e-6)
    assert found.most(1_000_000, 0, longest=1000) == pytest.approx(1.0)
    assert list_price("lab/ranges") == Price((found.steps[0], (200_000, Rates(3e-6, 4e-6, 3e-6, 3e-6, 4e-6))))


def test_a_service_tier_has_its_own_price_or_none(table: Callable[[dict[str, Any]], None]) -> None:
    fast = {"input_cost_per_token_priority": 2e-6, "output_cost_per_token_priority": 4e-6}
    long = {"input_cost_per_token_above_200k_tokens_priority": 5e-6}
    table({"lab/m": {**PLAIN, **fast, **long}})

    found = list_price("lab/m", "priority")
    assert found is not None
    assert found.most(100, 10) == pytest.approx(100 * 2e-6 + 10 * 4e-6)
    assert found.most(300_000, 0) == pytest.approx(1.5)
    assert list_price("lab/m", "flex") is None
    for tier in (None, "auto", "default"):
        usual = list_price("lab/m", tier)
        assert usual is not None and usual.most(100, 10) == pytest.approx(1.2e-4)


def test_a_region_may_be_dearer(table: Callable[[dict[str, Any]], None]) -> None:
    uplift = {"regional_endpoint_uplift_multiplier": 1.1, "regional_processing_uplift_multiplier_eu": 1.2}
    table({"lab/m": {**PLAIN, **uplift}, "lab/plain": PLAIN})
    dear, plain = list_price("lab/m", in_region=True), list_price("lab/plain", in_region=True)
    assert dear is not None and dear.most(100, 10) == pytest.approx(1.2 * 1.2e-4)
    assert plain == list_price("lab/plain") == list_price("lab/m")


@given(st.tuples(COUNTS, COUNTS, COUNTS), st.tuples(COUNTS, COUNTS))
def test_nothing_costs_more_than_the_most(prompt: tuple[int, int, int], answer: tuple[int, int]) -> None:
    (plain, cached, kept), (said, reasoned) = prompt, answer
    price = Price(((0, Rates(4.0, 20.0, 0.4, 5.0, 30.0)), (9_000, Rates(8.0, 30.0, 0.8, 10.0, 40.0))))

    usage = Usage(plain + cached + kept, said + reasoned, cached, kept, reasoned)

    assert price.paid(usage) <= price.most(usage.read, usage.written) * (1 + 1e-12)
    assert price.paid(Usage(plain, said)) == plain * price.rates(plain).read + said * price.rates(plain).written


def test_all_prices_of_the_table_can_be_read() -> None:
    found = {name: list_price(name) for name in prices._prices()}

    assert sum(price is not None for price in found.values()) > 1000
    for name, price in found.items():
        if price is not None:
            lengths = [least for least, _ in price.steps]
            assert lengths[0] == 0 and lengths == sorted(lengths), name
            assert all(rate >= 0 for _, rates in price.steps for rate in rates), name


def test_the_table_is_the_one_that_litellm_uses() -> None:
    litellm = prices._litellm()
    shared = [name for name in ("gpt-4o", "gpt-4o-mini", "azure/gpt-4o") if name in litellm.model_cost]

    assert len(shared) == 3
    for name in shared:
        entry, price = litellm.model_cost[name], list_price(name)
        assert price is not None
        assert price.most(1, 0) == entry["input_cost_per_token"]
        assert price.most(0, 1) == entry["output_cost_per_token"]
