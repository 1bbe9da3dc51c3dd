"""A PostgreSQL server on loopback, made for the tests that need one and thrown away after them."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_USER = "postgres"
_PATIENCE = 30.0  # seconds that a restart may take
# Without fsync a power failure could lose rows, a killed server cannot.
_SETTINGS = "-c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=16MB -k ''"


def postgres_binaries() -> Path | None:
    """Returns the folder of ``initdb`` and ``pg_ctl``: Debian's, or that of the path; ``None`` without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    name = str(found[-1]) if found else shutil.which("initdb")
    return Path(name).parent if name else None


class Cluster:
    """A running PostgreSQL server.

    Args:
        binaries: Where its programs are.
        folder: Where its data goes.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._binaries = binaries
        self._data = folder / "data"
        self._log = folder / "log"
        self._numbers = itertools.count()
        self._run("initdb", "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self._control("start")

    def url(self, name: str | None = None) -> str:
        """Returns the URL of a database; of a new and empty one, if none is named."""
        if name is None:
            name = f"desk_{next(self._numbers)}"
            with psycopg.connect(self.url(_USER), autocommit=True) as connection:
                connection.execute(f"create database {name}")  # type: ignore[call-overload]
        return f"postgresql://{_USER}@127.0.0.1:{self._port}/{name}"

    def restart(self) -> None:
        """Ends the server as a power failure would, and starts it again."""
        self._control("restart", "-m", "immediate")
        patience = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.url(_USER)).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > patience:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server."""
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        listen = f"-h 127.0.0.1 -p {self._port} {_SETTINGS}"
        self._run("pg_ctl", "-D", self._data, "-l", self._log, "-w", "-o", listen, *arguments)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            command = ["runuser", "-u", _USER, "--", *command]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/")
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"


@contextmanager
def open_cluster(binaries: Path) -> Iterator[Cluster]:
    """Starts a server and ends it again."""
    folder = Path(tempfile.mkdtemp(prefix="fusionprog-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    try:
        cluster = Cluster(binaries, folder)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)
