"""With and without: what trials that show an item score against those that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from fusionprog.search.findings import Counts, Place, Table, Vector

_LEAST_TRIALS = 2  # on either side
_LEAST_VARIANCE = 1e-4  # of trials' means: a few equal ones are no certainty


@dataclass
class _Sums:
    """Over trials: their number, their means and the squares of those; by item over those that show it."""

    trials: int
    total: float
    squares: float
    shown: Counts
    shown_total: Vector
    shown_squares: Vector
    outcomes: Counts


class Marginals:
    """Compares trials that show an item with those that do not, task by task.

    A trial counts with the mean of its outcomes, since outcomes on equal rows are alike. It is no experiment: what
    good trials share looks good.

    Args:
        items: Node → the items in play there.
    """

    def __init__(self, items: Mapping[str, Sequence[str]]) -> None:
        self._places = {node: {item: place for place, item in enumerate(mine)} for node, mine in items.items()}
        self._sums: dict[Place, _Sums] = {}

    def add(self, task: str, shown: Mapping[str, Set[str]], scores: Sequence[float]) -> None:
        """Adds a trial.

        Args:
            task: The task.
            shown: Node → the items that its prompt shows.
            scores: The scores of its rows, at least one.
        """
        mean = sum(scores) / len(scores)
        for node, items in shown.items():
            order = self._places.get(node, {})
            sums = self._sums.setdefault((task, node), _empty(len(order)))
            sums.trials += 1
            sums.total += mean
            sums.squares += mean**2
            places = sorted(order[item] for item in items if item in order)
            sums.shown[places] += 1
            sums.shown_total[places] += mean
            sums.shown_squares[places] += mean**2
            sums.outcomes[places] += len(scores)

    def tables(self, offered: Mapping[Place, Set[str]]) -> dict[Place, Table]:
        """Returns (task, node) → differences of means, with pooled standard errors.

        Nothing is known of an item that fewer than two trials show or do not show.

        Args:
            offered: (task, node) → the items on offer there.
        """
        return {
            (task, node): _table(sums, np.array([item in offered[task, node] for item in self._places[node]]))
            for (task, node), sums in self._sums.items()
            if self._places.get(node)
        }


def _empty(size: int) -> _Sums:
    counts = [np.zeros(size, dtype=np.int64) for _ in range(2)]
    return _Sums(0, 0.0, 0.0, counts[0], np.zeros(size), np.zeros(size), counts[1])


def _table(sums: _Sums, here: Vector) -> Table:
    others = sums.trials - sums.shown
    known = (sums.shown >= _LEAST_TRIALS) & (others >= _LEAST_TRIALS) & here.astype(bool)
    one, other = np.maximum(sums.shown, 1), np.maximum(others, 1)
    with_it, without = sums.shown_total / one, (sums.total - sums.shown_total) / other
    around = sums.squares - sums.shown * with_it**2 - others * without**2
    variance = np.maximum(_LEAST_VARIANCE, around / max(1, sums.trials - 2))
    se = np.sqrt(variance * (1 / one + 1 / other))
    return Table(np.where(known, with_it - without, 0.0), np.where(known, se, np.inf), sums.outcomes)
