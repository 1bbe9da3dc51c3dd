"""Commands in processes of their own, which can be killed and interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_POLL = 0.002  # seconds between two looks whether a command has ended


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; below 0 for the signal that ended it.
        out: What it printed.
        err: What it printed on stderr.
    """

    code: int
    out: str
    err: str


class Commands:
    """Starts ``fusionprog`` commands from a process that has imported everything (``zygote.py``)."""

    def __init__(self) -> None:
        self._zygote = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH")))),
                "PYTHONIOENCODING": "utf-8",
            },
        )
        self._answer()

    def start(self, *arguments: str | Path, folder: Path, **environment: str) -> Command:
        """Starts a command.

        Args:
            arguments: The words after ``fusionprog``.
            folder: Where its output is kept.
            environment: Variables that it gets beside this process's.
        """
        name = f"{time.monotonic_ns()}"
        out, err = folder / f"{name}.out", folder / f"{name}.err"
        for file in (out, err):  # by the command itself they would be late, which may be killed at once
            file.touch()
        command = {
            "arguments": [str(argument) for argument in arguments],
            "environment": environment,
            "out": str(out),
            "err": str(err),
        }
        return Command(self, self.ask({"run": command})["pid"], out, err)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a request to the process that forks and returns its answer."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(request) + "\n")
        self._zygote.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        assert line, "the process that starts commands has died"
        return dict(json.loads(line))

    def __enter__(self) -> Commands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait(10)
        self._zygote.stdout.close()


class Command:
    """A command that runs, or has ended.

    Args:
        commands: What started it.
        pid: Its process.
        out: Where its stdout goes.
        err: Where its stderr goes.
    """

    def __init__(self, commands: Commands, pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self._commands = commands
        self._out = out
        self._err = err
        self._code: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        if self._code is None:
            self._code = self._commands.ask({"poll": self.pid})["code"]
        return self._code is None

    def wait_to_say(self, words: str) -> None:
        """Waits until it has printed some words on stderr, or has ended."""
        while words not in self._err.read_text(encoding="utf-8") and self.running:
            time.sleep(_POLL)

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, unless it has ended."""
        if self.running:
            os.kill(self.pid, number)

    def end(self, timeout: float = 60.0) -> Ended:
        """Waits for its end.

        Raises:
            AssertionError: if it does not come within ``timeout`` seconds; the process is killed then.
        """
        patience = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > patience:
                self.send(signal.SIGKILL)
                raise AssertionError(f"the command does not end: {self._err.read_text(encoding='utf-8')}")
            time.sleep(_POLL)
        assert self._code is not None
        return Ended(self._code, self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8"))

    def kill(self) -> Ended:
        """Ends it at once, with SIGKILL."""
        self.send(signal.SIGKILL)
        return self.end()
