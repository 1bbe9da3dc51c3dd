"""Runs ``fusionprog`` commands, each in a fork of a process that has imported everything once.

A command then starts in milliseconds rather than seconds, and is a process of its own that can be killed. Requests
come as JSON lines on stdin: ``{"run": {...}}`` starts a command, ``{"poll": PID}`` asks for its exit code.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from typing import Any

# What a compile imports on its way; nothing of it may start a thread, which a fork would not take along.
PRELOADED = (
    "dspy",
    "fusionprog",
    "fusionprog.builders",
    "fusionprog.cli.main",
    "fusionprog.cli.program_file",
    "fusionprog.cli.summary",
    "fusionprog.evaluation.metrics",
    "fusionprog.lm.dspy_lm",
    "fusionprog.modules",
    "fusionprog.optimizers.compile",
    "fusionprog.search.display",
    "litellm",
    "optuna",
    "optuna.samplers",
    "optuna.storages.journal",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
)


def serve() -> dict[str, Any] | None:
    """Answers requests until stdin ends; returns in a fork too, with the command that it is to run."""
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            print(json.dumps({"code": os.waitstatus_to_exitcode(status) if pid else None}), flush=True)
            continue
        pid = os.fork()
        if not pid:
            return dict(request["run"])
        print(json.dumps({"pid": pid}), flush=True)
    return None


def become(command: dict[str, Any]) -> None:
    """Makes this process the command: its environment, its streams, its arguments."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(command["environment"])
    streams = (os.devnull, os.O_RDONLY), (command["out"], os.O_WRONLY), (command["err"], os.O_WRONLY)
    for place, (path, mode) in enumerate(streams):
        file = os.open(path, mode)
        os.dup2(file, place)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.argv = ["fusionprog", *command["arguments"]]


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    if (mine := serve()) is not None:
        become(mine)
        from fusionprog.cli.main import main

        main()
