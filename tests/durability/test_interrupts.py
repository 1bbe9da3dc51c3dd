"""Ctrl-C in the middle of a compile: exit code 130, a word on stderr, and a store that continues."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest

from tests.durability.kept import committed, is_sound
from tests.durability.scene import SLOTS, Scene, Whole

MOMENTS = [0.0, 0.05, 0.3, 0.6, 0.9, 0.999]  # as a share of the calls; at 0 the command only starts


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_command_continues(scene: Scene, whole: Whole, tmp_path: Path, moment: float) -> None:
    interrupt(scene, whole, tmp_path, moment, times=1)


@pytest.mark.parametrize("moment", MOMENTS[1:-1])
def test_a_second_interrupt_spoils_nothing(scene: Scene, whole: Whole, tmp_path: Path, moment: float) -> None:
    interrupt(scene, whole, tmp_path, moment, times=2)


def test_an_interrupt_ends_the_wait_for_a_store_that_another_process_holds(
    scene: Scene, whole: Whole, tmp_path: Path
) -> None:
    """It would wait for 30 seconds; what was answered in that time is asked again at most."""
    command = scene.start(tmp_path)
    scene.wait(command, whole.calls // 2)
    other = sqlite3.connect(tmp_path / "desk.db", isolation_level=None)
    other.execute("begin immediate")
    scene.wait(command, 0, 0.3)
    command.send(signal.SIGINT)
    stopped = command.end(25)
    assert stopped.code == 130, stopped.err
    assert "may not be in the store: another process holds it" in stopped.err
    other.execute("rollback")
    other.close()

    before, kept = scene.asked(), committed(tmp_path / "desk.db")
    scene.forget()
    ended = scene.compile(tmp_path)
    assert ended.code == 0, ended.err
    asked = scene.asked()
    assert not kept.keys() & asked.keys() and len(before.keys() & asked.keys()) <= SLOTS
    assert (tmp_path / "desk.json").read_bytes() == whole.artifact


def interrupt(scene: Scene, whole: Whole, folder: Path, moment: float, times: int) -> None:
    command = scene.start(folder)
    scene.wait(command, int(moment * whole.calls), 0.1 if moment == 0 else 0.0)
    for _ in range(times):
        command.send(signal.SIGINT)
    stopped = command.end()
    assert stopped.code == 130, stopped.err
    assert stopped.out == ""
    assert "interrupted; the same command continues" in stopped.err
    assert "Traceback" not in stopped.err and "Error" not in stopped.err and "never retrieved" not in stopped.err
    assert not (folder / "desk.json").exists()
    before, kept = scene.asked(), committed(folder / "desk.db")
    assert not (folder / "desk.db").exists() or is_sound(folder / "desk.db")

    scene.forget()
    ended = scene.compile(folder)
    assert ended.code == 0, ended.err
    asked = scene.asked()
    assert not kept.keys() & asked.keys()
    assert len(before.keys() & asked.keys()) <= SLOTS
    assert (folder / "desk.json").read_bytes() == whole.artifact
