"""The embedders, each under its name, and the ways from a name or an artifact to one.

Follow a task: its text (``prompts/embedding.py``), or what calls say of it, becomes a ``Subject``; an embedder makes a
vector of it, and the basis of all tasks' vectors the few coordinates that the schedule looks at.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeAlias

from fusionprog._internal.canonical import canonical_json, jsonable
from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedders.embedder import (
    AskedModel,
    Embedder,
    Needs,
    Probes,
    Subject,
    embedder_registry,
    register_embedder,
)
from fusionprog.prompts.embedders.functional import Functional
from fusionprog.prompts.embedders.hashed_ngrams import HashedNgrams
from fusionprog.prompts.embedders.litellm import LiteLLM
from fusionprog.prompts.embedders.sentence_transformers import SentenceTransformers

EmbedderSpec: TypeAlias = str | Embedder | None

_PASS = "Pass embedder= with the embedder that the program was compiled with"


def embedder_named(spec: EmbedderSpec) -> Embedder:
    """Returns the embedder that a user means.

    Args:
        spec: A registered name; ``"litellm/MODEL"`` or ``"sentence-transformers/PACKAGE-OR-FOLDER"``; an embedder;
            ``None`` for hashed n-grams.

    Raises:
        EmbedderError: if there is none of that name, or it cannot be made.
    """
    if spec is None:
        return HashedNgrams()
    if not isinstance(spec, str):
        if hasattr(spec, "embed") and hasattr(spec, "identity") and hasattr(spec, "needs"):
            return spec
        raise EmbedderError("embedder is no embedder", expected="a name, or an embedder", found=type(spec).__name__)
    name, _, argument = spec.partition("/")
    make = embedder_registry.get(name)
    given = [argument] if argument else []
    try:
        inspect.signature(make).bind(*given)
    except TypeError:
        raise EmbedderError(
            f"the embedder {name!r} needs to know its model",
            expected="'litellm/openai/text-embedding-3-small', say",
            found=spec,
        ) from None
    return make(*given)


def embedder_of(identity: Mapping[str, Any]) -> Embedder:
    """Returns the embedder that an artifact's tasks were embedded with.

    Nothing is imported that the artifact names: it is made from the registry, of arguments that are checked.

    Args:
        identity: What the artifact says of it.

    Raises:
        EmbedderError: if it is not registered or not installed here, or its arguments are not sound.
    """
    name = identity.get("name")
    if not isinstance(name, str) or name not in embedder_registry:
        raise EmbedderError(
            "the program's embedder is not known here",
            expected=f"one of {', '.join(embedder_registry)}",
            found=repr(name)[:80],
            fix=_PASS,
        )
    make = embedder_registry.get(name)
    arguments = {key: value for key, value in identity.items() if key != "name"}
    try:
        inspect.signature(make).bind(**arguments)
    except TypeError as error:
        raise EmbedderError(
            f"the program's embedder {name!r} has arguments that do not fit", found=str(error)[:80], fix=_PASS
        ) from None
    made = make(**arguments)
    check_embedder(identity, made)
    return made


def check_embedder(identity: Mapping[str, Any], embedder: Embedder) -> None:
    """Checks that an embedder is the one that an artifact's tasks were embedded with.

    Vectors of two embedders have nothing to do with each other: their similarity would be a number without a meaning.

    Args:
        identity: What the artifact says.
        embedder: What is to embed a new task.

    Raises:
        EmbedderError: if it is another one.
    """
    kept, given = (canonical_json(jsonable(each)) for each in (identity, embedder.identity))
    if kept != given:
        raise EmbedderError(
            "the program was compiled with another embedder", expected=kept[:200], found=given[:200], fix=_PASS
        )


__all__ = [
    "AskedModel",
    "Embedder",
    "EmbedderSpec",
    "Functional",
    "HashedNgrams",
    "LiteLLM",
    "Needs",
    "Probes",
    "SentenceTransformers",
    "Subject",
    "check_embedder",
    "embedder_named",
    "embedder_of",
    "register_embedder",
]
