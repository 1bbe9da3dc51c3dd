"""What a metric is: a function that scores an answer, and what it reads."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fusionprog._internal import sync
from fusionprog.errors import LMUnavailableError, MetricError
from fusionprog.lm.redaction import redact
from fusionprog.program.signature import Prediction

if TYPE_CHECKING:
    from fusionprog.evaluation.program_metric import ProgramMetric

_LONG = 0.003  # seconds after which a metric is called in threads: some times what a thread costs

RunProgram: TypeAlias = Callable[["ProgramMetric", Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Metric:
    """A function that scores an answer, and what it reads.

    Args:
        fn: ``fn(example, prediction)``; also DSPy's longer forms with ``trace``, ``pred_name`` and ``pred_trace``,
            which are given as ``None``. It returns a number, a bool, or a ``Prediction(score=..., feedback=...)``;
            higher is better. Sync or async. A sync one that takes long is called in threads, several at once, so that
            it does not hold up model calls.
        fields: The outputs it reads, public names or ``"node.field"``; all public ones if ``None``. Compiling runs
            only what these need.
        gold: The columns of the rows that it reads; checked before anything is spent.
        version: Changes when its scores change; part of the study's fingerprint.
        name: How it is named in messages and artifacts.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        fields: Sequence[str] | None = None,
        gold: Sequence[str] = (),
        version: str = "1",
        name: str | None = None,
    ) -> None:
        if not callable(fn):
            raise MetricError("the metric cannot be called", expected="a function", found=type(fn).__name__)
        self.fn = fn
        self.fields = None if fields is None else _names(fields)
        self.gold = _names(gold)
        self.version = version
        self.name = name or str(getattr(fn, "__name__", type(fn).__name__))
        self._extra = _extra_arguments(fn, self.name)
        self._in_threads = False

    @property
    def description(self) -> dict[str, Any]:
        """Name and version, as JSON data; a built-in metric also has its arguments and can be rebuilt."""
        return {"name": self.name, "version": self.version}

    def __call__(
        self, example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float:
        """Returns the score of one answer, in the form in which ``dspy.Evaluate`` and DSPy's optimizers ask for it.

        Raises:
            MetricError: if the function raises or returns something that is no finite number, or the metric is a
                program, which needs the models and the books of a compile.
        """
        result = self._call(example, prediction)
        if inspect.isawaitable(result):
            result = sync.run(_awaited(result))
        return as_score(result, self.name)

    async def score(self, example: Any, prediction: Prediction, run_program: RunProgram) -> float:
        """Returns the score of one answer.

        Args:
            example: The row, as a ``dspy.Example``.
            prediction: The program's outputs.
            run_program: Runs metrics that are programs.

        Raises:
            MetricError: if the function raises or returns something that is no finite number.
            LMUnavailableError: if a model that it asks cannot answer now.
        """
        if self._in_threads:
            result = await asyncio.to_thread(self._call, example, prediction)
        else:
            started = time.perf_counter()
            result = self._call(example, prediction)
            took_long = time.perf_counter() - started > _LONG
            self._in_threads = took_long and not inspect.isawaitable(result)
        if inspect.isawaitable(result):
            try:
                result = await result
            except LMUnavailableError:  # of a model that the metric asks: the row is measured again
                raise
            except Exception as error:
                raise self._failed(error) from error
        return as_score(result, self.name)

    def _call(self, example: Any, prediction: Prediction) -> Any:
        try:
            return self.fn(example, prediction, *self._extra)
        except LMUnavailableError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> MetricError:
        return MetricError(
            f"the metric {self.name!r} raised {type(error).__name__}",
            found=redact(str(error)),
            fix="A metric must return a number for every answer, also for wrong and empty ones",
        )


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def as_score(result: Any, name: str) -> float:
    """Returns a metric's result as a number.

    Raises:
        MetricError: if it is none, or not finite.
    """
    value = result.get("score") if isinstance(result, Prediction) else result
    # Text is no score even where it is a numeral, and of an array it is not known which number is meant.
    if not isinstance(value, (str, bytes, bytearray)) and not getattr(value, "shape", ()):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise MetricError(
        f"the metric {name!r} returned no score",
        expected="a finite number, a bool or a Prediction with a score",
        found=repr(result)[:120],
    )


def _names(names: Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _extra_arguments(fn: Callable[..., Any], name: str) -> tuple[None, ...]:
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return ()
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    required = sum(each.default is each.empty for each in positional)
    open_ended = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    named = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
    if required > 5 or (len(positional) < 2 and not open_ended) or named:
        raise MetricError(
            f"the metric {name!r} takes other arguments than a metric is given",
            expected="(example, prediction), and at most trace, pred_name and pred_trace after them",
            found=f"({', '.join(each.name for each in parameters)})",
        )
    return (None,) * max(0, required - 2)
