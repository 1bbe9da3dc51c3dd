"""Stopping: whether a further trial is worth its calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError

_SMALL_REGRET = 0.005  # score below which a search is over
_PATIENCE = 32  # trials


@dataclass(frozen=True)
class Progress:
    """How a search stands after a trial.

    Attributes:
        trials: Trials that were told.
        since_best: Trials told since the best one so far, or since the program as written if none was better; ``None``
            where trials have different rows and cannot be compared.
        regret: What perfect knowledge would add to the score, as far as the strategy can say; else ``None``.
    """

    trials: int
    since_best: int | None
    regret: float | None


class Stopping(Protocol):
    """Decides whether a search ends before all of its trials are done."""

    def reason(self, progress: Progress) -> str | None:
        """Returns why no further trial is worth its calls, in words; ``None`` to go on. Asked after each trial."""
        ...


stopping_registry: Registry[type[Stopping]] = Registry("stopping", FusionProgError)


@stopping_registry.register("regret")
class SmallRegret:
    """Ends where perfect knowledge would add next to nothing; goes on where the strategy cannot say it."""

    def reason(self, progress: Progress) -> str | None:
        """Looks at the regret alone."""
        if progress.regret is None or progress.regret >= _SMALL_REGRET:
            return None
        return f"nothing is left to find: knowing all effects would add {progress.regret:.4f} to the score"


@stopping_registry.register("patience")
class Patience:
    """Ends where many trials in a row were no better than the best one before; goes on where they have other rows."""

    def reason(self, progress: Progress) -> str | None:
        """Looks at the trials since the best one alone."""
        if progress.since_best is None or progress.since_best < _PATIENCE:
            return None
        return f"none of the last {progress.since_best} trials was better than the best one before"


@stopping_registry.register("none")
class NoStopping:
    """All trials are done, as far as the budget goes."""

    def reason(self, progress: Progress) -> None:
        """Always goes on."""
