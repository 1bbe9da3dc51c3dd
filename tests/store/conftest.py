"""Stores of every kind, and what tests put into them."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fusionprog.store.store import Store, StoredCall


class Hands:
    """What tests do with stores."""

    def __init__(self, postgres_server: Callable[[], Any]) -> None:
        self._server = postgres_server

    def key(self, name: Any) -> bytes:
        """The key of a name."""
        return hashlib.blake2b(str(name).encode(), digest_size=16).digest()

    def put(self, store: Store, name: Any, text: str = "answer", usd: float | None = None, **more: Any) -> StoredCall:
        """Puts a call under the key of a name."""
        call = StoredCall(text, 10, 3, usd)
        store.put_call(self.key(name), "model", "prompt", "é", 0, call, **more)
        return call

    def get(self, store: Store, name: Any, since: float = 0.0) -> StoredCall | None:
        """Finds a call; a claim that this takes is given up."""
        found = asyncio.run(store.find(self.key(name), since=since))
        if found is None:
            store.give_up(self.key(name))
        return found

    def score(self, example: str, value: float = 1.0) -> dict[str, Any]:
        """A row of scores."""
        return {"candidate": "c", "task": "shop", "example": example, "score": value, "status": "ok", "error": ""}

    def rows(self, place: str | Path, query: str) -> list[tuple[Any, ...]]:
        """Asks the database itself."""
        if "://" in str(place):
            found: list[tuple[Any, ...]] = self._server().run(query, database=str(place))
            return found
        connection = sqlite3.connect(place)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


@pytest.fixture
def hands(request: pytest.FixtureRequest) -> Hands:
    return Hands(lambda: request.getfixturevalue("postgres_server"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk.db"


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, path: Path) -> str:
    """A database that lasts."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres"))
    return str(path)


@pytest.fixture(params=["memory", "file", "postgres"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    """An open store of each kind."""
    places = {"memory": None, "file": path}
    at = request.getfixturevalue("postgres") if request.param == "postgres" else places[request.param]
    with Store(at) as made:
        yield made
