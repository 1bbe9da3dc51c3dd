"""Types of fields: does one fit where another is expected, and does a value have it?"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from fusionprog._internal.canonical import canonical_json
from fusionprog.errors import ProgramError


def fits(source: Any, target: Any) -> bool:
    """Returns whether every value of type ``source`` may go over an edge into a field of type ``target``.

    An unknown type (``None`` or ``Any``) fits everything. A ``Literal`` fits where each of its values does; whole
    numbers fit ``float``; a truth value is no number; containers fit if their items do, and text is no container.
    """
    source, target = _plain(source), _plain(target)
    if source is Any or target is Any or source == target:
        return True
    source_origin, target_origin = get_origin(source), get_origin(target)
    if source_origin in (Union, types.UnionType):
        return all(fits(member, target) for member in get_args(source))
    if source_origin is Literal:
        return all(_value_fits(value, target) for value in get_args(source))
    if target_origin in (Union, types.UnionType):
        return any(fits(source, member) for member in get_args(target))
    if source_origin is not None or target_origin is not None:
        return _containers_fit(source, target)
    if target is float and source is int:
        return True
    return _is_subclass(source, target) and not (source is bool and target is int)


def typed(value: Any, annotation: Any) -> Any:
    """Returns a value as its declared type has it (a date given as text becomes a date).

    Raises:
        ValueError: if it has another type.
        ProgramError: if no value can be checked against the type.
    """
    if annotation is None or annotation is Any or (annotation is str and type(value) is str):
        return value
    return type_adapter(annotation).validate_python(value)


def checked_constant(value: Any, annotation: Any, what: str) -> Any:
    """Returns a constant as a field of this type has it.

    Args:
        value: The constant.
        annotation: The field's type; ``None`` where unknown.
        what: What it is (``"the constant of triage.message"``), for messages.

    Raises:
        ProgramError: if it has another type, or cannot be kept in JSON.
    """
    try:
        made = typed(value, annotation)
    except ValueError as error:
        raise ProgramError(
            f"{what} has the wrong type",
            expected=type_name(annotation),
            found=repr(value)[:80],
            fix="Give a value of that type",
        ) from error
    try:
        canonical_json(made)
    except (TypeError, ValueError, RecursionError) as error:
        raise ProgramError(f"{what} cannot be kept in JSON", found=repr(value)[:80], fix="Use plain data") from error
    return made


def type_adapter(annotation: Any) -> TypeAdapter[Any]:
    """Returns what checks values against a type.

    Raises:
        ProgramError: if pydantic cannot.
    """
    try:
        return _adapter(annotation)
    except (PydanticUserError, PydanticUndefinedAnnotation, SyntaxError) as error:
        raise ProgramError(
            f"values cannot be checked against the type {type_name(annotation)}",
            expected="a type that pydantic knows, e.g. str, list[str], Literal[...] or a pydantic model",
            fix="Use such a type, or Any to leave the values unchecked",
        ) from error


def type_name(annotation: Any) -> str:
    """Returns a type as a user would write it."""
    if annotation is None or annotation is Any:
        return "any type"
    if annotation is types.NoneType:
        return "None"
    if get_origin(annotation) is None and isinstance(annotation, type):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def classes_in(annotations: Iterable[Any]) -> Iterator[type]:
    """Yields every class that annotations name, also inside containers and models."""
    seen: set[int] = set()
    stack = list(annotations)
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, type):
            yield current
            if issubclass(current, BaseModel):
                stack += [field.annotation for field in current.model_fields.values()]
        stack += get_args(current)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return _kept_adapter(annotation)
    except TypeError:  # what it is annotated with cannot be hashed
        return _new_adapter(annotation)


def _new_adapter(annotation: Any) -> TypeAdapter[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    adapter.rebuild(raise_errors=True)
    return adapter


_kept_adapter = functools.lru_cache(maxsize=256)(_new_adapter)


def _plain(annotation: Any) -> Any:
    if annotation is None:
        return Any
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    return annotation


def _value_fits(value: Any, target: Any) -> bool:
    if get_origin(target) in (Union, types.UnionType):
        return any(_value_fits(value, _plain(member)) for member in get_args(target))
    if get_origin(target) is Literal:
        return any(value == other and type(value) is type(other) for other in get_args(target))
    return fits(type(value), target)


def _containers_fit(source: Any, target: Any) -> bool:
    outer, inner = get_origin(source) or source, get_origin(target) or target
    if outer in (str, bytes) or not _is_subclass(outer, inner):
        return False
    source_items, target_items = _items(source), _items(target)
    if not source_items or not target_items:
        return True
    if outer is tuple and (inner is not tuple or Ellipsis in get_args(target)):
        return all(fits(item, target_items[0]) for item in source_items)
    return (
        Ellipsis not in get_args(source)
        and len(source_items) == len(target_items)
        and all(fits(one, other) for one, other in zip(source_items, target_items, strict=True))
    )


def _items(annotation: Any) -> tuple[Any, ...]:
    return tuple(item for item in get_args(annotation) if item is not Ellipsis)


def _is_subclass(source: Any, target: Any) -> bool:
    try:
        return issubclass(source, target)
    except TypeError:  # one of them is no class, or a class that answers no such question (a TypedDict, a Protocol)
        return False
