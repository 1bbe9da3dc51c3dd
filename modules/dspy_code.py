"""``DSPyCode``: a step that is the ``forward`` of an ordinary ``dspy.Module``."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from fusionprog._internal.from_threads import FromThreads
from fusionprog._internal.threads import Threads
from fusionprog.errors import FusionProgError, LMOutputError, ProgramError
from fusionprog.lm.dspy_asking import Unseen
from fusionprog.lm.dspy_predictors import PredictorCall, Watch, answering, unreadable
from fusionprog.program.module import Ask, Module, register_module
from fusionprog.program.signature import SignatureType
from fusionprog.program.types import type_name, typed

_THREADS = Threads(256, "fusionprog-forward")


@register_module("DSPyCode")
class DSPyCode(Module):
    """Runs the ``forward`` of a ``dspy.Module`` as it is; every predictor that it calls is a node of the graph.

    ``fusionprog.from_dspy`` makes one. The artifact keeps the module's name, version and types, never its code;
    ``fusionprog.load(path, module=module)`` binds it again.

    Args:
        signature: What ``forward`` takes and returns.
        name: What the artifact knows the module by.
        version: Changes when the code's answers change.
        open_outputs: Whether all that ``forward`` returns is an output; else only what the signature has, with its
            type.
    """

    calls_nodes = True
    repeatable = False  # what it made depends on its nodes' prompts; the models' answers are kept

    def __init__(
        self, signature: SignatureType | str, *, name: str, version: str = "1", open_outputs: bool = False
    ) -> None:
        super().__init__(signature)
        self.name = name
        self.version = version
        self.open_outputs = open_outputs
        self._module: Any = None
        self._nodes: dict[int, str] = {}
        self._watch = Watch(())

    def __deepcopy__(self, memo: dict[int, Any]) -> DSPyCode:
        """Returns one that runs the same code: the user's object is not copied."""
        return copy.copy(self)

    def arguments(self) -> dict[str, Any]:
        """Returns name, version and whether outputs are open."""
        return {"name": self.name, "version": self.version, "open_outputs": self.open_outputs}

    def prompted(self, signature: SignatureType) -> None:
        """Asks no model itself."""
        return None

    def bind(self, module: Any, nodes: Mapping[str, Any]) -> None:
        """Sets the code that is run.

        Args:
            module: The ``dspy.Module``.
            nodes: Node → its ``dspy.Predict``.
        """
        self._module = module
        self._nodes = {id(predictor): node for node, predictor in nodes.items()}
        self._watch = Watch(nodes.values())

    async def run(self, inputs: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Returns what ``forward`` returns.

        Raises:
            LMOutputError: if it could not go on because a model's answer was no good.
            ProgramError: if no module is bound, ``forward`` fails, or it returns other outputs than it declares.
            LMError: if a model cannot be reached, also where the code would have gone on.
        """
        if self._module is None:
            raise ProgramError(
                f"the program runs the code of the dspy.Module {self.name!r}, which is not bound",
                fix="Load the artifact with module=your_module, e.g. fusionprog.load(path, module=YourModule()), "
                "or pass --module app.py:YourModule",
            )
        calls = _Calls(ask, self._nodes)
        try:
            with self._watch.watching(calls.fail):
                result = await self._forward(inputs, calls)
        except (Exception, Unseen) as error:
            found = calls.failure or unreadable(error) or (error if isinstance(error, FusionProgError) else None)
            if found is not None:
                raise found from None
            raise ProgramError(
                f"forward() of {self.name!r} failed",
                found=repr(error),
                fix="Mend it, or let it return a value of its own for such inputs",
            ) from error
        finally:
            calls.threads.close()
        if calls.failure is not None:  # whatever the code made of it: an answer that is missing is no answer
            raise calls.failure
        return self._checked(result)

    async def _forward(self, inputs: Mapping[str, Any], calls: _Calls) -> Any:
        module = self._module
        if hasattr(type(module), "forward"):  # of the instance, DSPy warns of being asked for it

            def call(given: Mapping[str, Any]) -> Any:
                with answering(calls.wait, calls.answer):
                    return module(**given)

            return await _THREADS.run(call, inputs)
        with answering(calls.wait, calls.answer):
            return await module.acall(**inputs)

    def _checked(self, result: Any) -> dict[str, Any]:
        if inspect.isawaitable(result) or not hasattr(result, "items"):
            raise ProgramError(
                f"forward() of {self.name!r} returns no outputs",
                expected="a dspy.Prediction or a dict",
                found=type(result).__name__,
            )
        made = dict(result.items())
        if self.open_outputs:
            return made
        declared: Mapping[str, Any] = self.signature.output_fields
        if missing := [name for name in declared if name not in made]:
            raise ProgramError(
                f"forward() of {self.name!r} does not return the output {missing[0]!r}",
                found=", ".join(map(str, made)) or "nothing",
                fix="Return it, or leave it out of outputs=",
            )
        return {name: self._typed(name, made[name], each.annotation) for name, each in declared.items()}

    def _typed(self, name: str, value: Any, annotation: Any) -> Any:
        try:
            return typed(value, annotation)
        except ValueError as error:
            raise ProgramError(
                f"forward() of {self.name!r} returns {name!r} with another type than outputs= declares",
                expected=type_name(annotation),
                found=repr(value)[:80],
            ) from error


class _Calls:
    """The calls of one run: from the code's threads to the event loop and back.

    Attributes:
        failure: The first failure that is none of the program; code may have caught it.
        threads: Those of the code.
    """

    def __init__(self, ask: Ask, nodes: Mapping[int, str]) -> None:
        self.failure: FusionProgError | None = None
        self.threads = FromThreads()
        self._ask = ask
        self._nodes = nodes

    def fail(self, error: FusionProgError) -> None:
        """Is told of a failure that is none of the program; the first one counts."""
        self.failure = self.failure or error

    async def answer(self, call: PredictorCall) -> dict[str, Any]:
        """Returns the answer to a call; on the event loop."""
        node = self._nodes.get(id(call.predictor))
        try:
            if node is None:
                raise ProgramError(
                    "forward() calls a predictor that the module does not own",
                    found=repr(call.predictor)[:80],
                    fix="Make it in __init__, so that it is a node with a prompt of its own",
                )
            return await self._ask(call.inputs, sample=call.sample, node=node)
        except LMOutputError:
            raise
        except FusionProgError as error:
            self.fail(error)
            raise

    def wait(self, call: PredictorCall) -> dict[str, Any]:
        """Returns the answer to a call; in a thread of the code."""
        if self.threads.on_loop:
            error = ProgramError(
                "aforward() calls a predictor without awaiting it",
                fix="Write await self.predictor.acall(...), or write a forward()",
            )
            self.fail(error)
            raise error
        if self.threads.closed:
            raise ProgramError("forward() calls a predictor after its run has ended")
        return self.threads.wait(self.answer, call)
