"""Symbolic values: what the inputs and fields of a program are while ``forward`` is traced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any, NoReturn

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import TracingError
from fusionprog.program.graph import Reference

MARK = "<symbolic "  # how the text of every symbolic value begins

WAY_OUT = (
    "forward() is traced once, so what it does may not depend on a value; "
    "choose with fusionprog.when, put such code into a fusionprog.modules.Function, which runs in every call, "
    "or write a dspy.Module, whose forward() may do anything, and compile fusionprog.from_dspy(module)"
)


class Symbol:
    """A value that a call will have; while tracing it can only be passed on."""

    __slots__ = ("_source",)

    def __init__(self, source: Reference) -> None:
        object.__setattr__(self, "_source", source)

    def __repr__(self) -> str:
        return f"{MARK}{symbol_source(self)}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # so that copy, inspect and hasattr behave as with any object
        _refuse(self, f"reads .{name} of")


def symbol_source(symbol: Symbol) -> Reference:
    """Returns what a symbolic value stands for."""
    source: Reference = object.__getattribute__(symbol, "_source")
    return source


def line_of_forward(code: CodeType, line: int) -> str:
    """Returns a place in a ``forward``, for messages (``"SupportDesk.forward(), line 12"``)."""
    return f"{code.co_qualname.rpartition('<locals>.')[2]}(), line {line}"


def _refuse(symbol: Symbol, action: str) -> NoReturn:
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "forward":
        frame = frame.f_back
    place = "forward()" if frame is None else line_of_forward(frame.f_code, frame.f_lineno) + ","
    raise TracingError(f"{place} {action} the symbolic value {symbol_source(symbol)}", fix=WAY_OUT)


def _refusing(action: str) -> Callable[..., NoReturn]:
    def method(self: Symbol, *_: Any) -> NoReturn:
        _refuse(self, action)

    return method


_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor".split()
_REFUSED = {
    "branches on": ["bool"],
    "compares": ["eq", "ne", "lt", "le", "gt", "ge", "hash"],
    "makes text of": ["str", "format", "bytes", "fspath"],
    "looks into": ["len", "iter", "next", "getitem", "contains", "reversed"],
    "calculates with": [
        *(prefix + name for name in _BINARY for prefix in ("", "r")),
        *"neg pos abs invert int float complex index round trunc floor ceil".split(),
    ],
    "changes": ["setitem", "delitem"],
    "calls": ["call"],
    "waits for": ["await", "aiter", "anext"],
    "enters": ["enter", "exit", "aenter", "aexit"],
}
for _action, _names in _REFUSED.items():
    for _name in _names:
        setattr(Symbol, f"__{_name}__", _refusing(_action))


class SymbolicPrediction(Mapping[str, Any]):
    """What a call returns while tracing: its outputs as attributes and as items.

    Args:
        origin: Whose outputs they are (``"node 'triage'"``), for messages.
        values: Name → symbolic value. As an attribute it hides a method of that name (``prediction.items``).
    """

    def __init__(self, origin: str, values: Mapping[str, Any]) -> None:
        vars(self).update(values)
        self.__origin = origin
        self.__values = dict(values)

    def __repr__(self) -> str:
        return f"{MARK}prediction of {self.__origin}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__values[name]
        except KeyError:
            raise TracingError(
                f"{self.__origin} makes no field {name!r}", fix=did_you_mean(name, self.__values)
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __iter__(self) -> Iterator[str]:
        return iter(self.__values)

    def __len__(self) -> int:
        return len(self.__values)
