"""The client's patience: attempts, waits, timeouts and the pace."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from fusionprog.errors import (
    LMAuthError,
    LMConfigurationError,
    LMError,
    LMIncompleteError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMUnavailableError,
    StoreError,
)
from fusionprog.lm.client import LMClient
from fusionprog.lm.limits import Limits, limits_of
from fusionprog.lm.model import Completion, Messages, request_of
from fusionprog.lm.pacing import Pacer
from fusionprog.store.store import Store
from fusionprog.testing import TextModel

QUICK = Limits(backoff=0.001)


class Failing:
    """Fails as it is told, then answers."""

    name = "failing"
    identity: Mapping[str, Any] = {"model": "failing"}
    persistent = True
    free = False
    usd_per_token: tuple[float, float] | None = None
    max_output_tokens = 100

    def __init__(self, *failures: Exception, seconds: float = 0.0) -> None:
        self.failures = list(failures)
        self.seconds = seconds
        self.asked: list[float] = []

    async def complete(self, messages: Messages) -> Completion:
        self.asked.append(time.monotonic())
        if self.failures:
            raise self.failures.pop(0)
        await asyncio.sleep(self.seconds)
        return Completion("yes", 8, 2, 0.5)


def ask(model: Failing, limits: Limits = QUICK, *, times: int = 1, store: Store | None = None) -> LMClient:
    async def work() -> LMClient:
        client = LMClient(store, 4, limits={"failing": limits})
        requests = [request_of([{"role": "user", "content": str(index)}]) for index in range(times)]
        await asyncio.gather(*(client.complete(model, request) for request in requests))
        return client

    return asyncio.run(work())


def test_an_answer_that_cannot_be_used_is_paid_for_all_the_same() -> None:
    empty = LMIncompleteError("nothing was said")
    empty.tokens = 100, 20
    model = Failing(empty, LMServerError("later"))
    model.usd_per_token = (0.01, 0.1)

    paid = ask(model).paid

    assert (paid.calls, paid.failed, paid.tokens) == (1, 2, 130)
    assert paid.usd == pytest.approx(0.5 + 1.0 + 2.0)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The upper ends that random waits were drawn from; each draw is the upper end."""
    drawn: list[float] = []

    def uniform(low: float, high: float) -> float:
        assert low == 0.0
        drawn.append(high)
        return high

    monkeypatch.setattr(random, "uniform", uniform)
    yield drawn


@pytest.mark.parametrize("kept", [True, False])
def test_what_passes_is_tried_again_and_counted(kept: bool) -> None:
    model = Failing(LMServerError("down"), LMTimeoutError("late"), LMRateLimitError("busy"))
    with Store() as store:
        client = ask(model, store=store if kept else None)
    assert len(model.asked) == 4
    assert (client.paid.calls, client.paid.failed, client.paid.tokens, client.paid.usd) == (1, 3, 10, 0.5)


def test_after_the_last_attempt_the_failure_is_told() -> None:
    model = Failing(*[LMServerError("down") for _ in range(9)])
    with pytest.raises(LMServerError, match="down"):
        ask(model, Limits(backoff=0.0, retries=3))
    assert len(model.asked) == 4


@pytest.mark.parametrize("failure", [LMAuthError("no"), LMConfigurationError("no"), LMError("no")])
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    model = Failing(failure)
    with pytest.raises(type(failure)):
        ask(model)
    assert len(model.asked) == 1


@pytest.mark.parametrize("needs_all", [True, False])
def test_a_model_that_needs_something_set_ends_all_calls_only_where_all_are_needed(needs_all: bool) -> None:
    async def work() -> None:
        client = LMClient(None, 1, needs_all=needs_all)
        request = request_of([{"role": "user", "content": "a"}])
        with pytest.raises(LMAuthError):
            await client.complete(Failing(LMAuthError("no key")), request)
        if needs_all:
            with pytest.raises(LMAuthError, match="no key"):
                await client.complete(Failing(), request)
        else:
            assert (await client.complete(Failing(), request))[1].text == "yes"

    asyncio.run(work())


def test_an_attempt_that_takes_too_long_is_one_that_failed() -> None:
    with pytest.raises(LMTimeoutError, match=r"expected one within 0\.01 seconds.*Limits\(timeout"):
        ask(Failing(seconds=5), Limits(timeout=0.01, retries=0))


def test_the_waits_double_and_are_jittered_in_full(waits: list[float]) -> None:
    model = Failing(*[LMServerError("down") for _ in range(4)])
    ask(model, Limits(backoff=0.002))
    assert waits == [0.002, 0.004, 0.008, 0.016]
    assert Limits(backoff=1.0, retries=99).wait_after(50, LMServerError("down")) == 60.0


def test_a_wait_that_the_provider_asks_for_is_honoured_by_all_calls(waits: list[float]) -> None:
    model = Failing(LMRateLimitError("busy", retry_after=0.2))
    ask(model, Limits(backoff=0.01), times=8)
    first, *rest = model.asked
    assert len(rest) == 8
    assert sum(at - first < 0.19 for at in rest) <= 3  # those that were under way already


def test_calls_that_wait_for_their_place_wait_for_a_pause_as_well() -> None:
    """They have their place by a limit per minute already when one of them is told to wait."""
    model = Failing(LMRateLimitError("busy", retry_after=0.3))
    ask(model, Limits(requests_per_minute=60 / 0.02, backoff=0.01), times=4)
    first, *rest = model.asked
    assert len(rest) == 4
    assert min(rest) - first > 0.29
    assert min(later - earlier for earlier, later in itertools.pairwise(rest)) > 0.015


def test_a_provider_that_asks_for_more_than_the_longest_wait_ends_it() -> None:
    model = Failing(LMRateLimitError("come back tomorrow", retry_after=86_400))
    with pytest.raises(LMRateLimitError, match="tomorrow"):
        ask(model)
    assert len(model.asked) == 1


def test_requests_are_spread_over_the_minute() -> None:
    model = Failing()
    ask(model, Limits(requests_per_minute=60 / 0.02), times=5)
    gaps = [later - earlier for earlier, later in zip(model.asked, model.asked[1:], strict=False)]
    assert min(gaps) > 0.015


def test_tokens_are_spread_over_the_minute_and_corrected_by_what_was_used() -> None:
    pacer = Pacer(Limits(tokens_per_minute=60_000))  # a millisecond each
    assert pacer.reserve(500) == 0.0
    assert 0.4 < pacer.reserve(500) <= 0.5
    pacer.correct(600)
    assert 0.3 < pacer.reserve(1) <= 0.4


def test_a_pause_holds_everything_back() -> None:
    pacer = Pacer(Limits())
    pacer.pause(5.0)
    assert 4.9 < pacer.reserve(1) <= 5.0


def test_an_interrupted_call_gives_its_slot_back() -> None:
    async def work() -> None:
        client, slow = LMClient(None, 1), Failing(seconds=60)
        request = request_of([{"role": "user", "content": "a"}])
        first = asyncio.ensure_future(client.complete(slow, request))
        second = asyncio.ensure_future(client.complete(slow, request))
        await asyncio.sleep(0.01)
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.wait_for(client.complete(Failing(), request), 5)

    asyncio.run(work())


def test_a_store_that_cannot_be_written_ends_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    with Store() as store:
        monkeypatch.setattr(Store, "in_memory", False)

        def put_call(*arguments: Any, **more: Any) -> None:
            arguments[-1](1, StoreError("the disk is full"))

        monkeypatch.setattr(store, "put_call", put_call)
        with pytest.raises(StoreError, match="the disk is full"):
            ask(Failing(), times=40, store=store)


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", 0), ("timeout", None), ("retries", 1.5), ("retries", -1), ("backoff", -1), ("requests_per_minute", 0)],
)
def test_what_is_no_limit_is_refused(name: str, value: Any) -> None:
    with pytest.raises(LMConfigurationError, match=name):
        Limits(**{name: value})


def test_limits_are_for_all_models_or_by_name() -> None:
    strict = Limits(retries=0)
    assert limits_of(strict, ["a", "b"]) == {"a": strict, "b": strict}
    assert limits_of(None, ["a"]) == {"a": Limits()}
    assert limits_of({"a": strict}, ["a", "b"]) == {"a": strict, "b": Limits()}
    assert limits_of({"*": strict}, ["a"]) == {"a": strict}
    with pytest.raises(LMConfigurationError, match=r"unknown model 'c'.*'a'"):
        limits_of({"c": strict}, ["a"])


def test_unavailable_errors_keep_the_wait_when_they_are_copied() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(LMRateLimitError("busy", found="429", fix="Wait", retry_after=3.5)))
    assert isinstance(error, LMUnavailableError)
    assert (error.retry_after, str(error)) == (3.5, "busy: found 429. Wait.")


def test_tokens_of_long_answers_put_off_other_processes(postgres: str) -> None:
    """They are not known before an answer is there: until then a usual one is reserved."""
    model = TextModel(lambda messages: "x" * 40_000, "m", max_output_tokens=10_000)
    limits = Limits(tokens_per_minute=60)  # a second each

    async def wait_of_another(store: Store, identity: str) -> float:
        return await store.pace(identity, tokens=1, seconds_per_request=0.0, seconds_per_token=1.0)

    async def work() -> float:
        with Store(postgres) as store, Store(postgres) as other:
            client = LMClient(store, 4, limits={"m": limits})
            await client.complete(model, request_of([{"role": "user", "content": "hi"}]))
            store.flush()
            return await wait_of_another(other, client._lane(model).identity)

    assert asyncio.run(work()) == pytest.approx(10_001, abs=120)
