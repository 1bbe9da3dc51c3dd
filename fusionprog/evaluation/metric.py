"""What a metric is: a function that scores an answer, and what it reads."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import os
import time
import types
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fusionprog._internal import sync
from fusionprog._internal.threads import Threads, past_mix_ups
from fusionprog.errors import LMUnavailableError, MetricError
from fusionprog.evaluation.metric_calls import AnswerCalls, MetricAsks
from fusionprog.lm.dspy_asking import Unseen, answered_by
from fusionprog.lm.dspy_named import own_lm, parameters_of
from fusionprog.lm.dspy_predictors import modules_predictors
from fusionprog.lm.model import LanguageModel
from fusionprog.lm.redaction import redact
from fusionprog.lm.resolve import resolve_model
from fusionprog.program.signature import Prediction

_LARGEST = 1e9  # score, of either sign: sums of the squares of many are still numbers
_LONG = 0.003  # seconds after which a metric is called in threads: some times what a thread costs
_THREADS = Threads(256, "fusionprog-metric")
_PROMPT_TOKENS = 8_192


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
        calls: How often, at most, it asks a model for the score of one answer: through DSPy's predictors, or through
            ``dspy.settings.lm``. These calls are limited, counted, kept and continued like all others. A function that
            asks and does not say so ends a compile.
        lm: The model that it asks, or a list of several; the program's own, if not given. Where the function names no
            model, it asks the first.
        prompt_tokens: How long its prompts are at most beside what they show of the row and the answer, in tokens of
            a byte at least. Budgets in tokens and dollars set as much aside; a longer prompt ends a compile.
    """

    may_ask = True  # whether its function is unknown, so that it may ask models

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        fields: Sequence[str] | None = None,
        gold: Sequence[str] = (),
        version: str = "1",
        name: str | None = None,
        calls: int = 0,
        lm: Any = None,
        prompt_tokens: int = _PROMPT_TOKENS,
    ) -> None:
        if not callable(fn):
            raise MetricError("the metric cannot be called", expected="a function", found=type(fn).__name__)
        if type(calls) is not int or calls < 0 or (lm is not None and not calls):
            raise MetricError(
                "the metric does not say how often it asks a model",
                expected="calls= with the most calls for one answer; 0, and no lm=, if it asks none",
                found=f"calls={calls!r}" + (", with lm=" if lm is not None else ""),
            )
        if not calls and modules_predictors(fn):
            raise MetricError(
                f"the metric {type(fn).__name__} is a dspy.Module that asks a model, and does not say how often",
                fix=f"Pass fusionprog.Metric({type(fn).__name__}(...), calls=1), with the most calls that it makes for "
                "one answer, and lm= where it asks another model than the program's",
            )
        self.fn = fn
        self.fields = None if fields is None else _names(fields)
        self.gold = _names(gold)
        self.version = version
        self.name = name or str(getattr(fn, "__name__", type(fn).__name__))
        self.calls = calls
        self.lm = lm
        self.prompt_tokens = prompt_tokens
        self._extra = _extra_arguments(fn, self.name)
        self._in_threads = False

    @property
    def description(self) -> dict[str, Any]:
        """Name and version, as JSON data; a built-in metric also has its arguments and can be rebuilt."""
        return {"name": self.name, "version": self.version}

    def models(self, default: LanguageModel | None) -> dict[str, LanguageModel]:
        """Returns the models that it asks, by a name for each; none where it asks none.

        Args:
            default: The program's own.

        Raises:
            LMConfigurationError: if there is no model, or its key is missing.
        """
        if not self.calls:
            return {}
        specs = self.lm if isinstance(self.lm, (list, tuple)) else [default if self.lm is None else self.lm]
        return {f"lm {number}": resolve_model(spec) for number, spec in enumerate(specs, 1)}

    def __call__(
        self, example: Any, prediction: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> float:
        """Returns the score of one answer, in the form in which ``dspy.Evaluate`` and DSPy's optimizers ask for it.

        What it asks of models is then between it and DSPy: nothing counts or keeps it.

        Raises:
            MetricError: if the function raises or returns something that is no finite number, or the metric is a
                program, which needs the models and the books of a compile.
        """
        first = self.lm[0] if isinstance(self.lm, (list, tuple)) else self.lm
        with contextlib.nullcontext() if first is None else own_lm(resolve_model(first)):
            result = self._call(example, prediction)
            if inspect.isawaitable(result):
                result = sync.run(_awaited(result))
        return as_score(result, self.name)

    async def score(self, example: Any, prediction: Prediction, calls: AnswerCalls) -> float:
        """Returns the score of one answer.

        Args:
            example: The row, as a ``dspy.Example``.
            prediction: The program's outputs.
            calls: Makes the calls of metrics that ask models.

        Raises:
            MetricError: if the function raises or returns something that is no finite number, or asks models otherwise
                than it says.
            LMError: if a model that it asks gives no answer; ``LMUnavailableError`` if it gives none now.
        """
        return await past_mix_ups(lambda: self._score(example, prediction, calls))

    async def _score(self, example: Any, prediction: Prediction, calls: AnswerCalls) -> float:
        if not self.may_ask:
            return as_score(await self._result(example, prediction), self.name)
        asks = calls.asks(self)
        if asks is None:
            return as_score(await self._result(example, prediction), self.name)
        # A failure of a model is no score, whatever the function makes of it.
        result = None
        try:
            if self.calls:
                result = await self._asking(example, prediction, asks)
            else:
                with answered_by(asks):
                    result = await self._result(example, prediction)
        except (MetricError, Unseen):
            if asks.failure is None:
                raise
        if asks.failure is not None:
            raise asks.failure from None
        return as_score(result, self.name)

    async def _asking(self, example: Any, prediction: Prediction, asks: MetricAsks) -> Any:
        """Calls a function that asks models, in a thread where it would wait for them."""
        asks.open(example, prediction)
        with answered_by(asks, asks.model):
            try:
                if inspect.iscoroutinefunction(self.fn):
                    return await self._finished(self._call(example, prediction))
                return await self._finished(await _THREADS.run(lambda _: self._call(example, prediction), None))
            finally:
                asks.close()

    async def _result(self, example: Any, prediction: Prediction) -> Any:
        """Calls a function that asks no model, in a thread if it takes long."""
        if self._in_threads:
            return await self._finished(await asyncio.to_thread(self._call, example, prediction))
        started = time.perf_counter()
        result = self._call(example, prediction)
        took_long = time.perf_counter() - started > _LONG
        self._in_threads = took_long and not inspect.isawaitable(result)
        return await self._finished(result)

    async def _finished(self, result: Any) -> Any:
        if not inspect.isawaitable(result):
            return result
        try:
            return await result
        except LMUnavailableError:  # of a model that the metric asks: the row is measured again
            raise
        except Exception as error:
            raise self._failed(error) from (None if self._clean(str(error)) != str(error) else error)

    def _call(self, example: Any, prediction: Prediction) -> Any:
        try:
            return self.fn(example, prediction, *self._extra)
        except LMUnavailableError:
            raise
        except Exception as error:
            raise self._failed(error) from (None if self._clean(str(error)) != str(error) else error)

    def _failed(self, error: Exception) -> MetricError:
        return MetricError(
            f"the metric {self.name!r} raised {type(error).__name__}",
            found=self._clean(str(error)),
            fix="A metric must return a number for every answer, also for wrong and empty ones",
        )

    def _clean(self, text: str) -> str:
        """Returns a text without the secrets that are known; an error that shows one is no cause of another."""
        return redact(text, os.environ, *parameters_of(self.lm, *_values_in(self.fn)))


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def as_score(result: Any, name: str) -> float:
    """Returns a metric's result as a number.

    Raises:
        MetricError: if it is none, not finite, or larger than 1e9.
    """
    value = result.get("score") if isinstance(result, Prediction) else result
    # Text is no score even where it is a numeral, and of an array it is not known which number is meant.
    if not isinstance(value, (str, bytes, bytearray)) and not getattr(value, "shape", ()):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if abs(number) <= _LARGEST:
            return number
    raise MetricError(
        f"the metric {name!r} returned no score",
        expected=f"a finite number (up to {_LARGEST:g}), a bool or a Prediction with a score",
        found=repr(result)[:120],
    )


def _values_in(fn: Any) -> list[Any]:
    """What a function's code names: in what is around it, and in its module."""
    code, cells = getattr(fn, "__code__", None), getattr(fn, "__closure__", None) or ()
    around = [cell.cell_contents for cell in cells if cell != types.CellType()]
    known = getattr(fn, "__globals__", {})
    return around + [known[name] for name in getattr(code, "co_names", ()) if name in known]


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
