"""A server, the commands that ask it, and what an uninterrupted compile of the desk comes to."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fusionprog.testing import Faults, LMServer
from tests.durability.answers import CountedAnswers
from tests.durability.commands import Command, Commands, Ended
from tests.durability.kept import content_of, optuna_trials

DESK = Path(__file__).with_name("desk.py")
FAULTLESS = Faults(latency=0.002, jitter=0.004)
SLOTS = 8
_LOOK = 0.01  # seconds between two looks whether a command that is waited for has ended


@dataclass(frozen=True)
class Whole:
    """What a compile comes to that nothing disturbs.

    Attributes:
        artifact: The bytes of its artifact.
        contents: What it asks.
        trials: The trials that it keeps, study by study.
    """

    artifact: bytes
    contents: frozenset[str]
    trials: tuple[tuple[int, ...], ...]

    @property
    def calls(self) -> int:
        """How many calls it makes."""
        return len(self.contents)


class Scene:
    """A server with the desk's model, and commands that compile the desk against it.

    Args:
        server: The server.
        answers: Its text function.
        commands: Starts commands.
    """

    def __init__(self, server: LMServer, answers: CountedAnswers, commands: Commands) -> None:
        self.server = server
        self.answers = answers
        self.commands = commands

    def forget(self) -> None:
        """Waits until the requests of commands that have ended are counted, and then forgets all."""
        assert self.server.wait_until_idle(10)
        self.server.reset()
        self.server.faults = FAULTLESS
        self.answers.restart()

    def start(self, folder: Path, *options: str, output: str = "desk.json", **environment: str) -> Command:
        """Starts a compile of the desk whose artifact and store lie in a folder."""
        return self.commands.start(
            "compile",
            DESK,
            *("-o", str(folder / output), "--trials", "8", "-j", str(SLOTS)),
            *options,
            folder=folder,
            **{"DESK_URL": self.server.url, **environment},
        )

    def compile(self, folder: Path, *options: str, output: str = "desk.json", **environment: str) -> Ended:
        """Compiles the desk to the end."""
        return self.start(folder, *options, output=output, **environment).end()

    def wait(self, command: Command, count: int, seconds: float = 0.0) -> None:
        """Waits until the server has given ``count`` answers, or the command has ended, and then ``seconds``."""
        while not self.answers.wait_for(count, _LOOK) and command.running:
            pass
        time.sleep(seconds)

    def asked(self) -> Counter[str]:
        """Returns how often each content was asked, also by commands that went away before the answer."""
        assert self.server.wait_until_idle(10)
        return Counter(content_of(record.messages) for record in self.server.requests)


@contextmanager
def open_scene() -> Iterator[Scene]:
    """Opens a scene."""
    answers = CountedAnswers()
    with LMServer(answers, faults=FAULTLESS) as server, Commands() as commands:
        yield Scene(server, answers, commands)


def undisturbed(scene: Scene, folder: Path) -> Whole:
    """Compiles the desk once and returns what it comes to."""
    scene.forget()
    ended = scene.compile(folder)
    assert ended.code == 0, ended.err
    return Whole(
        (folder / "desk.json").read_bytes(),
        frozenset(scene.asked()),
        tuple(map(tuple, optuna_trials(folder / "desk.db"))),
    )


def names_in(folder: Path) -> set[str]:
    """Returns the names of the files that a compile has made in a folder."""
    return {name for name in os.listdir(folder) if not name.endswith((".out", ".err"))}
