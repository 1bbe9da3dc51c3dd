"""What HTTP costs beside the bare client: CPU per call and throughput, over loopback, with 32 calls in flight.

    python benchmarks/lm_http.py --rounds 3

The server runs in a process of its own and does little. The bare client is DSPy's native engine, which ``dspy.LM``
itself uses, asked directly for the same prompts, made beforehand. The first table is with a server that answers at
once (what does a call cost?), the second with one that takes 50 ms (are the slots kept full?). CPU times are the
client process's, all threads together; the first round of every side is to warm up.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import dspy
from dspy.clients.execution import _engine, prepare

from _desk import VALUES, make_rows
from _engines import Answers, Engine, Meter, make_lm
from _fusionprog import SLOTS, Evaluation, compile_once
from _measure import Cost, begin, measure, table
from fusionprog._internal import sync

CPU_BAR, RATE_BAR = 1.5, 0.9


class Server:
    """A running server, which counts what it is asked.

    Args:
        process: The process that it is.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.url = f"http://127.0.0.1:{int(self._out.readline())}/v1"
        self.cpu_at_first: float | None = None
        self.reset()

    def reset(self) -> None:
        """Starts counting afresh."""
        self._count()
        self.first = time.perf_counter()
        self._turns = 0

    @property
    def total(self) -> int:
        """Calls since ``reset``; reading it starts afresh."""
        calls, messages = self._count()
        self._demos = (messages / calls - 2) / 2
        return calls

    @property
    def demos(self) -> float:
        """Demonstrations in a prompt, on average, when ``total`` was read."""
        return self._demos

    def _count(self) -> tuple[int, int]:
        self._in.write("\n")
        self._in.flush()
        calls, messages = self._out.readline().split()
        return int(calls), int(messages)


@contextmanager
def serve(latency: float) -> Iterator[Server]:
    """Runs a server until the block's end."""
    command = [sys.executable, str(Path(__file__).with_name("_chat_server.py")), str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process)
        process.communicate()


def recorded(rows: list[dict[str, str]]) -> list[Any]:
    """Returns the requests that the evaluation makes."""
    engine = Engine(Answers(VALUES), Meter())
    Evaluation(make_lm(engine), rows, None)()
    return list(engine.requests)


def bare(lm: dspy.LM, requests: list[Any], calls: int) -> None:
    """Asks the LM's own engine, 32 calls at a time."""

    async def run() -> None:
        sample = [{"role": "system", "content": "-"}, {"role": "user", "content": "-"}]
        call = prepare(lm, None, sample, {"cache": False}, asynchronous=True)
        engine, template, _ = _engine(lm, call, True)
        asked = [replace(template, system=each.system, messages=each.messages) for each in requests]
        left = iter(range(calls))

        async def ask() -> None:
            for number in left:
                await engine.complete(asked[number % len(asked)])

        await asyncio.gather(*(ask() for _ in range(SLOTS)))

    sync.run(run())  # the event loop on which fusionprog runs too: both keep their connections


def compare(latency: float, options: argparse.Namespace) -> dict[str, Cost]:
    """Measures all sides against one server."""
    rows = make_rows(max(options.rows, 500))
    evaluated = rows[: options.rows]
    with serve(latency) as server:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.url, api_key="none", cache=False)
        sides: Mapping[str, Any] = {
            "bare client": functools.partial(bare, lm, recorded(evaluated), 3 * options.rows),
            "fusionprog, evaluation": Evaluation(lm, evaluated, None),
            "fusionprog, fp.compile": functools.partial(compile_once, lm, rows, options.calls, None),
        }
        return measure(sides, server, options.rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures both servers and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=700, help="rows that are evaluated; three calls each")
    parser.add_argument("--calls", type=int, default=8000, help="budget of the compile")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that the slow server takes")
    options = parser.parse_args(arguments)
    begin()
    for latency in (0.0, options.latency):
        costs = compare(latency, options)
        base = costs["bare client"]
        lines = [
            [
                name,
                f"{cost.calls:,}",
                f"{cost.demos:.1f}",
                f"{cost.cpu:.0f}",
                f"{cost.cpu / base.cpu:.2f}",
                f"{cost.rate:.0f}",
                f"{cost.rate / base.rate:.0%}",
            ]
            for name, cost in costs.items()
        ]
        ideal = f", ideal {SLOTS / latency:.0f} calls/s" if latency else ""
        print(f"\nserver latency {latency * 1000:.0f} ms, {SLOTS} slots{ideal}")
        print(table(["side", "calls", "demos", "CPU µs/call", "of bare", "calls/s", "of bare"], lines), flush=True)
    print(f"\nbars: CPU at most {CPU_BAR} of the bare client's, throughput at least {RATE_BAR:.0%} of it")


if __name__ == "__main__":
    main()
