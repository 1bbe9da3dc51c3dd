"""``CompiledProgram.to_dspy``: a compiled program as a ``dspy.Module``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dspy

from fusionprog._internal import sync
from fusionprog.errors import LMOutputError
from fusionprog.program.graph import Reference
from fusionprog.program.signature import Prediction
from fusionprog.runtime.compiled import CompiledProgram


class DSPyProgram(dspy.Module):
    """One task of a compiled program, to be called and evaluated as any ``dspy.Module``.

    It runs on the compiled program's own models and prompts, not on ``dspy.settings``; a copy of it shares them. It has
    no predictors (``named_predictors()`` is empty): its prompts are compiled, so that DSPy's optimizers leave it alone
    where it is a part of another module.

    Args:
        program: The compiled program.
        task: The task.
        scored: What the task's metric reads; all outputs, if not given. An answer that it needs and that cannot be read
            is an error, which ``dspy.Evaluate`` scores 0, as ``program.evaluate`` does. Another answer that cannot be
            read is an error where the output is read.
    """

    def __init__(self, program: CompiledProgram, task: str, scored: Sequence[Reference] | None = None) -> None:
        super().__init__()
        self.program = program
        self.task = task
        bound = program.tasks[task].view.program
        self._outputs: dict[str, Reference] = {**bound.graph.outputs, **bound.outputs}
        self._scored = tuple(self._outputs.values() if scored is None else scored)

    def forward(self, **inputs: Any) -> Prediction:
        """Runs the program.

        Args:
            inputs: The program's inputs.

        Returns:
            The outputs as attributes; every field that was computed as ``prediction["node.field"]``.

        Raises:
            CallError: if an input is missing, unknown or of the wrong type.
            LMError: if a model gives no answer; ``LMOutputError`` if the answer cannot be read.
        """
        return sync.run(self._run(inputs))

    async def aforward(self, **inputs: Any) -> Prediction:
        """Runs the program, asynchronously; see ``forward``."""
        return await sync.arun(self._run(inputs))

    def __deepcopy__(self, memo: dict[int, Any]) -> DSPyProgram:
        copied = DSPyProgram(self.program, self.task, self._scored)
        copied._compiled = self._compiled
        return copied

    def __repr__(self) -> str:
        return f"DSPyProgram({self.program!r}, task={self.task!r})"

    async def _run(self, inputs: Mapping[str, Any]) -> Prediction:
        trace = await self.program.trace(self.task, inputs, self._scored)
        if trace.error is not None:
            raise trace.error
        trace = await self.program.trace(self.task, inputs, self._outputs.values(), trace)
        prediction = trace.prediction(self._outputs)
        return prediction if trace.error is None else _Unfinished(prediction, self._outputs, trace.error)


class _Unfinished(Prediction):
    """A prediction that lacks outputs, since an answer could not be read: who reads one of them gets that error."""

    def __init__(self, made: Prediction, outputs: Iterable[str], error: LMOutputError) -> None:
        super().__init__(dict(made.items()))
        self._missing = frozenset(outputs) - frozenset(made.keys())
        self._error = error

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._missing:
            raise self._error
        return super().__getattr__(name)

    def __getitem__(self, name: str) -> Any:
        if name in self._missing:
            raise self._error
        return super().__getitem__(name)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._missing else super().get(key, default)
