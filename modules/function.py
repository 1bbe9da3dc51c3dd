"""``Function``: a step that is ordinary Python."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fusionprog.errors import ProgramError
from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import InputField, OutputField, Signature


@register_module("Function")
class Function(Module):
    """Calls a Python function, sync or async, with the node's inputs by name.

    The artifact keeps the function's name, version and types, never its code;
    ``fusionprog.load(path, functions={name: function})`` binds it again.

    Args:
        function: What is called; ``None`` in a program whose functions are not bound yet.
        name: What the artifact knows it by; the function's own name, if not given.
        version: Changes when its answers change.
        inputs: Input name → type; read from the function's parameters, if not given.
        outputs: Output name → type. A function with one output may return its value; with several, a dict.
        cache: Whether equal inputs give equal outputs, so that it need not run again.

    Raises:
        ProgramError: if there are no outputs, or inputs can be read from nowhere.
    """

    def __init__(
        self,
        function: Callable[..., Any] | None,
        *,
        name: str | None = None,
        version: str = "1",
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any],
        cache: bool = True,
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", "")
        self.version = version
        self.repeatable = cache
        if not self.name or not outputs:
            raise ProgramError("a Function needs a name and outputs", fix="Pass name= and outputs={'field': type}")
        self._inputs = dict(inputs) if inputs is not None else _parameters(function)
        self._outputs = dict(outputs)
        fields = {key: (kind, InputField()) for key, kind in self._inputs.items()}
        fields |= {key: (kind, OutputField()) for key, kind in self._outputs.items()}
        super().__init__(Signature(fields, f"Function {self.name}, version {version}."))

    def arguments(self) -> dict[str, Any]:
        """Returns name, version and cache; the types are in the signature."""
        return {"name": self.name, "version": self.version, "cache": self.repeatable}

    def prompted(self, signature: Any) -> None:
        """Asks no model."""
        return None

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns what the function makes of the inputs.

        Raises:
            ProgramError: if the function is not bound, fails, or returns other fields than it declares.
        """
        if self.function is None:
            raise ProgramError(
                f"the function {self.name!r} is not bound",
                fix=f"Load the artifact with functions={{{self.name!r}: your_function}}",
            )
        try:
            if inspect.iscoroutinefunction(self.function):
                result = await self.function(**inputs)
            else:
                result = await asyncio.to_thread(self.function, **inputs)
        except Exception as error:
            raise ProgramError(f"the function {self.name!r} failed", found=repr(error)) from error
        if len(self._outputs) == 1 and not (isinstance(result, Mapping) and set(result) == set(self._outputs)):
            return {next(iter(self._outputs)): result}
        if not isinstance(result, Mapping) or set(result) != set(self._outputs):
            raise ProgramError(
                f"the function {self.name!r} returns other outputs than it declares",
                expected=f"a dict with {sorted(self._outputs)}",
                found=repr(result)[:80],
            )
        return dict(result)


def _parameters(function: Callable[..., Any] | None) -> dict[str, Any]:
    if function is None:
        raise ProgramError("a Function without a function needs inputs=")
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
        raise ProgramError(f"the inputs of {function!r} cannot be read from it", fix="Pass inputs={'field': type}")
    return {
        parameter.name: Any if parameter.annotation is parameter.empty else parameter.annotation
        for parameter in parameters
    }
