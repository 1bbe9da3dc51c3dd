"""How near texts are: the contract, and lexical similarity.

Lexical similarity compares hashed words, word pairs and letter groups, weighted by how few labels share them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_GROUP_LENGTHS = (3, 4)
_N_FEATURES = 2**20


def words(text: str) -> list[str]:
    """The words and numbers of a text or a name, in lower case.

    Args:
        text: Any text.

    Returns:
        The words in order. Case, underscores and digits split a name; an apostrophe splits no word.

    Example:
        >>> words("cardLost isn't pin_2")
        ['card', 'lost', 'isnt', 'pin', '2']
    """
    return _WORD.findall(_CAMEL.sub(" ", text).replace("'", "").replace("’", "").lower())


@lru_cache(maxsize=16384)
def word_features(word: str) -> tuple[str, ...]:
    """A word and its groups of three and four letters, with the blanks around it.

    Args:
        word: One word.

    Returns:
        The features; the groups make inflections of a word similar.
    """
    padded = f" {word} "
    return (word, *(padded[i : i + n] for n in _GROUP_LENGTHS for i in range(len(padded) - n + 1)))


def _features(text: str) -> list[str]:
    found = words(text)
    features = [feature for word in found for feature in word_features(word)]
    features += [f"{first} {second}" for first, second in pairwise(found)]
    return features


_VECTORIZER = HashingVectorizer(
    analyzer=_features, n_features=_N_FEATURES, alternate_sign=False, norm=None, binary=True, dtype=np.float64
)


def hashed(texts: Sequence[str]) -> sparse.csr_matrix:
    """The features of texts as a sparse matrix of zeros and ones.

    Args:
        texts: The texts, at least one.

    Returns:
        A matrix of shape (n_texts, n_features) with sorted columns.
    """
    matrix = sparse.csr_matrix(_VECTORIZER.transform(texts))
    matrix.sort_indices()
    return matrix


@dataclass(frozen=True)
class Evidence:
    """One text that speaks for a label.

    Attributes:
        label: The label's number.
        text: What speaks for it.
        weight: What this kind of evidence counts; several of a kind count as the square root of their number.
        kind: The kind, such as ``name`` or ``demonstration``.
    """

    label: int
    text: str
    weight: float
    kind: str


class Profiles(Protocol):
    """What is known of labels, ready to be compared with texts."""

    def scores(self, features: Any) -> NDArray[np.float64]:
        """How near a text is to each label.

        Args:
            features: The text's, as the similarity makes them.

        Returns:
            Scores of shape (n_labels,), at most 1, rounded so that equal evidence ties; 0 for a label without any.
        """
        ...


class Similarity(Protocol):
    """How texts are compared: all that tells one embedded reader from another."""

    def features(self, text: str) -> Any:
        """What of a text is compared."""
        ...

    def profiles(self, evidence: Sequence[Evidence], n_labels: int) -> Profiles:
        """Prepare what speaks for labels.

        Args:
            evidence: All evidence, at least one text.
            n_labels: How many labels there are.
        """
        ...


class LabelProfiles:
    """One unit vector per label: the weighted sum of its evidence.

    A feature weighs the more, the fewer labels' evidence has it; nothing is known about words from outside.
    """

    def __init__(self, evidence: Sequence[Evidence], n_labels: int) -> None:
        """Build the profiles.

        Args:
            evidence: All evidence, at least one text.
            n_labels: How many labels there are; a label without evidence scores 0.
        """
        matrix = hashed([item.text for item in evidence])
        self._features, columns = np.unique(matrix.indices, return_inverse=True)
        shape = (len(evidence), len(self._features))
        compact = sparse.csr_matrix((matrix.data, columns, matrix.indptr), shape=shape)
        owners = _owners(evidence, n_labels, np.ones(len(evidence)))
        frequency = np.asarray((owners @ compact > 0).sum(axis=0), dtype=np.float64).ravel()
        described = len({item.label for item in evidence})
        self._unseen = float(np.log((1 + described) / 0.5))
        self._idf = np.log((1 + described) / (0.5 + frequency))
        weighted = _unit_rows(sparse.csr_matrix(compact.multiply(self._idf)))
        self._profiles = _unit_rows(sparse.csr_matrix(_owners(evidence, n_labels, shares(evidence)) @ weighted))

    def scores(self, features: NDArray[np.int32]) -> NDArray[np.float64]:
        """The cosine of a text with each label's profile.

        Args:
            features: The text's feature numbers, each once: a row's ``indices`` of `hashed`.

        Returns:
            Scores of shape (n_labels,), rounded so that equal evidence ties in spite of rounding errors.
        """
        if not len(self._features) or not len(features):
            return np.zeros(self._profiles.shape[0])
        places = np.minimum(np.searchsorted(self._features, features), len(self._features) - 1)
        places = places[self._features[places] == features]
        vector = np.zeros(len(self._features))
        vector[places] = self._idf[places]
        norm = np.sqrt(np.square(vector).sum() + (len(features) - len(places)) * self._unseen**2)
        return np.asarray(np.round(self._profiles @ vector / norm, 9), dtype=np.float64)


class Lexical:
    """Compares texts by their hashed features."""

    def features(self, text: str) -> NDArray[np.int32]:
        """The numbers of a text's features."""
        return np.asarray(hashed([text]).indices, dtype=np.int32)

    def profiles(self, evidence: Sequence[Evidence], n_labels: int) -> LabelProfiles:
        """Features of evidence, weighted by their rarity among labels."""
        return LabelProfiles(evidence, n_labels)


LEXICAL = Lexical()


def similarities(candidates: Sequence[str], topic: str, similarity: Similarity) -> NDArray[np.float64]:
    """How similar texts are to a topic, each taken for a label of its own.

    Args:
        candidates: The texts.
        topic: What they are compared with.
        similarity: How.

    Returns:
        Cosines of shape (n_candidates,).
    """
    if not candidates:
        return np.zeros(0)
    texts = [Evidence(i, text, 1.0, "text") for i, text in enumerate(candidates)]
    return similarity.profiles(texts, len(candidates)).scores(similarity.features(topic))


def shares(evidence: Sequence[Evidence]) -> NDArray[np.float64]:
    """What each piece of evidence counts, shape (n_evidence,): several of a kind together as the square root."""
    counts: dict[tuple[int, str], int] = {}
    for item in evidence:
        counts[item.label, item.kind] = counts.get((item.label, item.kind), 0) + 1
    return np.array([item.weight / np.sqrt(counts[item.label, item.kind]) for item in evidence])


def _owners(evidence: Iterable[Evidence], n_labels: int, values: NDArray[np.float64]) -> sparse.csr_matrix:
    labels = np.array([item.label for item in evidence])
    return sparse.csr_matrix((values, (labels, np.arange(len(labels)))), shape=(n_labels, len(labels)))


def _unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64)).ravel()
    return sparse.csr_matrix(sparse.diags_array(1 / np.where(norms > 0, norms, 1)) @ matrix)
