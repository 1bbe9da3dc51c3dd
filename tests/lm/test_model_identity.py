"""What a model is known by in the store and in artifacts: everything that its answers depend on, and no secret."""

from __future__ import annotations

import gc
import json
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.utils import DummyLM

from fusionprog._internal.canonical import canonical_json
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.dspy_named import recorded_model
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.lm.redaction import public, redact, without_credentials
from fusionprog.lm.resolve import UnboundModel, model_from_identity


class Engine:
    """An engine that nothing describes."""

    def complete(self, request: Any) -> Any:
        return lm15.Response(
            id=None,
            model=request.model,
            message=lm15.Message(role="assistant", parts=(lm15.TextPart("x"),)),
            finish_reason="stop",
            usage=lm15.Usage(),
        )


class DescribedEngine(Engine):
    """An engine that can say what it is."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def dump_state(self) -> dict[str, Any]:
        return self.state


class OldModel(dspy.BaseLM):
    """The old form; two of them with one name may answer differently."""


class DescribedOldModel(dspy.BaseLM):
    """The old form with a state of its own."""

    def dump_state(self) -> dict[str, Any]:
        return {"model": self.model, "weights": "v3", "api_key": "sk-secret-123456"}


def identity(lm: Any, name: str | None = None) -> dict[str, Any]:
    return dict(DSPyModel(lm, name).identity)


def test_it_holds_model_type_endpoint_and_parameters() -> None:
    lm = dspy.LM("openai/m", model_type="responses", api_base="http://127.0.0.1:1/v1", temperature=0.5, max_tokens=7)

    assert identity(lm) == {
        "model": "openai/m",
        "type": "responses",
        "parameters": {"temperature": 0.5, "max_tokens": 7, "api_base": "http://127.0.0.1:1/v1"},
    }


@pytest.mark.parametrize(
    "secret",
    [
        {"api_key": "sk-secret-123456"},
        {"extra_headers": {"Authorization": "Bearer sk-secret-123456"}},
        {"headers": {"x-api-key": "sk-secret-123456"}},
        {"aws_secret_access_key": "sk-secret-123456", "aws_session_token": "sk-secret-123456"},
        {"azure_ad_token": "sk-secret-123456", "client_secret": "sk-secret-123456"},
        {"vertex_credentials": "sk-secret-123456"},
        {"extra_body": {"auth": {"api_key": "sk-secret-123456"}}},
        {"api_base": "https://user:sk-secret-123456@127.0.0.1/v1"},
        {"base_url": "https://127.0.0.1/v1?api-version=2&api-key=sk-secret-123456"},
    ],
)
def test_it_holds_no_secret(secret: dict[str, Any]) -> None:
    text = canonical_json(identity(dspy.LM("openai/m", **secret)))

    assert "secret-123456" not in text and "user" not in text


def test_another_key_is_the_same_model() -> None:
    assert identity(dspy.LM("openai/m", api_key="one-key")) == identity(dspy.LM("openai/m", api_key="another"))


@pytest.mark.parametrize("change", [{"n": 4}, {"timeout": 5}, {"num_retries": 1}, {"cache": False}])
def test_what_answers_do_not_depend_on_is_not_in_it(change: dict[str, Any]) -> None:
    assert identity(dspy.LM("openai/m", **change)) == identity(dspy.LM("openai/m"))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "openai/other"},
        {"model_type": "text"},
        {"temperature": 0.7},
        {"max_tokens": 8},
        {"seed": 2},
        {"api_base": "http://127.0.0.1:1/v1"},
        {"api_base": "http://127.0.0.1:2/v1"},
        {"base_url": "http://127.0.0.1:3/v1"},
        {"engine": "litellm"},
        {"rollout_id": 1, "temperature": 1.0},
    ],
)
def test_what_answers_depend_on_is_in_it(change: dict[str, Any]) -> None:
    plain = dspy.LM("openai/m", api_base="http://127.0.0.1:9/v1")

    assert identity(dspy.LM(**{"model": "openai/m", "api_base": "http://127.0.0.1:9/v1", **change})) != identity(plain)


@pytest.mark.parametrize("variable", ["OPENAI_API_BASE", "OPENAI_BASE_URL"])
def test_an_endpoint_of_the_environment_is_in_it(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    public_endpoint = identity(dspy.LM("openai/m"))
    monkeypatch.setenv(variable, "http://user:password@127.0.0.1:7/v1")

    assert "endpoint" not in public_endpoint
    assert identity(dspy.LM("openai/m"))["endpoint"] == "http://127.0.0.1:7/v1"
    assert "endpoint" not in identity(dspy.LM("anthropic/m"))


def test_an_endpoint_of_a_declared_provider_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = identity(dspy.LM("mine/m"))
    made = dspy.LM("mine/m")
    definition = type("Definition", (), {"id": "mine", "aliases": (), "access": type("Access", (), {"base_url": "u"})})
    monkeypatch.setattr(made, "_providers", (type("Declared", (), {"definition": definition}),))

    assert identity(made) == {**plain, "endpoint": "u"}


def test_it_is_stable() -> None:
    def make() -> str:
        return canonical_json(identity(dspy.LM("openai/m", temperature=0.5, api_base="http://127.0.0.1:1/v1")))

    assert make() == make()
    assert json.loads(make())["parameters"]["temperature"] == 0.5


def test_an_engine_with_a_state_is_known_by_it() -> None:
    first = DSPyModel(dspy.LM("mine/m", engine=DescribedEngine({"weights": "v1"})))
    again = DSPyModel(dspy.LM("mine/m", engine=DescribedEngine({"weights": "v1"})))
    other = DSPyModel(dspy.LM("mine/m", engine=DescribedEngine({"weights": "v2"})))

    assert first.persistent
    assert first.identity == again.identity != other.identity


def test_a_state_keeps_its_keys_to_itself() -> None:
    engine = DescribedEngine({"url": "http://u:p@h/v1", "api_key": "sk-secret-123456"})

    assert identity(dspy.LM("mine/m", engine=engine))["engine"][1] == {"url": "http://h/v1"}


def test_other_engines_are_known_to_this_process_alone() -> None:
    engine = Engine()
    lm = dspy.LM("mine/m", engine=engine)
    model = DSPyModel(lm)

    assert not model.persistent
    assert model.identity == identity(dspy.LM("mine/m", engine=engine)) == identity(lm.copy())
    assert model.identity != identity(dspy.LM("mine/m", engine=Engine()))


def test_a_new_engine_never_gets_the_identity_of_one_that_is_gone() -> None:
    seen = set()
    for _ in range(50):
        seen.add(canonical_json(identity(dspy.LM("mine/m", engine=Engine()))))
        gc.collect(0)

    assert len(seen) == 50


def test_a_name_makes_an_engine_persistent() -> None:
    first = DSPyModel(dspy.LM("mine/m", engine=Engine()), name="my engine 3")

    assert first.persistent and first.name == "my engine 3"
    assert first.identity == identity(dspy.LM("mine/m", engine=Engine()), "my engine 3")
    assert first.identity != identity(dspy.LM("mine/m", engine=Engine()), "my engine 4")


def test_two_models_of_the_old_form_with_one_name_are_two_models() -> None:
    first, second = DSPyModel(OldModel("old")), DSPyModel(OldModel("old"))

    assert not first.persistent
    assert first.identity != second.identity


def test_a_model_of_the_old_form_with_a_state_of_its_own_is_persistent() -> None:
    model = DSPyModel(DescribedOldModel("old"))

    assert model.persistent
    assert model.identity == identity(DescribedOldModel("old"))
    assert "sk-secret-123456" not in canonical_json(model.identity)


def test_dummy_models_do_not_share_answers() -> None:
    first, second = DSPyModel(DummyLM([{"a": "1"}])), DSPyModel(DummyLM([{"a": "2"}]))

    assert not first.persistent
    assert first.identity != second.identity


@pytest.mark.parametrize(
    "lm",
    [
        dspy.LM("openai/gpt-4o-mini"),
        dspy.LM("openai/m", temperature=0.5, max_tokens=7, api_base="http://127.0.0.1:1/v1", seed=3),
        dspy.LM("openai/m", model_type="text", engine="litellm", stop=["a"]),
        dspy.LM("openai/gpt-5", max_tokens=16000, temperature=1.0, reasoning_effort="low"),
    ],
)
def test_a_recorded_model_is_the_same_model(lm: Any) -> None:
    model = DSPyModel(lm)
    recorded = recorded_model(json.loads(canonical_json(model.identity)))

    assert recorded is not None
    assert recorded.identity == model.identity
    assert recorded.name == model.name


@pytest.mark.parametrize(
    "made",
    [
        DSPyModel(dspy.LM("mine/m", engine=Engine())),
        DSPyModel(dspy.LM("mine/m", engine=DescribedEngine({"weights": "v1"}))),
        DSPyModel(OldModel("old")),
        DSPyModel(DummyLM([{"a": "1"}])),
    ],
)
def test_an_engine_of_ones_own_cannot_be_made_from_its_record(made: DSPyModel) -> None:
    model = model_from_identity(made.identity)

    assert recorded_model(made.identity) is None
    assert isinstance(model, UnboundModel)
    assert model.identity == made.identity


def test_a_model_of_another_kind_is_never_taken_for_a_providers() -> None:
    assert recorded_model({"model": "openai/gpt-4o-mini", "seed": 3}) is None
    assert isinstance(model_from_identity({"model": "scripted"}), UnboundModel)
    assert isinstance(model_from_identity({}), UnboundModel)


def test_the_offline_reader_is_made_from_its_record() -> None:
    reader: LanguageModel = OfflineModel()

    assert isinstance(model_from_identity(reader.identity), OfflineModel)
    assert reader.persistent and reader.free and reader.usd_per_token == (0.0, 0.0)


def test_public_keeps_what_is_no_secret() -> None:
    value = {"max_tokens": 3, "monkey": "yes", "tokenizer": "bpe", "list": [{"password": "x", "user": "u"}]}

    assert public(value) == {"max_tokens": 3, "monkey": "yes", "tokenizer": "bpe", "list": [{"user": "u"}]}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://u:p@host/v1", "https://host/v1"),
        ("see https://host/v1?a=1&access_token=abc&b=2 now", "see https://host/v1?a=1&access_token=***&b=2 now"),
        ("mail me@host about a/b", "mail me@host about a/b"),
        ("http://host/@name", "http://host/@name"),
    ],
)
def test_urls_lose_their_credentials_alone(text: str, clean: str) -> None:
    assert without_credentials(text) == clean


def test_redact_takes_known_and_likely_secrets() -> None:
    text = "key abcdef-1, Bearer xyz.123 and sk-proj-12345678; short: abc"

    assert redact(text, {"api_key": "abcdef-1", "password": "abc"}) == "key ***, Bearer *** and ***; short: abc"


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"api_base": "http://tok-5f0d1c7e9a@127.0.0.1:1/v1"}, "failed to connect to tok-5f0d1c7e9a@127.0.0.1:1"),
        ({"api_base": "http://user:p4ss@w0rdhalf@host/v1"}, "no host called w0rdhalf@host"),
        ({"api_base": "http://user:p4ssX1/w0rdhalf@host"}, "bad port in authority: 'user:p4ssX1'"),
        ({"headers": {"Cookie": "session=5f0d1c7e9a"}}, "denied: session=5f0d1c7e9a"),
        ({"fallbacks": [{"model": "x", "api_key": "key-5f0d1c7e9a"}]}, "bad key key-5f0d1c7e9a"),
        ({"extra_body": {"auth": "tok-5f0d1c7e9a"}}, "bad auth tok-5f0d1c7e9a"),
    ],
)
def test_redact_knows_secrets_wherever_they_were_given(known: dict[str, Any], said: str) -> None:
    for secret in ("5f0d1c7e9a", "w0rdhalf", "p4ssX1"):
        assert secret not in redact(said, known)
    assert "***" in redact(said, known)


def test_redact_leaves_hosts_and_paths() -> None:
    for base in ("https://example.com:8080/@someone/v1", "https://example.com/@someone/v1"):
        assert redact(f"nothing at {base}", {"api_base": base}) == f"nothing at {base}"
