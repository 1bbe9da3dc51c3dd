"""``DSPyModel``: every form of DSPy language model answers, with its own engine and parameters."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading
import traceback
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.clients.base_lm import GLOBAL_HISTORY
from dspy.clients.engines import LiteLLMEngine
from dspy.utils import DummyLM, exceptions

from fusionprog._internal import sync
from fusionprog.errors import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMIncompleteError,
    LMNotFoundError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import Completion

MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "ping?"})


def ask(lm: Any, messages: Any = MESSAGES) -> Completion:
    return sync.run(DSPyModel(lm).complete(messages))


def response(request: Any, text: str = "pong", usage: Any = None) -> Any:
    return lm15.Response(
        id=None,
        model=request.model,
        message=lm15.Message(role="assistant", parts=(lm15.TextPart(text),)),
        finish_reason="stop",
        usage=usage or lm15.Usage(),
    )


class SyncEngine:
    """Answers with its name and keeps what it was asked."""

    def __init__(self, name: str = "sync", usage: Any = None) -> None:
        self.name = name
        self.usage = usage
        self.requests: list[Any] = []

    def complete(self, request: Any) -> Any:
        self.requests.append(request)
        return response(request, self.name, self.usage)


class AsyncEngine:
    """The asynchronous side of an engine."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def complete(self, request: Any) -> Any:
        self.requests.append(request)
        return response(request, "async")


class OldModel(dspy.BaseLM):
    """The form that DSPy 3.5 removes: ``forward`` returns what OpenAI's client returns."""

    def __init__(self, model: str = "old", text: str = "old", usage: Any = None, **more: Any) -> None:
        super().__init__(model, **more)
        self.text = text
        self.usage = usage
        self.asked: list[Any] = []

    def forward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
        self.asked.append(messages)
        if self.text == "raise":
            raise RuntimeError("the cable is cut")
        choice = SimpleNamespace(message=SimpleNamespace(content=self.text, tool_calls=None), finish_reason="stop")
        return SimpleNamespace(choices=[choice], usage=self.usage or {}, model=self.model)


class OldAsyncModel(dspy.BaseLM):
    """The old form with an asynchronous side only."""

    async def aforward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
        choice = SimpleNamespace(message=SimpleNamespace(content="old async", tool_calls=None), finish_reason="stop")
        return SimpleNamespace(choices=[choice], usage={}, model=self.model)


class OwnForward(dspy.LM):
    """A ``dspy.LM`` that answers with its own ``forward``; its engine must never be asked."""

    def forward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
        choice = SimpleNamespace(message=SimpleNamespace(content="mine", tool_calls=None), finish_reason="stop")
        return SimpleNamespace(choices=[choice], usage={}, model=self.model)


def test_an_engine_without_async_side_is_asked_with_the_messages_and_parameters() -> None:
    engine = SyncEngine()

    answer = ask(dspy.LM("mine/m", engine=engine, temperature=0.25, max_tokens=7, seed=5, stop=["END"]))

    assert answer.text == "sync"
    (request,) = engine.requests
    assert (request.config.temperature, request.config.max_tokens, request.config.seed) == (0.25, 7, 5)
    assert request.config.stop == ("END",)
    assert request.system == "Be brief."
    assert [(each.role, each.text) for each in request.messages] == [("user", "ping?")]


def test_parameters_that_are_not_given_are_not_sent() -> None:
    engine = SyncEngine()

    ask(dspy.LM("mine/m", engine=engine))

    config = engine.requests[0].config
    assert config.temperature is None and config.max_tokens is None


def test_an_engine_with_an_async_side_is_asked_there() -> None:
    engine, other = SyncEngine(), AsyncEngine()

    assert ask(dspy.LM("mine/m", engine=engine, async_engine=other, temperature=0.5)).text == "async"
    assert engine.requests == []
    assert other.requests[0].config.temperature == 0.5


def test_more_candidates_than_one_are_not_asked_for() -> None:
    engine = SyncEngine()

    ask(dspy.LM("mine/m", engine=engine, n=3))

    assert len(engine.requests) == 1


def test_parameters_that_only_dspy_knows_do_not_stop_a_call() -> None:
    engine = SyncEngine()

    assert ask(dspy.LM("mine/m", engine=engine, rollout_id=3, temperature=1.0)).text == "sync"
    assert ask(dspy.LM("mine/m", engine=engine, prompt_cache=lm15.CacheConfig())).text == "sync"
    assert engine.requests[1].config.cache == lm15.CacheConfig()


def test_engines_without_async_side_run_side_by_side() -> None:
    together = threading.Barrier(24)

    class Waiting(SyncEngine):
        def complete(self, request: Any) -> Any:
            together.wait(timeout=20)  # passes only when all 24 are here
            return response(request)

    model = DSPyModel(dspy.LM("mine/m", engine=Waiting()))

    async def all_at_once() -> list[Completion]:
        return list(await asyncio.gather(*(model.complete(MESSAGES) for _ in range(24))))

    assert [each.text for each in sync.run(all_at_once())] == ["pong"] * 24


def test_a_model_of_the_old_form_answers_without_a_warning() -> None:
    model = OldModel(usage={"prompt_tokens": 21, "completion_tokens": 4, "total_tokens": 25})

    assert ask(model) == Completion("old", 21, 4)
    assert model.asked == [[dict(message) for message in MESSAGES]]


def test_a_model_of_the_old_form_may_be_asynchronous() -> None:
    assert ask(OldAsyncModel("old")).text == "old async"


def test_a_dspy_lm_with_a_forward_of_its_own_is_asked_through_it() -> None:
    model = DSPyModel(OwnForward("openai/gpt-4o-mini"))

    assert sync.run(model.complete(MESSAGES)).text == "mine"
    assert model.custom and not model.persistent
    assert model.usd_per_token is None


def test_dummy_lm_answers_from_its_script() -> None:
    model = DSPyModel(DummyLM([{"team": "billing"}, {"team": "delivery"}]))

    answers = [sync.run(model.complete(MESSAGES)).text for _ in range(2)]

    assert ["billing" in answers[0], "delivery" in answers[1]] == [True, True]


def test_neither_cache_nor_history_of_dspy_is_used() -> None:
    engine = SyncEngine()
    lm = dspy.LM("mine/m", engine=engine, cache=True)
    old = OldModel(cache=True)
    before = len(GLOBAL_HISTORY)

    for each in (lm, lm, old, old):
        ask(each)

    assert len(engine.requests) == 2 and len(old.asked) == 2
    assert lm.history == [] and old.history == []
    assert len(GLOBAL_HISTORY) == before


def test_callbacks_and_the_users_usage_tracker_still_see_the_call() -> None:
    seen: list[str] = []

    class Watcher(dspy.utils.BaseCallback):
        def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            seen.append(inputs["messages"][-1]["content"])

    engine = SyncEngine(usage=lm15.Usage(input_tokens=5, output_tokens=2))
    with dspy.track_usage() as tracker:
        ask(dspy.LM("mine/m", engine=engine, callbacks=[Watcher()]))

    assert seen == ["ping?"]
    assert tracker.get_total_tokens()["mine/m"]["prompt_tokens"] == 5


def test_tokens_are_the_engines_own() -> None:
    engine = SyncEngine("x" * 400, usage=lm15.Usage(input_tokens=17, output_tokens=0))

    answer = ask(dspy.LM("mine/m", engine=engine))

    assert (answer.input_tokens, answer.output_tokens, answer.tokens) == (17, 0, 17)


def test_tokens_are_estimated_where_the_engine_reports_none() -> None:
    answer = ask(dspy.LM("mine/m", engine=SyncEngine("x" * 10)))

    assert answer.input_tokens == 3 + 2  # a quarter of the characters of each message, rounded up
    assert answer.output_tokens == 3
    assert answer.usd is None


def test_an_empty_answer_is_an_answer() -> None:
    assert ask(dspy.LM("mine/m", engine=SyncEngine(""))).text == ""


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (lm15.RateLimitError("slow down, quota 3/min", provider="mine"), LMRateLimitError),
        (lm15.ServerError("the model is overloaded", provider="mine"), LMServerError),
        (lm15.TransportError("the line is dead"), LMTransportError),
        (lm15.TimeoutError("nobody is there", provider="mine"), LMTimeoutError),
        (exceptions.LMRateLimitError("slow down a little"), LMRateLimitError),
        (ConnectionResetError("the peer is gone"), LMTransportError),
        (TimeoutError("it took too long"), LMTimeoutError),
        (RuntimeError("a bug of the engine"), LMError),
        (TypeError("another bug of the engine"), LMError),
        (OSError("the disk is full"), LMError),
        (StopIteration("the script is over"), LMError),
        (lm15.BillingError("no money left", provider="mine"), LMBillingError),
        (lm15.AuthError("this account is closed", provider="mine"), LMAuthError),
        (lm15.UnsupportedModelError("there is no such model", provider="mine"), LMNotFoundError),
        (lm15.NotConfiguredError("set MINE_API_KEY", provider="mine"), LMConfigurationError),
        (LMServerError("own words"), LMServerError),
    ],
)
@pytest.mark.parametrize("heard", [False, True], ids=["direct", "heard"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_failures_keep_their_kind_and_the_providers_words(
    failure: Exception, expected: type[LMError], asynchronous: bool, heard: bool
) -> None:
    class Failing(SyncEngine):
        def complete(self, request: Any) -> Any:
            raise failure

    class AsyncFailing:
        async def complete(self, request: Any) -> Any:
            raise failure

    other = AsyncFailing() if asynchronous else None
    words = str(failure).splitlines()[0].removesuffix(" (mine)")
    if asynchronous and isinstance(failure, StopIteration):  # Python itself makes another error of it
        words = "StopIteration"
    callbacks = [dspy.utils.BaseCallback()] if heard else []
    with pytest.raises(LMError) as caught:
        ask(dspy.LM("mine/m", engine=Failing(), async_engine=other, callbacks=callbacks))

    assert type(caught.value) is expected
    assert words in str(caught.value)
    assert "'mine/m'" in str(caught.value) or isinstance(failure, LMError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_failure_of_the_old_form_is_an_lm_error() -> None:
    with pytest.raises(LMError, match="the cable is cut"):
        ask(OldModel(text="raise"))


def test_what_dspy_will_not_send_is_a_configuration_error() -> None:
    engine = SyncEngine()
    with pytest.raises(LMConfigurationError, match="surrogate"):
        ask(dspy.LM("mine/m", engine=engine), [{"role": "user", "content": "half \ud83d"}])
    with pytest.raises(LMConfigurationError, match="'sparkle'"):
        ask(dspy.LM("mine/m", engine=engine, sparkle=1))

    assert engine.requests == []


def test_the_time_to_wait_is_the_providers_own() -> None:
    class Busy(SyncEngine):
        def complete(self, request: Any) -> Any:
            self.requests.append(request)
            raise lm15.RateLimitError("busy", provider="mine", retry_after=7.5)

    engine = Busy()
    with pytest.raises(LMRateLimitError) as caught:
        ask(dspy.LM("mine/m", engine=engine, num_retries=4))

    assert caught.value.retry_after == 7.5
    assert len(engine.requests) == 1


def test_a_subclass_with_a_forward_of_its_own_makes_one_attempt() -> None:
    class Once(dspy.LM):
        def forward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
            return super().forward(prompt, messages, **kwargs)

    class Busy(SyncEngine):
        def complete(self, request: Any) -> Any:
            self.requests.append(request)
            raise lm15.ServerError("busy", provider="mine")

    engine = Busy()
    with pytest.raises(LMServerError, match="busy"):
        ask(Once("mine/m", engine=engine, num_retries=4))
    assert len(engine.requests) == 1


@pytest.mark.parametrize("heard", [False, True], ids=["direct", "heard"])
@pytest.mark.parametrize(
    ("reason", "part", "expected"),
    [
        ("stop", lm15.TextPart("half of"), ("half of", "stop")),
        ("length", lm15.TextPart("half of"), ("half of", "length")),
        ("length", lm15.ThinkingPart("hm"), ("", "length")),
        ("content_filter", lm15.TextPart("half of"), ("half of", "refused")),
        ("stop", lm15.RefusalPart("I must not"), ("I must not", "refused")),
        ("tool_call", lm15.TextPart("half of"), ("half of", "stop")),
        ("stop", lm15.ThinkingPart("hm"), None),
        ("error", lm15.TextPart("half of"), None),
    ],
)
def test_why_an_answer_ended_is_kept(reason: Any, part: Any, expected: tuple[str, str] | None, heard: bool) -> None:
    class Ending(SyncEngine):
        def complete(self, request: Any) -> Any:
            message = lm15.Message(role="assistant", parts=(part,))
            return lm15.Response(id=None, model="m", message=message, finish_reason=reason, usage=lm15.Usage())

    lm = dspy.LM("mine/m", engine=Ending(), callbacks=[dspy.utils.BaseCallback()] if heard else [])
    if expected is None:
        with pytest.raises(LMIncompleteError, match="gave no answer"):
            ask(lm)
    else:
        answer = ask(lm)
        assert (answer.text, answer.finish) == expected


def test_an_engine_that_returns_no_response_is_an_lm_error() -> None:
    class Wrong(SyncEngine):
        def complete(self, request: Any) -> Any:
            return {"text": "pong"}

    with pytest.raises(LMError, match=r"must return a dspy\.lm15\.Response"):
        ask(dspy.LM("mine/m", engine=Wrong()))


def test_a_real_request_carries_key_and_parameters_and_brings_usage(provider: Any) -> None:
    lm = dspy.LM("openai/gpt-4o-mini", api_base=provider.url, api_key="sk-mine-123456", temperature=0.5, max_tokens=9)

    answer = ask(lm)

    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("pong", 11, 3)
    assert answer.usd == pytest.approx(11 * 1.5e-7 + 3 * 6e-7)
    (body,) = provider.requests
    assert body["messages"] == [dict(message) for message in MESSAGES]
    assert (body["model"], body["temperature"]) == ("gpt-4o-mini", 0.5)
    assert 9 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert provider.keys == ["Bearer sk-mine-123456"]


@pytest.mark.parametrize("heard", [False, True], ids=["direct", "heard"])
@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_what_a_provider_had_in_its_cache_was_paid_less_for(provider: Any, engine: str, heard: bool) -> None:
    provider.usage = {
        "prompt_tokens": 3000,
        "completion_tokens": 100,
        "total_tokens": 3100,
        "prompt_tokens_details": {"cached_tokens": 2048},
        "completion_tokens_details": {"reasoning_tokens": 60},
    }
    lm = dspy.LM("openai/gpt-4o-mini", api_base=provider.url, api_key="sk-mine-123456", engine=engine)

    with dspy.context(callbacks=[dspy.utils.BaseCallback()] if heard else []):
        answer = ask(lm)

    assert answer.usd == pytest.approx(3000 * 1.5e-7 + 100 * 6e-7)  # the same in every run
    assert answer.paid_usd == pytest.approx(952 * 1.5e-7 + 2048 * 0.75e-7 + 100 * 6e-7)


def test_a_service_tier_and_a_cache_that_is_asked_for_are_in_the_price(provider: Any) -> None:
    def price(model: str, **options: Any) -> tuple[float, float]:
        found = DSPyModel(dspy.LM(model, api_key="k", **options)).usd_per_token
        assert found is not None
        return found.most(1, 0), found.most(0, 1)

    read, written = price("anthropic/claude-haiku-4-5")
    keeping = price("anthropic/claude-haiku-4-5", prompt_cache=lm15.CacheConfig())
    assert keeping[0] > read and keeping[1] == written
    usual, fast = price("openai/gpt-4o-mini"), price("openai/gpt-4o-mini", service_tier="priority")
    assert fast > usual and price("openai/gpt-4o-mini", extra_body={"service_tier": "priority"}) == fast
    regional = price("vertex_ai/claude-haiku-4-5@20251001", vertex_location="us-east5")
    assert regional > price("vertex_ai/claude-haiku-4-5@20251001", vertex_location="global")
    assert price("openai/gpt-5.5", api_base="https://eu.api.openai.com/v1") > price("openai/gpt-5.5")


@pytest.mark.parametrize(
    "options",
    [
        {"web_search_options": {"search_context_size": "low"}},
        {"tools": [{"type": "web_search"}]},
        {"extra_body": {"speed": "fast"}},
        {"inference_geo": "us"},
    ],
)
def test_what_is_charged_for_beside_tokens_leaves_no_price(options: dict[str, Any]) -> None:
    assert DSPyModel(dspy.LM("openai/gpt-4o-mini", api_key="k")).usd_per_token is not None
    assert DSPyModel(dspy.LM("openai/gpt-4o-mini", api_key="k", **options)).usd_per_token is None


@pytest.mark.parametrize(
    ("model", "options", "limit"),
    [
        ("openai/gpt-4o", {"max_tokens": 100}, 100),
        ("openai/gpt-4o", {"max_tokens": 100, "max_completion_tokens": 200}, 200),
        ("openai/gpt-4o", {"max_tokens": 100, "extra_body": {"max_tokens": 9000}}, 9000),
        ("openai/gpt-4o", {"max_tokens": 100, "reasoning_effort": "high"}, 100),
        ("anthropic/claude-sonnet-4-5", {"max_tokens": 100}, 100),
        ("anthropic/claude-sonnet-4-5", {"max_tokens": 100, "reasoning_effort": "high"}, 100 + 16_384),
        ("anthropic/claude-sonnet-4-5", {"max_tokens": 100, "reasoning_effort": "off"}, 100),
        ("anthropic/claude-sonnet-4-5", {"max_tokens": 100, "reasoning": {"effort": "low", "budget": 5000}}, 5100),
        ("anthropic/claude-sonnet-4-5", {"max_tokens": 100, "reasoning": lm15.Reasoning("low")}, 100 + 2_048),
    ],
)
def test_an_answer_is_taken_to_be_as_long_as_the_provider_may_make_it(
    model: str, options: dict[str, Any], limit: int
) -> None:
    assert DSPyModel(dspy.LM(model, api_key="k", **options)).max_output_tokens == limit


def test_the_limit_is_the_one_that_is_sent_to_anthropic(provider: Any) -> None:
    lm = dspy.LM(
        "anthropic/claude-sonnet-4-5", api_base=provider.url, api_key="k", max_tokens=100, reasoning_effort="high"
    )
    with contextlib.suppress(LMError):  # the answer is not of Anthropic's form
        ask(lm)
    assert provider.requests[0]["max_tokens"] == DSPyModel(lm).max_output_tokens


def test_usage_is_estimated_where_the_provider_reports_none(provider: Any) -> None:
    provider.usage = None

    answer = ask(dspy.LM("openai/m", api_base=provider.url, api_key="sk-mine-123456"))

    assert (answer.input_tokens, answer.output_tokens) == (5, 1)


SHOWN = [  # how a provider may repeat a secret, and what it must not say
    ({"api_key": "sk-mine-1234567890"}, "sk-mine-1234567890"),
    ({"api_key": "a-key-of-another-form"}, "a-key-of-another-form"),
    ({"extra_headers": {"X-Mine": "header-value-1"}}, "header-value-1"),
    ({"extra_headers": {"Authorization": "Bearer borne-value-1"}}, "borne-value-1"),
    ({"api_base": "http://me:pass%2Dword@{}"}, "pass-word"),
    ({"api_base": "http://me:pass%2Dword@{}"}, "pass%2Dword"),
    ({"api_base": "{}?api-key=query-value"}, "query-value"),
]


@pytest.mark.parametrize("heard", [False, True], ids=["direct", "heard"])
@pytest.mark.parametrize("engine", ["lm15", "litellm"])
@pytest.mark.parametrize(
    ("status", "expected"), [(401, LMAuthError), (404, LMNotFoundError), (429, LMRateLimitError), (500, LMServerError)]
)
@pytest.mark.parametrize(("options", "secret"), SHOWN)
def test_a_provider_that_repeats_a_secret_gives_nothing_away(
    provider: Any,
    status: int,
    expected: type[LMError],
    options: dict[str, Any],
    secret: str,
    engine: str,
    heard: bool,
) -> None:
    provider.status = status
    code = "model_not_found" if status == 404 else "error"
    provider.body = {"error": {"message": f"refused: {secret} is not welcome here", "code": code, "type": code}}
    given = {"api_key": "x", "api_base": provider.url} | options
    place = provider.url.removeprefix("http://") if "@" in given["api_base"] else provider.url
    given["api_base"] = given["api_base"].format(place)
    if engine == "lm15" and ("extra_headers" in given or "@" in given["api_base"] or "?" in given["api_base"]):
        engine = "auto"  # what the native client does not take, LiteLLM does
    callbacks = [dspy.utils.BaseCallback()] if heard else []

    with pytest.raises(LMError) as caught:
        ask(dspy.LM("openai/m", engine=engine, callbacks=callbacks, **given))

    error: Any = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert secret not in shown
    if "api_base" not in options:
        assert type(error) is expected
        assert "is not welcome here" in str(error)
    while error is not None:
        assert secret not in str(error)
        error = error.__cause__ or error.__context__


def test_the_keys_of_an_engine_are_not_shown(provider: Any) -> None:
    provider.status = 401
    provider.body = {"error": {"message": "engine-key-1 is wrong", "code": "invalid_api_key"}}
    engine = LiteLLMEngine(wire_model="openai/m", api_base=provider.url, api_key="engine-key-1")

    with pytest.raises(LMAuthError, match="is wrong") as caught:
        ask(dspy.LM("openai/m", engine=engine))

    assert "engine-key-1" not in "".join(traceback.format_exception(caught.value))


def test_what_an_engine_says_in_this_packages_own_errors_is_cleaned_too() -> None:
    class Talking(SyncEngine):
        api_key = ""

        def __init__(self) -> None:
            super().__init__()
            self.api_key = "engine-key-1"

        def complete(self, request: Any) -> Any:
            try:
                raise RuntimeError("engine-key-1 is tired")
            except RuntimeError as error:
                raise LMRateLimitError("too fast", found="engine-key-1", retry_after=2.0) from error

    with pytest.raises(LMRateLimitError, match=r"too fast: found \*\*\*") as caught:
        ask(dspy.LM("mine/m", engine=Talking()))

    assert caught.value.retry_after == 2.0
    assert "engine-key-1" not in "".join(traceback.format_exception(caught.value))


def test_keys_of_the_environment_are_not_shown_either(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-from-outside")
    provider.status = 401
    provider.body = {"error": {"message": "key-from-outside is wrong", "code": "invalid_api_key"}}

    with pytest.raises(LMConfigurationError, match="is wrong") as caught:
        ask(dspy.LM("openai/m", api_base=provider.url, num_retries=0))

    assert "key-from-outside" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_key_is_named_before_anything_is_sent(provider: Any) -> None:
    with pytest.raises(LMConfigurationError, match="OPENAI_API_KEY"):
        ask(dspy.LM("openai/m", api_base=provider.url))

    assert provider.requests == []


def test_a_provider_that_is_not_there_is_an_lm_error(provider: Any) -> None:
    provider.server.shutdown()
    provider.server.server_close()

    with pytest.raises(LMError) as caught:
        ask(dspy.LM("openai/m", api_base=provider.url, api_key="sk-mine-123456", num_retries=0))

    assert type(caught.value) is LMTransportError
