"""The direct way to an LM's engine: the same request and answer as DSPy's own way, without its bookkeeping."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import anyio
import dspy
import pytest
from dspy.lm15 import Message, Request, Response, ServerError, Usage
from dspy.utils.callback import BaseCallback

from fusionprog.errors import LMConfigurationError, LMError, LMServerError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import Completion
from fusionprog.testing import Fault, LMServer

MESSAGES = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1"},
)


class Engine:
    """Answers with the last message; remembers requests; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.requests: list[Request] = []
        self.failures = failures

    def complete(self, request: Request) -> Response:
        self.requests.append(request)
        if len(self.requests) <= self.failures:
            raise ServerError("try later")
        text = f"said {request.messages[-1].parts[0].text}"
        return Response(
            id="1",
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=7, output_tokens=2),
        )


class AsyncEngine(Engine):
    async def complete(self, request: Request) -> Response:
        return super().complete(request)


def model_on(engine: AsyncEngine, **more: Any) -> DSPyModel:
    lm = dspy.LM("test/m", engine=Engine(), async_engine=engine, cache=False, temperature=0.4, max_tokens=50, **more)
    return DSPyModel(lm)


def ask(model: DSPyModel, *texts: str) -> list[Completion]:
    async def all_of_them() -> list[Completion]:
        return [await model.complete((*MESSAGES, {"role": "user", "content": text})) for text in texts]

    return asyncio.run(all_of_them())


def test_requests_and_answers_are_those_of_dspys_own_way() -> None:
    direct, long = AsyncEngine(), AsyncEngine()
    answers = ask(model_on(direct), "two", "three")
    with dspy.context(callbacks=[BaseCallback()]):  # somebody listens, so the call goes the long way
        expected = ask(model_on(long), "two", "three")
    assert direct.requests == long.requests
    assert answers == expected == [Completion("said two", 7, 2), Completion("said three", 7, 2)]
    assert direct.requests[0].config.temperature == 0.4 and direct.requests[0].config.max_tokens == 50


BEGINNINGS = (
    MESSAGES,
    ({"role": "system", "content": "Be long.\n"}, *MESSAGES[1:]),
    (MESSAGES[0], {"role": "user", "content": "ein"}, {"role": "assistant", "content": ""}),
    MESSAGES[:1],
    MESSAGES[1:],
    (),
)


def begun(model: DSPyModel) -> list[Completion]:
    async def all_of_them() -> list[Completion]:
        return [await model.complete((*each, {"role": "user", "content": "two"})) for each in BEGINNINGS]

    return asyncio.run(all_of_them())


def test_beginnings_of_the_same_roles_are_sent_as_dspy_sends_each(monkeypatch: pytest.MonkeyPatch) -> None:
    direct, long = AsyncEngine(), AsyncEngine()
    model, found = model_on(direct), 0
    find = model._find_route

    def counted(messages: Any) -> Any:
        nonlocal found
        found += 1
        return find(messages)

    monkeypatch.setattr(model, "_find_route", counted)
    answers = begun(model)
    with dspy.context(callbacks=[BaseCallback()]):
        expected = begun(model_on(long))
    assert direct.requests == long.requests
    assert answers == expected
    assert found == 5  # the first of every row of roles, and the one that has an empty text


def test_beginnings_of_the_same_roles_reach_litellm_whole() -> None:
    asked: list[list[str]] = []

    def answer(messages: Any) -> str:
        asked.append([message["content"] for message in messages])
        return "yes"

    with LMServer(answer) as server:
        lm = dspy.LM("openai/m", api_base=server.url, api_key="x", engine="litellm", cache=False)
        begun(DSPyModel(lm))
    assert asked == [[*(message["content"] for message in each), "two"] for each in BEGINNINGS]


@pytest.mark.parametrize(
    ("system", "error"), [("half \ud83d", LMConfigurationError), ("", LMError)], ids=["no Unicode", "empty"]
)
def test_a_beginning_that_dspy_refuses_is_refused_after_others_of_its_roles_too(system: str, error: type) -> None:
    async def main(model: DSPyModel) -> None:
        await model.complete((*MESSAGES, {"role": "user", "content": "two"}))
        await model.complete(({"role": "system", "content": system}, *MESSAGES[1:], {"role": "user", "content": "two"}))

    engine = AsyncEngine()
    with pytest.raises(error, match=r"surrogate|empty"):
        asyncio.run(main(model_on(engine)))
    assert len(engine.requests) == 1


def test_callbacks_of_the_lm_and_of_the_settings_hear_every_call() -> None:
    class Ear(BaseCallback):
        heard = 0

        def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
            Ear.heard += 1

    ask(model_on(AsyncEngine(), callbacks=[Ear()]), "two", "three")
    assert Ear.heard == 2
    with dspy.context(callbacks=[Ear()]):
        ask(model_on(AsyncEngine()), "two")
    assert Ear.heard == 3


@pytest.mark.parametrize("heard", [False, True])
def test_a_failure_is_not_tried_again(heard: bool) -> None:
    engine = AsyncEngine(failures=1)
    callbacks = [BaseCallback()] if heard else []
    with pytest.raises(LMServerError, match="try later"):
        ask(model_on(engine, num_retries=5, callbacks=callbacks), "two")
    assert len(engine.requests) == 1


def test_an_engine_that_dspy_owns_is_made_again_after_it_was_closed() -> None:
    async def main(lm: dspy.LM) -> list[str]:
        model, messages = DSPyModel(lm), ({"role": "user", "content": "hello"},)
        answers = []
        for _ in range(2):
            answers.append((await model.complete(messages)).text)
            await lm.aclose()
        return answers

    with LMServer(lambda messages: "yes") as server:
        lm = dspy.LM("openai/m", api_base=server.url, api_key="x", engine="lm15", cache=False)
        assert asyncio.run(main(lm)) == ["yes", "yes"]


def test_an_engine_without_async_side_is_asked_in_the_callers_context() -> None:
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number")

    class Knowing(Engine):
        def complete(self, request: Request) -> Response:
            seen.append((number.get(), threading.current_thread().name))
            return super().complete(request)

    async def one(value: int) -> None:
        number.set(value)
        await model.complete(({"role": "user", "content": "x"},))

    async def main() -> None:
        await asyncio.gather(*(one(value) for value in range(5)))

    seen: list[tuple[int, str]] = []
    model = DSPyModel(dspy.LM("test/m", engine=Knowing(), cache=False))
    asyncio.run(main())
    assert sorted(value for value, _ in seen) == [0, 1, 2, 3, 4]
    assert {thread for _, thread in seen} == {"fusionprog-lm"}


@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_what_goes_over_the_wire_is_what_dspy_sends(engine: str) -> None:
    """The parameters of the LM, those that only LiteLLM takes among them, directly and the long way."""
    own = {"extra_headers": {"X-Own": "1"}, "logit_bias": {"5": 1}} if engine == "litellm" else {"seed": 7}
    options: dict[str, Any] = {"temperature": 0.25, "max_tokens": 9, "stop": ["END"], "n": 3, **own}

    async def main(url: str) -> list[Completion]:
        answers = []
        for callbacks in ([], [BaseCallback()]):
            lm = dspy.LM(
                "openai/m", api_base=url, api_key="x", engine=engine, cache=False, callbacks=callbacks, **options
            )
            answers.append(await DSPyModel(lm).complete((*MESSAGES, {"role": "user", "content": "two ü"})))
            await lm.aclose()
        return answers

    with LMServer(lambda messages: f"said {messages[-1]['content']}") as server:
        answers = asyncio.run(main(server.url))
        direct, long = server.requests
    assert answers[0] == answers[1]
    assert (answers[0].text, answers[0].finish) == ("said two ü", "stop")
    assert direct.messages == long.messages and direct.parameters == long.parameters
    assert direct.parameters["temperature"] == 0.25 and direct.parameters.get("n", 1) == 1
    assert direct.headers.get("x-own") == long.headers.get("x-own") == ("1" if engine == "litellm" else None)


def test_a_logger_of_the_users_own_is_still_called() -> None:
    calls: list[str] = []

    async def main(url: str) -> None:
        lm = dspy.LM(
            "openai/m",
            api_base=url,
            api_key="x",
            engine="litellm",
            cache=False,
            logger_fn=lambda details: calls.append(details["log_event_type"]),
        )
        await DSPyModel(lm, "own").complete(({"role": "user", "content": "hello"},))

    with LMServer(lambda messages: "yes") as server:
        asyncio.run(main(server.url))
    assert "post_api_call" in calls


def test_another_beginning_is_another_request() -> None:
    engine = AsyncEngine()
    model = model_on(engine)

    async def both() -> None:
        await model.complete(({"role": "system", "content": "A"}, {"role": "user", "content": "x"}))
        await model.complete(({"role": "system", "content": "B"}, {"role": "user", "content": "x"}))
        await model.complete(({"role": "user", "content": "x"},))

    asyncio.run(both())
    assert [request.system for request in engine.requests] == ["A", "B", None]


@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_an_answer_without_choices_is_no_answer(engine: str) -> None:
    with LMServer(lambda messages: "never said") as server:
        server.next(Fault.EMPTY_CHOICES, times=None)
        lm = dspy.LM("openai/m", api_base=server.url, api_key="x", engine=engine, cache=False, num_retries=0)
        with pytest.raises(LMError, match="gave no answer"):
            asyncio.run(_ask_and_close(lm))


async def _ask_and_close(lm: dspy.LM) -> None:
    try:
        await DSPyModel(lm).complete(({"role": "user", "content": "hello"},))
    finally:
        await lm.aclose()


@pytest.mark.parametrize("engine", ["lm15", "litellm", "sync"])
def test_each_listener_hears_each_call_once(engine: str) -> None:
    class Ear(BaseCallback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            heard.append((self.name, "start", inputs["messages"][-1]["content"]))

        def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
            heard.append((self.name, "end", outputs or type(exception).__name__))

    heard: list[tuple[str, str, Any]] = []

    async def main(url: str) -> None:
        callbacks = [Ear("own")]
        if engine == "sync":
            lm = dspy.LM("test/m", engine=Engine(), cache=False, callbacks=callbacks)
        else:
            lm = dspy.LM("openai/m", api_base=url, api_key="x", engine=engine, cache=False, callbacks=callbacks)
        with dspy.context(callbacks=[Ear("settings")]), dspy.track_usage() as tracker:
            answer = await DSPyModel(lm).complete(({"role": "user", "content": "two"},))
        await lm.aclose()
        assert answer.text == "said two"
        usage = tracker.get_total_tokens()[lm.model]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (answer.input_tokens, answer.output_tokens)

    with LMServer(lambda messages: f"said {messages[-1]['content']}") as server:
        asyncio.run(main(server.url))
    names = ("settings", "own")
    assert heard == [*((name, "start", "two") for name in names), *((name, "end", ["said two"]) for name in names)]


@pytest.mark.parametrize("engine", ["lm15", "litellm"])
def test_a_stream_gets_the_answer_in_pieces(engine: str) -> None:
    async def main(url: str) -> None:
        send, receive = anyio.create_memory_object_stream[Any](100)
        lm = dspy.LM("openai/m", api_base=url, api_key="x", engine=engine, cache=False)
        with send, receive:
            with dspy.context(send_stream=send):
                answer = await DSPyModel(lm).complete(({"role": "user", "content": "two"},))
            assert receive.statistics().current_buffer_used > 1
        await lm.aclose()
        assert (answer.text, answer.finish) == ("one two three", "stop")

    with LMServer(lambda messages: "one two three") as server:
        asyncio.run(main(server.url))
        assert server.requests[0].parameters["stream"] is True
