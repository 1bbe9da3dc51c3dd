"""Semantic similarity: evidence and inputs compared by the vectors of a small sentence model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusionprog.errors import EmbedderError
from fusionprog.lm.offline.reader import OfflineReader
from fusionprog.lm.offline.similarity import Evidence, shares, words
from fusionprog.prompts.embedders.sentence_encoder import (
    INSTALL,
    PACKAGED,
    SentenceEncoder,
    check_installed,
    encoder_in,
    packaged_folder,
    weights_digest,
)

_DIGITS = 6
_WEIGHTS = "fb4aa8c0439b2f0c4069adca4171c1a5"  # of the model that answers are known by


class SemanticProfiles:
    """One unit vector per label: the weighted sum of its evidence's vectors."""

    def __init__(self, vectors: NDArray[np.float64], evidence: Sequence[Evidence], n_labels: int) -> None:
        """Build the profiles.

        Args:
            vectors: Of the evidence, shape (n_evidence, n_features).
            evidence: What they are of.
            n_labels: How many labels there are; a label without evidence scores 0.
        """
        owned = np.zeros((n_labels, vectors.shape[1]))
        np.add.at(owned, [item.label for item in evidence], vectors * shares(evidence)[:, np.newaxis])
        lengths = np.linalg.norm(owned, axis=1, keepdims=True)
        self._profiles = owned / np.where(lengths > 0, lengths, 1.0)

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The cosine of a text with each label's profile, at least 0.

        Args:
            features: The text's vector.
        """
        cosines: NDArray[np.float64] = np.round(self._profiles @ features, _DIGITS)
        return np.maximum(cosines, 0.0)


class Semantic:
    """Compares texts by the vectors of a sentence model.

    Args:
        encoder: The model.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder

    def features(self, text: str) -> NDArray[np.float64]:
        """A text's vector."""
        (vector,) = self._vectors([text])
        return np.asarray(vector, dtype=np.float64)

    def profiles(self, evidence: Sequence[Evidence], n_labels: int) -> SemanticProfiles:
        """Vectors of evidence, by label."""
        return SemanticProfiles(self._vectors([item.text for item in evidence]), evidence, n_labels)

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Names are read as words; a text without any is like nothing."""
        plain = [" ".join(words(text)) if _is_name(text) else text for text in texts]
        made: NDArray[np.float64] = self._encoder.vectors(plain).astype(np.float64)
        made[[not text.strip() for text in plain]] = 0.0
        return made


def check_semantic() -> None:
    """Checks that the library and the model are installed; neither is loaded.

    Raises:
        EmbedderError: if not.
    """
    check_installed()
    _folder()


@functools.cache
def semantic_reader() -> OfflineReader:
    """Returns the semantic reader of this process, so that every text is read by its model once.

    Raises:
        EmbedderError: if the library or the model is not installed, or the model is another one than answers are known
            by.
    """
    check_installed()
    folder = _folder()
    if weights_digest(folder) != _WEIGHTS:
        raise EmbedderError(
            f"the package {PACKAGED!r} carries another model than the semantic reader's",
            expected=_WEIGHTS,
            found=weights_digest(folder),
            fix=f"Install {PACKAGED}==0.1.0",
        )
    return OfflineReader(similarity=Semantic(encoder_in(folder)))


def _folder() -> Path:
    folder = packaged_folder(PACKAGED)
    if folder is None:
        raise EmbedderError(f"the package {PACKAGED!r} is not installed", fix=INSTALL)
    return folder


def _is_name(text: str) -> bool:
    return len(text.split()) == 1
