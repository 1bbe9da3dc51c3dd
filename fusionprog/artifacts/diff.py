"""What differs between two artifacts: structure, models, texts, weights, scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from fusionprog.artifacts.schema import Artifact
from fusionprog.artifacts.types import decode_type
from fusionprog.artifacts.types.changes import type_changes
from fusionprog.errors import ArtifactError

Part = Literal["structure", "models", "texts", "weights", "scores", "learned", "lineage", "compile"]

_PARTS: Final[dict[str, Part]] = {
    "program": "structure",
    "lm": "models",
    "lm_as_written": "models",
    "pool": "texts",
    "tasks": "structure",
    "mixtures": "weights",
    "schedule": "weights",
    "embedding": "weights",
    "scores": "scores",
    "growth": "scores",
    "learned": "learned",
    "lineage": "lineage",
    "compile": "compile",
}
_TASK_TEXTS = ("description", "texts", "demos")
_ORDERED = ("program", "tasks")
_KEYS = ("name", "id", "item")
_ABSENT: Final = object()

_Found = Iterator[tuple[tuple[str, ...], Any, Any]]


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        part: Which part of the artifact it is in.
        path: Where, as ``tasks.shop.texts.triage.label-glossary-4``; ``… (order)`` where things stand in another one.
        before: The value in the first artifact; ``None`` where it has none.
        after: The value in the second.
        words: Of a field's type, what is different in it, part by part.
    """

    part: Part
    path: str
    before: Any
    after: Any
    words: tuple[str, ...] = ()


def diff_artifacts(one: Artifact, other: Artifact) -> list[Difference]:
    """Returns the differences in the order of the artifact; none if the contents are equal.

    Nodes, fields, items and weights are known by their names, so that one more does not shift the others.
    """
    left, right = (each.model_dump(mode="json", by_alias=True) for each in (one, other))
    return [
        _difference(path, before, after)
        for key in _PARTS
        for path, before, after in _walk(left[key], right[key], (key,))
    ]


def _difference(path: tuple[str, ...], before: Any, after: Any) -> Difference:
    left, right = (None if value is _ABSENT else value for value in (before, after))
    return Difference(_part(path), ".".join(path), left, right, _words(path, left, right))


def _words(path: tuple[str, ...], before: Any, after: Any) -> tuple[str, ...]:
    """What is different in a field's type; nothing for what is no type, no sound one, or there only once."""
    if not _is_type(path) or not isinstance(before, dict) or not isinstance(after, dict):
        return ()
    try:
        for each in (before, after):
            decode_type(each, where=path[-2])
    except ArtifactError:
        return ()
    return tuple(type_changes(before, after))


def _is_type(path: tuple[str, ...]) -> bool:
    return path[0] in _ORDERED and path[-1] == "type" and path[-3] in ("inputs", "outputs")


def _part(path: tuple[str, ...]) -> Part:
    return "texts" if path[0] == "tasks" and path[2:3] and path[2] in _TASK_TEXTS else _PARTS[path[0]]


def _walk(left: Any, right: Any, path: tuple[str, ...]) -> _Found:
    named_left, named_right = _by_name(left), _by_name(right)
    if named_left is not None and named_right is not None:
        yield from _order(list(named_left), list(named_right), path)
        left, right = named_left, named_right
    if isinstance(left, dict) and isinstance(right, dict) and not _is_type(path):
        for key in [*left, *(key for key in right if key not in left)]:
            yield from _walk(left.get(key, _ABSENT), right.get(key, _ABSENT), (*path, key))
    elif left is _ABSENT or right is _ABSENT or _text(left) != _text(right):
        yield path, left, right


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # the order of keys says nothing in a type; other dicts do not get here


def _order(left: list[str], right: list[str], path: tuple[str, ...]) -> _Found:
    before, after = [name for name in left if name in right], [name for name in right if name in left]
    if path[0] in _ORDERED and before != after:
        yield (*path[:-1], f"{path[-1]} (order)"), before, after


def _by_name(value: Any) -> dict[str, Any] | None:
    """A list of things with a name or an id, by it; ``None`` for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    for key in _KEYS:
        made = {str(each[key]): each for each in value if key in each}
        if len(made) == len(value):
            return made
    return None
