"""The predictors of a ``dspy.Module``, and a way to answer their calls that is not DSPy's own; public names only."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import dspy
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import AdapterParseError

from fusionprog.errors import LMConfigurationError, LMOutputError, ProgramError
from fusionprog.lm.dspy_asking import Unseen, is_answered
from fusionprog.lm.dspy_settings import setting
from fusionprog.program.signature import SignatureType

_REPEAT = "rollout_id"  # how DSPy asks for another answer to the same prompt
_OUR_THREADS = ("fusionprog", "asyncio_")  # how threads are called in which metrics run
_CHANGING = threading.Lock()  # of predictors' callbacks: two programs may be made of one module
_within: ContextVar[bool] = ContextVar("fusionprog_within", default=False)  # code that is answered for


@dataclass(frozen=True)
class PredictorCall:
    """What code asks of a predictor.

    Attributes:
        predictor: The ``dspy.Predict``.
        inputs: The inputs of its signature.
        sample: Tells repeated answers to the same inputs apart: ``config={"rollout_id": n}``.
    """

    predictor: Any
    inputs: Mapping[str, Any]
    sample: int = 0


Answer: TypeAlias = Callable[[PredictorCall], dict[str, Any]]
AsyncAnswer: TypeAlias = Callable[[PredictorCall], Any]


def predictors_of(module: Any) -> dict[str, Any]:
    """Returns the ``dspy.Predict``s of a module by DSPy's own names for them (``steps[0].predict``).

    Candidates that one of DSPy's optimizers has left in the module, each a copy of it, are none of its parts.

    Raises:
        ProgramError: if there are none, or DSPy hides one: in a frozen part, or in a container that it does not enter.
    """
    found = dict(module.named_predictors())
    known = {id(predictor) for predictor in found.values()}
    copies = [f"{name}." for name, each in module.named_sub_modules(type_=type(module)) if each is not module]
    for name, predictor in module.named_sub_modules(type_=dspy.Predict):
        if id(predictor) not in known and not f"{name}.".startswith(tuple(copies)):
            raise ProgramError(
                f"DSPy does not list the predictor {name.removeprefix('self.')!r} among those of the module",
                expected="predictors in attributes, or in a list or dict that is one; none in a part that is _compiled",
                fix="Keep it so; to leave it alone, name its node in freeze=",
            )
    if not found:
        raise ProgramError(
            "the dspy.Module has no predictors", fix="Make one in __init__, e.g. dspy.Predict(signature)"
        )
    return found


def modules_predictors(thing: Any) -> list[str]:
    """Returns the names of the predictors of what may be a module; none of anything else."""
    return [name for name, _ in thing.named_predictors()] if isinstance(thing, dspy.Module) else []


@contextmanager
def answering(answer: Answer, answer_async: AsyncAnswer) -> Iterator[None]:
    """Within it, every call of a predictor is answered by a function; threads that DSPy starts are included.

    Args:
        answer: Answers calls from plain code. An ``LMOutputError`` reaches the code as DSPy's ``AdapterParseError``.
        answer_async: The same for calls that are awaited.
    """
    token = _within.set(True)
    try:
        with dspy.context(lm=_nobody(), adapter=_Answering(answer, answer_async), trace=[]):
            yield
    finally:
        _within.reset(token)


class Watch(BaseCallback):
    """Refuses what code calls of predictors past who answers, while it runs.

    That is under an adapter that the code sets, and in plain threads, which do not have DSPy's settings; where a thread
    comes from is not known, but those that were there before belong to somebody else. Who else uses the predictors, as
    a metric may, is left alone.

    Args:
        predictors: Those that may be called.
    """

    def __init__(self, predictors: Iterable[Any]) -> None:
        self._predictors = tuple(predictors)
        self._told: list[Callable[[ProgramError], None]] = []
        self._others: frozenset[int] = frozenset()

    @contextmanager
    def watching(self, tell: Callable[[ProgramError], None]) -> Iterator[None]:
        """Within it, ``tell`` is told of such calls, which are not made: they end in ``Unseen``.

        It is not known which of several runs makes a call in a plain thread, so that all are told.
        """
        with _CHANGING:
            self._told.append(tell)
            if len(self._told) == 1:
                self._others = frozenset(each.ident or 0 for each in threading.enumerate())
                for each in self._predictors:
                    each.callbacks = [*each.callbacks, self]
        try:
            yield
        finally:
            with _CHANGING:
                self._told.remove(tell)
                if not self._told:
                    for each in self._predictors:
                        each.callbacks = [other for other in each.callbacks if other is not self]

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Is called by DSPy with every call of a predictor."""
        told = tuple(self._told)
        if not told or isinstance(setting("adapter"), _Answering) or self._is_anothers():
            return
        error = ProgramError(
            "forward() calls a predictor where nobody can answer for it",
            expected="calls with the settings of DSPy that forward() is run with",
            found="a plain thread, or dspy.context(adapter=...)",
            fix="Use dspy.Parallel, or start threads in contextvars.copy_context(), and set no adapter",
        )
        for tell in told:
            tell(error)
        raise Unseen(str(error))

    def _is_anothers(self) -> bool:
        if _within.get():
            return False
        thread = threading.current_thread()
        return is_answered() or thread.ident in self._others or thread.name.startswith(_OUR_THREADS)


def unreadable(error: BaseException | None) -> LMOutputError | None:
    """Returns the ``LMOutputError`` that an exception of the user's code comes from, if it does."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, LMOutputError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


class _Answering(dspy.ChatAdapter):
    """Stands where DSPy would write a prompt, ask a model and read its answer."""

    def __init__(self, answer: Answer, answer_async: AsyncAnswer) -> None:
        super().__init__(use_json_adapter_fallback=False)
        self._answer = answer
        self._answer_async = answer_async

    def __call__(self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any) -> list[dict[str, Any]]:
        try:
            return [self._answer(_call(lm, lm_kwargs, signature, demos, inputs))]
        except LMOutputError as error:
            _no_answer(error, signature)

    async def acall(self, lm: Any, lm_kwargs: Any, signature: Any, demos: Any, inputs: Any) -> list[dict[str, Any]]:
        try:
            return [await self._answer_async(_call(lm, lm_kwargs, signature, demos, inputs))]
        except LMOutputError as error:
            _no_answer(error, signature)


def _call(lm: Any, lm_kwargs: Any, signature: SignatureType, demos: Any, inputs: Any) -> PredictorCall:
    predictor = (dspy.settings.caller_modules or [None])[-1]
    if not isinstance(predictor, dspy.Predict):
        raise ProgramError("a model is asked by something that is no dspy.Predict", found=type(predictor).__name__)
    config = {name: value for name, value in lm_kwargs.items() if value is not None}
    sample = config.pop(_REPEAT, 0)
    changed = [name for name, value in config.items() if predictor.config.get(name) != value]
    changed += ["signature"] if signature is not predictor.signature else []
    changed += ["demos"] if demos is not predictor.demos else []
    changed += ["lm"] if lm is not (predictor.lm or _nobody()) else []
    if changed or type(sample) is not int:
        raise ProgramError(
            "forward() calls a predictor with settings of its own",
            expected=f"inputs, and at most config={{{_REPEAT!r}: a whole number}}",
            found=", ".join(changed) or f"{_REPEAT}={sample!r}",
            fix="Make a predictor with these settings in __init__; what prompts say is for the search to decide",
        )
    named = {name: inputs[name] for name in signature.input_fields if name in inputs}
    return PredictorCall(predictor, named, sample)


def _no_answer(error: LMOutputError, signature: SignatureType) -> NoReturn:
    raise AdapterParseError(
        adapter_name="ChatAdapter", signature=signature, lm_response=error.found, message=str(error)
    ) from error


class _Nobody:
    """The engine of a model that is never asked: predictors' calls do not get as far."""

    def complete(self, request: Any) -> NoReturn:
        raise LMConfigurationError(
            "forward() asks a model directly",
            expected="calls of the module's predictors",
            fix="Ask through a dspy.Predict that __init__ makes",
        )


@functools.cache
def _nobody() -> Any:
    return dspy.LM("fusionprog/predictors-only", engine=_Nobody(), cache=False)
