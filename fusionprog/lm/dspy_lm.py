"""The one file that knows DSPy's language models.

DSPy moves this part of itself in 3.5; ``dspy`` is pinned below that, and private names of it are read here only.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.base_lm import BaseLM
from dspy.clients.call_result import legacy_output, usage_dict
from dspy.clients.engines.legacy_engine import AsyncLegacyEngine, LegacyEngine
from dspy.clients.errors import error_boundary
from dspy.clients.execution import _engine, prepare
from dspy.lm15 import Message as LM15Message
from dspy.lm15 import registered_providers
from dspy.utils.exceptions import (
    LMAuthError,
    LMUnsupportedFeatureError,
    LMUnsupportedModelError,
    is_retryable_lm_error,
)
from dspy.utils.exceptions import LMConfigurationError as DSPyConfigurationError
from dspy.utils.exceptions import LMError as DSPyLMError

from fusionprog._internal.canonical import jsonable
from fusionprog.errors import LMConfigurationError, LMError
from fusionprog.lm.model import Completion, Message, Messages, approximate_tokens
from fusionprog.lm.prices import known_provider, max_output_tokens, missing_keys, usd_per_token
from fusionprog.lm.redaction import public, redact

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

_NO_PARAMETERS = {"n", "timeout", "prompt_cache"}  # answers do not depend on them
_NAMED: dict[int, tuple[Any, str]] = {}  # holds the engines, so that none is given the id of a former one
_ROUTES = 512  # prompts whose beginnings are kept ready
# Engines without an async side block a thread each; asyncio's own pool has few where there are few processors.
_THREADS = ThreadPoolExecutor(256, thread_name_prefix="fusionprog-lm")


class DSPyModel:
    """A ``dspy.LM`` as a language model: its own engine, parameters, retries and callbacks.

    Args:
        lm: The model. DSPy's response cache and history are passed by; the store takes their place.
        name: What an engine without a state of its own is known by in the store.
    """

    free = False

    def __init__(self, lm: BaseLM, name: str | None = None) -> None:
        answering = lm if _answers_itself(lm) else lm._engine_spec
        self._lm = _with_engine(lm) if answering is lm else lm
        self._parameters = lm.kwargs
        self._routes: dict[tuple[Any, ...], tuple[tuple[Message, ...], _Route | None]] = {}
        self.name: str = name or lm.model
        self.custom = not isinstance(answering, str)
        self.persistent = not self.custom or name is not None or _has_state(answering)
        self.identity: Mapping[str, Any] = _identity(lm, answering, name)

    @property
    def usd_per_token(self) -> tuple[float, float] | None:
        """Dollars per input and output token; unknown for a custom engine."""
        return None if self.custom else usd_per_token(self._lm.model)

    @property
    def max_output_tokens(self) -> int | None:
        """Tokens that an answer can have at most: the LM's own limit, else what its model is known to give."""
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            if isinstance(limit := self._lm.kwargs.get(name), int):
                return limit
        return None if self.custom else max_output_tokens(self._lm.model)

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer.

        Raises:
            LMError: if DSPy's client gave up; the provider's own words are in it.
        """
        try:
            return await self._ask_directly(messages) or await self._ask([dict(message) for message in messages])
        except (LMAuthError, LMUnsupportedModelError, LMUnsupportedFeatureError, DSPyConfigurationError) as error:
            problem = f"the model {self.name!r} cannot be used"
            fix = "Check its key, its name and its parameters"
            raise self._told(LMConfigurationError, problem, error, fix) from self._cause(error)
        except DSPyLMError as error:
            raise self._told(LMError, f"the model {self.name!r} gave no answer", error) from self._cause(error)
        except LookupError as error:  # LiteLLM's client looks into answers that have no choices
            raise self._told(LMError, f"the model {self.name!r} gave no answer", error) from self._cause(error)
        except (TypeError, ValueError, ImportError) as error:
            problem = f"the model {self.name!r} could not be asked"
            raise self._told(LMConfigurationError, problem, error) from self._cause(error)

    async def _ask_directly(self, messages: Messages) -> Completion | None:
        """Asks the LM's own engine once, without DSPy's bookkeeping per call: most of what a call costs in Python.

        ``None`` sends the call the long way: where the engine takes no canonical requests, where somebody listens to
        calls, and after a failure that may pass, as the long way retries.
        """
        lm, settings = self._lm, dspy.settings
        if lm.callbacks or settings.callbacks or settings.usage_tracker or settings.send_stream:
            return None
        route = self._route(messages)
        if route is None:
            return None
        question = LM15Message.user(messages[-1]["content"])
        request = replace(route.request, messages=(*route.request.messages[:-1], question))
        try:
            with error_boundary(lm.model, provider=route.provider, unexpected=True):
                response = await route.engine.complete(request)
        except DSPyLMError as error:
            if is_retryable_lm_error(error):
                return None
            raise
        usage = usage_dict(response, route.provider)
        # DSPy's native client reads an answer without choices as an empty text.
        empty = (response.provider_data or {}).get("choices") == []
        text = self._said(None if empty else legacy_output(response)["text"])
        return self._priced(messages, text, usage.get("prompt_tokens"), usage.get("completion_tokens"))

    def _route(self, messages: Messages) -> _Route | None:
        """The engine for messages that begin like these, and a request to it with all but the last of them."""
        key = (asyncio.get_running_loop(), *(id(message) for message in messages[:-1]))
        if key not in self._routes:
            if len(self._routes) >= _ROUTES:
                self._routes.pop(next(iter(self._routes)))
            self._routes[key] = tuple(messages[:-1]), self._find_route(messages)
        return self._routes[key][1]

    def _find_route(self, messages: Messages) -> _Route | None:
        lm = self._lm
        if lm.kwargs.get("n") not in (None, 1) or (
            not isinstance(lm._engine_spec, str) and lm._async_engine_spec is None
        ):
            return None
        call = prepare(lm, None, [dict(message) for message in messages], {"cache": False}, asynchronous=True)
        engine, request, provider = _engine(lm, call, True)
        if request is None or not call.managed or request.messages[-1] != LM15Message.user(messages[-1]["content"]):
            return None
        return _Route(engine, request, provider)

    async def _ask(self, messages: list[dict[str, str]]) -> Completion:
        lm, options = self._lm, {} if self._lm.kwargs.get("n") in (None, 1) else {"n": 1}
        usage = _Usage(dspy.settings.usage_tracker)
        # The mark says that the messages come from an adapter: what DSPy's own adapters do until 3.5.
        with dspy.context(disable_history=True, usage_tracker=usage), adapter_message_call(lm, messages):
            if isinstance(lm._engine_spec, str) or lm._async_engine_spec is not None:
                answers = await lm.acall(messages=messages, cache=False, **options)
            else:
                ask = functools.partial(lm, messages=messages, cache=False, **options)
                context = contextvars.copy_context()
                answers = await asyncio.get_running_loop().run_in_executor(_THREADS, context.run, ask)
        first = answers[0] if answers else None
        text = self._said(first["text"] if isinstance(first, dict) else first)
        return self._completion(messages, text, usage)

    def _said(self, text: str | None) -> str:
        """The answer's text. No text at all is no answer: it must not be stored and scored as one."""
        if text is None:
            raise LMError(f"the model {self.name!r} gave no answer", found="an answer without text")
        return text

    def _completion(self, messages: Messages, text: str, usage: _Usage) -> Completion:
        return self._priced(messages, text, *usage.tokens)

    def _priced(self, messages: Messages, text: str, read: int | None, written: int | None) -> Completion:
        read = sum(approximate_tokens(message["content"]) for message in messages) if read is None else read
        written = approximate_tokens(text) if written is None else written
        price = self.usd_per_token
        return Completion(text, read, written, None if price is None else read * price[0] + written * price[1])

    def _told(self, kind: type[LMError], problem: str, error: Exception, fix: str = "") -> LMError:
        said = str(getattr(error, "message", "") or error) or type(error).__name__
        words, _, _ = " ".join(said.split()).partition(" To fix: ")  # advice that DSPy's native client adds
        return kind(problem, found=self._without_secrets(words)[:500].rstrip("."), fix=fix)

    def _cause(self, error: Exception) -> Exception | None:
        """The error itself, unless a traceback that shows it would show a secret."""
        return error if self._without_secrets(str(error)) == str(error) else None

    def _without_secrets(self, text: str) -> str:
        return redact(text, self._parameters, os.environ)


@dataclass(frozen=True, slots=True)
class _Route:
    engine: Any
    request: Any
    provider: str | None


class _Usage:
    """Takes the tokens that DSPy reports for one call, and hands them on to the user's own tracker."""

    def __init__(self, outer: Any) -> None:
        self._outer = outer
        self._reports: list[Mapping[str, Any]] = []

    def add_usage(self, model: str, usage: Mapping[str, Any]) -> None:
        """Is called by DSPy once per answer."""
        self._reports.append(usage)
        if self._outer is not None:
            self._outer.add_usage(model, usage)

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Tokens read and written; ``None`` where the provider does not say."""
        report = self._reports[-1] if self._reports else {}
        return report.get("prompt_tokens"), report.get("completion_tokens")


def _answers_itself(lm: BaseLM) -> bool:
    """Whether a subclass answers with a ``forward`` of its own, the form that DSPy 3.5 removes."""
    if not hasattr(lm, "_engine_spec"):
        return True
    return isinstance(lm, dspy.LM) and bool(_own_methods(lm))


def _own_methods(lm: BaseLM) -> set[str]:
    base = dspy.LM if isinstance(lm, dspy.LM) else BaseLM
    names = ("forward", "aforward")
    return {name for name in names if name in vars(lm) or getattr(type(lm), name) is not getattr(base, name)}


def _with_engine(lm: BaseLM) -> dspy.LM:
    only_async = _own_methods(lm) == {"aforward"}
    return dspy.LM(
        lm.model,
        engine=LegacyEngine(lm, _implicit=True),
        async_engine=AsyncLegacyEngine(lm, _implicit=True) if only_async else None,
        cache=False,
        num_retries=0,
        callbacks=lm.callbacks,
    )


def _has_state(answering: Any) -> bool:
    """Whether it can say what it is; the state that every ``BaseLM`` has does not tell subclasses' answers apart."""
    dump = getattr(type(answering), "dump_state", None)
    return dump is not None and dump not in (BaseLM.dump_state, dspy.LM.dump_state)


def _identity(lm: BaseLM, answering: Any, name: str | None) -> dict[str, Any]:
    identity: dict[str, Any] = {
        "model": lm.model,
        "type": lm.model_type,
        "parameters": {
            key: value for key, value in lm.kwargs.items() if key not in _NO_PARAMETERS and value is not None
        },
    }
    if not isinstance(answering, str):
        state = answering.dump_state() if _has_state(answering) else name or _process_name(answering)
        identity["engine"] = [f"{type(answering).__module__}.{type(answering).__qualname__}", state]
    else:
        if answering != "auto":
            identity["engine"] = answering
        if (endpoint := _endpoint(lm)) is not None:
            identity["endpoint"] = endpoint
    return dict(public(jsonable(identity)))


def _endpoint(lm: dspy.LM) -> str | None:
    """Where the model is reached, where neither its name nor its parameters say it."""
    if lm.kwargs.get("api_base") or lm.kwargs.get("base_url"):
        return None
    provider = lm.model.partition("/")[0] if "/" in lm.model else "openai"
    for each in lm._providers:
        if provider in (each.definition.id, *each.definition.aliases):
            return str(each.definition.access.base_url)
    names = (f"{provider.upper()}_API_BASE", f"{provider.upper()}_BASE_URL")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _process_name(answering: Any) -> str:
    """Names an engine that nothing describes: its answers are known to this process only."""
    return _NAMED.setdefault(id(answering), (answering, f"process {uuid.uuid4().hex}"))[1]


def litellm_model(name: str) -> DSPyModel:
    """Returns the model that LiteLLM knows as ``name`` (``"openai/gpt-4o-mini"``).

    Raises:
        LMConfigurationError: if the name has no provider that is known, or the provider's key is not set.
    """
    provider, _, model = name.partition("/")
    if not provider or not model:
        raise LMConfigurationError(
            f"{name!r} names no model",
            expected="a LiteLLM name with its provider ('openai/gpt-4o-mini'), or 'offline'",
        )
    declared = any(provider in (each.id, *each.aliases) for each in (one.definition for one in registered_providers()))
    if not declared and not known_provider(name):
        raise LMConfigurationError(
            f"the model {name!r} has a provider that nobody knows",
            found=provider,
            fix="See https://docs.litellm.ai/docs/providers for the names of providers",
        )
    if not declared and (missing := missing_keys(name)):
        raise LMConfigurationError(
            f"no key for the model {name!r}",
            fix=f"Set {missing}, or use lm='offline' to try without one",
        )
    return DSPyModel(dspy.LM(name, cache=False))


def configured_lm() -> BaseLM | None:
    """Returns the model of ``dspy.configure(lm=...)``, if there is one."""
    lm = dspy.settings.lm
    return lm if isinstance(lm, BaseLM) else None


def as_model(lm: Any) -> DSPyModel | None:
    """Returns a ``dspy.LM`` (or a subclass of its base) as a model, or ``None`` for anything else."""
    return DSPyModel(lm) if isinstance(lm, BaseLM) else None


def recorded_model(identity: Mapping[str, Any]) -> DSPyModel | None:
    """Returns the model that ``DSPyModel.identity`` describes, or ``None`` if only its author's code can make it."""
    engine = identity.get("engine", "auto")
    if not isinstance(engine, str) or not {"model", "type", "parameters"} <= set(identity):
        return None
    lm = dspy.LM(str(identity["model"]), model_type=identity["type"], engine=engine, cache=False)
    lm.kwargs.update(identity["parameters"])
    return DSPyModel(lm)
