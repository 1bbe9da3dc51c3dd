"""Models and engines that run in the test's own process."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog import errors
from fusionprog.errors import LMError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import Completion, LanguageModel, Messages, approximate_tokens
from fusionprog.lm.resolve import UnboundModel, model_from_identity, resolve_model
from fusionprog.testing import Fault, Faults, LMServer, Outcome, ScriptedModel, TextModel, engine, offline_text


def user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def test_a_text_model_is_a_language_model() -> None:
    model: LanguageModel = TextModel(lambda messages: messages[-1]["content"].upper())
    assert resolve_model(model) is model
    answer = asyncio.run(model.complete(user("hello there")))
    assert (answer.text, answer.usd) == ("HELLO THERE", 0.0)
    assert (answer.input_tokens, answer.output_tokens) == (approximate_tokens("hello there"),) * 2
    assert model.free and not model.persistent


def test_a_name_makes_its_answers_last() -> None:
    named, other = TextModel(lambda messages: "", "m"), TextModel(lambda messages: "")
    assert (named.name, named.persistent, other.persistent) == ("m", True, False)
    assert named.identity == TextModel(lambda messages: "", "m").identity
    assert other.identity != TextModel(lambda messages: "").identity
    # What an artifact records cannot be taken for a model of a provider.
    assert isinstance(model_from_identity(named.identity), UnboundModel)


def test_prices_are_counted() -> None:
    model = TextModel(lambda messages: "12345678", usd_per_token=(0.5, 2.0))
    assert (model.free, model.usd_per_token) == (False, (0.5, 2.0))
    assert asyncio.run(model.complete(user("1234"))).usd == 0.5 * 1 + 2.0 * 2
    unknown = TextModel(lambda messages: "x", usd_per_token=None)
    assert not unknown.free
    assert asyncio.run(unknown.complete(user("x"))).usd is None


def test_calls_wait_side_by_side_and_are_counted() -> None:
    model = TextModel(lambda messages: messages[0]["content"], latency=0.05)

    async def main() -> list[str]:
        return [answer.text for answer in await asyncio.gather(*(model.complete(user(f"{k % 8}")) for k in range(24)))]

    assert asyncio.run(main()) == [f"{k % 8}" for k in range(24)]
    assert (model.max_in_flight, model.in_flight, model.distinct) == (24, 0, 8)
    assert model.counts == {"ok": 24}
    assert not model.repeated_after_success
    asyncio.run(model.complete(user("3")))
    (again,) = model.repeated_after_success
    assert (again.messages[0]["content"], again.repeat, again.number) == ("3", 3, 24)
    model.reset()
    assert not model.requests and model.distinct == 0


def test_failures_and_calls_given_up_are_counted() -> None:
    async def text(messages: list[dict[str, str]]) -> str:
        if messages[0]["content"] == "fail":
            raise LMError("no answer")
        await asyncio.sleep(600)
        return "never"

    async def main() -> None:
        with pytest.raises(LMError):
            await model.complete(user("fail"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.complete(user("wait")), 0.01)

    model = TextModel(text)
    asyncio.run(main())
    assert [record.outcome for record in model.requests] == [Outcome.FAILED, Outcome.ABANDONED]
    assert model.requests[0].detail == "LMError: no answer"
    assert model.in_flight == 0


KINDS = {
    Fault.RATE_LIMIT: errors.LMRateLimitError,
    Fault.SERVER_ERROR: errors.LMServerError,
    Fault.OVERLOADED: errors.LMServerError,
    Fault.HANG: errors.LMTimeoutError,
    Fault.CUT: errors.LMTransportError,
    Fault.MALFORMED: errors.LMTransportError,
    Fault.EMPTY_CHOICES: errors.LMIncompleteError,
    Fault.UNFINISHED: errors.LMIncompleteError,
}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.TRUNCATED])
def test_a_fault_is_the_error_that_a_client_makes_of_it(fault: Fault) -> None:
    model = TextModel(lambda messages: "yes")
    model.next(fault, retry_after=0.5)
    with pytest.raises(errors.LMUnavailableError, match=fault.value) as caught:
        asyncio.run(model.complete(user("x")))
    assert type(caught.value) is KINDS[fault]
    assert caught.value.retry_after == (0.5 if fault in (Fault.RATE_LIMIT, Fault.OVERLOADED) else None)
    assert asyncio.run(model.complete(user("x"))).text == "yes"
    assert model.counts == {fault: 1, "ok": 1}
    assert [record.fault for record in model.requests] == [fault, None]
    assert not model.repeated_after_success


@pytest.mark.parametrize("answer", ["12345678", Completion("12345678", 7, 8, usd=0.5)], ids=["text", "completion"])
def test_a_truncated_answer_is_an_answer(answer: Any) -> None:
    model = TextModel(lambda messages: answer, faults=Faults(truncated=1.0), usd_per_token=(0.0, 2.0))
    usd = 2.0 if isinstance(answer, str) else 0.5
    said = asyncio.run(model.complete(user("1234")))
    assert said == Completion("1234", 1 if isinstance(answer, str) else 7, 1, usd, "length")
    assert model.counts == {Fault.TRUNCATED: 1}


def test_faults_depend_on_the_prompt_alone_and_retries_come_through() -> None:
    faults = Faults(rate_limited=0.3, cut=0.2, unfinished=0.2, retry_after=0.0, seed=4)

    async def ask(model: TextModel, prompt: str) -> int:
        for attempt in range(10):
            try:
                await model.complete(user(prompt))
                return attempt
            except errors.LMUnavailableError:
                pass
        raise AssertionError(prompt)

    async def ask_all(model: TextModel, prompts: list[str]) -> list[int]:
        return list(await asyncio.gather(*(ask(model, prompt) for prompt in prompts)))

    prompts = [f"prompt {number}" for number in range(40)]
    model, other = TextModel(lambda messages: "yes", faults=faults), TextModel(lambda messages: "yes")
    other.faults = faults
    attempts = asyncio.run(ask_all(model, prompts))
    assert attempts == list(reversed(asyncio.run(ask_all(other, prompts[::-1]))))
    assert set(attempts) == {0, 1, 2}
    assert model.counts == other.counts and model.counts["ok"] == 40
    model.reset()
    assert asyncio.run(ask_all(model, prompts)) == attempts


def test_an_answer_may_say_why_it_ended() -> None:
    refused = Completion("no", 5, 1, finish="refused")
    model = TextModel(lambda messages: refused, usd_per_token=(1.0, 1.0))
    assert asyncio.run(model.complete(user("x"))) is refused


@pytest.mark.parametrize("finish", ["stop", "length", "refused", "context"])
@pytest.mark.parametrize("way", ["sync engine", "async engine", "server"])
def test_engines_and_the_server_say_it_as_well(finish: Any, way: str) -> None:
    async def main(lm: dspy.LM) -> Completion:
        answer = await DSPyModel(lm).complete(user("x"))
        await lm.aclose()
        return answer

    said = Completion("half", 3, 1, finish=finish)
    sync, both = engine(lambda messages: said)
    with LMServer(lambda messages: said) as server:
        lm = {
            "sync engine": dspy.LM("test/model", engine=sync, cache=False),
            "async engine": dspy.LM("test/model", engine=sync, async_engine=both, cache=False),
            "server": dspy.LM("openai/model", api_base=server.url, api_key="x", cache=False),
        }[way]
        answer = asyncio.run(main(lm))
    assert (answer.text, answer.finish) == ("" if finish == "context" else "half", finish)


def test_an_engines_own_errors_reach_the_caller_as_they_are() -> None:
    def text(messages: Any) -> str:
        raise errors.LMRateLimitError("too fast", retry_after=1.5)

    sync, both = engine(text)
    for lm in (
        dspy.LM("test/model", engine=sync, cache=False),
        dspy.LM("test/model", engine=sync, async_engine=both, cache=False),
    ):
        with pytest.raises(errors.LMRateLimitError, match="too fast") as caught:
            asyncio.run(DSPyModel(lm).complete(user("x")))
        assert caught.value.retry_after == 1.5


def test_a_scripted_model_answers_by_rule() -> None:
    model = ScriptedModel([("parcel", "delivery")], "script", search="last", keep=1)
    assert asyncio.run(model.complete(user("my parcel"))).text == "delivery"
    with pytest.raises(LMError, match="no rule"):
        asyncio.run(model.complete(user("my card")))
    assert model.script.unmatched == ("my card",)
    assert model.counts == {"ok": 1, "failed": 1}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_engines_serve_dspy_sync_and_async(asynchronous: bool) -> None:
    got: list[Any] = []

    def text(messages: list[dict[str, str]]) -> str:
        got.append(messages)
        return "[[ ## team ## ]]\nbilling\n\n[[ ## completed ## ]]"

    async def text_later(messages: list[dict[str, str]]) -> str:
        await asyncio.sleep(0)
        return text(messages)

    sync, both = engine(text_later if asynchronous else text)
    lm = dspy.LM("test/model", engine=sync, async_engine=both, cache=False)
    predict = dspy.Predict("message -> team")
    with dspy.context(lm=lm, track_usage=True):
        first = predict(message="an invoice")
        second = asyncio.run(predict.acall(message="an invoice"))
    assert first.team == second.team == "billing"
    assert got[0] == got[1]
    assert [message["role"] for message in got[0]] == ["system", "user"]
    assert "an invoice" in got[0][1]["content"]
    usage = first.get_lm_usage()["test/model"]
    assert usage["prompt_tokens"] == sum(approximate_tokens(message["content"]) for message in got[0])


def test_engines_work_behind_the_package_s_own_model() -> None:
    sync, both = engine(lambda messages: messages[-1]["content"][::-1])
    model = DSPyModel(dspy.LM("test/model", engine=sync, async_engine=both, cache=False), name="mirror")
    assert asyncio.run(model.complete(user("abc"))).text == "cba"


def test_an_engine_must_answer_with_a_text() -> None:
    sync, both = engine(lambda messages: None)  # type: ignore[arg-type, return-value]
    lm = dspy.LM("test/model", engine=sync, async_engine=both, cache=False)
    with pytest.raises(dspy.utils.exceptions.LMError, match="must return a str"):
        lm("hello")
    with pytest.raises(dspy.utils.exceptions.LMError, match="must return a str"):
        asyncio.run(lm.acall("hello"))


def test_a_compile_asks_the_same_in_process_and_over_http(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    """One program compiled twice on the offline reader: once behind a model, once behind a server."""
    options: Any = {
        "tasks": desk_tasks,
        "budget": fp.Budget(calls=300),
        "trials": 3,
        "progress": False,
        "concurrency": 8,
    }
    model = TextModel(offline_text(), latency=0.005)
    near = fp.compile(desk_program, lm=model, **options)
    with LMServer.offline(faults=Faults(latency=0.005)) as server:
        lm = dspy.LM("openai/test-model", api_base=server.url, api_key="x", cache=False)
        far = fp.compile(desk_program, lm=lm, **options)
        for asked in (model, server):
            assert 0 < asked.distinct == asked.counts["ok"] == sum(asked.counts.values())
            assert not asked.repeated_after_success
        for task in ("shop", "bank"):
            assert near(task, message="a scam parcel").team == far(task, message="a scam parcel").team
    for asked in (model, server):
        assert 1 < asked.max_in_flight <= 8
    contents = [
        {tuple(message["content"] for message in record.messages) for record in asked.requests}
        for asked in (model, server)
    ]
    assert contents[0] == contents[1]
