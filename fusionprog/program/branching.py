"""Finds, in the source of ``forward``, the branches that a symbolic value cannot report itself.

``value is None`` and ``isinstance(value, T)`` call no method of the value, so tracing would silently take one
side. They are looked for in the source instead; where the source cannot be read, nothing is checked.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from fusionprog.errors import TracingError

_QUESTIONS = ("isinstance", "type", "callable", "hasattr", "id")


def check_branches(forward: Callable[..., Any], symbolic: Iterable[str]) -> None:
    """Refuses ``is``, ``match``, ``isinstance()``, ``type()`` and the like on symbolic values.

    Args:
        forward: The bound method.
        symbolic: The parameters of it that are symbolic.

    Raises:
        TracingError: naming the line and the way out.
    """
    try:
        lines, first = inspect.getsourcelines(forward)
        # A method's source is indented; a block around it keeps its texts as they are, which dedent would not.
        tree = ast.parse("".join(["if True:\n", *lines] if lines[0][0].isspace() else ["\n", *lines]))
    except (OSError, TypeError, SyntaxError):
        return
    visitor = _Visitor(set(symbolic))
    visitor.visit(tree)
    for line, text in visitor.found:
        raise TracingError(
            f"{_short_name(forward)}(), line {first + line - 2}, asks {text!r} of a symbolic value",
            fix="forward() is traced once, so the answer would be the same in every call; choose with "
            "fusionprog.when, put such code into a fusionprog.modules.Function, which runs in every call, or write a "
            "dspy.Module, whose forward() may do anything, and compile fusionprog.from_dspy(module)",
        )


def _short_name(forward: Callable[..., Any]) -> str:
    return str(forward.__qualname__).rpartition("<locals>.")[2]


class _Visitor(ast.NodeVisitor):
    """Follows symbolic names through assignments, in the order of the source."""

    def __init__(self, symbolic: set[str]) -> None:
        self.symbolic = symbolic
        self.found: list[tuple[int, str]] = []

    def visit_Assign(self, node: ast.Assign) -> None:
        """Marks names that are assigned from symbolic values."""
        self.visit(node.value)
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Marks a name that is assigned from a symbolic value, with its type."""
        if node.value is not None:
            self.visit(node.value)
            self._assign(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """Marks a name that is assigned from a symbolic value inside an expression."""
        self.visit(node.value)
        self._assign(node.target, node.value)

    def visit_For(self, node: ast.For) -> None:
        """Marks the variables of a loop over symbolic values."""
        self._assign(node.target, node.iter)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        """Marks the variables of a comprehension over symbolic values."""
        for each in node.generators:
            self._assign(each.target, each.iter)
        self.generic_visit(node)

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp

    def visit_Compare(self, node: ast.Compare) -> None:
        """Reports ``is`` and ``is not`` on a symbolic value."""
        if any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops):
            self._report(node, node.left, *node.comparators)
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        """Reports ``match`` on a symbolic value, whose patterns ask for identities and types."""
        self._report(node.subject, node.subject, before="match ")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Reports questions about a symbolic value's type."""
        if isinstance(node.func, ast.Name) and node.func.id in _QUESTIONS:
            self._report(node, *node.args[:1])
        self.generic_visit(node)

    def _report(self, node: ast.expr, *asked: ast.expr, before: str = "") -> None:
        if any(self._is_symbolic(each) for each in asked):
            self.found.append((node.lineno, before + ast.unparse(node)))

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if (
            isinstance(target, (ast.Tuple, ast.List))
            and isinstance(value, (ast.Tuple, ast.List))
            and len(target.elts) == len(value.elts)
        ):
            for one, other in zip(target.elts, value.elts, strict=True):
                self._assign(one, other)
        elif self._is_symbolic(value):
            stored = [part for part in ast.walk(target) if isinstance(part, ast.Name)]
            self.symbolic |= {name.id for name in stored if isinstance(name.ctx, ast.Store)}

    def _is_symbolic(self, node: ast.AST) -> bool:
        return any(isinstance(part, ast.Name) and part.id in self.symbolic for part in ast.walk(node))
