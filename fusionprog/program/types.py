"""Does a value of one type fit where another type is expected?"""

from __future__ import annotations

import enum
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin


def fits(source: Any, target: Any) -> bool:
    """Returns whether every value of type ``source`` may go over an edge into a field of type ``target``.

    An unknown type (``None`` or ``Any``) fits everything. A ``Literal`` fits another that has all its values
    and the type of its values; whole numbers fit ``float``; containers fit if their items do.
    """
    source, target = _plain(source), _plain(target)
    if source is Any or target is Any or source == target:
        return True
    source_origin, target_origin = get_origin(source), get_origin(target)
    if source_origin in (Union, types.UnionType):
        return all(fits(member, target) for member in get_args(source))
    if target_origin in (Union, types.UnionType):
        return any(fits(source, member) for member in get_args(target))
    if source_origin is Literal:
        if target_origin is Literal:
            return set(get_args(source)) <= set(get_args(target))
        return all(fits(type(value), target) for value in get_args(source))
    if source_origin is not None or target_origin is not None:
        return _containers_fit(source, source_origin, target, target_origin)
    if not (isinstance(source, type) and isinstance(target, type)):
        return False
    if target is float and source is int:
        return True
    if source is bool or (issubclass(source, enum.Enum) and target not in source.__mro__):
        return issubclass(source, target) and target is not int
    return issubclass(source, target)


def type_name(annotation: Any) -> str:
    """Returns a type as a user would write it."""
    if annotation is None or annotation is Any:
        return "any type"
    if get_origin(annotation) is None and isinstance(annotation, type):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def _plain(annotation: Any) -> Any:
    if annotation is None:
        return Any
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    return annotation


def _containers_fit(source: Any, source_origin: Any, target: Any, target_origin: Any) -> bool:
    outer, inner = source_origin or source, target_origin or target
    if not (isinstance(outer, type) and isinstance(inner, type) and issubclass(outer, inner)):
        return False
    source_items, target_items = get_args(source), get_args(target)
    if not source_items or not target_items:
        return True
    return len(source_items) == len(target_items) and all(
        fits(one, other) for one, other in zip(source_items, target_items, strict=True)
    )
