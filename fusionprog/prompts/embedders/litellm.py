"""A provider's embedding model, by its LiteLLM name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedders.embedder import AskedModel, Subject, check_count, register_embedder, unit
from fusionprog.prompts.embedding import Vectors

_LONGEST_NAME = 200


@register_embedder("litellm")
class LiteLLM:
    """Vectors of any embedding model that LiteLLM knows.

    Args:
        model: Its LiteLLM name with the provider (``"openai/text-embedding-3-small"``).
        dimensions: Numbers that a vector is to have, for models that let it be chosen.
        api_base: Where it is reached, if not where its provider usually is; no artifact keeps it.

    Raises:
        EmbedderError: if an argument is not usable.

    Note:
        Providers do not promise the same vector for the same text from one day to the next. Answers are stored like
        those of other models, so one store gives the same program; without it small differences are possible.
    """

    def __init__(self, model: str, dimensions: int | None = None, api_base: str | None = None) -> None:
        named = isinstance(model, str) and len(model) <= _LONGEST_NAME and all(model.partition("/"))
        if not named or "://" in model:  # some providers take a name for an address, and an artifact must not say where
            raise EmbedderError(
                "an embedding model has no such name",
                expected="a LiteLLM name with its provider ('openai/text-embedding-3-small') and no address",
                found=repr(model)[:80],
            )
        self.model = model
        self.dimensions = None if dimensions is None else check_count(dimensions, "the dimensions of embeddings")
        self.api_base = api_base

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name, model and, if they were chosen, dimensions."""
        chosen = {} if self.dimensions is None else {"dimensions": self.dimensions}
        return {"name": "litellm", "model": self.model, **chosen}

    @property
    def needs(self) -> AskedModel:
        """The model's answers."""
        return AskedModel(self.model, self.dimensions, self.api_base)

    def embed(self, subjects: Sequence[Subject]) -> Vectors:
        """Returns the model's vectors, scaled to length 1.

        Raises:
            EmbedderError: if the model was not asked, or its vectors are not all of the length that was asked for.
        """
        lengths = {len(subject.measured) for subject in subjects}
        wanted = self.dimensions or max(lengths, default=0)
        if lengths - {wanted} or lengths == {0}:
            raise EmbedderError(
                f"the vectors of the embedding model {self.model!r} do not fit together",
                expected=f"{wanted or 'some'} numbers each",
                found=" and ".join(map(str, sorted(lengths))),
                fix="Leave dimensions out, or choose another model",
            )
        return unit(np.array([subject.measured for subject in subjects], dtype=float).reshape(len(subjects), wanted))
