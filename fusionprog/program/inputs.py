"""Checks the inputs of a call before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import CallError
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.types import type_name


def check_inputs(graph: ProgramGraph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the inputs with their declared types (a date given as text becomes a date).

    Raises:
        CallError: if an input is missing, unknown or of the wrong type.
    """
    for name in inputs:
        if name not in graph.inputs:
            raise CallError(f"{graph.name} has no input {name!r}", fix=did_you_mean(name, graph.inputs))
    checked: dict[str, Any] = {}
    for name, each in graph.inputs.items():
        if name not in inputs:
            if each.required:
                raise CallError(
                    f"the input {name!r} is missing",
                    expected=", ".join(key for key, other in graph.inputs.items() if other.required),
                    found=", ".join(inputs) or "no inputs",
                )
            continue
        checked[name] = _typed(inputs[name], each.annotation, name)
    return checked


def _typed(value: Any, annotation: Any, name: str) -> Any:
    if annotation is None or (annotation is str and type(value) is str):
        return value
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        raise CallError(
            f"the input {name!r} has the wrong type", expected=type_name(annotation), found=repr(value)[:80]
        ) from error
