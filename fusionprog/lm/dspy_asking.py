"""What a function asks of models through DSPy, and a way to answer it that is not DSPy's own; public names only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import dspy
from dspy.utils.callback import BaseCallback

from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.lm.dspy_settings import Overriding, setting
from fusionprog.lm.model import LanguageModel, Messages

_REPEAT = "rollout_id"  # how DSPy asks for another answer to the same prompt
_ANSWERING = "fusionprog_answering"  # a setting of DSPy's, which it takes along into the threads that it starts


class Unseen(BaseException):
    """A function asks a model where nobody can answer for it; no plain exception, as functions catch those."""


class Answering(Protocol):
    """Answers what a function asks."""

    def wait(self, lm: Any, messages: Messages, parameters: Mapping[str, Any], samples: range) -> list[str]:
        """Returns an answer per sample; is called in a thread of the function.

        Args:
            lm: The ``dspy.LM``, or another language model.
            messages: What it is asked.
            parameters: What the call sets beside the model's own parameters.
            samples: Tell several answers to the same apart.
        """
        ...

    async def answer(self, lm: Any, messages: Messages, parameters: Mapping[str, Any], samples: range) -> list[str]:
        """Returns the same; is awaited by a function that is async."""
        ...

    def unseen(self, lm: Any) -> None:
        """Is told that a model is asked past it; that call is then not made."""
        ...


def answered_by(answering: Answering, lm: LanguageModel | None = None) -> Overriding:
    """Within it, what is asked through DSPy is answered by ``answering``; threads that DSPy starts are included.

    That is what its predictors ask, and ``dspy.settings.lm``. What asks an LM past both, by its own call or by an
    adapter of its own, ends in ``Unseen``.

    Args:
        answering: Answers.
        lm: What predictors ask that name no model, and what ``dspy.settings.lm`` is; as it was, if not given.
    """
    settings: dict[str, Any] = {
        _ANSWERING: answering,
        "adapter": _Watching(setting("adapter")),
        "callbacks": [*setting("callbacks"), _WATCH],
    }
    if lm is not None:
        settings["lm"] = _Face(lm)
    return Overriding(**settings)


def unanswered() -> Overriding:
    """Within it, inside of ``answered_by``, models are asked as if it were not: for who answers."""
    callbacks = [each for each in setting("callbacks") if each is not _WATCH]
    return Overriding(**{_ANSWERING: None, "callbacks": callbacks})


def is_answered() -> bool:
    """Whether somebody answers what is asked here."""
    return setting(_ANSWERING) is not None


class _Watch(BaseCallback):
    """Hears of every LM that DSPy is about to ask."""

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        answering = setting(_ANSWERING)
        if answering is not None:
            answering.unseen(instance)
            raise Unseen


_WATCH = _Watch()


class _Watching:
    """The user's own adapter, with models that somebody else answers for."""

    def __init__(self, adapter: Any) -> None:
        self._own: Any = adapter._own if isinstance(adapter, _Watching) else adapter

    @property
    def _adapter(self) -> Any:
        return self._own or dspy.ChatAdapter()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_own" not in vars(self):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._adapter, name)

    def __call__(self, lm: Any, **asked: Any) -> Any:
        return self._adapter(_faced(lm), **asked)

    async def acall(self, lm: Any, **asked: Any) -> Any:
        return await self._adapter.acall(_faced(lm), **asked)


def _faced(lm: Any) -> Any:
    asked_here = setting(_ANSWERING) is not None and isinstance(lm, dspy.BaseLM)
    return _Face(lm) if asked_here and not isinstance(lm, _Face) else lm


class _Face(dspy.BaseLM):
    """Stands in a model's place, and hands on what it is asked.

    Args:
        asked: The ``dspy.LM``, or another language model.
    """

    def __init__(self, asked: Any) -> None:
        self._asked: Any = asked.lm if isinstance(asked, DSPyModel) else asked
        self._own: Any = self._asked if isinstance(self._asked, dspy.BaseLM) else None
        super().__init__(asked.name if self._own is None else self._own.model, cache=False)
        self.kwargs = {} if self._own is None else dict(self._own.kwargs)

    @property
    def supports_function_calling(self) -> bool:
        return False  # an answer is a text

    @property
    def supports_response_schema(self) -> bool:
        return self._own is not None and bool(self._own.supports_response_schema)

    @property
    def supported_params(self) -> set[str]:
        return set() if self._own is None else set(self._own.supported_params)

    def copy(self, **kwargs: Any) -> _Face:
        return self if self._own is None else _Face(self._own.copy(**kwargs))

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> list[str]:
        return _answering().wait(self._asked, *_said(prompt, messages, kwargs))

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> list[str]:
        return await _answering().answer(self._asked, *_said(prompt, messages, kwargs))


def _answering() -> Answering:
    answering: Answering | None = setting(_ANSWERING)
    if answering is None:
        raise RuntimeError("a model is asked after the function that it was given to has returned")
    return answering


def _said(prompt: Any, messages: Any, kwargs: dict[str, Any]) -> tuple[Messages, dict[str, Any], range]:
    """Messages, parameters and samples of a call."""
    asked = messages if messages is not None else [{"role": "user", "content": prompt}]
    sample = kwargs.get(_REPEAT)
    first = sample if type(sample) is int else 0
    number = kwargs.get("n") or 1
    parameters = {
        name: value
        for name, value in kwargs.items()
        if name not in (_REPEAT, "n", "cache", "num_retries") and value is not None
    }
    return asked, parameters, range(first * number, (first + 1) * number)
