"""Checks the inputs of a call before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import CallError
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.types import type_name, typed


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
        if name in inputs:
            checked[name] = check_input(inputs[name], each.annotation, name)
        elif each.required:
            raise CallError(
                f"the input {name!r} is missing",
                expected=", ".join(key for key, other in graph.inputs.items() if other.required),
                found=", ".join(inputs) or "no inputs",
                fix=f"Pass {name}=...",
            )
    return checked


def check_input(value: Any, annotation: Any, name: str) -> Any:
    """Returns the value of one input as its declared type has it.

    Raises:
        CallError: if it has another type.
    """
    try:
        return typed(value, annotation)
    except ValueError as error:
        raise CallError(
            f"the input {name!r} has the wrong type",
            expected=type_name(annotation),
            found=repr(value)[:80],
            fix="Pass a value of that type",
        ) from error
