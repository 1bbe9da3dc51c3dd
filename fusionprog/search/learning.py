"""Keeps what a compile learns, fold by fold, and the learning curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set

import optuna

from fusionprog.runtime.learned import Learned, Point
from fusionprog.search.findings import Findings, Place, combined, kept
from fusionprog.search.strategy import Strategy

MOST_POINTS = 32


class Learning:
    """The learning curve and the findings of all folds.

    The curve has a point for the program as written, for every k-th trial and for the last one, so that it has at
    most 64 of them.

    Args:
        folds: How many there are.
    """

    def __init__(self, folds: int) -> None:
        self._most = MOST_POINTS // folds - 2  # besides the first and the last of a fold
        self._points: list[Point] = []
        self._findings: list[Findings] = []
        self._strategies: list[Strategy] = []
        self._every = 1
        self._fold = 0
        self._last: tuple[int, int, float] | None = None  # told, and not on the curve

    def begin(self, fold: int, trials: int, calls: int, score: float) -> None:
        """Begins a fold.

        Args:
            fold: Its number.
            trials: How many there may be.
            calls: The compile's calls so far.
            score: The objective of the program as written.
        """
        self._fold, self._last = fold, None
        self._every = math.ceil(trials / self._most)
        self._points.append(Point(0, calls, _short(score), fold=fold))

    def told(self, trials: int, calls: int, score: float, strategy: Strategy) -> None:
        """Is told of a trial.

        Args:
            trials: How many of the fold were told.
            calls: The compile's calls so far.
            score: The objective to show.
            strategy: Is asked what it expects.
        """
        self._last = trials, calls, score
        if trials % self._every == 0:
            self._add(strategy)

    def end(self, strategy: Strategy, study: optuna.Study) -> None:
        """Ends a fold: asks the strategy what it found, if any trial was told."""
        if self._last is not None:
            self._add(strategy)
        if self._points[-1].trials:
            self._findings.append(strategy.findings(study))
            self._strategies.append(strategy)

    def learned(self, used: Mapping[Place, Set[str]]) -> Learned | None:
        """Returns what was learned in all folds; ``None`` if no trial was told.

        Args:
            used: (task, node) → the items that the returned program uses there.
        """
        if not self._findings:
            return None
        found = combined(self._findings)
        if len(self._findings) > 1:
            *others, last = self._strategies
            found = last.explained_with(others, found)
        return kept(found, self._points, used)

    def _add(self, strategy: Strategy) -> None:
        assert self._last is not None
        trials, calls, score = self._last
        expected = strategy.expected()
        self._points.append(
            Point(trials, calls, _short(score), None if expected is None else _short(expected), self._fold)
        )
        self._last = None


def _short(score: float) -> float:
    return round(score, 5) + 0.0
