"""Which model a loaded program runs on, and when it says that it is another one than it was compiled for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import ArtifactError, LMConfigurationError
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.model import Completion, Messages
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.lm.resolve import UnboundModel
from fusionprog.runtime.compiled import CompiledProgram

TASK = fp.Task("only", metric=fp.metrics.exact_match("answer"), val=[{"question": "q", "answer": "a"}])


class Parrot:
    """A model of the user's own."""

    name = "parrot"
    free = True
    usd_per_token = None
    max_output_tokens = None

    def __init__(self, persistent: bool = True, **settings: Any) -> None:
        self.identity: Mapping[str, Any] = {"model": "parrot", "settings": settings}
        self.persistent = persistent

    async def complete(self, messages: Messages) -> Completion:
        return Completion("[[ ## answer ## ]]\nparrot\n\n[[ ## completed ## ]]", 1, 1)


@pytest.fixture
def asked(assemble: Callable[..., CompiledProgram], tmp_path: Path) -> Callable[[Any], Path]:
    """Saves a program of one node that was compiled on a model."""

    def saved(model: Any) -> Path:
        graph = fp.ProgramGraph("asked")
        graph.add("ask", fp.modules.Predict("question -> answer"))
        graph.connect("question", "ask.question")
        assemble(graph, [TASK], model=model).save(tmp_path / "asked.json")
        return tmp_path / "asked.json"

    return saved


def test_the_recorded_model_is_used(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONPROG_LM", "openai/another")
    models = fp.load(artifact).models
    assert {type(model) for model in models.values()} == {OfflineModel}
    assert len(models) == 4 and len({id(model) for model in models.values()}) == 1


def test_a_recorded_dspy_model_is_made_again(asked: Callable[[Any], Path]) -> None:
    lm = dspy.LM("openai/some-model", temperature=0.25, max_tokens=77, cache=False)
    model = fp.load(asked(DSPyModel(lm))).models["ask"]
    assert isinstance(model, DSPyModel)
    assert model.name == "openai/some-model"
    assert model.identity == DSPyModel(lm).identity


def test_the_same_model_given_again_is_no_other(asked: Callable[[Any], Path], artifact: Path) -> None:
    fp.load(artifact, lm="offline")
    fp.load(artifact, lm={"triage": OfflineModel(), "*": "offline"})
    path = asked(Parrot(size=(1, 2)))
    assert fp.load(path, lm=Parrot(size=[1, 2]))(question="x").answer == "parrot"


def test_another_model_is_told_where_it_is_loaded(artifact: Path) -> None:
    with pytest.warns(UserWarning, match=r"another model .* \(offline → parrot\); scores were measured on") as caught:
        program = fp.load(artifact, lm={"short": Parrot(), "*": "offline"})
    assert caught[0].filename == __file__
    assert len(caught) == 1
    assert [node for node, model in program.models.items() if model.name == "parrot"] == ["short"]


def test_other_parameters_are_another_model(asked: Callable[[Any], Path]) -> None:
    path = asked(Parrot(heat=0))
    with pytest.warns(UserWarning, match=r"\(another parrot\)"):
        fp.load(path, lm=Parrot(heat=1))


def test_a_model_that_moved_on_is_told(
    data: dict[str, Any], write: Callable[[Path, dict[str, Any]], Path], tmp_path: Path
) -> None:
    """The offline reader of another version is not the one that was measured."""
    for identity in data["lm"].values():
        identity["version"] = 999
    path = write(tmp_path / "older.json", data)
    with pytest.warns(UserWarning, match=r"\(another offline\)"):
        program = fp.load(path)
    program.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_another_endpoint_is_told_and_the_file_stays_the_same(
    asked: Callable[[Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:1/v1")
    path = asked(DSPyModel(dspy.LM("openai/some-model", cache=False)))
    assert "127.0.0.1" in path.read_text(encoding="utf-8")
    fp.load(path)
    monkeypatch.delenv("OPENAI_API_BASE")
    with pytest.warns(UserWarning, match=r"\(another openai/some-model\)"):
        program = fp.load(path)
    program.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_what_runs_on_another_model_is_saved_with_the_first(artifact: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="another model"):
        program = fp.load(artifact, lm=Parrot())
    program.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == artifact.read_bytes()
    fp.load(tmp_path / "again.json")


def test_a_model_of_the_users_own_must_be_given_again(asked: Callable[[Any], Path], tmp_path: Path) -> None:
    for persistent in (True, False):
        path = asked(Parrot(persistent, number=1))
        program = fp.load(path)
        assert isinstance(program.models["ask"], UnboundModel)
        with pytest.raises(LMConfigurationError, match=r"'parrot'.*Load the artifact with lm=your_lm"):
            program(question="x")
        program.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
        assert fp.load(path, lm=Parrot(persistent, number=1))(question="x").answer == "parrot"
        with pytest.warns(UserWarning, match="parrot → offline"):
            fp.load(path, lm="offline")


def test_a_model_without_a_name_in_its_identity_is_unbound(asked: Callable[[Any], Path]) -> None:
    model = Parrot()
    model.identity = {"weights": "abc"}
    program = fp.load(asked(model))
    assert isinstance(program.models["ask"], UnboundModel)
    with pytest.warns(UserWarning, match="a custom engine → offline"):
        fp.load(asked(model), lm="offline")


def test_lm_names_nodes(artifact: Path) -> None:
    with pytest.raises(LMConfigurationError, match=r"unknown node 'triag'.*Did you mean 'triage'"):
        fp.load(artifact, lm={"triag": "offline", "*": "offline"})
    with pytest.raises(LMConfigurationError, match=r"no model for node 'panel\.judge'"):
        fp.load(artifact, lm={"triage": "offline"})
    with pytest.raises(LMConfigurationError, match=r"names no model|provider"):
        fp.load(artifact, lm="nonsense")


def test_a_bad_file_is_told_before_a_bad_model(artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(artifact.read_text(encoding="utf-8").replace("Dringlichkeit", "x"), encoding="utf-8")
    with pytest.raises(ArtifactError):
        fp.load(path, lm="nonsense")


def test_an_identity_that_is_no_json_is_told(asked: Callable[[Any], Path]) -> None:
    model = Parrot()
    model.identity = {"model": "parrot", "heat": float("nan")}
    with pytest.raises(ArtifactError, match="JSON cannot hold"):
        asked(model)


def test_models_are_named_in_the_record(artifact: Path) -> None:
    assert fp.load(artifact).record.models == dict.fromkeys(
        ("triage", "panel.judge", "panel.judge_2", "short"), "offline"
    )
    assert json.loads(artifact.read_text(encoding="utf-8"))["lm"]["triage"] == {"model": "offline", "version": 1}
