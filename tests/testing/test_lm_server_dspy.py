"""DSPy's own clients, native and LiteLLM, sync and async, against the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import dspy
import pytest
from dspy.lm15 import Message, Request
from dspy.utils import exceptions

from fusionprog.errors import LMConfigurationError, LMError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.testing import ErrorAnswer, Fault, LMServer, Outcome, Script, error

TEXT = "one two three four"
ENGINES = ("auto", "litellm")
WAYS = ("sync", "async")


@pytest.fixture
def server() -> Iterator[LMServer]:
    with LMServer(lambda messages: TEXT) as running:
        yield running


@contextlib.contextmanager
def model_of(server: LMServer, engine: str, **options: Any) -> Iterator[dspy.LM]:
    lm = dspy.LM("openai/test-model", api_base=server.url, api_key="x", cache=False, engine=engine, **options)
    yield lm
    lm.close()


def ask(lm: dspy.LM, way: str, prompt: str = "hello") -> Any:
    """The list of texts."""
    if way == "sync":
        return lm(prompt)

    async def main() -> Any:
        try:
            return await lm.acall(prompt)
        finally:
            await lm.aclose()

    return asyncio.run(main())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("engine", ENGINES)
class TestBothEngines:
    def test_an_answer_comes_with_its_usage(self, engine: str, way: str, server: LMServer) -> None:
        with model_of(server, engine, temperature=0.5, max_tokens=50) as lm, dspy.context(disable_history=False):
            assert ask(lm, way) == [TEXT]
            usage = lm.history[-1]["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (2, 5, 7)
        (record,) = server.requests
        assert [dict(message) for message in record.messages] == [{"role": "user", "content": "hello"}]
        assert record.parameters["temperature"] == 0.5
        assert record.model == "test-model"
        assert "x" not in record.headers.values()

    @pytest.mark.parametrize(
        ("what", "expected"),
        [
            (Fault.RATE_LIMIT, exceptions.LMRateLimitError),
            (Fault.SERVER_ERROR, exceptions.LMServerError),
            (Fault.OVERLOADED, exceptions.LMServerError),
            (Fault.MALFORMED, exceptions.LMProviderError),
            (Fault.CUT, exceptions.LMError),
            (Fault.HANG, exceptions.LMError),
            (error(400), exceptions.ContextWindowExceededError),
            (error(401), exceptions.LMAuthError),
            (error(402), exceptions.LMBillingError),
            (error(429, "insufficient_quota"), exceptions.LMBillingError),
            (error(404), exceptions.LMUnsupportedModelError),
        ],
        ids=str,
    )
    def test_what_does_not_pass_is_an_error_of_its_kind(
        self, what: Fault | ErrorAnswer, expected: type[Exception], engine: str, way: str, server: LMServer
    ) -> None:
        server.next(what, times=None)
        limits = {"timeout": 0.3} if what is Fault.HANG else {}
        with model_of(server, engine, num_retries=0, **limits) as lm, pytest.raises(expected):
            ask(lm, way)
        assert len(server.requests) == 1

    def test_truncated_answers_are_reported(
        self, engine: str, way: str, server: LMServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.next(Fault.TRUNCATED)
        dspy_log = logging.getLogger("dspy")
        dspy_log.addHandler(caplog.handler)
        try:
            with model_of(server, engine) as lm:
                assert ask(lm, way) == [TEXT[: len(TEXT) // 2]]
        finally:
            dspy_log.removeHandler(caplog.handler)
        assert "truncated" in caplog.text

    def test_a_script_that_has_no_answer_fails_at_once(self, engine: str, way: str) -> None:
        script = Script([("parcel", "delivery")])
        with LMServer(script) as server, model_of(server, engine, num_retries=0) as lm:
            assert ask(lm, way, "my parcel") == ["delivery"]
            with pytest.raises(exceptions.LMServerError, match="no rule of the script matches the prompt"):
                ask(lm, way, "my card")
        assert script.unmatched == ("my card",)

    def test_predictions_are_parsed(self, engine: str, way: str) -> None:
        script = Script(
            [(r"\[\[ ## message ## \]\]\nmy parcel", "[[ ## team ## ]]\ndelivery\n\n[[ ## completed ## ]]")]
        )
        with LMServer(script) as server, model_of(server, engine) as lm, dspy.context(lm=lm):
            predict = dspy.Predict("message -> team")
            if way == "sync":
                assert predict(message="my parcel").team == "delivery"
            else:

                async def main() -> str:
                    prediction = await predict.acall(message="my parcel")
                    await lm.aclose()
                    return str(prediction.team)

                assert asyncio.run(main()) == "delivery"
        script.check()


@pytest.mark.parametrize(
    ("engine", "way", "fault"),
    [
        ("auto", "sync", Fault.RATE_LIMIT),
        ("auto", "async", Fault.OVERLOADED),
        ("auto", "async", Fault.SERVER_ERROR),
        ("auto", "sync", Fault.CUT),
        ("auto", "sync", Fault.HANG),
        ("litellm", "sync", Fault.RATE_LIMIT),
        ("litellm", "async", Fault.CUT),
        ("litellm", "async", Fault.HANG),
    ],
)
def test_what_passes_is_tried_once_more(engine: str, way: str, fault: Fault, server: LMServer) -> None:
    server.next(fault, retry_after=0)
    limits = {"timeout": 2.0} if fault is Fault.HANG else {}
    with model_of(server, engine, num_retries=1, **limits) as lm:
        assert ask(lm, way) == [TEXT]
    assert server.wait_until_idle()
    assert (server.counts, server.distinct) == ({fault: 1, "ok": 1}, 1)
    assert not server.repeated_after_success


def test_three_more_tries_are_dspy_s_default(server: LMServer) -> None:
    server.next(Fault.RATE_LIMIT, times=None, retry_after=0)
    with model_of(server, "auto") as lm, pytest.raises(exceptions.LMRateLimitError):
        ask(lm, "sync")
    assert server.counts == {Fault.RATE_LIMIT: 4}


@pytest.mark.parametrize("engine", ENGINES)
def test_empty_choices_do_not_reach_dspy_as_a_text(engine: str, server: LMServer) -> None:
    server.next(Fault.EMPTY_CHOICES)
    with model_of(server, engine) as lm:
        assert not any(ask(lm, "sync"))


def test_the_native_client_reads_log_probabilities(server: LMServer) -> None:
    with model_of(server, "lm15", logprobs=True, top_logprobs=2) as lm:
        (answer,) = lm("hello")
    assert answer["text"] == TEXT
    assert "three" in str(answer["logprobs"])


@pytest.mark.parametrize("engine", ENGINES)
def test_typed_requests_are_served(engine: str, server: LMServer) -> None:
    with model_of(server, engine) as lm:
        response = lm(Request(model="openai/test-model", messages=(Message.user("hello"),)))
    assert response.text == TEXT
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 5)


@pytest.mark.parametrize("engine", ENGINES)
class TestThroughDSPyModel:
    def complete(self, lm: dspy.LM, count: int = 1) -> list[Any]:
        model = DSPyModel(lm)

        async def main() -> list[Any]:
            calls = [model.complete([{"role": "user", "content": f"hello {place}"}]) for place in range(count)]
            try:
                return await asyncio.gather(*calls)
            finally:
                await lm.aclose()

        return asyncio.run(main())

    def test_many_calls_are_answered(self, engine: str, server: LMServer) -> None:
        with model_of(server, engine) as lm:
            answers = self.complete(lm, 32)
        assert [(answer.text, answer.input_tokens, answer.output_tokens) for answer in answers] == [(TEXT, 2, 5)] * 32
        assert (server.counts, server.distinct) == ({"ok": 32}, 32)

    @pytest.mark.parametrize(
        "what", [Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.CUT, Fault.MALFORMED, error(402)], ids=str
    )
    def test_failures_are_errors_of_this_package(
        self, what: Fault | ErrorAnswer, engine: str, server: LMServer
    ) -> None:
        server.next(what, times=None)
        with model_of(server, engine, num_retries=0) as lm, pytest.raises(LMError):
            self.complete(lm)

    def test_a_wrong_key_is_an_error_of_configuration(self, engine: str, server: LMServer) -> None:
        server.next(error(401), times=None)
        with model_of(server, engine) as lm, pytest.raises(LMConfigurationError):
            self.complete(lm)
        assert server.counts == {Outcome.ERROR: 1}


def test_litellm_gets_embeddings(server: LMServer) -> None:
    import litellm

    options: dict[str, Any] = {"model": "openai/text-embedding-3-small", "api_base": server.url, "api_key": "x"}
    answer = litellm.embedding(input=["my parcel", "my parcel", "a card"], dimensions=8, **options)
    first, same, other = [each["embedding"] for each in answer.data]
    assert len(first) == 8
    assert first == same != other
    assert answer.usage.total_tokens == 8


def test_dspy_streams(server: LMServer) -> None:
    async def main() -> tuple[list[str], str]:
        with model_of(server, "auto") as lm, dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
            program = dspy.streamify(
                dspy.Predict("question -> answer"),
                stream_listeners=[dspy.streaming.StreamListener(signature_field_name="answer")],
            )
            chunks, final = [], ""
            async for item in program(question="what?"):
                if isinstance(item, dspy.Prediction):
                    final = item.answer
                else:
                    chunks.append(item.chunk)
            await lm.aclose()
            return chunks, final

    text = "[[ ## answer ## ]]\nforty two of them\n\n[[ ## completed ## ]]"
    with LMServer(lambda messages: text) as server:
        chunks, final = asyncio.run(main())
        assert server.requests[0].parameters["stream"] is True
    assert final == "".join(chunks).strip() == "forty two of them"
    assert len(chunks) > 1
