"""The types of fields, read from their text in a prompt.

DSPy prints a type as ``Literal['a', "it's"]``, ``list[str]`` or ``Union[int, NoneType]``. It quotes labels
in a way of its own (only ``'`` is ever escaped, a backslash never is), so Python's parser would misread some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Scalar = str | int | float | bool | None
Kind = Literal[
    "choice",
    "bool",
    "int",
    "float",
    "str",
    "list",
    "date",
    "datetime",
    "time",
    "decimal",
    "object",
    "unknown",
]

_NAMES: dict[str, Kind] = {
    "str": "str",
    "Any": "str",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "date": "date",
    "datetime": "datetime",
    "time": "time",
    "Decimal": "decimal",
    "dict": "object",
    "Mapping": "object",
    "object": "object",
}
_LISTS = {"list", "List", "set", "Set", "frozenset", "tuple", "Tuple", "Sequence", "Iterable", "Collection"}
_CONSTANTS: dict[str, Scalar] = {"True": True, "False": False, "None": None, "NoneType": None}
_NAME = re.compile(r"[\w.]+")
# A label with both kinds of quotes stands in single quotes, its own ones escaped. Where the list goes on or
# ends after them, a backslash and a quote end a label instead.
_LABEL = re.compile(r"""'((?:[^']|(?<=\\)'(?!\]|, ))*)'|"([^"]*)["]""")
_BARE_LITERAL = re.compile(r"[^,\]]+")


@dataclass(frozen=True)
class FieldType:
    """What a field holds.

    Attributes:
        kind: The kind of value; ``unknown`` is a bare name that may be an Enum or a model.
        choices: The values of a closed choice, in the prompt's order.
        item: The type of a list's items.
        nullable: Whether the value may be null.
        union: Whether the type was printed as a union; text in it is read back as JSON.
        schema: The JSON schema of an object, where the prompt shows one.
    """

    kind: Kind
    choices: tuple[Scalar, ...] = ()
    item: FieldType | None = None
    nullable: bool = False
    union: bool = False
    schema: Mapping[str, Any] | None = None

    @property
    def fillable(self) -> bool:
        """Whether a sensible value can be found by reading."""
        if self.kind == "list":
            return self.item is not None and self.item.kind != "list" and self.item.fillable
        return self.kind not in ("object", "unknown")


def union_of(members: Sequence[FieldType]) -> FieldType:
    """The type of a union: its first member that can be filled, nullable if one member is null.

    Args:
        members: The members; the type of null is a choice of nothing but None.

    Returns:
        One type that stands for the union.
    """
    present = [member for member in members if member.choices != (None,)]
    if not present:
        return FieldType("choice", choices=(None,), nullable=True)
    chosen = next((member for member in present if member.fillable), present[0])
    nullable = len(present) < len(members) or any(member.nullable for member in present)
    return replace(chosen, nullable=nullable, union=True)


def parse_field_type(text: str, start: int = 0) -> tuple[FieldType, int]:
    """Read a type at a place in a text.

    Args:
        text: The text that holds the type.
        start: Where the type begins.

    Returns:
        The type and the place after it.

    Raises:
        ValueError: If no type stands there.
    """
    field_type, end = _parse_one(text, start)
    members = [field_type]
    while text.startswith(" | ", end):
        field_type, end = _parse_one(text, end + 3)
        members.append(field_type)
    return (union_of(members) if len(members) > 1 else members[0]), end


def can_fill(annotation_text: str, note: str = "") -> bool:
    """Whether the offline reader can give a sensible answer for a field.

    Args:
        annotation_text: The field's type as the prompt prints it, such as ``Literal['a', 'b']``.
        note: The prompt's remark on the value, if any: a bare class name can be filled where it lists the
            values of an Enum.

    Returns:
        False for nested objects, dicts, lists of lists and names that nothing explains.

    Example:
        >>> can_fill("Literal['a', 'b']"), can_fill("dict[str, int]"), can_fill("Team")
        (True, False, False)
        >>> can_fill("Team", "must be one of: billing; delivery")
        True
    """
    text = annotation_text.strip()
    try:
        field_type, end = parse_field_type(text)
    except ValueError:
        return False
    return end == len(text) and (field_type.fillable or (field_type.kind == "unknown" and "must be one of:" in note))


def _parse_one(text: str, start: int) -> tuple[FieldType, int]:
    found = _NAME.match(text, start)
    if found is None:
        raise ValueError(f"no type at {text[start : start + 20]!r}")
    name, end = found.group().rpartition(".")[2], found.end()
    if not text.startswith("[", end):
        if name == "NoneType" or name == "None":
            return FieldType("choice", choices=(None,)), end
        if name in _LISTS:
            return FieldType("list", item=FieldType("str")), end
        return FieldType(_NAMES.get(name, "unknown")), end
    if name == "Literal":
        choices, end = _parse_choices(text, end + 1)
        return FieldType("choice", choices=choices), end
    members, end = _parse_members(text, end + 1)
    return _generic(name, members), end


def _generic(name: str, members: list[FieldType]) -> FieldType:
    if name == "Union":
        return union_of(members)
    if name == "Optional":
        return replace(members[0], nullable=True, union=True)
    # A tuple of several types is a record; `tuple[int, ...]` prints its dots as a name of its own.
    if name in _LISTS and (len(members) == 1 or members[1:] == [FieldType("unknown")]):
        return FieldType("list", item=members[0])
    return FieldType("object")


def _parse_members(text: str, start: int) -> tuple[list[FieldType], int]:
    members: list[FieldType] = []
    end = start
    while not text.startswith("]", end):
        if text.startswith("...", end):
            member, end = FieldType("unknown"), end + 3
        else:
            member, end = parse_field_type(text, end)
        members.append(member)
        if text.startswith(",", end):
            end += 1 + text.startswith(" ", end + 1)
        elif not text.startswith("]", end):
            raise ValueError(f"unclosed type at {text[end : end + 20]!r}")
    if not members:
        raise ValueError("a generic type without arguments")
    return members, end + 1


def _parse_choices(text: str, start: int) -> tuple[tuple[Scalar, ...], int]:
    choices: list[Scalar] = []
    end = start
    while not text.startswith("]", end):
        if text[end : end + 1] in ("'", '"'):
            quoted = _LABEL.match(text, end)
            if quoted is None:
                raise ValueError(f"a label without its closing quote at {text[end : end + 20]!r}")
            choice, end = (quoted[1] or quoted[2] or "").replace("\\'", "'"), quoted.end()
        else:
            found = _BARE_LITERAL.match(text, end)
            if found is None:
                raise ValueError(f"no label at {text[end : end + 20]!r}")
            choice, end = _bare_literal(found.group().strip()), found.end()
        choices.append(choice)
        if text.startswith(",", end):
            end += 1 + text.startswith(" ", end + 1)
        elif not text.startswith("]", end):
            raise ValueError(f"unclosed label at {text[end : end + 20]!r}")
    if not choices:
        raise ValueError("a choice without labels")
    return tuple(choices), end + 1


def _bare_literal(text: str) -> Scalar:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    try:
        return int(text)
    except ValueError:
        return text
