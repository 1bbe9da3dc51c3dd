"""``forward`` is run once with symbolic values; the calls it makes are the graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError, TracingError
from fusionprog.program.branching import check_branches
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, ProgramInput, Source
from fusionprog.program.module import Module, active_tracer

_WAY_OUT = (
    "forward() is traced once, so what it does may not depend on a value; "
    "put such code into a fusionprog.modules.Function, which runs in every call"
)


class Symbol:
    """A value that a call will have; while tracing it can only be passed on."""

    __slots__ = ("_source",)

    def __init__(self, source: InputRef | FieldRef) -> None:
        object.__setattr__(self, "_source", source)

    def __repr__(self) -> str:
        return f"<symbolic {symbol_source(self)}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # so that copy, inspect and hasattr behave as with any object
        _refuse(self, f"reads .{name} of")


def _refuse(symbol: Symbol, action: str) -> NoReturn:
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != "forward":
        frame = frame.f_back
    line = f", line {frame.f_lineno}" if frame is not None else ""
    raise TracingError(f"forward(){line} {action} the symbolic value {symbol_source(symbol)}", fix=_WAY_OUT)


def _refusing(action: str) -> Callable[..., NoReturn]:
    def method(self: Symbol, *_: Any) -> NoReturn:
        _refuse(self, action)

    return method


_REFUSED = {
    "branches on": ("__bool__",),
    "compares": ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"),
    "makes text of": ("__str__", "__format__", "__bytes__"),
    "looks into": ("__len__", "__iter__", "__getitem__", "__contains__", "__reversed__"),
    "calls": ("__call__",),
    "calculates with": (
        *(f"__{prefix}{name}__" for prefix in ("", "r") for name in ("add", "sub", "mul", "truediv", "floordiv")),
        *(
            "__mod__",
            "__rmod__",
            "__pow__",
            "__neg__",
            "__int__",
            "__float__",
            "__index__",
            "__and__",
            "__or__",
        ),
    ),
    "changes": ("__setitem__", "__delitem__"),
}
for _action, _names in _REFUSED.items():
    for _name in _names:
        setattr(Symbol, _name, _refusing(_action))


def symbol_source(symbol: Symbol) -> InputRef | FieldRef:
    """Returns what a symbolic value stands for."""
    source: InputRef | FieldRef = object.__getattribute__(symbol, "_source")
    return source


class SymbolicPrediction(Mapping[str, Any]):
    """What a call returns while tracing: its outputs as attributes and as items."""

    def __init__(self, node: str, values: Mapping[str, Any]) -> None:
        self._node = node
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise TracingError(
                f"node {self._node!r} makes no field {name!r}", fix=did_you_mean(name, self._values)
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Tracer:
    """Collects the calls that one run of ``forward`` makes.

    Args:
        name: The program's name.
        paths: Module or nested program (by ``id``) → its path in the program.
    """

    def __init__(self, name: str, paths: Mapping[int, str]) -> None:
        self.graph = ProgramGraph(name)
        self._paths = paths

    def call_module(self, module: Module, inputs: Mapping[str, Any]) -> SymbolicPrediction:
        """Adds a node for this call and returns its symbolic outputs."""
        path = self._paths.get(id(module))
        if path is None:
            raise TracingError(
                f"forward() calls a {type(module).__name__} that the program does not own",
                fix="Make it in __init__ and keep it as an attribute, e.g. self.triage = ...",
            )
        name = self.graph.add(self._free_name(path), module)
        for field, value in inputs.items():
            self.graph.link(self._source(value, f"{name}.{field}"), name, field)
        prompted = module.prompted(module.signature) or module.signature
        return SymbolicPrediction(name, {made: Symbol(FieldRef(name, made)) for made in prompted.output_fields})

    def _free_name(self, path: str) -> str:
        """The module's path; further calls of the same module get ``_2``, ``_3``, …"""
        taken = {*self.graph.nodes, *(other for other in self._paths.values() if other != path)}
        name, count = path, 1
        while name in taken:
            count += 1
            name = f"{path}_{count}"
        return name

    def _source(self, value: Any, where: str) -> Source:
        if isinstance(value, Symbol):
            return symbol_source(value)
        if isinstance(value, SymbolicPrediction):
            raise TracingError(
                f"{where} is given a whole prediction",
                expected="one of its fields",
                fix="Write .field behind the call",
            )
        return Constant(value)


def trace(name: str, forward: Callable[..., Any], paths: Mapping[int, str]) -> ProgramGraph:
    """Runs ``forward`` once with symbolic inputs and returns the graph of its calls.

    Args:
        name: The program's name.
        forward: The bound method; its parameters are the program's inputs.
        paths: Module or nested program (by ``id``) → its path.

    Raises:
        TracingError: if ``forward`` branches on, computes with or returns something that is not symbolic.
        ProgramError: if the graph is not sound.
    """
    check_branches(forward)
    tracer = Tracer(name, paths)
    inputs = _declared_inputs(forward)
    tracer.graph.inputs.update(inputs)
    token = active_tracer.set(tracer)
    try:
        result = forward(**{key: Symbol(InputRef(key)) for key in inputs})
    finally:
        active_tracer.reset(token)
    for key, value in _named_outputs(result).items():
        if not isinstance(value, Symbol):
            raise TracingError(
                f"forward() returns {value!r} as {key!r}",
                expected="a field of a node or an input of the program",
            )
        tracer.graph.link_output(key, symbol_source(value))
    tracer.graph.validate()
    return tracer.graph


def _declared_inputs(forward: Callable[..., Any]) -> dict[str, ProgramInput]:
    inputs: dict[str, ProgramInput] = {}
    for parameter in inspect.signature(forward, eval_str=True).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ProgramError(f"forward() takes *{parameter.name}", expected="named inputs only")
        annotation = None if parameter.annotation is parameter.empty else parameter.annotation
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        inputs[parameter.name] = ProgramInput(parameter.name, annotation, required, default)
    if not inputs:
        raise ProgramError("forward() takes no inputs", fix="Name the program's inputs as its parameters")
    return inputs


def _named_outputs(result: Any) -> Mapping[str, Any]:
    if isinstance(result, Symbol):
        source = symbol_source(result)
        return {source.field if isinstance(source, FieldRef) else source.name: result}
    if isinstance(result, Mapping) and result:
        return result
    raise TracingError(
        "forward() returns no outputs",
        expected="one field, a dict of fields, or a module's prediction",
        found=type(result).__name__,
    )
