"""A compile that is killed, once or twice, and continued."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from tests.durability.answers import answer_to
from tests.durability.kept import committed, is_sound, kept_trials, optuna_trials
from tests.durability.scene import SLOTS, Scene, Whole, names_in

_MOMENT = 0.02  # seconds at most between an answer and the kill
_PATIENCE = 25.0  # seconds; a compile takes one, and a lock that a killed process left is waited for longer
_START, _END = 0.25, 0.15  # seconds that starting takes, and what comes after the last answer, about


@dataclass(frozen=True)
class Kill:
    """When a command is killed.

    Attributes:
        answers: How many answers it is given before.
        seconds: How much longer it lives.
    """

    answers: int
    seconds: float


def draw_kills(seed: int, calls: int) -> tuple[Kill, ...]:
    """Draws one kill or two: of ten seeds one dies while it starts, and two after their last call.

    Args:
        seed: Of the draw.
        calls: How many calls the compile makes.
    """
    draw = random.Random(seed)
    if seed % 10 == 0:
        first = Kill(0, draw.uniform(0, _START))
    elif seed % 10 in (4, 7):
        first = Kill(calls, draw.uniform(0, _END))
    else:
        first = Kill(draw.randint(1, calls - 1), draw.uniform(0, _MOMENT))
    again = Kill(draw.randint(0, max(0, calls - first.answers)), draw.uniform(0, _MOMENT))
    return (first, again) if seed % 3 == 0 else (first,)


def kill_and_continue(scene: Scene, folder: Path, whole: Whole, kills: tuple[Kill, ...]) -> int:
    """Kills a compile as often as is said, lets it end, and checks what must hold after every kill.

    Returns:
        How many calls were made more than once.

    Raises:
        AssertionError: if something was asked again, lost or half written, or if the artifact is another one.
    """
    store, artifact = folder / "desk.db", folder / "desk.json"
    repeated, before, kept = 0, set[str](), dict[str, str]()
    for number, kill in enumerate((*kills, None)):
        scene.forget()
        command = scene.start(folder)
        if kill is None:
            ended = command.end(_PATIENCE)
            assert ended.code == 0, ended.err
        else:
            scene.wait(command, kill.answers, kill.seconds)
            command.kill()
        asked = scene.asked()
        again = before & set(asked)
        assert max(asked.values(), default=1) == 1, "a process asked the same twice"
        assert not kept.keys() & asked.keys(), "an answer that was kept was asked for again"
        repeated += len(again)
        assert repeated <= SLOTS * number, "more was lost than what was in flight"
        before |= set(asked)
        assert before <= whole.contents, "something was asked that the uninterrupted compile never asks"
        assert not artifact.exists() or artifact.read_bytes() == whole.artifact
        now = committed(store)
        assert now.keys() >= kept.keys(), "a row was lost"
        assert all(answer_to(content) == text for content, text in now.items())
        kept = now
    assert artifact.read_bytes() == whole.artifact
    assert kept.keys() == whole.contents
    assert is_sound(store)
    check_trials(store, whole)
    assert all(name.startswith("desk.") or name.endswith(".tmp") for name in names_in(folder))
    return repeated


def check_trials(database: Path | str, whole: Whole) -> None:
    """Checks that every trial is kept exactly once, in the store and in Optuna's storage beside it."""
    assert tuple(map(tuple, kept_trials(database))) == whole.trials
    assert tuple(map(tuple, optuna_trials(database))) == whole.trials
