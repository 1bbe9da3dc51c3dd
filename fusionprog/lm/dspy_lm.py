"""The one file that knows DSPy's language models, and with ``dspy_settings`` what reads private names of DSPy.

DSPy moves this part of itself in 3.5; ``dspy`` is pinned below that.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import dspy
from dspy.clients.base_lm import BaseLM
from dspy.clients.call_result import usage_dict
from dspy.clients.engines.legacy_engine import AsyncLegacyEngine, LegacyEngine
from dspy.clients.engines.litellm_engine import AsyncLiteLLMEngine, LiteLLMEngine
from dspy.clients.engines.lm15_engine import AsyncLM15Engine
from dspy.clients.errors import wrap_error
from dspy.clients.execution import _engine, aexecute, execute, finalize, prepare
from dspy.lm15 import LM15Error, Response
from dspy.lm15 import Message as LM15Message
from dspy.utils.callback import with_callbacks

from fusionprog._internal.canonical import jsonable
from fusionprog._internal.threads import Threads
from fusionprog.errors import LMConfigurationError, LMError
from fusionprog.lm.dspy_answers import Answer, read_response, read_result
from fusionprog.lm.dspy_errors import cleaned, explained, meaning, raised_by_engine, shown
from fusionprog.lm.dspy_parameters import answer_limit, price_with
from fusionprog.lm.dspy_requests import ending_with, like
from fusionprog.lm.dspy_settings import somebody_listens
from fusionprog.lm.dspy_usage import Reported, reported
from fusionprog.lm.model import Completion, Message, Messages
from fusionprog.lm.price import Price
from fusionprog.lm.prices import max_output_tokens
from fusionprog.lm.redaction import public, redact

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

_NO_PARAMETERS = {"n", "timeout", "prompt_cache"}  # answers do not depend on them
_NAMED: dict[int, tuple[Any, str]] = {}  # holds the engines, so that none is given the id of a former one
_ROUTES = 512  # prompts whose beginnings are kept ready
_THREADS = Threads(256, "fusionprog-lm")


class DSPyModel:
    """A ``dspy.LM`` as a language model: its own engine, parameters and callbacks; one attempt a call.

    Args:
        lm: The model. DSPy's response cache, history and retries are passed by; the store and the client take their
            place.
        name: What an engine without a state of its own is known by in the store.

    Attributes:
        lm: The model as it was given.
    """

    free = False

    def __init__(self, lm: BaseLM, name: str | None = None) -> None:
        self.lm = lm
        self._answering = answering = lm if _answers_itself(lm) else lm._engine_spec
        self._lm = _with_engine(lm) if answering is lm else _without_retries(lm)
        self._parameters = lm.kwargs
        self._callbacks = lm.callbacks
        self._options = {"cache": False} if lm.kwargs.get("n") in (None, 1) else {"cache": False, "n": 1}
        self._routes: dict[tuple[Any, ...], tuple[tuple[Message, ...], _Route]] = {}
        self._alike: dict[tuple[Any, ...], _Route] = {}  # by the roles of messages
        self.name: str = name or lm.model
        self.custom = not isinstance(answering, str)
        self.persistent = not self.custom or name is not None or _has_state(answering)
        self.identity: Mapping[str, Any] = _identity(lm, answering, name)

    @functools.cached_property
    def usd_per_token(self) -> Price | None:
        """What tokens cost; unknown for a custom engine."""
        return None if self.custom else price_with(self._lm.kwargs, self._lm.model)

    @property
    def max_output_tokens(self) -> int | None:
        """Tokens that an answer can have at most: the LM's own limit, else what its model is known to give."""
        limit = answer_limit(self._lm.kwargs, self._lm.model)
        return max_output_tokens(self._lm.model) if limit is None and not self.custom else limit

    async def complete(self, messages: Messages) -> Completion:
        """Returns one answer, after one attempt.

        Raises:
            LMError: if there is none; the class says why, and the provider's own words are in it.
        """
        route = None
        try:
            text = messages[-1]["content"]
            if not text.isascii():
                text.encode()  # half of a surrogate pair cannot be sent
            route = self._route(messages)
            if route.complete is None or self._callbacks or somebody_listens():
                return await self._ask_with_dspy(messages, route)
            return await self._ask_directly(messages, route, text)
        except Exception as error:
            failure = error
        # Raised outside of the handler: the failure, which may show a secret, is then no context of the error.
        try:
            settled, cause = self._settled(failure, route)
            if isinstance(settled, Completion):
                return settled
            raise settled from cause
        finally:
            del failure

    async def _ask_directly(self, messages: Messages, route: _Route, text: str) -> Completion:
        """Asks the LM's own engine, without DSPy's bookkeeping per call: most of what a call costs in Python."""
        ask = route.complete
        assert ask is not None
        if route.request is None:
            body = route.body(text)
            heard = _hear(body)
            result = await (ask(body) if route.asynchronous else _THREADS.run(ask, body))
            return self._priced(messages, read_result(result, self.name, heard=heard), reported(result.usage))
        request = ending_with(text, route.request)
        response = await (ask(request) if route.asynchronous else _THREADS.run(ask, request))
        if not isinstance(response, Response):
            raise TypeError(f"an engine must return a dspy.lm15.Response, and returned {type(response).__name__}")
        answer = read_response(response, self.name)
        if route.counts_plainly:
            used = response.usage
            kinds = used.cache_read_tokens, used.cache_write_tokens, used.reasoning_tokens
            return self._priced(messages, answer, Reported(used.input_tokens, used.output_tokens, *kinds))
        return self._priced(messages, answer, reported(usage_dict(response, route.provider)))

    async def _ask_with_dspy(self, messages: Messages, route: _Route) -> Completion:
        """Asks as DSPy does, where somebody listens to calls or the engine is of the old form."""
        results: list[Any] = []
        heard: list[str] | None = None

        def prepared(lm: dspy.LM, messages: Any, kwargs: dict[str, Any]) -> Any:
            nonlocal heard
            call = prepare(lm, None, messages, kwargs, asynchronous=route.asynchronous)
            heard = _hear(call.legacy) if route.litellm else None
            return call

        # Callbacks are told the parameters by name, so these are the names of dspy.LM's own methods.
        @with_callbacks  # type: ignore[untyped-decorator]
        async def acall(self: dspy.LM, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
            call = prepared(self, messages, kwargs)
            results.append(await aexecute(self, call))
            return finalize(self, call, results[-1])

        @with_callbacks  # type: ignore[untyped-decorator]
        def call(self: dspy.LM, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
            call = prepared(self, messages, kwargs)
            results.append(execute(self, call))
            return finalize(self, call, results[-1])

        asked = [dict(message) for message in messages]
        with dspy.context(disable_history=True):
            if route.asynchronous:
                await acall(self._lm, messages=asked, **self._options)
            else:
                await _THREADS.run(lambda _: call(self._lm, messages=asked, **self._options), None)
        streamed = dspy.settings.send_stream is not None
        answer = read_result(results[-1], self.name, heard=heard, streamed=streamed)
        return self._priced(messages, answer, reported(results[-1].usage))

    def _priced(self, messages: Messages, answer: Answer, used: Reported) -> Completion:
        (text, finish), price = answer, self.usd_per_token
        if price is None and used.read is not None and used.written is not None:
            return Completion(text, used.read, used.written, None, finish)
        usage = used.usage(messages, text)
        if price is None:
            return Completion(text, usage.read, usage.written, None, finish)
        usd = price.most(usage.read, usage.written)
        return Completion(text, usage.read, usage.written, usd, finish, paid_usd=price.paid(usage))

    def _route(self, messages: Messages) -> _Route:
        """The engine for messages that begin like these, and a request to it with all but the last of them."""
        loop = asyncio.get_running_loop()
        key = (loop, *map(id, messages[:-1]))
        found = self._routes.get(key)
        if found is None or found[1].closed:
            if len(self._routes) >= _ROUTES:
                self._routes.pop(next(iter(self._routes)))
            found = self._routes[key] = tuple(messages[:-1]), self._new_route(loop, messages)
        return found[1]

    def _new_route(self, loop: asyncio.AbstractEventLoop, messages: Messages) -> _Route:
        """The same for a beginning that is new; DSPy is asked once for all messages of the same roles."""
        key = (loop, *(message["role"] for message in messages))
        known = self._alike.get(key)
        if known is not None and not known.closed and all(message["content"] for message in messages[:-1]):
            for message in messages[:-1]:
                message["content"].encode()  # half of a surrogate pair cannot be sent
            return known.to(messages)
        found = self._find_route(messages)
        if found.to(messages) == found:
            if len(self._alike) >= _ROUTES:
                self._alike.clear()
            self._alike[key] = found
        return found

    def _find_route(self, messages: Messages) -> _Route:
        lm, last = self._lm, dict(messages[-1])
        asynchronous = isinstance(lm._engine_spec, str) or lm._async_engine_spec is not None
        asked = [dict(message) for message in messages]
        call = prepare(lm, None, asked, self._options, asynchronous=asynchronous)
        engine, request, provider = _engine(lm, call, asynchronous)
        litellm = request is None and isinstance(engine, (AsyncLiteLLMEngine, LiteLLMEngine))
        complete = None
        if request is not None and request.messages[-1] == LM15Message.user(last["content"]):
            target = engine
            if isinstance(engine, AsyncLM15Engine):
                target, request = engine._target(request)
            complete = target.complete
        elif litellm and call.legacy["messages"][-1] == last:
            complete = functools.partial(engine.complete_legacy, lm)
        return _Route(engine, request, call.legacy, provider, asynchronous, litellm, complete)

    def _settled(self, error: Exception, route: _Route | None) -> tuple[Completion | LMError, BaseException | None]:
        """What a failure is: an answer's end, or an error and what may be shown as its cause."""
        if route is not None or isinstance(error, LM15Error):
            wrapped = wrap_error(error, model=self._lm.model, provider=None if route is None else route.provider)
            if wrapped is not error:
                wrapped.__cause__ = error
            error = wrapped
        words = shown(error)
        secret = self._clean(words) != words
        raised = raised_by_engine(error)
        if isinstance(raised, LMError):  # of an engine that knows this package, or of a reader
            return (cleaned(raised, self._clean), None) if secret else (raised, raised.__cause__)
        kind = meaning(error)
        if isinstance(kind, str):
            return Completion("", 0, 0, None if self.usd_per_token is None else 0.0, kind), None
        if route is None and isinstance(error, (TypeError, ValueError, ImportError)):
            kind = LMConfigurationError
        provider = "" if self.custom else self._lm._provider_name
        return explained(kind, error, self.name, provider, self._clean), None if secret else raised

    def _clean(self, text: str) -> str:
        own = getattr(self._answering, "__dict__", {})
        return redact(text, self._parameters, own, os.environ)


@dataclass(frozen=True, slots=True)
class _Route:
    """How messages with one beginning reach an engine.

    Attributes:
        engine: The engine.
        request: What it is asked, in canonical form; ``None`` where it takes the form of OpenAI's client.
        legacy: The same in that form.
        provider: Whose usage it reports.
        asynchronous: Whether it is awaited.
        litellm: Whether LiteLLM's client answers, in the form of OpenAI's.
        complete: Asks it directly; ``None`` where only DSPy's own way works.
    """

    engine: Any
    request: Any
    legacy: dict[str, Any]
    provider: str | None
    asynchronous: bool
    litellm: bool
    complete: Callable[[Any], Any] | None

    @property
    def closed(self) -> bool:
        """Whether its engine, one that DSPy owns, was closed."""
        return type(self.engine) is AsyncLM15Engine and bool(self.engine._closed)

    def to(self, messages: Messages) -> _Route:
        """Returns the same way for other messages of the same roles."""
        request = None if self.request is None else like(self.request, messages)
        return replace(self, request=request, legacy=self.legacy | {"messages": [dict(each) for each in messages]})

    @property
    def counts_plainly(self) -> bool:
        """Whether the provider counts tokens as OpenAI does."""
        return self.provider is None or self.provider.startswith("openai")

    def body(self, text: str) -> dict[str, Any]:
        """Returns the request in the form of OpenAI's client; the engine may change it."""
        messages = [dict(message) for message in self.legacy["messages"][:-1]]
        own = {
            name: copy.deepcopy(value) if type(value) in (dict, list) else value for name, value in self.legacy.items()
        }
        return own | {"messages": [*messages, {"role": "user", "content": text}]}


def _hear(body: dict[str, Any]) -> list[str]:
    """Lets LiteLLM say what the provider sent: its own answer gives every choice a reason why it ended."""
    heard: list[str] = []
    others = body.get("logger_fn")

    def hear(details: dict[str, Any]) -> None:
        if isinstance(sent := details.get("original_response"), str):
            heard.append(sent)
        if others is not None:
            others(details)

    body["logger_fn"] = hear
    return heard


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
    if isinstance(lm, dspy.LM):  # its ``forward`` may end in DSPy's own
        lm = _without_retries(lm)
    return dspy.LM(
        lm.model,
        engine=LegacyEngine(lm, _implicit=True),
        async_engine=AsyncLegacyEngine(lm, _implicit=True) if only_async else None,
        cache=False,
        num_retries=0,
        callbacks=lm.callbacks,
    )


def _without_retries(lm: BaseLM) -> BaseLM:
    """A copy that shares the LM's engines, and makes one attempt."""
    single = lm.copy(num_retries=0)
    single.callbacks = lm.callbacks
    single._check_truncation = lambda results: None  # it would log every answer that reached max_tokens
    return single


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
