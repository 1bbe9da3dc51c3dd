"""Embedding models over real HTTP: one request for all, stored, retried, and every failure of the one tree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionprog.errors import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMContextError,
    LMError,
    LMIncompleteError,
    LMNotFoundError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)
from fusionprog.lm.client import LMClient
from fusionprog.lm.embedding_model import EmbeddingModel, ask_vectors, embedding_model
from fusionprog.lm.limits import Limits
from fusionprog.prompts.embedders import AskedModel, LiteLLM, Subject
from fusionprog.store.store import Store
from fusionprog.testing import Fault, LMServer, error

NAME = "openai/text-embedding-3-small"
TEXTS = ["my parcel is late", "my card is gone", "my parcel is late"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LMServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")
    with LMServer(lambda messages: "unused", embedding_size=8) as running:
        yield running


def ask(server: LMServer, texts: list[str] = TEXTS, *, store: Store | None = None, **limits: Any) -> Any:
    """The vectors of texts, and the client that asked."""

    async def go() -> Any:
        client = LMClient(store, limits={NAME: Limits(backoff=0.0, **limits)})
        vectors, calls = await ask_vectors(client, AskedModel(NAME, api_base=server.url), texts)
        return vectors, calls, client

    return asyncio.run(go())


def test_all_texts_are_one_request(server: LMServer) -> None:
    vectors, calls, _ = ask(server)
    assert len(server.requests) == len(calls) == 1
    assert vectors[0] == vectors[2] != vectors[1]
    assert {len(vector) for vector in vectors} == {8}
    (answer,) = calls.values()
    assert (answer.output_tokens, answer.usd) == (0, pytest.approx(answer.input_tokens * 2e-8))


def test_many_texts_are_few_requests_and_come_back_in_order(server: LMServer) -> None:
    texts = [f"number {place}" for place in range(130)]
    vectors, calls, _ = ask(server, texts)
    assert len(server.requests) == len(calls) == 3
    alone, _, _ = ask(server, texts[-1:])
    assert alone[0] == vectors[-1]


def test_a_stored_answer_is_not_asked_for_again(server: LMServer, tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        with Store(str(tmp_path / "kept.db")) as store:
            found.append(ask(server, store=store)[0])
    assert len(server.requests) == 1
    assert found[0] == found[1]


def test_dimensions_and_the_embedder_s_vectors(server: LMServer) -> None:
    embedder = LiteLLM(NAME, dimensions=16, api_base=server.url)
    assert "api_base" not in embedder.identity

    async def go() -> Any:
        return await ask_vectors(LMClient(None), embedder.needs, TEXTS)

    vectors, _ = asyncio.run(go())
    made = embedder.embed([Subject(text, measured=vector) for text, vector in zip(TEXTS, vectors, strict=True)])
    assert made.shape == (3, 16)
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT, Fault.EMPTY_CHOICES, Fault.MALFORMED, Fault.CUT])
def test_what_fails_now_is_asked_again(fault: Fault, server: LMServer) -> None:
    server.next(fault, retry_after=0.01)
    vectors, _, client = ask(server)
    assert (len(vectors), client.paid.calls, len(server.requests)) == (3, 1, 2)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (error(429, retry_after=0.01), LMRateLimitError),
        (error(500, retry_after=0.01), LMServerError),
        (Fault.EMPTY_CHOICES, LMIncompleteError),
        (Fault.CUT, LMTransportError),
        (Fault.MALFORMED, LMError),
        (error(401), LMAuthError),
        (error(404), LMNotFoundError),
        (error(402), LMBillingError),
        (error(400), LMContextError),
    ],
    ids=str,
)
def test_every_failure_is_of_the_tree(what: Any, kind: type[LMError], server: LMServer) -> None:
    server.next(what, times=None)
    with pytest.raises(kind, match="text-embedding-3-small"):
        ask(server, retries=0)


def test_a_provider_that_hangs_is_given_up(server: LMServer) -> None:
    server.next(Fault.HANG, times=None)
    with pytest.raises(LMTimeoutError):
        ask(server, retries=0, timeout=0.3)


def test_a_key_is_in_no_message(server: LMServer) -> None:
    server.next(error(401, message="Incorrect API key provided: sk-of-the-tests."), times=None)
    with pytest.raises(LMAuthError) as raised:
        ask(server)
    assert "sk-of-the-tests" not in str(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_what_cannot_be_asked_is_known_before() -> None:
    with pytest.raises(LMConfigurationError, match=r"no key for the embedding model.*OPENAI_API_KEY"):
        embedding_model(AskedModel(NAME))
    with pytest.raises(LMConfigurationError, match="a provider that nobody knows"):
        embedding_model(AskedModel("nobody/model"))


def test_credentials_of_an_address_are_not_in_the_identity() -> None:
    made = EmbeddingModel(AskedModel(NAME, api_base="https://user:secret-word@host/v1?api_key=secret-word"))
    assert "secret-word" not in str(made.identity)
