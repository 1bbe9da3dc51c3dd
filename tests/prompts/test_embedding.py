"""Embeddings: the same in every process; a basis that is centred, scaled and small."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusionprog as fp
from fusionprog.errors import EmbedderError
from fusionprog.program.data import Row
from fusionprog.program.program import program_graph
from fusionprog.prompts.embedders import HashedNgrams
from fusionprog.prompts.embedding import MAX_COMPONENTS, Basis, Vectors, sign_fixed, task_text

LAW = settings(deadline=None, max_examples=60, derandomize=True)
TEXTS = ["messages to a shop about parcels", "messages to a bank about cards", "questions about flights and hotels"]
GOLDEN = [{41: 0.57735, 54: 0.57735, 232: 0.57735}, {47: -1.0}]  # an artifact's basis means nothing if these move
SUBJECTS = "parcels cards flights meals films songs".split()
_PRINT = """
import json
from fusionprog.prompts.embedders import HashedNgrams
from fusionprog.prompts.embedding import Basis
texts = {texts!r}
vectors = HashedNgrams().embed_texts(texts)
basis = Basis.fit(vectors)
print(json.dumps([
    [[int(place) for place in row.nonzero()[0]] for row in vectors],
    [basis.coordinates(row) for row in vectors],
]))
"""


def fitted(texts: list[str]) -> tuple[Basis, Vectors]:
    """The basis of texts and their coordinates, shape ``(n_texts, n_components)``."""
    vectors = HashedNgrams().embed_texts(texts)
    basis = Basis.fit(vectors)
    return basis, np.array([basis.coordinates(vector) for vector in vectors]).reshape(len(texts), -1)


def test_vectors_have_length_one_and_an_empty_text_none() -> None:
    vectors = HashedNgrams(features=64).embed_texts(["parcel", "a parcel is late", "", " .,; "])
    assert vectors.shape == (4, 64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0, 0.0, 0.0])


def test_no_texts_make_no_vectors() -> None:
    assert HashedNgrams(features=32).embed_texts([]).shape == (0, 32)


def test_case_and_punctuation_count_nothing_and_word_order_does() -> None:
    one, same, other = HashedNgrams().embed_texts(["My parcel, late!", "my parcel late", "late parcel my"])
    assert (one == same).all()
    assert not np.allclose(one, other)
    single = HashedNgrams(longest=1).embed_texts(["my parcel late", "late parcel my"])
    assert (single[0] == single[1]).all()


def test_the_identity_is_what_rebuilds_the_embedder() -> None:
    identity = dict(HashedNgrams(features=32, longest=3).identity)
    assert identity.pop("name") == "hashed_ngrams"
    texts = ["a parcel is late", "a card"]
    assert (HashedNgrams(**identity).embed_texts(texts) == HashedNgrams(32, 3).embed_texts(texts)).all()


def test_hashed_places_are_the_golden_ones() -> None:
    vectors = HashedNgrams().embed_texts(["parcel late", "billing"])
    assert [{int(place): round(float(row[place]), 6) for place in row.nonzero()[0]} for row in vectors] == GOLDEN


def test_another_process_with_another_hash_seed_embeds_alike() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", _PRINT.format(texts=TEXTS)],
        env={**os.environ, "PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    places, coordinates = json.loads(printed)
    vectors = HashedNgrams().embed_texts(TEXTS)
    assert places == [[int(place) for place in row.nonzero()[0]] for row in vectors]
    assert coordinates == [list(Basis.fit(vectors).coordinates(row)) for row in vectors]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_a_basis_is_centred_scaled_and_has_at_most_four_and_one_fewer_than_tasks(count: int) -> None:
    texts = [f"task {index} about {SUBJECTS[index % 6]} {index}" for index in range(count)]
    basis, places = fitted(texts)
    assert basis.size == min(MAX_COMPONENTS, count - 1)
    assert places.shape == (count, basis.size)
    assert places.mean(axis=0) == pytest.approx(np.zeros(basis.size), abs=1e-4)
    assert places.std(axis=0) == pytest.approx(np.ones(basis.size), abs=1e-4)
    assert np.allclose(basis.components @ basis.components.T, np.eye(basis.size), atol=1e-4)
    assert list(basis.scale) == sorted(basis.scale, reverse=True)


def test_one_task_has_no_components() -> None:
    basis, places = fitted(TEXTS[:1])
    assert (basis.size, places.shape) == (0, (1, 0))
    assert basis.direction(HashedNgrams().embed_texts(["anything"])[0]) == ()


def test_a_vector_of_another_length_has_no_place() -> None:
    basis, _ = fitted(TEXTS)
    with pytest.raises(EmbedderError, match="expected 256 numbers, found 64"):
        basis.coordinates(HashedNgrams(features=64).embed_texts(TEXTS)[0])


def test_equal_tasks_have_no_components_and_twins_the_same_place() -> None:
    assert fitted([TEXTS[0]] * 4)[0].size == 0
    basis, places = fitted([TEXTS[0], TEXTS[1], TEXTS[0]])
    assert basis.size == 1
    assert list(places[0]) == list(places[2]) != list(places[1])


def test_tasks_that_hardly_differ_do_not_differ() -> None:
    vector = HashedNgrams().embed_texts(TEXTS[:1])[0]
    nearly = vector.copy()
    nearly[0] += 1e-7
    assert Basis.fit(np.array([vector, nearly])).size == 0


@LAW
@given(
    st.permutations(range(5)),
    st.sampled_from([[*TEXTS, "films and songs", "parcels and cards"], SUBJECTS[:5]]),  # the second are all equally far
)
def test_the_order_of_tasks_changes_no_bit(order: list[int], texts: list[str]) -> None:
    vectors = HashedNgrams().embed_texts(texts)
    one, other = Basis.fit(vectors), Basis.fit(vectors[order])
    for name in ("centre", "components", "scale"):
        assert (getattr(one, name) == getattr(other, name)).all()


def test_signs_are_fixed() -> None:
    basis, _ = fitted([*TEXTS, "films and songs"])
    for direction in basis.components:
        sizes = np.abs(direction)
        assert direction[int(np.argmax(sizes > sizes.max() - 1e-5))] > 0


@LAW
@given(
    hnp.arrays(float, (2, 6), elements=st.integers(-9, 9).map(float)), st.lists(st.booleans(), min_size=2, max_size=2)
)
def test_a_sign_depends_neither_on_the_first_sign_nor_on_the_last_bit(rows: Vectors, turned: list[bool]) -> None:
    wanted = sign_fixed(rows)
    noisy = rows * (1 + 1e-12 * np.arange(6)) * np.where(turned, -1.0, 1.0)[:, np.newaxis]
    assert np.allclose(sign_fixed(noisy), wanted, atol=1e-9)
    assert np.allclose(np.abs(wanted), np.abs(rows))


def test_an_item_has_a_unit_direction_towards_the_tasks_it_is_like() -> None:
    embedder = HashedNgrams()
    vectors = embedder.embed_texts(TEXTS[:2])
    basis = Basis.fit(vectors)
    shop, bank = (basis.coordinates(vector) for vector in vectors)
    parcels, cards = (
        basis.direction(vector) for vector in embedder.embed_texts(["parcels shop shop", "cards bank bank"])
    )
    assert abs(parcels[0]) == abs(cards[0]) == 1.0
    assert parcels[0] * shop[0] > 0
    assert cards[0] * bank[0] > 0


@pytest.mark.parametrize("text", ["parcels", "cards and flights", "nothing alike", "hotels"])
def test_directions_are_unit_vectors(text: str) -> None:
    basis, _ = fitted(TEXTS)
    assert np.linalg.norm(basis.direction(HashedNgrams().embed_texts([text])[0])) == pytest.approx(1.0, abs=1e-5)


def test_an_item_at_the_centre_has_no_direction() -> None:
    basis, _ = fitted(TEXTS)
    assert basis.direction(basis.centre) == (0.0, 0.0)
    assert [str(each) for each in basis.direction(basis.centre)] == ["0.0", "0.0"]  # and not -0.0


def test_a_task_is_read_by_its_description_domain_fields_labels_and_inputs(desk_program: fp.Program) -> None:
    graph = program_graph(desk_program)
    rows = [Row({"message": "Where is it?", "team": "gold is not read"}), Row({"other": 1})]
    text = task_text(graph, "Messages.", "retail", ["in_transit"], rows)
    assert text.split() == ["Messages.", "retail", "message", "team", "reply", "in", "transit", "Where", "is", "it?"]
