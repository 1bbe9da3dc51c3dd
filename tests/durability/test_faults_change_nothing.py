"""Three answers of ten go wrong at 32 slots, in every way that is tried again: the artifact stays the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.testing import Fault, Faults, LMServer, Outcome
from tests.durability import in_process
from tests.durability.answers import answer

RETRIED = ("rate_limited", "server_error", "overloaded", "hang", "cut", "malformed", "empty_choices", "unfinished")
LATENCY, JITTER = 0.002, 0.004


@pytest.fixture(scope="module")
def server() -> Iterator[LMServer]:
    with LMServer(answer) as server:
        yield server


def compiled(server: LMServer, folder: Path, faults: Faults) -> bytes:
    """Compiles with a new store and returns the artifact."""
    server.reset()
    server.faults = faults
    limits = fp.Limits(timeout=1.2 if faults.hang else 10.0, retries=6, backoff=0.01)
    program = in_process.compiled(server.url, folder, limits=limits, concurrency=32)
    program.save(folder / "desk.json")
    assert server.wait_until_idle(10)
    return (folder / "desk.json").read_bytes()


@pytest.fixture(scope="module")
def faultless(server: LMServer, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(server, tmp_path_factory.mktemp("faultless"), Faults(latency=LATENCY, jitter=JITTER))


def shares(kinds: tuple[str, ...], total: float = 0.3) -> dict[str, Any]:
    return {kind: total / len(kinds) for kind in kinds}


def check_nothing_changed(server: LMServer, artifact: bytes, faultless: bytes, kinds: tuple[str, ...]) -> None:
    assert artifact == faultless
    assert server.counts[Outcome.OK] == server.distinct  # each content was answered
    assert server.repeated_after_success == ()  # and none after that again
    assert all(server.counts[kind] > 0 for kind in kinds)
    assert sum(server.counts[kind] for kind in Fault) > 0.2 * server.distinct


@pytest.mark.parametrize("retry_after", [None, 0.02], ids=["no advice", "Retry-After"])
def test_all_kinds_at_once(server: LMServer, faultless: bytes, tmp_path: Path, retry_after: float | None) -> None:
    faults = Faults(latency=LATENCY, jitter=JITTER, retry_after=retry_after, at_most=3, **shares(RETRIED))
    check_nothing_changed(server, compiled(server, tmp_path, faults), faultless, RETRIED)


@pytest.mark.parametrize("kind", RETRIED)
def test_one_kind(server: LMServer, faultless: bytes, tmp_path: Path, kind: str) -> None:
    faults = Faults(latency=LATENCY, jitter=JITTER, at_most=3, **shares((kind,)))
    check_nothing_changed(server, compiled(server, tmp_path, faults), faultless, (kind,))


@pytest.mark.parametrize("seed", range(3))
def test_other_draws(server: LMServer, faultless: bytes, tmp_path: Path, seed: int) -> None:
    faults = Faults(latency=LATENCY, jitter=JITTER, at_most=4, seed=seed + 1, **shares(RETRIED, 0.5))
    check_nothing_changed(server, compiled(server, tmp_path, faults), faultless, RETRIED)


def test_no_fault_is_noticed_by_the_user(server: LMServer, faultless: bytes, tmp_path: Path) -> None:
    """A fault that passes is no warning: a compile of thousands of calls would drown in them."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        compiled(server, tmp_path, Faults(latency=LATENCY, **shares(RETRIED)))
    assert seen == []
