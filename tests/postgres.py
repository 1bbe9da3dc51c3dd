"""A real PostgreSQL server for tests: the one that the environment names, or a private one of Debian's binaries.

``FUSIONPROG_TEST_POSTGRES`` is the URL of a server in which databases may be made. Where it is not set, a server is
started on a free port of the loopback device, with its files in a temporary folder.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psycopg

URL = "FUSIONPROG_TEST_POSTGRES"
REQUIRED = "FUSIONPROG_TEST_POSTGRES_REQUIRED"  # set where a missing server is a failure, not a reason to skip
_BINARIES = Path("/usr/lib/postgresql")
# What is committed outlives the server, which is all that a restart needs; a power cut it would not outlive.
_QUICK = ("fsync=off", "full_page_writes=off")


def binaries() -> Path | None:
    """Returns the folder of the newest server's programs."""
    found = sorted(_BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """A server that tests make databases in.

    Attributes:
        own: Whether it was started by the tests and can be restarted.
    """

    def __init__(self) -> None:
        self._url = os.environ.get(URL, "")
        self.own = not self._url
        if self.own:
            self._start_own()

    def _start_own(self) -> None:
        folder = binaries()
        assert folder is not None
        self._programs = folder
        self._folder = Path(tempfile.mkdtemp(prefix="fusionprog-postgres-"))
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._watch()
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "tester", "--no-sync", "-E", "UTF8", "--locale=C")
        self.start()
        self._url = f"postgresql://tester:hunter2@127.0.0.1:{self._port}/postgres"

    def _watch(self) -> None:
        """Lets a shell end the server when this process closes the pipe to it, which it also does when it is killed."""
        stop = shlex.join(self._command("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop"))
        script = f"cat >/dev/null; {stop} >/dev/null 2>&1; cd /; rm -rf {shlex.quote(str(self._folder))}"
        self._watcher = subprocess.Popen(
            ["sh", "-c", script], cwd=self._folder, stdin=subprocess.PIPE, start_new_session=True
        )

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._programs / program), *arguments]
        return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command

    def _run(self, program: str, *arguments: str) -> None:
        command = self._command(program, *arguments)
        # To a file: a server that is started would hold a pipe open.
        with (self._folder / "programs.log").open("ab") as log:
            ran = subprocess.run(command, cwd=self._folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        assert ran.returncode == 0, (self._folder / "programs.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Starts the server and waits for it."""
        settings = (f"port={self._port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *_QUICK)
        options = " ".join(f"-c {setting}" for setting in settings)
        self._run("pg_ctl", "-D", "data", "-w", "-l", "server.log", "-o", options, "start")

    def stop(self) -> None:
        """Ends the server as a power cut would, with all its connections."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        """Ends the server, if it is the tests' own, and removes its files."""
        if self.own:
            self._watcher.communicate(timeout=60)

    def run(self, statement: str, *values: Any, database: str | None = None) -> list[tuple[Any, ...]]:
        """Runs a statement and returns its rows."""
        with psycopg.connect(database or self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """Makes an empty database and returns its URL."""
        name = f"fusionprog_test_{secrets.token_hex(6)}"
        self.run(f'create database "{name}"')
        base, _, query = self._url.partition("?")
        return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def drop(self, url: str) -> None:
        """Removes a database and ends the connections to it."""
        name = url.partition("?")[0].rpartition("/")[2]
        self.run(f'drop database "{name}" with (force)')

    def cut(self, url: str) -> None:
        """Ends all connections to a database."""
        name = url.partition("?")[0].rpartition("/")[2]
        self.run(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = %s and pid <> pg_backend_pid()",
            name,
        )
