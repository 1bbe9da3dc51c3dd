"""Which fault a request gets: exact scenarios first, then the shares."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from fusionprog.testing.faults import ErrorAnswer, Fault, Faults, error

_STATUS = {Fault.RATE_LIMIT: 429, Fault.SERVER_ERROR: 500, Fault.OVERLOADED: 503}


@dataclass(frozen=True)
class Decision:
    """What happens to a request.

    Attributes:
        fault: The fault, if there is one.
        error: The error that is sent in place of an answer; also for faults that are one.
        delay: Seconds before anything is sent.
        token_latency: Seconds between the words of a streamed answer.
    """

    fault: Fault | None = None
    error: ErrorAnswer | None = None
    delay: float = 0.0
    token_latency: float = 0.0


@dataclass
class _Planned:
    what: Fault | ErrorAnswer
    left: int | None
    match: re.Pattern[str] | None
    retry_after: float | None


class Scenario:
    """A queue of exact faults in front of random ones; safe to change while requests are served.

    Args:
        faults: The random ones.
    """

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._planned: list[_Planned] = []
        self._in_a_row: dict[str, int] = {}
        self._lock = threading.Lock()

    def plan(
        self,
        what: Fault | ErrorAnswer,
        *,
        times: int | None,
        match: str | re.Pattern[str] | None,
        retry_after: float | None,
    ) -> None:
        """Adds a fault for the next matching requests; the arguments are those of ``LMServer.next``.

        Raises:
            ValueError: if ``times`` is below 1.
        """
        if times is not None and times < 1:
            raise ValueError(f"times must be at least 1, or None for all requests to come, and is {times}")
        pattern = re.compile(match, re.MULTILINE | re.DOTALL) if isinstance(match, str) else match
        with self._lock:
            self._planned.append(_Planned(what, times, pattern, retry_after))

    def clear(self) -> None:
        """Forgets what is planned, and what was drawn before."""
        with self._lock:
            self._planned.clear()
            self._in_a_row.clear()

    def decide(self, key: str, repeat: int, prompt: Callable[[], str]) -> Decision:
        """Returns what happens to a request.

        Args:
            key: Digest of its content.
            repeat: How often the content was asked before, from 0.
            prompt: Makes the text that patterns are searched in, where there are any.
        """
        faults = self.faults
        drawn, delay = faults.draw(key, repeat)
        with self._lock:
            if (planned := self._take(prompt)) is not None:
                if isinstance(planned.what, ErrorAnswer):
                    return Decision(error=planned.what, delay=delay)
                return self._decision(planned.what, planned.retry_after, delay, faults)
            if drawn is not None and (faults.at_most is None or self._in_a_row.get(key, 0) < faults.at_most):
                self._in_a_row[key] = self._in_a_row.get(key, 0) + 1
                return self._decision(drawn, faults.retry_after, delay, faults)
            self._in_a_row.pop(key, None)
        return Decision(delay=delay, token_latency=faults.token_latency)

    def _take(self, prompt: Callable[[], str]) -> _Planned | None:
        for planned in self._planned:
            if planned.match is None or planned.match.search(prompt()):
                if planned.left is not None:
                    planned.left -= 1
                    if not planned.left:
                        self._planned.remove(planned)
                return planned
        return None

    @staticmethod
    def _decision(fault: Fault, retry_after: float | None, delay: float, faults: Faults) -> Decision:
        if fault in _STATUS:
            hint = None if fault is Fault.SERVER_ERROR else retry_after
            return Decision(fault, error(_STATUS[fault], retry_after=hint), delay)
        return Decision(fault, None, delay, faults.token_latency)
