"""``when``: inside ``forward``, a value that is one of two, decided in every call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fusionprog.errors import ProgramError, TracingError
from fusionprog.program.module import Module, active_tracer
from fusionprog.program.program import Program
from fusionprog.program.sources import When
from fusionprog.program.symbolic import Symbol, symbol_source
from fusionprog.program.tracing import source_of


def when(condition: Any, then: Any, otherwise: Any) -> Any:
    """Returns ``then`` where the condition is true and ``otherwise`` where it is false, in every call anew.

    What only the other one needs is not run in that call: it asks no model, costs nothing, and is not in the
    prediction. It makes no difference whether nodes are made inside a ``lambda`` or before.

    Args:
        condition: A field or an input of type ``bool``, or what another ``when`` returns: ``when(a, b, False)`` is
            true where both are, ``when(a, False, True)`` where ``a`` is not.
        then: A field, an input, a constant, or a function without arguments that returns one of these.
        otherwise: The same.

    Raises:
        ProgramError: outside of a traced ``forward``.
        TracingError: if the condition is known before the call, or a side is none of the above.

    Example:
        >>> import fusionprog as fp
        >>> class Extract(fp.Program):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.draft = fp.modules.Predict("text -> total: float")
        ...         self.check = fp.modules.Predict("text, total: float -> ok: bool")
        ...         self.repair = fp.modules.ChainOfThought("text, guess: float -> total: float")
        ...     def forward(self, text: str):
        ...         total = self.draft(text=text).total
        ...         ok = self.check(text=text, total=total).ok
        ...         return {"total": fp.when(ok, total, lambda: self.repair(text=text, guess=total).total)}
        >>> print(Extract().graph().outputs["total"])
        draft.total if check.ok else repair.total
    """
    if active_tracer.get() is None:
        raise ProgramError(
            "when() was called outside of a program's forward()",
            fix="Call it inside forward(); in a graph written by hand, use ProgramGraph.when(...)",
        )
    if not isinstance(condition, Symbol):
        decides = source_of(condition, "the condition of when()")
        raise TracingError(
            f"the condition of when() is {decides}, the same in every call",
            expected="a field or an input of type bool",
            fix="Use Python's own if for what is known while forward() is traced",
        )
    sides = (_side(then, "then"), _side(otherwise, "otherwise"))
    return Symbol(When(symbol_source(condition), *sides))


def _side(value: Any, name: str) -> Any:
    where = f"{name!r} of when()"
    if isinstance(value, (Module, Program)):
        raise TracingError(
            f"{where} is a {type(value).__name__} that is not called",
            expected="a field of it",
            fix="Write lambda: self.name(input=...).field",
        )
    if isinstance(value, Symbol) or not callable(value):
        return source_of(value, where)
    made = _called(value, where)
    if made is None:
        raise TracingError(
            f"{where} is a function that returns None",
            expected="a field, an input or a constant",
            fix="Return one; for the constant None, write None without a function",
        )
    return source_of(made, where)


def _called(function: Callable[[], Any], where: str) -> Any:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError) as error:
        raise TracingError(
            f"{where} is a function that cannot be called without arguments",
            found=str(error),
            fix="Write a lambda without arguments, e.g. lambda: self.repair(text=text).answer",
        ) from error
    return function()
