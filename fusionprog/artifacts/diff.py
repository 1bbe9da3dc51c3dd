"""What differs between two artifacts: structure, texts, weights, scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fusionprog.artifacts.schema import Artifact

Part = Literal["structure", "models", "texts", "weights", "scores", "compile"]

_PARTS: dict[str, Part] = {
    "program": "structure",
    "lm": "models",
    "pool": "texts",
    "tasks": "texts",
    "mixtures": "weights",
    "schedule": "weights",
    "embedding": "weights",
    "scores": "scores",
    "compile": "compile",
}
_KEYS = ("name", "id", "item")


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        part: Which part of the artifact it is in.
        path: Where, as ``tasks.shop.texts.triage.label-glossary-4``.
        before: The value in the first artifact; ``None`` where it has none.
        after: The value in the second.
    """

    part: Part
    path: str
    before: Any
    after: Any


def diff_artifacts(one: Artifact, other: Artifact) -> list[Difference]:
    """Returns the differences in the order of the artifact; none if the contents are equal."""
    left, right = (each.model_dump(mode="json", by_alias=True) for each in (one, other))
    return [
        Difference(part, path, before, after)
        for key, part in _PARTS.items()
        for path, before, after in _walk(left[key], right[key], key)
    ]


def _walk(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    left, right = _named(left), _named(right)
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            yield from _walk(left.get(key), right.get(key), f"{path}.{key}")
    elif left != right:
        yield path, left, right


def _named(value: Any) -> Any:
    """A list of things with a name or an id, as a mapping, so that an inserted one does not shift the others."""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for key in _KEYS:
            names = [each.get(key) for each in value]
            if None not in names and len(set(map(str, names))) == len(names):
                return {str(name): each for name, each in zip(names, value, strict=True)}
    return value
