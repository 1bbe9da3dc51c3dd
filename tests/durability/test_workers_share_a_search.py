"""Three workers on one PostgreSQL database are one search, also if one of them dies or the database restarts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from fusionprog.testing import Faults
from tests.durability.kills import Kill
from tests.durability.scene import SLOTS, Scene, Whole
from tests.durability.workers import WORKERS, check_kept, kill_one_worker


def test_workers_ask_each_thing_once(scene: Scene, whole: Whole, postgres: str, tmp_path: Path) -> None:
    workers = [scene.start(tmp_path, "--storage", postgres, output=f"{number}.json") for number in range(WORKERS)]
    for number, worker in enumerate(workers):
        ended = worker.end(120)
        assert ended.code == 0, ended.err
        assert (tmp_path / f"{number}.json").read_bytes() == whole.artifact
    asked = scene.asked()
    assert asked.keys() == whole.contents and max(asked.values()) == 1
    check_kept(postgres, whole)


def test_workers_ask_at_once(scene: Scene, postgres: str, tmp_path: Path) -> None:
    """None of them claims what it has no slot for while the others wait."""
    scene.server.faults = Faults(latency=0.05)
    workers = [scene.start(tmp_path, "--storage", postgres, output=f"{number}.json") for number in range(WORKERS)]
    for worker in workers:
        ended = worker.end(120)
        assert ended.code == 0, ended.err
    assert scene.server.max_in_flight > 2 * SLOTS


@pytest.mark.parametrize("seed", range(6))
def test_one_worker_is_killed(scene: Scene, whole: Whole, postgres: str, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    kill = Kill(draw.randint(1, whole.calls - 1), draw.uniform(0, 0.02))
    kill_one_worker(scene, tmp_path, postgres, whole, seed % WORKERS, kill)


def test_a_worker_that_comes_late_asks_nothing(scene: Scene, whole: Whole, postgres: str, tmp_path: Path) -> None:
    assert scene.compile(tmp_path, "--storage", postgres, output="first.json").code == 0
    scene.forget()
    ended = scene.compile(tmp_path, "--storage", postgres, output="late.json")
    assert ended.code == 0, ended.err
    assert not scene.asked()
    assert (tmp_path / "late.json").read_bytes() == whole.artifact
    check_kept(postgres, whole)


def test_a_worker_that_joins_in_the_middle(scene: Scene, whole: Whole, postgres: str, tmp_path: Path) -> None:
    first = scene.start(tmp_path, "--storage", postgres, output="first.json")
    scene.wait(first, whole.calls // 3)
    joined = scene.start(tmp_path, "--storage", postgres, output="joined.json")
    for worker, name in ((first, "first.json"), (joined, "joined.json")):
        ended = worker.end()
        assert ended.code == 0, ended.err
        assert (tmp_path / name).read_bytes() == whole.artifact
    assert max(scene.asked().values()) == 1
    check_kept(postgres, whole)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_the_database_restarts(
    scene: Scene, whole: Whole, postgres: str, postgres_server: Any, tmp_path: Path, share: float
) -> None:
    """Claims die with their connections, so that two workers may then ask the same: what was in flight, no more."""
    workers = [scene.start(tmp_path, "--storage", postgres, output=f"{number}.json") for number in range(WORKERS)]
    for worker in workers:
        worker.wait_to_say("study")  # who finds no server at its very start ends at once
    scene.wait(workers[0], int(share * whole.calls))
    power_failure(postgres_server)
    for number, worker in enumerate(workers):
        ended = worker.end(120)
        assert ended.code == 0, ended.err
        assert (tmp_path / f"{number}.json").read_bytes() == whole.artifact
    asked = scene.asked()
    assert asked.keys() == whole.contents
    assert sum(asked.values()) - len(asked) <= WORKERS * SLOTS
    check_kept(postgres, whole)


def test_one_worker_alone_survives_a_restart(
    scene: Scene, whole: Whole, postgres: str, postgres_server: Any, tmp_path: Path
) -> None:
    worker = scene.start(tmp_path, "--storage", postgres)
    scene.wait(worker, whole.calls // 2)
    power_failure(postgres_server)
    ended = worker.end(120)
    assert ended.code == 0, ended.err
    assert (tmp_path / "desk.json").read_bytes() == whole.artifact
    asked = scene.asked()
    assert max(asked.values()) == 1  # what could not be written at once is kept in memory until it can
    check_kept(postgres, whole)


def test_all_workers_are_killed_and_one_goes_on(scene: Scene, whole: Whole, postgres: str, tmp_path: Path) -> None:
    workers = [scene.start(tmp_path, "--storage", postgres, output=f"{number}.json") for number in range(WORKERS)]
    scene.wait(workers[0], whole.calls // 2)
    for worker in workers:
        worker.kill()
    before = scene.asked()
    scene.forget()
    ended = scene.compile(tmp_path, "--storage", postgres, output="last.json")
    assert ended.code == 0, ended.err
    assert (tmp_path / "last.json").read_bytes() == whole.artifact
    assert len(before.keys() & scene.asked().keys()) <= WORKERS * SLOTS
    check_kept(postgres, whole)


def power_failure(server: Any) -> None:
    """Ends the database server without a warning, and starts it again."""
    if not server.own:
        pytest.skip("this server is not the tests' own, to be restarted")
    server.stop()
    server.start()
