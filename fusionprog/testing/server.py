"""An OpenAI-compatible server for tests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from fusionprog.testing.chat import completion, events, model_body, models_body
from fusionprog.testing.content import CHAT, EMBEDDINGS, MODELS, Content, read_content
from fusionprog.testing.embeddings import embeddings_body
from fusionprog.testing.exchange import Exchange
from fusionprog.testing.faults import HALVED, ErrorAnswer, Fault, Faults, error, half
from fusionprog.testing.http import Connection, HTTPRequest
from fusionprog.testing.listener import Listener
from fusionprog.testing.log import Counted, Outcome
from fusionprog.testing.scenario import Decision, Scenario
from fusionprog.testing.text import TextFunction, answer_of, as_completion, offline_text, prompt_text

_METHODS = {CHAT: "POST", EMBEDDINGS: "POST", MODELS: "GET"}
_FINISHES = {"refused": "content_filter"}  # as OpenAI calls it
_NO_JSON = b"<html><body>upstream connect error</body></html>"


class LMServer(Counted):
    """An OpenAI-compatible HTTP server on 127.0.0.1, in front of a text function.

    It serves ``POST /v1/chat/completions`` (also streamed), ``POST /v1/embeddings`` and ``GET /v1/models`` from a
    thread of its own, and counts everything. Use it with ``with`` or ``async with``, or call ``start`` and ``stop``.

    Args:
        text: Answers chat messages: a function (it may be async), or a ``Script``. A function that is not async runs
            on the server's one thread: to let many requests wait at once, set ``Faults(latency=...)`` or make it
            async. What it raises becomes status 500; the ``finish`` of a ``Completion`` becomes the finish reason,
            ``"context"`` status 400.
        faults: Latency and random faults; ``server.faults = ...`` changes them while the server runs.
        models: What ``GET /v1/models`` lists; requests may ask for any model.
        embedding_size: Numbers in an embedding where the request does not say, at least 1.
        port: Where to listen; 0 for any free port. It stays the same when the server is started again.
        grace: Seconds that requests in flight have for their end when the server stops.
        keep: How many of the last requests are kept in ``requests``; ``None`` for all.

    Example:
        >>> import json, urllib.request
        >>> with LMServer(lambda messages: "billing") as server:
        ...     body = b'{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
        ...     with urllib.request.urlopen(server.url + "/chat/completions", body) as answer:
        ...         print(json.load(answer)["choices"][0]["message"]["content"])
        billing
        >>> server.counts["ok"]
        1
    """

    def __init__(
        self,
        text: TextFunction,
        *,
        faults: Faults | None = None,
        models: Sequence[str] = ("test-model",),
        embedding_size: int = 64,
        port: int = 0,
        grace: float = 1.0,
        keep: int | None = None,
    ) -> None:
        super().__init__(keep)
        self._text = text
        self._models = tuple(models)
        self._embedding_size = embedding_size
        self._scenario = Scenario(faults or Faults())
        self._listener = Listener(self._handle, port, grace)

    @classmethod
    def offline(cls, reader: str = "offline", **options: Any) -> LMServer:
        """Returns a server in front of an embedded reader (see ``offline_text``), with options of ``LMServer``."""
        return cls(offline_text(reader), **options)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            RuntimeError: if the server has never been started and was given no port.
        """
        if not self._listener.port:
            raise RuntimeError("the server has no address before it is started; use it with 'with'")
        return "127.0.0.1", self._listener.port

    @property
    def url(self) -> str:
        """The base URL, with ``/v1``, as clients want it.

        Raises:
            RuntimeError: as ``address``.
        """
        return "http://{}:{}/v1".format(*self.address)

    @property
    def faults(self) -> Faults:
        """Latency and random faults."""
        return self._scenario.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._scenario.faults = faults

    def next(
        self,
        what: Fault | ErrorAnswer,
        *,
        times: int | None = 1,
        match: str | re.Pattern[str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Plans what the next request gets; plans are used up in order, before random faults are drawn.

        Args:
            what: A fault, or an ``error(...)``.
            times: How many requests get it, at least 1; ``None`` for all to come.
            match: Only requests get it in whose prompt this regular expression is found.
            retry_after: Seconds in the header ``Retry-After`` of ``RATE_LIMIT`` and ``OVERLOADED``.

        Raises:
            ValueError: if ``times`` is below 1.
        """
        self._scenario.plan(what, times=times, match=match, retry_after=retry_after)

    def reset(self) -> None:
        """Forgets all requests, their counts and repeats, and what is planned; latency and faults stay."""
        super().reset()
        self._scenario.clear()

    def start(self) -> None:
        """Starts the server, if it does not run; returns when clients can connect.

        Raises:
            OSError: if the port is taken.
        """
        self._listener.start()

    def stop(self) -> None:
        """Stops the server: requests in flight are answered within the grace time, or dropped."""
        self._listener.stop()

    def __enter__(self) -> LMServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> LMServer:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    async def _handle(self, request: HTTPRequest, connection: Connection) -> None:
        try:
            content, refusal = read_content(request) if request.method == "POST" else Content(request.path), None
        except ValueError as problem:
            content, refusal = Content(request.path), error(400, "invalid_request_error", str(problem))
        model = request.path.removeprefix(f"{MODELS}/")
        listed = model != request.path and request.method == "GET" and model in self._models
        if request.path not in _METHODS and not listed:
            refusal = error(404, "unknown_url", f"there is no {request.path}; there are {', '.join(_METHODS)}")
        elif not listed and request.method != _METHODS[request.path]:
            refusal = error(405, "method_not_allowed", f"{request.path} takes {_METHODS[request.path]}")
        exchange = Exchange(self._log, request, content, connection)
        try:
            if refusal is not None:
                exchange.refuse(refusal, Outcome.REFUSED)
            elif listed:
                exchange.send(model_body(model), Outcome.OK)
            elif request.path == MODELS:
                exchange.send(models_body(self._models), Outcome.OK)
            else:
                await self._answer(exchange, content)
        except asyncio.CancelledError:
            exchange.note(Outcome.ABANDONED)
            raise
        except BaseException as problem:
            # Recorded, and sent with the advice to try again at once: it will not get better by waiting.
            text = f"{type(problem).__name__}: {problem}"
            exchange.refuse(error(500, "test_failure", text, retry_after=0), Outcome.FAILED)

    async def _answer(self, exchange: Exchange, content: Content) -> None:
        decision = self._scenario.decide(content.key, exchange.arrival.repeat, lambda: prompt_text(content.messages))
        fault = decision.fault
        if decision.delay:
            await asyncio.sleep(decision.delay)
        if decision.error is not None:
            exchange.refuse(decision.error, fault or Outcome.ERROR)
        elif fault is Fault.HANG:
            exchange.note(fault)
            try:
                await self._listener.hang()
            finally:
                self._log.leave()
        elif fault is Fault.MALFORMED:
            exchange.send(_NO_JSON, fault)
        elif content.path == EMBEDDINGS:
            body = embeddings_body(content, self._embedding_size, empty=fault is Fault.EMPTY_CHOICES)
            exchange.send(body, Outcome.OK if fault is None or fault in HALVED else fault)
        else:
            await self._complete(exchange, content, decision)

    async def _complete(self, exchange: Exchange, content: Content, decision: Decision) -> None:
        fault, texts = decision.fault, []
        finish: str | None = "stop"
        if fault is not Fault.EMPTY_CHOICES:
            answers = [await answer_of(self._text, content.messages) for _ in range(content.choices)]
            said = [as_completion(answer, content.messages) for answer in answers]
            if said[0].finish == "context":
                exchange.refuse(error(400), Outcome.ERROR)
                return
            texts, finish = [each.text for each in said], _FINISHES.get(said[0].finish, said[0].finish)
        if fault is not None and fault in HALVED:
            finish, texts = HALVED[fault], [half(text) for text in texts]
        if content.parameters.get("stream"):
            pieces = events(content, texts, finish, exchange.name)
            await exchange.stream(pieces, fault or Outcome.OK, decision.token_latency)
        else:
            exchange.send(completion(content, texts, finish, exchange.name), fault or Outcome.OK)
