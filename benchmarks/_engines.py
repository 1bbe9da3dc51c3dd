"""Models in the same process: they answer in the form that the prompt asks for, and count and time what is asked."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import zlib
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

ASKED = "\n\nRespond with "  # how the last message's part on the form of the answer begins
_CASE = re.compile(r"case (\d+)")
_FORMS = {
    "chat": (re.compile(r"\[\[ ## (\w+) ## \]\]"), "[[ ## {field} ## ]]\n{value}\n\n"),
    "xml": (re.compile(r"`<(\w+)>`"), "<{field}>\n{value}\n</{field}>\n"),
    "json": (re.compile(r"`(\w+)`"), '"{field}": "{value}"'),
}
_USAGE = Usage(input_tokens=300, output_tokens=10)


class Meter:
    """Counts calls, and the time that they are under way, by phase.

    Attributes:
        phase: What calls are counted under from now on.
        calls: Phase → calls.
        seconds: Phase → how long it took.
        busy: Phase → seconds of all its calls together.
        turns: Messages of all calls, without the system's.
        cpu_at_first: CPU seconds of the process when the first call came.
        first: When it came.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Starts afresh."""
        self.calls: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self.busy: dict[str, float] = defaultdict(float)
        self.turns = 0
        self.cpu_at_first: float | None = None
        self.first = time.perf_counter()
        self.phase = "before"
        self._flying = 0
        self._last = time.perf_counter()

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.calls.values())

    @property
    def demos(self) -> float:
        """Demonstrations in a prompt, on average."""
        return (self.turns / self.total - 1) / 2

    def start(self, turns: int) -> None:
        """Counts a call that begins."""
        with self._lock:
            if self.cpu_at_first is None:
                self.cpu_at_first, self.first = time.process_time(), time.perf_counter()
            self._advance()
            self._flying += 1
            self.calls[self.phase] += 1
            self.turns += turns

    def end(self) -> None:
        """Counts the end of a call."""
        with self._lock:
            self._advance()
            self._flying -= 1

    def enter(self, phase: str) -> None:
        """Begins a phase; ends the one before."""
        with self._lock:
            self._advance()
            self.phase = phase

    def _advance(self) -> None:
        now = time.perf_counter()
        self.seconds[self.phase] += now - self._last
        self.busy[self.phase] += self._flying * (now - self._last)
        self._last = now


class Answers:
    """What the models say: the right value more or less often, as the prompt's wording has it.

    How good a prompt is, is drawn by its hash, so that candidates differ as they do with real models; equal prompts
    get equal answers.

    Args:
        values: Field → its values; the right one is told by the number of the case in the message. Other fields get a
            text of their own.
    """

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values
        self._forms: dict[str, tuple[str, list[str]]] = {}
        self._quality: dict[tuple[Any, ...], tuple[int, float]] = {}

    def text(self, system: str, turns: int, last: str) -> str:
        """Returns the answer to a prompt.

        Args:
            system: The system message.
            turns: How many messages come after it.
            last: The last of them.
        """
        head, found, asked = last.rpartition(ASKED)
        if not found:  # a question for a text, such as GEPA's for a better instruction
            return f"```\nRead the case with care, in way {zlib.crc32(last.encode())}.\n```"
        if asked not in self._forms:
            self._forms[asked] = read_form(asked)
        template, fields = self._forms[asked]
        prompt = (system, turns)
        if prompt not in self._quality:
            number = zlib.crc32(f"{turns}{system}".encode())
            self._quality[prompt] = number, 0.5 + 0.45 * number / 2**32
        number, quality = self._quality[prompt]
        match = _CASE.search(head)
        case = int(match[1]) if match else zlib.crc32(head.encode())
        values = [self._value(field, case, number, quality) for field in fields]
        parts = [template.format(field=field, value=value) for field, value in zip(fields, values, strict=True)]
        return "{" + ", ".join(parts) + "}" if template.startswith('"') else "".join(parts)

    def _value(self, field: str, case: int, number: int, quality: float) -> str:
        if field == "completed":
            return ""
        known = self._values.get(field)
        if known is None:
            return f"Read the case with care, in way {case % 997}."
        right = zlib.crc32(f"{number} {case} {field}".encode()) < quality * 2**32
        return known[(case + (not right)) % len(known)]


def read_form(asked: str) -> tuple[str, list[str]]:
    """The form and the fields that the end of a prompt asks for."""
    form = "chat" if "[[ ## " in asked else "xml" if "`<" in asked else "json"
    pattern, template = _FORMS[form]
    return template, pattern.findall(asked)


class Engine:
    """Answers at once, or after a time in which its thread sleeps; what it takes to make an answer is part of it.

    Args:
        answers: What it says.
        meter: Where it counts.
        latency: Seconds that an answer takes.

    Attributes:
        requests: The last requests, at most 1,000.
    """

    def __init__(self, answers: Answers, meter: Meter, latency: float = 0.0) -> None:
        self.answers = answers
        self.meter = meter
        self.latency = latency
        self.requests: deque[Request] = deque(maxlen=1000)

    def complete(self, request: Request) -> Response:
        """Returns one answer."""
        begun = time.perf_counter()
        self.meter.start(len(request.messages))
        try:
            response = self.respond(request)
            if self.latency:
                time.sleep(self.rest(begun))
            return response
        finally:
            self.meter.end()

    def rest(self, begun: float) -> float:
        """Returns the seconds that are left of a call that began at a time of ``perf_counter``."""
        return max(0.0, begun + self.latency - time.perf_counter())

    def respond(self, request: Request) -> Response:
        """Returns one answer, at once and without counting."""
        self.requests.append(request)
        asked = request.messages
        text = self.answers.text(str(request.system), len(asked), getattr(asked[-1].parts[0], "text", ""))
        message = Message.assistant(text)
        return Response(id="1", model=request.model, message=message, finish_reason="stop", usage=_USAGE)


class AsyncEngine:
    """The same for asynchronous callers: nothing blocks while an answer takes its time.

    Args:
        engine: Says the same.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Returns one answer."""
        engine, begun = self._engine, time.perf_counter()
        engine.meter.start(len(request.messages))
        try:
            response = engine.respond(request)
            if engine.latency:
                await asyncio.sleep(engine.rest(begun))
            return response
        finally:
            engine.meter.end()


def make_lm(engine: Engine, *, sync_only: bool = False) -> dspy.LM:
    """Returns a ``dspy.LM`` on an engine, without DSPy's cache.

    Args:
        engine: Answers.
        sync_only: Whether asynchronous callers have to use threads.
    """
    return dspy.LM("test/instant", engine=engine, async_engine=None if sync_only else AsyncEngine(engine), cache=False)
