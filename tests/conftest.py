"""What all tests share: no network beyond this machine, and a small support desk."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import fusionprog as fp  # the environment must be set before DSPy is imported

settings.register_profile("untimed", deadline=None)  # tests time nothing
settings.load_profile("untimed")

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuses connections to other machines and models from the environment."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in _LOOPBACK:
            raise AssertionError(f"a test tried to connect to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.delenv("FUSIONPROG_LM", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield


@pytest.fixture(autouse=True)
def litellm_keeps_its_clients() -> None:
    """LiteLLM drops clients open once it has 200, or after ten minutes; the test that runs then would be blamed."""
    if "litellm" in sys.modules:
        cache = sys.modules["litellm"].in_memory_llm_clients_cache
        cache.max_size_in_memory, cache.default_ttl = 1_000_000, 1_000_000


class Triage(fp.Signature):
    """Decide which team should handle a customer's message."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: str = fp.OutputField()


class Reply(fp.Signature):
    """Answer the customer in two sentences."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    reply: str = fp.OutputField()


class SupportDesk(fp.Program):
    """Two nodes: triage feeds answer."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(Triage)
        self.answer = fp.modules.ChainOfThought(Reply)

    def forward(self, message: str) -> Any:
        """Triage, then answer."""
        team = self.triage(message=message).team
        reply = self.answer(message=message, team=team).reply
        return {"team": team, "reply": reply}


_WORDS = {
    "shop": {
        "delivery": ["parcel", "courier", "late", "doorstep"],
        "returns": ["refund", "exchange", "wrong size", "send back"],
        "billing": ["invoice", "voucher", "charged", "receipt"],
    },
    "bank": {
        "cards": ["plastic", "contactless", "cash machine", "pin"],
        "loans": ["mortgage", "repay", "borrow", "instalment"],
        "fraud": ["scam", "stolen", "stranger", "phishing"],
    },
}
_FRAMES = [
    "my {} again",
    "there is a {} thing",
    "please look at the {} now",
    "about a {} from monday",
    "the {} was odd",
]


def desk_rows(domain: str, split: str, per_label: int) -> list[dict[str, str]]:
    """Returns rows in which a hidden word of each label occurs; splits use other sentences."""
    rows = []
    offset = {"train": 0, "val": 1, "test": 2}[split]
    for label, words in _WORDS[domain].items():
        for index in range(per_label):
            frame = _FRAMES[(index + offset) % len(_FRAMES)]
            text = frame.format(words[index % len(words)])
            rows.append({"message": f"{text} ({split} {index})", "team": label})
    return rows


@pytest.fixture
def desk_program() -> fp.Program:
    """A program of two nodes."""
    return SupportDesk()


@pytest.fixture
def desk_tasks() -> list[fp.Task]:
    """Two tasks with different label sets, 24 train, 48 val and 24 test rows each."""
    return [
        fp.Task(
            name,
            domain=domain,
            description=f"Messages to a {name}.",
            labels={"triage.team": sorted(_WORDS[name])},
            train=desk_rows(name, "train", 8),
            val=desk_rows(name, "val", 16),
            test=desk_rows(name, "test", 8),
            metric=fp.metrics.exact_match("team"),
        )
        for name, domain in (("shop", "retail"), ("bank", "banking"))
    ]


def _postgres() -> Any:
    """The module beside this file; test modules have no package to import it from."""
    if "fusionprog_tests_postgres" not in sys.modules:
        path = Path(__file__).with_name("postgres.py")
        spec = importlib.util.spec_from_file_location("fusionprog_tests_postgres", path)
        assert spec is not None and spec.loader is not None
        module = sys.modules["fusionprog_tests_postgres"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["fusionprog_tests_postgres"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A real PostgreSQL server; without one the test is skipped, or fails where the environment says so."""
    postgres = _postgres()
    if not os.environ.get(postgres.URL) and postgres.binaries() is None:
        missing = f"no PostgreSQL: install Debian's postgresql, or set {postgres.URL}"
        if os.environ.get(postgres.REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    server = postgres.PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def postgres(postgres_server: Any) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop(url)
