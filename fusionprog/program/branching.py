"""Finds, in the source of ``forward``, the branches that a symbolic value cannot report itself.

``value is None`` and ``isinstance(value, T)`` call no method of the value, so tracing would silently take one
side. They are looked for in the source instead; where the source cannot be read, nothing is checked.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from fusionprog.errors import TracingError


def check_branches(forward: Callable[..., Any]) -> None:
    """Refuses ``is``, ``isinstance``, ``type()`` and ``callable()`` on values that ``forward`` is given or makes.

    Raises:
        TracingError: naming the line and the way out.
    """
    try:
        lines, first = inspect.getsourcelines(forward)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return
    function = tree.body[0]
    if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        visitor = _Visitor({argument.arg for argument in function.args.args[1:] + function.args.kwonlyargs})
        for statement in function.body:
            visitor.visit(statement)
        for line, text in visitor.found:
            raise TracingError(
                f"forward(), line {first + line - 1}, asks {text!r} of a symbolic value",
                fix="forward() is traced once, so the answer would be the same in every call; put such code into "
                "a fusionprog.modules.Function, which runs in every call",
            )


class _Visitor(ast.NodeVisitor):
    """Follows symbolic names through assignments, in the order of the source."""

    def __init__(self, symbolic: set[str]) -> None:
        self.symbolic = symbolic
        self.found: list[tuple[int, str]] = []

    def visit_Assign(self, node: ast.Assign) -> None:
        """Marks names that are assigned from symbolic values."""
        self.visit(node.value)
        if self._is_symbolic(node.value):
            for target in node.targets:
                self.symbolic |= {name.id for name in ast.walk(target) if isinstance(name, ast.Name)}

    def visit_Compare(self, node: ast.Compare) -> None:
        """Reports ``is`` and ``is not`` on a symbolic value."""
        if any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops) and any(
            self._is_symbolic(side) for side in (node.left, *node.comparators)
        ):
            self.found.append((node.lineno, ast.unparse(node)))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Reports questions about a symbolic value's type."""
        asks = isinstance(node.func, ast.Name) and node.func.id in (
            "isinstance",
            "type",
            "callable",
            "hasattr",
        )
        if asks and node.args and self._is_symbolic(node.args[0]):
            self.found.append((node.lineno, ast.unparse(node)))
        self.generic_visit(node)

    def _is_symbolic(self, node: ast.AST) -> bool:
        return any(isinstance(part, ast.Name) and part.id in self.symbolic for part in ast.walk(node))
