"""``Function``: a step that is ordinary Python."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic.errors import PydanticUserError

from fusionprog._internal.canonical import canonical_json, jsonable
from fusionprog.errors import LMUnavailableError, ProgramError
from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import InputField, OutputField, Signature, SignatureType
from fusionprog.program.types import type_name, typed


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
        defaults: Input name → its value where a call does not give one; read from the function's parameters, if
            ``inputs`` is not given.

    Raises:
        ProgramError: if there is no name, there are no outputs, or inputs can be read from nowhere.
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
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        if function is not None and not callable(function):
            raise ProgramError("a Function cannot be called", expected="a Python function", found=repr(function)[:80])
        self.function = function
        self.name = name or str(getattr(function, "__name__", ""))
        self.version = version
        self.repeatable = cache
        if self.name in ("", "<lambda>") or not isinstance(outputs, Mapping) or not outputs:
            raise ProgramError("a Function needs a name and outputs", fix="Pass name= and outputs={'field': type}")
        read = _parameters(function, self.name) if inputs is None else (inputs, defaults or {})
        self._defaults = _usable_defaults(self.name, *read)
        super().__init__(_signature(self.name, version, read[0], self._defaults, outputs))

    def arguments(self) -> dict[str, Any]:
        """Returns name, version, cache and defaults; the types are in the signature."""
        arguments = {"name": self.name, "version": self.version, "cache": self.repeatable}
        return {**arguments, "defaults": jsonable(self._defaults)} if self._defaults else arguments

    def prompted(self, signature: SignatureType) -> None:
        """Asks no model."""
        return None

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns what the function makes of the inputs.

        Raises:
            ProgramError: if the function is not bound, fails, or returns other fields or types than it declares.
            LMUnavailableError: if a model that the function asks cannot answer now.
        """
        if self.function is None:
            raise ProgramError(
                f"the function {self.name!r} is not bound",
                fix=f"Load the artifact with functions={{{self.name!r}: your_function}}",
            )
        return self._checked(await self._call(self.function, {**self._defaults, **inputs}))

    async def _call(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
        def call() -> Any:
            try:
                return function(**inputs)
            except StopIteration as error:  # cannot be handed over from a thread; the call would never end
                raise RuntimeError("StopIteration") from error

        try:
            result = function(**inputs) if inspect.iscoroutinefunction(function) else await asyncio.to_thread(call)
            return await result if inspect.isawaitable(result) else result
        except LMUnavailableError:  # of a model that the function asks: it is no failure of the function
            raise
        except Exception as error:
            raise ProgramError(
                f"the function {self.name!r} failed",
                found=repr(error),
                fix="Mend it, or let it return a value of its own for such inputs",
            ) from error

    def _checked(self, result: Any) -> dict[str, Any]:
        declared = self.signature.output_fields
        given = isinstance(result, Mapping) and set(result) == set(declared)
        if not given and len(declared) > 1:
            raise ProgramError(
                f"the function {self.name!r} returns other outputs than it declares",
                expected=f"a dict with {sorted(declared)}",
                found=repr(result)[:80],
            )
        outputs = dict(result) if given else {next(iter(declared)): result}
        return {name: self._typed(name, outputs[name], field.annotation) for name, field in declared.items()}

    def _typed(self, name: str, value: Any, annotation: Any) -> Any:
        try:
            made = typed(value, annotation)
            canonical_json(made)
        except (TypeError, ValueError, RecursionError) as error:
            raise ProgramError(
                f"the function {self.name!r} returns {name!r} with another type than it declares",
                expected=f"{type_name(annotation)}, as data that can be kept in JSON",
                found=repr(value)[:80],
            ) from error
        return made


def _signature(
    name: str, version: str, inputs: Mapping[str, Any], defaults: Mapping[str, Any], outputs: Mapping[str, Any]
) -> SignatureType:
    if both := sorted(set(inputs) & set(outputs)):
        raise ProgramError(
            f"the function {name!r} has an input and an output named {both[0]!r}", fix="Name the output otherwise"
        )
    fields = {
        key: (kind, InputField(default=defaults[key]) if key in defaults else InputField())
        for key, kind in inputs.items()
    }
    fields |= {key: (kind, OutputField()) for key, kind in outputs.items()}
    try:
        made: SignatureType = Signature(fields, f"Function {name}, version {version}.")
    except (ValueError, TypeError, NameError, PydanticUserError) as error:
        raise ProgramError(
            f"the function {name!r} has fields that cannot be used",
            expected="names without a leading underscore, and types such as str or list[str]",
            found=str(error).splitlines()[0],
        ) from error
    return made


def _usable_defaults(name: str, inputs: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    made = {}
    for key, value in defaults.items():
        try:
            made[key] = value if value is None else typed(value, inputs[key])
            canonical_json(value)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ProgramError(
                f"the default of {key!r} of the function {name!r} cannot be used",
                expected="a value of an input's type that can be kept in JSON",
                found=repr(value)[:80],
                fix="Pass inputs={'field': type} without it; the function then uses its own default",
            ) from error
    return made


def _parameters(function: Callable[..., Any] | None, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the types of a function's parameters, and the defaults of those that have one."""
    advice = "Pass inputs={'field': type}"
    if function is None:
        raise ProgramError(f"the function {name!r} is not bound, so its inputs are not known", fix=advice)
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except Exception as error:
        raise ProgramError(
            f"the inputs of the function {name!r} cannot be read from it", found=repr(error), fix=advice
        ) from error
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if any(each.kind not in named for each in parameters.values()):
        raise ProgramError(
            f"the inputs of the function {name!r} cannot be read from it",
            expected="parameters that are given by name",
            found=str(inspect.signature(function)),
            fix=advice,
        )
    types = {key: Any if each.annotation is each.empty else each.annotation for key, each in parameters.items()}
    defaults = {key: each.default for key, each in parameters.items() if each.default is not each.empty}
    return types, defaults
