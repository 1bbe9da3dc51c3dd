"""The memo and the store: what is not asked again, what is read from a file, what is written, and who waits for it.

    python benchmarks/store_speed.py --calls 3000 --rounds 5

Times are wall times of the event loop's thread per node call or model call, where one is waited for after the other;
CPU times are the whole process's, all threads together. The event loop's longest pause is measured during a compile
whose model takes 5 ms, by a task on the same loop that wants to run every millisecond.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import fusionprog as fp
from _desk import VALUES, Desk, correct, make_rows
from _engines import Answers, Engine, Meter, make_lm
from _measure import begin, table
from fusionprog._internal import sync
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import LanguageModel, Request, prefix_digest
from fusionprog.lm.resolve import resolve_model
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.search.events import Event, PhaseStarted
from fusionprog.store.store import Store

MEMO_BAR, HIT_BAR = 5.0, 100.0  # microseconds
BEAT = 0.001  # seconds


@dataclass
class Spans:
    """Times of single calls, in microseconds, and the CPU time of all."""

    each: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.each)

    @property
    def slow(self) -> float:
        """What 99 of 100 do not exceed."""
        return statistics.quantiles(self.each, n=100)[98]


async def timed(calls: Sequence[Callable[[], Awaitable[object]]]) -> Spans:
    """Makes calls one after the other and times each."""
    spans = Spans()
    cpu = time.process_time()
    for call in calls:
        before = time.perf_counter()
        await call()
        spans.each.append((time.perf_counter() - before) * 1e6)
    spans.cpu = (time.process_time() - cpu) / len(calls) * 1e6
    return spans


def memoised(model: LanguageModel, count: int) -> float:
    """Returns microseconds of a node call whose answer is remembered, in a run of three."""
    graph = Desk().graph()
    rows = make_rows(count)
    task = fp.Task("desk", train=rows[:1], val=rows[:2], metric=correct)
    view = TaskView("desk", "desk", bind(graph, task), ())
    prompts = Renderer({}).prompts(Schedule(), view)
    models = dict.fromkeys(graph.nodes, model)
    nodes = tuple(graph.order())

    async def run() -> float:
        executor = Executor(LMClient(None), NodeMemo())
        inputs = [{"message": row["message"]} for row in rows]
        for each in inputs:
            await executor.run(view.program, prompts, models, each, nodes)
        before = time.perf_counter()
        for each in inputs:
            await executor.run(view.program, prompts, models, each, nodes)
        return (time.perf_counter() - before) / (len(rows) * len(nodes)) * 1e6

    return sync.run(run())


@dataclass(frozen=True)
class StoreTimes:
    """What one store took; without one, what the call alone takes."""

    asked: Spans
    flush: float
    hit: Spans | None


def through_store(model: LanguageModel, count: int, url: str | None, *, stored: bool) -> StoreTimes:
    """Asks a model that answers at once, each time something new, and then again from a store opened anew."""
    prefix = ({"role": "system", "content": "Decide which team should handle a customer's message. " * 20},)
    tail = "\n\nRespond with the corresponding output fields, starting with the field `[[ ## team ## ]]`."
    requests = [Request(prefix, prefix_digest(prefix), row["message"] + tail) for row in make_rows(count)]

    async def ask(store: Store | None) -> Spans:
        client = LMClient(store)
        return await timed([functools.partial(client.complete, model, request) for request in requests])

    if not stored:
        return StoreTimes(sync.run(ask(None)), 0.0, None)
    with Store(url) as store:
        cpu = time.process_time()
        asked = sync.run(ask(store))
        before = time.perf_counter()
        store.flush()
        flush = (time.perf_counter() - before) * 1e3
        asked.cpu = (time.process_time() - cpu) / count * 1e6
    if url is None:
        return StoreTimes(asked, flush, None)
    with Store(url) as store:
        return StoreTimes(asked, flush, sync.run(ask(store)))


@dataclass
class Heartbeat:
    """Measures how late a task on the compile's own event loop gets its turn.

    Attributes:
        late: Phase → seconds of every beat beyond what it slept.
    """

    late: dict[str, list[float]] = field(default_factory=dict)
    _phase: str = ""
    _task: asyncio.Task[None] | None = None

    def __call__(self, event: Event) -> None:
        """Listens to a compile, on its event loop."""
        if isinstance(event, PhaseStarted):
            self._phase = event.phase
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(BEAT)
            self.late.setdefault(self._phase, []).append(time.perf_counter() - before - BEAT)

    def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)


def pauses(engine: Engine, calls: int, storage: str | None) -> Heartbeat:
    """Returns the event loop's pauses during a compile."""
    heartbeat = Heartbeat()
    rows = make_rows(250)
    task = fp.Task("desk", train=rows[:50], val=rows[50:], metric=correct)
    fp.compile(
        Desk(),
        [task],
        lm=make_lm(engine),
        budget=fp.Budget(calls=calls),
        concurrency=32,
        storage=storage,
        callbacks=[heartbeat],
        progress=False,
    )
    heartbeat.stop()
    return heartbeat


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures all of it and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000, help="model calls, each to something new")
    parser.add_argument("--budget", type=int, default=3000, help="calls of the compile")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    begin()

    engine = Engine(Answers(VALUES), Meter())
    model = resolve_model(make_lm(engine))
    memo = statistics.median([memoised(model, options.calls // 3) for _ in range(options.rounds + 1)][1:])
    print(f"\nmemoised node call: {memo:.1f} µs (bar: {MEMO_BAR:.0f})\n")

    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, list[StoreTimes]] = {"no store": [], "in memory": [], "SQLite file": []}
        for number in range(options.rounds + 1):
            urls = {"no store": None, "in memory": None, "SQLite file": str(Path(folder) / f"{number}.db")}
            for kind, times in kinds.items():
                done = through_store(model, options.calls, urls[kind], stored=kind != "no store")
                if number:
                    times.append(done)
        lines = []
        base = statistics.median(each.asked.cpu for each in kinds["no store"])
        for kind, times in kinds.items():
            cpu = statistics.median(each.asked.cpu for each in times)
            lines.append(
                [
                    kind,
                    f"{statistics.median(each.asked.median for each in times):.0f}",
                    f"{statistics.median(each.asked.slow for each in times):.0f}",
                    f"{cpu:.0f}",
                    f"{cpu - base:.0f}" if kind != "no store" else "",
                    f"{statistics.median(each.flush for each in times):.1f}",
                ]
            )
        print("a call that is stored, µs (flush: ms until all is in the database, after the last call)")
        print(table(["store", "median", "99 of 100", "CPU", "CPU of the store", "flush, ms"], lines))
        hits = [each.hit for each in kinds["SQLite file"] if each.hit is not None]
        hit = statistics.median(each.median for each in hits)
        slow = statistics.median(each.slow for each in hits)
        cpu = statistics.median(each.cpu for each in hits)
        print(
            f"\nstore hit from a SQLite file: {hit:.0f} µs, 99 of 100 in {slow:.0f}, CPU {cpu:.0f} (bar: {HIT_BAR:.0f})"
        )

        engine.latency = 0.005
        lines = []
        for kind in ("in memory", "SQLite file"):
            beats = []
            for number in range(options.rounds + 1):
                storage = str(Path(folder) / f"compile-{number}.db") if kind == "SQLite file" else None
                heartbeat = pauses(engine, options.budget, storage)
                if number:
                    beats.append(heartbeat)
            worst = statistics.median(max(max(each) for each in beat.late.values()) for beat in beats)
            last = beats[-1].late
            lines.append([kind, f"{worst * 1e3:.1f}", *(f"{max(last[phase]) * 1e3:.1f}" for phase in last)])
        print("\nthe event loop's longest pause in a compile, ms: median of all rounds, and by phase in the last one")
        print(table(["store", "longest", *last], lines))


if __name__ == "__main__":
    main()
