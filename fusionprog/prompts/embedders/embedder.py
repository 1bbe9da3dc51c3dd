"""What an embedder is, and the embedders by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from fusionprog._internal.registry import Registry
from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedding import Vectors

_DIGITS = 6
_MOST = 65_536  # numbers that a vector may have


@dataclass(frozen=True)
class AskedModel:
    """An embedding model that must be asked for the vector of every text.

    Attributes:
        name: As LiteLLM knows it (``"openai/text-embedding-3-small"``).
        dimensions: Numbers that a vector is to have; as many as the model gives, if ``None``.
        api_base: Where it is reached, if not where its provider usually is.
    """

    name: str
    dimensions: int | None = None
    api_base: str | None = None


@dataclass(frozen=True)
class Probes:
    """What must be measured of a task: what each of some items does to its score.

    Attributes:
        items: Ids of the items, in order.
        nodes: Where they are shown.
        rows: Rows of every task that they are measured on, each beside the program as written.
    """

    items: tuple[str, ...]
    nodes: tuple[str, ...]
    rows: int


Needs: TypeAlias = AskedModel | Probes | None
"""What calls must bring before a subject can be embedded; ``None`` where its text is enough."""


@dataclass(frozen=True)
class Subject:
    """What is embedded: a task, or an item of the pool.

    Attributes:
        text: What it says or is about.
        item: The item's id; empty for a task.
        measured: What calls brought, where the embedder needs any: the vector that the model gave, or the effects of
            the probes in their order, in units of score.
    """

    text: str
    item: str = ""
    measured: tuple[float, ...] = ()


class Embedder(Protocol):
    """Turns tasks and items into vectors.

    An embedder asks nothing itself. It says what it needs, the search brings that, and from it the vectors follow: so
    embedders of texts, of a provider's models and of measured effects are one thing to everybody else.
    """

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name and arguments, as JSON data; what artifacts keep, so it has no keys, no addresses and no paths."""
        ...

    @property
    def needs(self) -> Needs:
        """What calls must bring before subjects can be embedded."""
        ...

    def embed(self, subjects: Sequence[Subject]) -> Vectors:
        """Returns vectors of length 1 (or 0, where a subject says nothing), shape ``(n_subjects, n_features)``.

        The same subjects give the same bytes in every process.

        Raises:
            EmbedderError: if they cannot be embedded.
        """
        ...


embedder_registry: Registry[Callable[..., Embedder]] = Registry("embedder", EmbedderError)


def register_embedder(name: str) -> Any:
    """Returns a class decorator that enters an embedder into the catalogue under ``name``.

    Its constructor takes what its identity has beside ``name``, checks it as coming from a stranger, and takes a text
    as its first argument if ``"name/text"`` is to stand for it.
    """
    return embedder_registry.register(name)


def check_count(value: Any, what: str, most: int = _MOST) -> int:
    """Returns a number of an embedder's arguments if it is a whole one from 1 to ``most``.

    Raises:
        EmbedderError: if not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise EmbedderError(
            f"{what} cannot be so", expected=f"a whole number from 1 to {most:,}", found=repr(value)[:40]
        )
    return value


def unit(vectors: Vectors) -> Vectors:
    """Returns vectors scaled to length 1 and rounded, so that noise in the last bits is no difference."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = np.round(vectors / np.where(lengths > 0, lengths, 1.0), _DIGITS) + 0.0
    return scaled
