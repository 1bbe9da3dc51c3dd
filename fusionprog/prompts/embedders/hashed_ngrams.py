"""Hashed word n-grams, the default embedder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from fusionprog.prompts.embedders.embedder import Needs, Subject, check_count, register_embedder
from fusionprog.prompts.embedding import Vectors

_LONGEST = 8


@register_embedder("hashed_ngrams")
class HashedNgrams:
    """Hashed word n-grams: needs no model, no download, and is the same in every process.

    Args:
        features: Length of the vectors.
        longest: Longest n-gram, in words.

    Raises:
        EmbedderError: if an argument is no number that it may be.
    """

    needs: Needs = None

    def __init__(self, features: int = 256, longest: int = 2) -> None:
        self.features = check_count(features, "the features of hashed n-grams")
        self.longest = check_count(longest, "the longest of hashed n-grams", _LONGEST)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name and arguments."""
        return {"name": "hashed_ngrams", "features": self.features, "longest": self.longest}

    @cached_property
    def _vectorizer(self) -> HashingVectorizer:
        return HashingVectorizer(
            n_features=self.features, ngram_range=(1, self.longest), norm="l2", token_pattern=r"(?u)\b\w+\b"
        )

    def embed(self, subjects: Sequence[Subject]) -> Vectors:
        """Returns unit vectors of shape ``(n_subjects, features)``; an empty text is all zeros."""
        return self.embed_texts([subject.text for subject in subjects])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Returns unit vectors of texts, shape ``(n_texts, features)``."""
        if not texts:
            return np.zeros((0, self.features))
        dense: Vectors = self._vectorizer.transform(texts).toarray()
        return dense
