"""Prices come from LiteLLM's own table; budgets refuse nonsense; a ledger counts a call once."""

from __future__ import annotations

import math
import urllib.request
from typing import Any

import pytest

from fusionprog.errors import BudgetError
from fusionprog.lm import prices
from fusionprog.lm.budget import Budget, Ledger
from fusionprog.lm.model import Completion, approximate_tokens


def test_prices_are_litellms_and_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "False")
    prices._prices.cache_clear()
    prices.usd_per_token.cache_clear()

    assert prices.usd_per_token("openai/gpt-4o-mini") == (1.5e-7, 6e-7)
    assert prices.usd_per_token("gpt-4o-mini") == (1.5e-7, 6e-7)
    assert prices.usd_per_token("ollama/llama3") == (0.0, 0.0)


@pytest.mark.parametrize("name", ["openai/my-own", "local/gpt-4o-mini", "hosted_vllm/gpt-4o-mini", "gpt-4o-mini/", ""])
def test_another_providers_price_is_no_price(name: str) -> None:
    assert prices.usd_per_token(name) is None


def test_the_table_is_the_one_that_litellm_uses() -> None:
    litellm = prices._litellm()
    shared = [name for name in ("gpt-4o", "gpt-4o-mini", "azure/gpt-4o") if name in litellm.model_cost]

    assert len(shared) == 3
    for name in shared:
        entry = litellm.model_cost[name]
        assert prices.usd_per_token(name) == (entry["input_cost_per_token"], entry["output_cost_per_token"])


@pytest.mark.parametrize("name", ["calls", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan, True, False, "5", [5]])
def test_a_budget_refuses_what_is_no_limit(name: str, value: Any) -> None:
    with pytest.raises(BudgetError, match=name):
        Budget(**{name: value})


def test_a_budget_knows_whether_it_binds() -> None:
    assert not Budget().bounded
    assert Budget(calls=1).bounded and Budget(seconds=0.5).bounded and Budget(usd=1e-9).bounded


def test_a_ledger_counts_a_call_once() -> None:
    ledger = Ledger()
    first = {"a": Completion("x", 10, 1, 0.25), "b": Completion("y", 5, 2, None)}

    assert ledger.charge(first) == 2
    assert ledger.charge(first) == 0
    assert ledger.charge({"b": Completion("y", 5, 2), "c": Completion("z", 1, 1, 0.5)}) == 1
    assert (ledger.calls, ledger.tokens, ledger.usd) == (3, 20, 0.75)


def test_a_ledger_books_calls_under_its_phase() -> None:
    ledger = Ledger()
    ledger.charge({"a": Completion("x", 1, 1)})
    ledger.phase = "search"
    ledger.charge({"a": Completion("x", 1, 1), "b": Completion("x", 1, 1)})

    assert ledger.phases == {"": 1, "search": 1}


@pytest.mark.parametrize(
    ("budget", "ahead", "share", "limit"),
    [
        (Budget(), 10**6, 1.0, None),
        (Budget(calls=10), 6, 1.0, None),
        (Budget(calls=10), 7, 1.0, "calls"),
        (Budget(calls=20), 7, 0.5, "calls"),
        (Budget(tokens=80), 4, 1.0, None),
        (Budget(tokens=79), 4, 1.0, "tokens"),
        (Budget(usd=2.0), 4, 1.0, None),
        (Budget(usd=1.99), 4, 1.0, "usd"),
        (Budget(calls=5, usd=0.5), 4, 1.0, "calls"),
    ],
)
def test_a_ledger_looks_ahead_at_the_mean_cost_so_far(
    budget: Budget, ahead: int, share: float, limit: str | None
) -> None:
    ledger = Ledger()
    ledger.charge({str(index): Completion("x", 8, 2, 0.25) for index in range(4)})

    assert ledger.exhausted(budget, ahead, share) == limit


def test_an_empty_ledger_expects_no_cost_but_counts_calls() -> None:
    assert Ledger().exhausted(Budget(tokens=1, usd=0.01), 100) is None
    assert Ledger().exhausted(Budget(calls=99), 100) == "calls"


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens_are_a_quarter_of_the_characters(text: str, tokens: int) -> None:
    assert approximate_tokens(text) == tokens
