"""An embedder that knows nothing: a control for what embeddings are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusionprog.prompts.embedders import Needs, Subject
from fusionprog.prompts.embedders.embedder import unit
from fusionprog.prompts.embedding import Vectors

_FEATURES = 16


class RandomEmbedder:
    """Gives every text a random unit vector, the same one each time.

    Args:
        seed: Decides the vectors.
    """

    needs: Needs = None

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name and seed."""
        return {"name": "random", "seed": self.seed}

    def embed(self, subjects: Sequence[Subject]) -> Vectors:
        """Returns unit vectors of shape ``(n_subjects, 16)``."""
        return np.array([self._vector(subject.text) for subject in subjects]).reshape(len(subjects), _FEATURES)

    def _vector(self, text: str) -> Vectors:
        known = hashlib.blake2b(f"{self.seed}\0{text}".encode(), digest_size=8).digest()
        drawn: Vectors = np.random.default_rng(int.from_bytes(known, "big")).standard_normal(_FEATURES)
        scaled: Vectors = unit(drawn[np.newaxis])[0]
        return scaled
