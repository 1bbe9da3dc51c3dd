"""A program: modules as attributes, and a ``forward`` that says how they feed each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dspy

from fusionprog.errors import ProgramError
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.module import Module, active_tracer
from fusionprog.program.tracing import call_program, trace


class Program:
    """Base class of programs written as Python classes.

    Modules (and other programs) are made in ``__init__`` and kept as attributes, also in lists, tuples and
    dicts; ``forward`` calls them. It is traced once, with symbolic values, and returns one field, a dict whose
    keys are the public output names, or a module's prediction. A node is named by its module's path
    (``triage``, ``panel.judge``, ``steps.0``); the second call of one module is a node of its own (``triage_2``).

    Example:
        >>> import fusionprog as fp
        >>> class Shorten(fp.Program):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.write = fp.modules.Predict("text -> summary")
        ...     def forward(self, text: str):
        ...         return self.write(text=text).summary
        >>> list(Shorten().graph().nodes)
        ['write']
    """

    def __init__(self) -> None:
        """Makes a program; a subclass makes its modules after calling this."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Says how the modules feed each other; every program has its own."""
        raise ProgramError(f"{type(self).__name__} has no forward()", fix="Write one that calls its modules")

    def graph(self) -> ProgramGraph:
        """Traces ``forward`` and returns the program's graph.

        Raises:
            ProgramError: if the graph is not sound; ``TracingError`` if ``forward`` cannot be traced.
        """
        return trace(type(self).__name__, self._written_forward(), dict(_paths(self, "")))

    def __call__(self, *unnamed: Any, **inputs: Any) -> Any:
        """Runs ``forward`` inside the trace of the program that owns this one.

        Raises:
            ProgramError: outside of a trace, as an uncompiled program runs nothing; and for inputs that are
                unknown, missing or without their names.
        """
        if active_tracer.get() is None:
            raise ProgramError(
                f"{type(self).__name__} is not compiled yet",
                fix="Use fusionprog.compile(program, tasks, ...) and call what it returns",
            )
        if unnamed:
            raise ProgramError(
                f"{type(self).__name__} was called with inputs that have no names",
                fix="Write name=... for each of them",
            )
        return call_program(type(self).__name__, self._written_forward(), inputs)

    def _written_forward(self) -> Callable[..., Any]:
        if getattr(self.forward, "__func__", None) is Program.forward:
            self.forward()  # says that there is none
        return self.forward


def program_graph(program: Program | ProgramGraph) -> ProgramGraph:
    """Returns the validated graph of a program or of a graph written by hand.

    Raises:
        ProgramError: if ``program`` is neither, or not sound.
    """
    if isinstance(program, Program):
        return program.graph()
    if isinstance(program, ProgramGraph):
        program.validate()
        return program
    is_class = isinstance(program, type)
    if not is_class and isinstance(program, dspy.Module):
        raise ProgramError(
            "there is no program to compile",
            expected="a fusionprog.Program or a fusionprog.ProgramGraph",
            found=f"the dspy.Module {type(program).__name__}",
            fix="Write fusionprog.from_dspy(module), and compile that",
        )
    raise ProgramError(
        "there is no program to compile",
        expected="a fusionprog.Program or a fusionprog.ProgramGraph",
        found=f"the class {program.__name__}" if is_class else type(program).__name__,
        fix=f"Write {program.__name__}()" if is_class else "Write a subclass of fusionprog.Program and make one of it",
    )


def _paths(value: Any, path: str) -> Iterator[tuple[int, str]]:
    """Yields every module below ``value`` with its path; the first path of a shared module counts."""
    seen: set[int] = set()
    stack: list[tuple[Any, str]] = [(value, path)]
    while stack:
        current, where = stack.pop()
        if id(current) in seen:
            continue
        if isinstance(current, Module):
            seen.add(id(current))
            yield id(current), where
            continue
        children: Mapping[Any, Any] = {}
        if isinstance(current, Program):
            children = vars(current)
        elif isinstance(current, Mapping):
            children = current
        elif isinstance(current, (list, tuple)):
            children = dict(enumerate(current))
        seen.add(id(current))
        stack.extend(
            (child, f"{where}.{key}" if where else str(key)) for key, child in reversed(list(children.items()))
        )
