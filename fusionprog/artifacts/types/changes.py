"""What differs between two encoded types, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fusionprog.artifacts.types.values import shorten

_NAMES: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_PARTS: Final = frozenset(
    "type python format uniqueItems anyOf prefixItems items additionalProperties propertyNames $ref $defs enum "
    "names properties required order".split()
)
_TEXT: Final = {"type": "string"}
_MOST_LABELS: Final = 12

_Spec = Mapping[str, Any]


def type_changes(before: _Spec, after: _Spec) -> list[str]:
    """Returns what is different in a type, part by part; nothing where two encodings say the same.

    Args:
        before: A type as `encode_type` writes it.
        after: Another.

    Returns:
        Sentences without a full stop, such as ``label 'cards' is new`` and ``Order.total was int, is float``.
    """
    return list(_Walk(before.get("$defs", {}), after.get("$defs", {})).changes(before, after, "", ""))


def type_words(encoded: _Spec) -> str:
    """Returns an encoded type as one would write it: ``list[str]``, ``'a' or 'b'``, ``Order``."""
    if "$ref" in encoded:
        return str(encoded["$ref"]).rpartition("/")[2]
    if "enum" in encoded:
        return _listed(encoded["enum"], " or ")
    if "const" in encoded:
        return "None"
    if "anyOf" in encoded:
        return " | ".join(type_words(each) for each in encoded["anyOf"])
    if encoded.get("type") == "array":
        kind = "set" if encoded.get("uniqueItems") else str(encoded.get("python", "list"))
        parts = [type_words(each) for each in encoded.get("prefixItems", ())]
        if isinstance(encoded.get("items"), Mapping):
            parts += [type_words(encoded["items"])] + (["..."] if kind == "tuple" else [])
        return f"{kind}[{', '.join(parts)}]" if parts or "items" in encoded else kind
    if encoded.get("type") == "object":
        key = type_words(encoded.get("propertyNames", _TEXT))
        values = encoded.get("additionalProperties")
        return "dict" if values is None else f"dict[{key}, {type_words(values)}]"
    return str(encoded.get("format") or _NAMES.get(str(encoded.get("type")), "anything"))


def label_changes(before: Sequence[Any], after: Sequence[Any]) -> Iterator[str]:
    """Yields which labels are new and which are gone, or that they stand in another order."""
    old, new = ([json.dumps(each) for each in labels] for labels in (before, after))
    for names, others, what in ((new, old, "new"), (old, new, "gone")):
        found = [json.loads(each) for each in names if each not in others]
        if found:
            yield f"label{'s' if len(found) > 1 else ''} {_listed(found)} {'are' if len(found) > 1 else 'is'} {what}"
    if old != new and sorted(old) == sorted(new):
        yield f"the labels stand in another order: {_listed(after)}"


class _Walk:
    """Goes through two types side by side, with the definitions that each refers to."""

    def __init__(self, before: _Spec, after: _Spec) -> None:
        self._before, self._after = before, after
        self._seen: set[str] = set()

    def changes(self, before: _Spec, after: _Spec, owner: str, part: str) -> Iterator[str]:
        """Yields what is different.

        Args:
            before: A type, or a part of one.
            after: Another.
            owner: The model's field that has it, and a space; empty outside of models.
            part: Which part of the type it is, and a space; empty for the whole.
        """
        kind = self._kind(before)
        if kind != self._kind(after) or (kind == "scalar" and type_words(before) != type_words(after)):
            yield f"{owner}{part}was {type_words(before)}, is {type_words(after)}"
            return
        if kind == "definition":
            yield from self._definition(type_words(before), type_words(after))
        elif kind == "labels":
            yield from (f"{owner}{line}" for line in label_changes(before["enum"], after["enum"]))
        for key, name in (("items", "an item "), ("additionalProperties", "a value "), ("propertyNames", "a key ")):
            one, other = before.get(key, _TEXT), after.get(key, _TEXT)  # keys of a dict are texts, if nothing is said
            if (key in before or key in after) and isinstance(one, Mapping) and isinstance(other, Mapping):
                yield from self.changes(one, other, owner, f"{part}{name}")
        for key, name in (("anyOf", "choice"), ("prefixItems", "item")):
            for number, (one, other) in enumerate(zip(before.get(key, ()), after.get(key, ()), strict=True), 1):
                yield from self.changes(one, other, owner, f"{part}{name} {number} ")
        yield from _rest(before, after, f"{owner}{part}")

    def _kind(self, encoded: _Spec) -> str:
        """What can be gone through side by side: types of one kind with as many parts, and what has no parts."""
        if "$ref" in encoded:
            return "definition"
        if "enum" in encoded:
            return "labels"
        shape = {key: isinstance(encoded.get(key), Mapping) for key in ("items", "additionalProperties")}
        sizes = {key: len(encoded[key]) for key in ("anyOf", "prefixItems") if key in encoded}
        container = encoded.get("type") if encoded.get("type") in ("array", "object") else None
        if container or sizes:
            marks = [encoded.get("python"), encoded.get("uniqueItems"), encoded.get("items") is False]
            return json.dumps([container, shape, sizes, marks])
        return "scalar"

    def _definition(self, name: str, other: str) -> Iterator[str]:
        if name != other:
            yield f"was {name}, is {other}"
        if name != other or name in self._seen:
            return
        self._seen.add(name)
        before, after = self._before[name], self._after[name]
        bases = [str(each.get("python", "model")) for each in (before, after)]
        if bases[0] != bases[1]:
            yield f"{name} was of the kind {bases[0]}, is of the kind {bases[1]}"
        if "enum" in before and "enum" in after:
            yield from (f"{name}: {line}" for line in label_changes(before["enum"], after["enum"]))
            members = [_listed(each["names"]) for each in (before, after)]
            if before["enum"] == after["enum"] and members[0] != members[1]:
                yield f"the members of {name} were {members[0]}, are {members[1]}"
        yield from self._fields(name, before, after)
        yield from _rest(before, after, f"{name} ")

    def _fields(self, name: str, before: _Spec, after: _Spec) -> Iterator[str]:
        old, new = before.get("properties", {}), after.get("properties", {})
        for each in (*old, *(each for each in new if each not in old)):
            if each not in old or each not in new:
                yield f"{name}.{each} is {'new' if each in new else 'gone'}"
                continue
            yield from self.changes(old[each], new[each], f"{name}.{each} ", "")
        if old.keys() == new.keys() and before.get("order") != after.get("order"):
            yield f"the fields of {name} stand in another order: {_listed(after['order'])}"


def _rest(before: _Spec, after: _Spec, where: str) -> Iterator[str]:
    """Yields what is different in bounds, defaults, descriptions and settings."""
    for key in sorted({*before, *after} - _PARTS):
        old, new = ({} if key not in each else {key: each[key]} for each in (before, after))
        if json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True):
            yield f"{where}had {_said(old)}, has {_said(new)}"


def _said(found: _Spec) -> str:
    for key, value in found.items():
        what = "bounds" if key == "allOf" else key
        return f"{what} {shorten(json.dumps(value, ensure_ascii=False))}"
    return "none"


def _listed(labels: Iterable[Any], joint: str = ", ") -> str:
    words = [shorten(repr(each)) for each in labels]
    more = len(words) - _MOST_LABELS
    return joint.join(words if more <= 0 else [*words[:_MOST_LABELS], f"{more:,} more"])
