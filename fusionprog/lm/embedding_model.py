"""Embedding models of providers: asked through the client, so stored, paced and retried as other models are."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from dspy.clients.engines.litellm_errors import litellm_errors

from fusionprog.errors import LMConfigurationError, LMIncompleteError
from fusionprog.lm.client import LMClient
from fusionprog.lm.dspy_errors import failure, shown
from fusionprog.lm.model import Completion, Messages, approximate_tokens, request_of
from fusionprog.lm.price import Price
from fusionprog.lm.prices import known_provider, list_price, missing_keys
from fusionprog.lm.redaction import public, redact
from fusionprog.prompts.embedders import AskedModel

_TEXTS = 64  # in a request; some providers take no more than 96
_LONGEST = 8_000  # characters of a text that are embedded: about as much as the usual models read
_DIGITS = 7


class EmbeddingModel:
    """An embedding model in the form of a language model: its message is a list of texts, its answer their vectors.

    Args:
        asked: Which, and where it is reached.
    """

    persistent = True
    free = False
    max_output_tokens = 0

    def __init__(self, asked: AskedModel) -> None:
        self._asked = asked
        self.name = asked.name
        options = {"dimensions": asked.dimensions, "api_base": asked.api_base}
        self._options = {name: value for name, value in options.items() if value is not None}
        self.identity: Mapping[str, Any] = public({"model": asked.name, "type": "embedding", **self._options})

    @property
    def usd_per_token(self) -> Price | None:
        """Dollars per token read, and per one written, of which there are none."""
        return list_price(self.name)

    async def complete(self, messages: Messages) -> Completion:
        """Returns the vectors of the texts in the last message, both as JSON, after one attempt.

        Some of LiteLLM's clients try twice more by themselves, whatever they are told; it counts as one attempt.

        Raises:
            LMError: as other models do; ``LMIncompleteError`` if a vector is missing or no list of numbers.
        """
        import litellm  # takes seconds, so it is imported where it is used

        texts = json.loads(messages[-1]["content"])
        try:
            with litellm_errors(model=self.name):
                answer = await litellm.aembedding(model=self.name, input=texts, num_retries=0, **self._options)
            return self._completion(texts, answer)
        except LMIncompleteError:
            raise
        except Exception as error:
            raised = error
        # Raised outside of the handler: the failure, which may show a secret, is then no context of the error.
        try:
            secret = self._clean(shown(raised)) != shown(raised)
            raise failure(raised, self.name, self._clean) from (None if secret else raised)
        finally:
            del raised

    def _completion(self, texts: Sequence[str], answer: Any) -> Completion:
        vectors = [each["embedding"] for each in sorted(answer.data or (), key=lambda each: each["index"])]
        if len(vectors) != len(texts) or not all(map(_is_vector, vectors)):
            raise LMIncompleteError(
                f"the embedding model {self.name!r} gave no vectors",
                expected=f"{len(texts)} lists of numbers",
                found=f"{len(vectors)} answers",
            )
        read = getattr(answer.usage, "prompt_tokens", None) or sum(map(approximate_tokens, texts))
        price = self.usd_per_token
        rounded = [[round(float(value), _DIGITS) + 0.0 for value in vector] for vector in vectors]
        written = json.dumps(rounded, separators=(",", ":"))
        return Completion(written, read, 0, None if price is None else price.most(read, 0))

    def _clean(self, text: str) -> str:
        return redact(text, self._options, os.environ)


@functools.lru_cache(maxsize=64)
def embedding_model(asked: AskedModel) -> EmbeddingModel:
    """Returns a model that may be asked; the same for the same one, so that its limits are one.

    Raises:
        LMConfigurationError: if nobody knows its provider, or the provider's key is not set.
    """
    if not known_provider(asked.name):
        raise LMConfigurationError(
            f"the embedding model {asked.name!r} has a provider that nobody knows",
            fix="See https://docs.litellm.ai/docs/embedding/supported_embedding for the names",
        )
    if missing := missing_keys(asked.name):
        raise LMConfigurationError(
            f"no key for the embedding model {asked.name!r}",
            fix=f"Set {missing}, or leave embedder out: hashed n-grams need none",
        )
    return EmbeddingModel(asked)


def requests_for(count: int) -> int:
    """Returns how many requests the vectors of so many texts take."""
    return math.ceil(count / _TEXTS)


async def ask_vectors(
    client: LMClient, asked: AskedModel, texts: Sequence[str]
) -> tuple[list[tuple[float, ...]], dict[bytes, Completion]]:
    """Returns a model's vectors of texts, in their order, and the calls that brought them.

    Args:
        client: Looks them up in its store, asks for those that are not there, and keeps them.
        asked: The model.
        texts: What it reads, of each at most the first 8,000 characters.

    Raises:
        LMError: if the model gives none.
    """
    model = embedding_model(asked)
    vectors: list[tuple[float, ...]] = []
    calls: dict[bytes, Completion] = {}
    for start in range(0, len(texts), _TEXTS):
        shortened = [text[:_LONGEST] for text in texts[start : start + _TEXTS]]
        content = json.dumps(shortened, ensure_ascii=False, separators=(",", ":"))
        key, answer = await client.complete(model, request_of([{"role": "user", "content": content}]))
        calls[key] = answer
        vectors += [tuple(map(float, vector)) for vector in json.loads(answer.text)]
    return vectors, calls


def _is_vector(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(number, (int, float)) and math.isfinite(number) for number in value)
    )
