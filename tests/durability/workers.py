"""Several workers on one PostgreSQL database, one of which is killed."""

from __future__ import annotations

import time
from pathlib import Path

from tests.durability.kept import committed, content_of
from tests.durability.kills import Kill, check_trials
from tests.durability.scene import SLOTS, Scene, Whole

WORKERS = 3


def kill_one_worker(scene: Scene, folder: Path, url: str, whole: Whole, victim: int, kill: Kill) -> int:
    """Starts three workers, kills one, lets the others end, and checks what must hold.

    Args:
        scene: Where they run.
        folder: Where they write, each an artifact of its own.
        url: Of an empty database.
        whole: What one process alone comes to.
        victim: Which worker is killed.
        kill: When, counted in all workers' answers.

    Returns:
        How many calls were made more than once.

    Raises:
        AssertionError: if one of the others does not end with the same artifact, or a call was lost or made again.
    """
    scene.forget()
    workers = [scene.start(folder, "--storage", url, output=f"{number}.json") for number in range(WORKERS)]
    scene.wait(workers[victim], kill.answers, kill.seconds)
    killed = workers[victim].kill()
    kept, read = committed(url), time.monotonic()
    for number, worker in enumerate(workers):
        ended = worker.end(120)
        if number != victim or killed.code == 0:
            assert ended.code == 0, ended.err
            assert (folder / f"{number}.json").read_bytes() == whole.artifact
    asked = scene.asked()
    later = {content_of(record.messages) for record in scene.server.requests if record.started > read}
    assert not kept.keys() & later, "an answer that was kept was asked for again"
    assert asked.keys() == whole.contents
    repeated = sum(asked.values()) - len(asked)
    assert repeated <= SLOTS, "more was asked again than the killed worker had in flight"
    check_kept(url, whole)
    return repeated


def check_kept(url: str, whole: Whole) -> None:
    """Checks that a database holds every call of a compile, and every trial exactly once."""
    assert committed(url).keys() == whole.contents
    check_trials(url, whole)
