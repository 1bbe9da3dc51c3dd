"""The transfer matrix: what every source does for every target task, and an alarm where one hurts."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from fusionprog.evaluation.statistics import upper_bound
from fusionprog.runtime.record import Comparison
from fusionprog.search.display import short

ALARM = " ▼"
_WIDE = 400  # columns of a text that nobody folds


@dataclass(frozen=True)
class Alarm:
    """A source that hurts a target.

    Attributes:
        source: The source.
        target: The target task.
        bound: The one-sided 95% upper bound of the gain; below 0.
    """

    source: str
    target: str
    bound: float


@dataclass(frozen=True)
class TransferMatrix:
    """The gains of target tasks over the program as written, if they follow what was learned elsewhere.

    ``print`` and ``rich.print`` show it as a table.

    Attributes:
        gains: Source → target task → the program as written and the program under what the source learned, on the same
            rows of the target's val. A source is one task of a compiled program, whose effects are followed as they
            are there; or ``"all tasks"`` of it together, at the target's own place among them.
        calls: Model calls that it took, stored or not.
        notes: What the reader should know.
    """

    gains: Mapping[str, Mapping[str, Comparison]]
    calls: int
    notes: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """The sources that hurt: whose gain is below 0 with a probability of 95%, the worst first.

        Each is tested by itself: where nothing helps or hurts, one entry in twenty is listed all the same.
        """
        found = [
            Alarm(source, target, round(bound, 5))
            for source, mine in self.gains.items()
            for target, gain in mine.items()
            if (bound := upper_bound({target: gain})) < 0
        ]
        return tuple(sorted(found, key=lambda each: (each.bound, each.source, each.target)))

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON data."""

        def entry(each: Comparison) -> dict[str, Any]:
            scores = {"before": each.before.mean, "after": each.after.mean}
            return {**scores, "gain": each.gain, "se": each.se, "n": each.before.n}

        gains = {source: {target: entry(each) for target, each in mine.items()} for source, mine in self.gains.items()}
        alarms = [{"source": each.source, "target": each.target, "bound": each.bound} for each in self.alarms]
        return {"gains": gains, "alarms": alarms, "calls": self.calls, "notes": list(self.notes)}

    def __rich__(self) -> Table:
        """Returns it as a table, its alarms marked and listed below."""
        alarms = {(each.source, each.target) for each in self.alarms}
        table = Table(title="gains ± standard error", title_justify="left")
        table.add_column("source")
        for target, gain in next(iter(self.gains.values())).items():
            table.add_column(f"{target}\nfrom {short(gain.before.mean)}, n={gain.before.n}", justify="right")
        for source, mine in self.gains.items():
            cells = [
                f"{'' if gain.gain < 0 else '+'}{short(gain.gain)} ± {short(gain.se)}"
                f"{ALARM if (source, target) in alarms else ' ' * len(ALARM)}"
                for target, gain in mine.items()
            ]
            table.add_row(source, *cells)
        table.caption = "\n".join(f"{ALARM.strip()} {each.source} hurts {each.target}" for each in self.alarms) or None
        table.caption_justify = "left"
        return table

    def __str__(self) -> str:
        console = Console(file=io.StringIO(), width=_WIDE, color_system=None, highlight=False, markup=False)
        console.print(self)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        return "\n".join(line.rstrip() for line in text.splitlines())
