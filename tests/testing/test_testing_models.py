"""Models and engines that run in the test's own process."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import LMError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import LanguageModel, Messages, approximate_tokens
from fusionprog.lm.resolve import UnboundModel, model_from_identity, resolve_model
from fusionprog.testing import Faults, LMServer, Outcome, ScriptedModel, TextModel, engine, offline_text


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
