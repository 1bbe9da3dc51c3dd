"""The embedded readers as language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from fusionprog.errors import EmbedderError, LMConfigurationError
from fusionprog.lm.model import CHARACTERS_PER_TOKEN, Completion, Messages, approximate_tokens
from fusionprog.lm.offline import OfflineReader
from fusionprog.lm.offline.semantic import check_semantic, semantic_reader

T = TypeVar("T")

OFFLINE = "offline"
SEMANTIC = "offline-semantic"
_VERSION = 1
_LONGEST = 4_096  # tokens of an answer, as other models have a limit too


class OfflineModel:
    """Answers with the embedded reader: no key, no network, no cost; it sees only the rendered messages."""

    name = OFFLINE
    identity: Mapping[str, Any] = {"model": OFFLINE, "version": _VERSION}
    persistent = True
    free = True
    usd_per_token = (0.0, 0.0)
    max_output_tokens = _LONGEST

    @cached_property
    def _reader(self) -> OfflineReader:
        return OfflineReader()

    async def complete(self, messages: Messages) -> Completion:
        """Returns the reader's answer; tokens are estimated from characters."""
        text = self._reader.read(messages)
        prompt = sum(approximate_tokens(message["content"]) for message in messages)
        cut = text[: CHARACTERS_PER_TOKEN * _LONGEST]
        return Completion(cut, prompt, approximate_tokens(cut), 0.0, "stop" if cut == text else "length")


class SemanticModel(OfflineModel):
    """The same reader with evidence compared by sentence vectors: another model, of the extra ``semantic``.

    A program that was compiled on it loads without the extra; only asking it needs that.
    """

    name = SEMANTIC
    identity: Mapping[str, Any] = {"model": SEMANTIC, "version": _VERSION}

    @cached_property
    def _reader(self) -> OfflineReader:
        return _or_unusable(semantic_reader)

    def check(self) -> None:
        """Checks that it can be asked; its model is not loaded.

        Raises:
            LMConfigurationError: if the extra is not installed.
        """
        _or_unusable(check_semantic)


EMBEDDED: Mapping[str, type[OfflineModel]] = {OFFLINE: OfflineModel, SEMANTIC: SemanticModel}
"""The embedded readers by name."""


def embedded_model(name: str) -> OfflineModel:
    """Returns an embedded reader that may be asked.

    Raises:
        LMConfigurationError: if what it needs is not installed.
    """
    model = EMBEDDED[name]()
    if isinstance(model, SemanticModel):
        model.check()
    return model


def _or_unusable(use: Callable[[], T]) -> T:
    try:
        return use()
    except EmbedderError as error:
        raise LMConfigurationError(
            f"the model {SEMANTIC!r} cannot be used",
            found=str(error).partition(". ")[0],
            fix=error.fix or "Install the package that it was made for",
        ) from error
