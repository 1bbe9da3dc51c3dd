"""Which model runs which node, in the order that is promised; never silently the offline reader."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog._internal import sync
from fusionprog.errors import LMConfigurationError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import Completion, Messages
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.lm.resolve import UnboundModel, offered_models, resolve_model, resolve_models


class Scripted:
    """A model that is neither DSPy's nor the offline reader; false as a truth value, as an empty container is."""

    name = "scripted"
    identity: Mapping[str, Any] = {"model": "scripted"}
    persistent = True
    free = True
    usd_per_token = None
    max_output_tokens = None

    def __len__(self) -> int:
        return 0

    async def complete(self, messages: Messages) -> Completion:
        return Completion("x", 1, 1)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-123456")


def test_without_any_model_the_error_offers_the_offline_reader() -> None:
    with pytest.raises(LMConfigurationError) as caught:
        resolve_model(None)

    assert "lm='offline'" in str(caught.value)
    assert "FUSIONPROG_LM" in str(caught.value)


def test_the_argument_goes_before_the_environment_and_dspys_settings(
    key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSIONPROG_LM", "openai/environment")
    with dspy.context(lm=dspy.LM("openai/settings")):
        assert resolve_model("openai/argument").name == "openai/argument"
        assert resolve_model(None).name == "openai/environment"
        monkeypatch.delenv("FUSIONPROG_LM")
        assert resolve_model(None).name == "openai/settings"


def test_an_empty_environment_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONPROG_LM", "")
    with dspy.context(lm=dspy.LM("openai/settings")):
        assert resolve_model(None).name == "openai/settings"


def test_the_environment_may_ask_for_the_offline_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONPROG_LM", "offline")

    assert isinstance(resolve_model(None), OfflineModel)
    assert isinstance(resolve_model("offline"), OfflineModel)


def test_settings_that_hold_no_model_count_as_none() -> None:
    with dspy.context(lm="openai/gpt-4o-mini"), pytest.raises(LMConfigurationError, match="no language model"):
        resolve_model(None)


@pytest.mark.parametrize("name", ["", "gpt-4o-mini", "openai/", "/gpt-4o-mini", "Offline"])
def test_a_name_without_provider_or_model_is_refused(key: None, name: str) -> None:
    with pytest.raises(LMConfigurationError, match="names no model"):
        resolve_model(name)


def test_a_provider_that_nobody_knows_is_refused(key: None, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LMConfigurationError, match="'gibberish/m'"):
        resolve_model("gibberish/m")

    assert capfd.readouterr().out == ""


def test_a_missing_key_is_named() -> None:
    with pytest.raises(LMConfigurationError, match=r"Set OPENAI_API_KEY, or use lm='offline'"):
        resolve_model("openai/gpt-4o-mini")


def test_keys_that_stand_in_for_each_other_are_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(LMConfigurationError, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        resolve_model("gemini/gemini-2.0-flash")

    monkeypatch.setenv("GEMINI_API_KEY", "key-123456")
    assert resolve_model("gemini/gemini-2.0-flash").name == "gemini/gemini-2.0-flash"


@pytest.mark.parametrize("name", ["ollama_chat/llama3", "hosted_vllm/m", "bedrock/amazon.titan-text-lite-v1"])
def test_providers_that_need_no_key_are_not_asked_for_one(name: str) -> None:
    assert resolve_model(name).name == name


def test_other_things_are_no_models() -> None:
    for thing in (3, object(), ["openai/m"], type("Engine", (), {"complete": print})()):
        with pytest.raises(LMConfigurationError, match="no language model"):
            resolve_model(thing)


def test_dspys_models_and_ones_own_are_taken_as_they_are(key: None) -> None:
    own = Scripted()

    assert isinstance(resolve_model(dspy.LM("openai/m")), DSPyModel)
    assert resolve_model(own) is own


def test_one_model_runs_all_nodes() -> None:
    models = resolve_models("offline", ["a", "b"])

    assert list(models) == ["a", "b"]
    assert models["a"] is models["b"]


def test_a_mapping_names_nodes_and_the_rest(key: None) -> None:
    own = Scripted()
    models = resolve_models({"b": own, "*": "offline"}, ["a", "b", "c"])

    assert models["b"] is own
    assert isinstance(models["a"], OfflineModel) and models["a"] is models["c"]


def test_a_mapping_with_an_unknown_node_is_refused() -> None:
    with pytest.raises(LMConfigurationError, match=r"unknown node 'triag'.*'triage'"):
        resolve_models({"triag": "offline", "*": "offline"}, ["triage", "answer"])


def test_a_mapping_that_leaves_a_node_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONPROG_LM", "offline")
    with pytest.raises(LMConfigurationError, match="no model for node 'answer'"):
        resolve_models({"triage": "offline"}, ["triage", "answer"])


def test_an_unbound_model_says_how_to_bind_it() -> None:
    with pytest.raises(LMConfigurationError, match=r"'mine/m'.*lm=your_lm"):
        sync.run(UnboundModel({"model": "mine/m"}).complete([]))


def test_giving_a_dspy_model_loads_no_litellm() -> None:
    program = """
import sys
import dspy
from fusionprog.lm.dspy_named import recorded_model
from fusionprog.lm.resolve import resolve_model
model = resolve_model(dspy.LM("openai/gpt-4o-mini"))
assert model.usd_per_token.most(1, 1) > 0
assert recorded_model(model.identity).identity == model.identity
print("litellm" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"


# Several on offer.


def test_models_on_offer_are_known_by_name_the_first_as_written() -> None:
    mini, hot = dspy.LM("openai/gpt-4o-mini"), dspy.LM("openai/gpt-4o-mini", temperature=1.0)
    made = offered_models({"triage": [mini, hot, "offline"], "*": fp.Choice("offline", mini)}, ["triage", "answer"])
    assert list(made["triage"]) == ["openai/gpt-4o-mini", "openai/gpt-4o-mini (2)", "offline"]
    assert list(made["answer"]) == ["offline", "openai/gpt-4o-mini"]
    assert list(offered_models("offline", ["triage"])["triage"]) == ["offline"]


@pytest.mark.parametrize(
    ("lm", "message"),
    [
        ([], "lm offers no model"),
        (["offline", "offline"], "lm offers the model 'offline' twice"),
        ({"trage": ["offline"]}, "unknown node 'trage'"),
        ({"answer": ["offline"]}, "no model for node 'triage'"),
        (["offline", 3], "lm is no language model"),
        (["offline", ["offline"]], "lm is no language model"),
    ],
)
def test_offers_that_are_none_are_refused(lm: Any, message: str) -> None:
    with pytest.raises(LMConfigurationError, match=message):
        offered_models(lm, ["triage", "answer"])


def test_where_one_model_is_needed_several_are_refused() -> None:
    with pytest.raises(LMConfigurationError, match="lm is no language model"):
        resolve_models({"triage": ["offline", "openai/gpt-4o-mini"]}, ["triage"])
