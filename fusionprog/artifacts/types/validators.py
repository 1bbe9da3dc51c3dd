"""What a pydantic model does with values that its JSON Schema does not say."""

from __future__ import annotations

import enum
import inspect
from typing import Annotated, Any, get_args, get_origin

import pydantic

from fusionprog.artifacts.types.metadata import FUNCTIONS


def lost_validators(annotation: Any) -> tuple[str, ...]:
    """Name the code that checks or changes values and that a saved program cannot hold.

    A program that is loaded without ``types=`` accepts what these would have refused.

    Args:
        annotation: A signature field's annotation.

    Returns:
        Validators, serialisers, computed fields, ``model_post_init`` and an enumeration's ``_missing_``, as
        ``"Invoice.check_total"``; functions inside ``Annotated`` as ``"Invoice.total: AfterValidator(positive)"``,
        without the part before the colon where no model is around them. In the order in which they are met,
        each once. Other methods are not counted.
    """
    found: dict[str, None] = {}
    _collect(annotation, "", found, set())
    return tuple(found)


def _collect(annotation: Any, owner: str, found: dict[str, None], seen: set[type]) -> None:
    if inspect.isclass(annotation) and issubclass(annotation, (enum.Enum, pydantic.BaseModel)):
        if annotation not in seen:
            seen.add(annotation)
            if issubclass(annotation, enum.Enum):
                _collect_enumeration(annotation, found)
            else:
                _collect_model(annotation, found, seen)
        return
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        _collect_functions(parts[1:], owner, found)
        parts = parts[:1]
    for part in parts:
        _collect(part, owner, found, seen)


def _collect_functions(metadata: Any, owner: str, found: dict[str, None]) -> None:
    for item in metadata:
        if isinstance(item, FUNCTIONS):
            function = getattr(item, "func", None)
            name = f"{type(item).__name__}({getattr(function, '__name__', type(function).__name__)})"
            found[f"{owner}: {name}" if owner else name] = None


def _collect_enumeration(cls: type[enum.Enum], found: dict[str, None]) -> None:
    if any("_missing_" in vars(base) for base in cls.__mro__ if not base.__module__ == "enum"):
        found[f"{cls.__name__}._missing_"] = None


def _collect_model(cls: type[pydantic.BaseModel], found: dict[str, None], seen: set[type]) -> None:
    decorators = cls.__pydantic_decorators__
    for kind in (
        decorators.validators,
        decorators.field_validators,
        decorators.root_validators,
        decorators.model_validators,
        decorators.field_serializers,
        decorators.model_serializers,
        decorators.computed_fields,
    ):
        for name in kind:
            found[f"{cls.__name__}.{name}"] = None
    # pydantic sets a model_post_init of its own where a model has private attributes.
    if not cls.model_post_init.__module__.startswith("pydantic."):
        found[f"{cls.__name__}.model_post_init"] = None
    for name, field in cls.model_fields.items():
        owner = f"{cls.__name__}.{name}"
        _collect_functions(field.metadata, owner, found)
        _collect(field.annotation, owner, found, seen)
