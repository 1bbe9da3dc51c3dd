"""Progress on stderr: one live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fusionprog.search.events import Event, Finished, Note, PhaseStarted, Spent, StepDone

_PLAIN_EVERY = 5.0  # seconds between lines where nobody redraws


class Display:
    """A callback that shows what a compile does.

    Args:
        live: Whether to redraw one line; ``None`` looks whether stderr is a terminal.
    """

    def __init__(self, live: bool | None = None) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._is_live = self._console.is_terminal if live is None else live
        self._live: Live | None = None
        self._started = time.monotonic()
        self._shown = 0.0
        self._phase = ""
        self._phase_started = self._started
        self._steps: int | None = None

    def __call__(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Note):
            self._console.print(Text(f"note: {event.text}", style="dim"), soft_wrap=True)
        elif isinstance(event, PhaseStarted):
            self._phase, self._steps, self._phase_started = event.phase, event.steps, time.monotonic()
            self._update(f"{event.phase} …", force=not self._is_live)
        elif isinstance(event, StepDone):
            self._update(self._line(event), force=event.step == self._steps)
        elif isinstance(event, Finished):
            self.close()

    def close(self) -> None:
        """Ends the live line."""
        if self._live is not None:
            self._live.update(Text(""))
            self._live.stop()
            self._live = None

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _update(self, line: str, *, force: bool = False) -> None:
        if self._is_live:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=8, transient=True)
                self._live.start()
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True))
        elif force or time.monotonic() - self._shown > _PLAIN_EVERY:
            self._shown = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def _line(self, event: StepDone) -> str:
        name = "trial" if event.phase == "search" else event.phase
        parts = [f"{name} {event.step}"]
        for task, best in event.best.items():
            before = f"{short(event.baseline[task])}→" if task in event.baseline else ""
            parts.append(f"{task} {before}{short(best)}")
        parts.append(spending(event.spent))
        if self._steps and event.step < self._steps:
            elapsed = time.monotonic() - self._phase_started
            parts.append(f"{duration(elapsed / event.step * (self._steps - event.step))} left")
        return " · ".join(parts)


def short(score: float) -> str:
    """Returns a score with two digits and no leading zero."""
    text = f"{round(score, 2) + 0.0:.2f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def spending(spent: Spent) -> str:
    """Returns where the money stands: ``1,204/4,000 calls (310 from the store) · $0.42/$2``."""
    limit = f"/{spent.budget.calls:,}" if spent.budget.calls is not None else ""
    stored = f" ({spent.stored:,} from the store)" if spent.stored else ""
    text = f"{spent.calls:,}{limit} calls{stored}"
    if spent.usd or spent.budget.usd is not None:
        cap = f"/${spent.budget.usd:g}" if spent.budget.usd is not None else ""
        text += f" · ${spent.usd:.2f}{cap}"
    return text


def duration(seconds: float) -> str:
    """Returns a time span in one unit."""
    if seconds < 60:
        return f"{max(1, round(seconds))}s"
    return f"{round(seconds / 60)}m" if seconds < 3600 else f"{seconds / 3600:.1f}h"
