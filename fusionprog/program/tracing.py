"""``forward`` is run once with symbolic values; the calls it makes are the graph."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import FusionProgError, ProgramError, TracingError
from fusionprog.program.branching import check_branches
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, ProgramInput, Reference, Source, When
from fusionprog.program.module import Module, active_tracer
from fusionprog.program.sources import leaves
from fusionprog.program.symbolic import MARK, WAY_OUT, Symbol, SymbolicPrediction, line_of_forward, symbol_source
from fusionprog.program.types import checked_constant


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
            self.graph.link(source_of(value, f"{name}.{field}"), name, field)
        prompted = module.prompted(module.signature) or module.signature
        values = {made: Symbol(FieldRef(name, made)) for made in prompted.output_fields}
        return SymbolicPrediction(f"node {name!r}", values)

    def _free_name(self, path: str) -> str:
        """Returns the module's path; further calls of the same module get ``_2``, ``_3`` and so on."""
        taken = {*self.graph.nodes, *(other for other in self._paths.values() if other != path)}
        name, count = path, 1
        while name in taken:
            count += 1
            name = f"{path}_{count}"
        return name


def trace(name: str, forward: Callable[..., Any], paths: Mapping[int, str]) -> ProgramGraph:
    """Runs ``forward`` once with symbolic inputs and returns the graph of its calls.

    Args:
        name: The program's name.
        forward: The bound method; its parameters are the program's inputs.
        paths: Module or nested program (by ``id``) → its path.

    Raises:
        TracingError: if ``forward`` branches on, computes with or returns something that is not symbolic, or fails.
        ProgramError: if the graph is not sound.
    """
    tracer = Tracer(name, paths)
    inputs = _declared_inputs(forward)
    check_branches(forward, inputs)
    tracer.graph.inputs.update(inputs)
    token = active_tracer.set(tracer)
    try:
        result = forward(**{key: Symbol(InputRef(key)) for key in inputs})
    except FusionProgError:
        raise
    except Exception as error:
        raise TracingError(
            f"{_place(error)} failed while it was traced",
            found=f"{type(error).__name__}: {error}",
            fix="Mend it; code that needs a value belongs into a fusionprog.modules.Function, or all of it into a "
            "dspy.Module that fusionprog.from_dspy(module) compiles",
        ) from error
    finally:
        active_tracer.reset(token)
    for key, value in _named_outputs(result).items():
        tracer.graph.link_output(key, _output_source(key, value))
    tracer.graph.validate()
    return tracer.graph


def call_program(name: str, forward: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
    """Runs the ``forward`` of a program that another one calls, inside the trace of that one.

    Raises:
        ProgramError: if an input is unknown or missing; ``TracingError`` if ``forward`` cannot be traced.
    """
    declared = _declared_inputs(forward)
    for key in inputs:
        if key not in declared:
            raise ProgramError(f"program {name!r} has no input {key!r}", fix=did_you_mean(key, declared))
    for key, each in declared.items():
        if each.required and key not in inputs:
            raise ProgramError(f"program {name!r} is called without its input {key!r}", fix=f"Pass {key}=...")
    check_branches(forward, [key for key, value in inputs.items() if isinstance(value, (Symbol, SymbolicPrediction))])
    result = forward(**inputs)
    if result is None:
        _refuse_result(result, f"{name}.forward()")
    return SymbolicPrediction(f"program {name!r}", result) if isinstance(result, Mapping) else result


def source_of(value: Any, where: str) -> Source:
    """Returns what a value stands for inside ``forward``: a symbolic one for its source, any other for itself.

    Args:
        value: The value.
        where: What it is given to, for messages.

    Raises:
        TracingError: if it is a whole prediction, or something made of symbolic values.
    """
    if isinstance(value, Symbol):
        return symbol_source(value)
    if isinstance(value, SymbolicPrediction):
        raise TracingError(
            f"{where} is given a whole prediction",
            expected="one of its fields",
            fix="Write .field behind the call",
        )
    if MARK in repr(value):
        raise TracingError(f"{where} is given something made of symbolic values", found=repr(value)[:80], fix=WAY_OUT)
    return Constant(value)


def _declared_inputs(forward: Callable[..., Any]) -> dict[str, ProgramInput]:
    if inspect.iscoroutinefunction(forward) or inspect.isgeneratorfunction(forward):
        raise TracingError(
            "forward() is async, or yields",
            expected="a plain method",
            fix="Write def and return; what can run at the same time does so anyway",
        )
    try:
        parameters = inspect.signature(forward, eval_str=True).parameters.values()
    except Exception as error:
        raise ProgramError(
            "the types of forward()'s inputs cannot be read",
            found=f"{type(error).__name__}: {error}",
            fix="Import or define them where the program's class is written",
        ) from error
    inputs: dict[str, ProgramInput] = {}
    for each in parameters:
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise ProgramError(
                f"forward() takes {str(each.replace(annotation=each.empty))!r}"
                + (", which cannot be given by name" if each.kind is each.POSITIONAL_ONLY else ""),
                expected="named inputs only",
                fix="Name the program's inputs as its parameters",
            )
        annotation = None if each.annotation is each.empty else each.annotation
        required = each.default is each.empty
        if not required:
            checked_constant(each.default, None, f"the default of the input {each.name!r}")
        inputs[each.name] = ProgramInput(each.name, annotation, required, None if required else each.default)
    if not inputs:
        raise ProgramError("forward() takes no inputs", fix="Name the program's inputs as its parameters")
    return inputs


def _named_outputs(result: Any) -> dict[Any, Any]:
    if isinstance(result, Symbol):
        return {_name_of(symbol_source(result)): result}
    if isinstance(result, Mapping) and len(result):
        return {key: result[key] for key in result}
    _refuse_result(result, "forward()")


def _name_of(source: Reference) -> str:
    """The name of the one output: that of the field or the input; of a guarded one, that of both sides."""
    if not isinstance(source, When):
        return source.field if isinstance(source, FieldRef) else source.name
    names = {None if isinstance(leaf, Constant) else _name_of(leaf) for leaf in leaves(source)}
    name = names.pop()
    if names or name is None:
        raise TracingError(
            "forward() returns one of two fields that have no name in common",
            found=str(source),
            fix="Name the output, e.g. return {'answer': fp.when(...)}",
        )
    return name


def _refuse_result(result: Any, where: str) -> NoReturn:
    raise TracingError(
        f"{where} returns no outputs",
        expected="one field, a dict of fields, or a module's prediction",
        found=type(result).__name__ if result is None else repr(result)[:80],
        fix="Return what the calls made, e.g. return {'team': team}",
    )


def _output_source(name: str, value: Any) -> Reference:
    if isinstance(value, Symbol):
        return symbol_source(value)
    whole = isinstance(value, SymbolicPrediction)
    raise TracingError(
        f"forward() returns {value!r} as {name!r}",
        expected="a field of a node or an input of the program",
        fix="Write .field behind the call" if whole else "Leave it out; only what nodes make can be an output",
    )


def _place(error: Exception) -> str:
    """Returns the innermost line of a ``forward`` that an exception passed."""
    frames = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_name == "forward"
    ]
    return line_of_forward(*frames[-1]) if frames else "forward()"
