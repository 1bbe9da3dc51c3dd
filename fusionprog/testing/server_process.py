"""The server in a process of its own, so that its work does not count as the client's.

    python -m fusionprog.testing.server_process --script answers.json --latency 0.05

It prints its URL, serves until it is told to stop or the process that started it ends, and prints its counts as JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType, TracebackType
from typing import Any

from fusionprog.testing.faults import Faults
from fusionprog.testing.script import Script
from fusionprog.testing.server import LMServer
from fusionprog.testing.text import TextFunction, offline_text

_LOOK = 0.2  # seconds between two looks whether the parent is still there
_PATIENCE = 30.0  # seconds that the process has to start and to stop


class ServerProcess:
    """An ``LMServer`` in another process; use it with ``with``. It ends with this process, however that ends.

    Args:
        rules: Pairs of a regular expression and an answer's text, as ``Script`` takes them; ``None`` for the offline
            reader.
        faults: Latency and random faults.

    Example:
        >>> with ServerProcess([("parcel", "delivery")]) as server:
        ...     server.url.startswith("http://127.0.0.1:")
        True
        >>> server.counts["ok"]
        0
    """

    def __init__(self, rules: Sequence[tuple[str, str]] | None = None, *, faults: Faults | None = None) -> None:
        self._rules = rules
        self._faults = faults or Faults()
        self._process: subprocess.Popen[str] | None = None
        self._url = ""
        self.counts: Counter[str] = Counter()
        """Requests by outcome, known when the server has stopped."""

    @property
    def url(self) -> str:
        """The base URL, with ``/v1``.

        Raises:
            RuntimeError: if the server has not been started.
        """
        if not self._url:
            raise RuntimeError("the server has no address before it is started; use it with 'with'")
        return self._url

    def __enter__(self) -> ServerProcess:
        faults = {each.name: getattr(self._faults, each.name) for each in dataclasses.fields(Faults) if each.init}
        with TemporaryDirectory() as folder:
            command = [sys.executable, "-m", __name__, "--faults", json.dumps(faults)]
            if self._rules is not None:
                path = Path(folder) / "script.json"
                path.write_text(json.dumps(list(self._rules)), encoding="utf-8")
                command += ["--script", str(path)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert self._process.stdout is not None
            self._url = self._process.stdout.readline().strip()
        if not self._url:
            self._process.communicate()
            raise RuntimeError(f"the server did not start and ended with status {self._process.returncode}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        said, _ = self._process.communicate(timeout=_PATIENCE)
        self.counts = Counter(json.loads(said))


def _text(path: str | None) -> TextFunction:
    if path is None:
        return offline_text()
    return Script([(pattern, answer) for pattern, answer in json.loads(Path(path).read_text(encoding="utf-8"))])


def _faults(given: str, latency: float | None) -> Faults:
    settings: dict[str, Any] = json.loads(given)
    return Faults(**settings if latency is None else settings | {"latency": latency})


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until a signal comes or the parent is gone."""
    parser = argparse.ArgumentParser(prog="python -m fusionprog.testing.server_process", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--offline", action="store_true", help="the offline reader answers (the default)")
    text.add_argument("--script", metavar="FILE", help="JSON: a list of pairs of a regular expression and an answer")
    parser.add_argument("--latency", type=float, metavar="S", help="seconds before every answer")
    parser.add_argument("--faults", default="{}", metavar="JSON", help="arguments of Faults, as a JSON object")
    parser.add_argument("--port", type=int, default=0, help="where to listen; any free port without it")
    given = parser.parse_args(arguments)
    parent = os.getppid()
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server = LMServer(_text(given.script), faults=_faults(given.faults, given.latency), port=given.port, keep=0)
    with server:
        print(server.url, flush=True)
        while not stopping.wait(_LOOK) and os.getppid() == parent:
            pass
    print(json.dumps(server.counts), flush=True)


if __name__ == "__main__":
    main()
