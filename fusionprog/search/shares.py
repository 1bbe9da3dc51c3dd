"""How the rows of a trial are shared out over the tasks, by their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog.program.data import Row
from fusionprog.prompts.mixture import apportion
from fusionprog.search.bench import Rows


def row_counts(weights: Mapping[str, float], total: int, limits: Mapping[str, int]) -> dict[str, int]:
    """Returns task → how many of ``total`` rows it gets: by weight (largest remainders), at least one.

    Args:
        weights: Task → weight, above 0.
        total: Rows to share out, at least one for every task.
        limits: Task → rows it can take at most, at least one.
    """
    single: set[str] = set()
    while True:
        rest = [task for task in weights if task not in single]
        seats = apportion(total - len(single), [weights[task] for task in rest], [limits[task] for task in rest])
        given = dict(zip(rest, seats, strict=True))
        if all(given.values()):
            return {task: given.get(task, 1) for task in weights}
        single |= {task for task, count in given.items() if count == 0}


class RowShares:
    """Hands out every task's rows in their order, and begins again at their end.

    Args:
        rows: Task → all rows.
        size: Rows of every task in a trial, on average over tasks.
    """

    def __init__(self, rows: Rows, size: int) -> None:
        self._rows = rows
        self._size = size
        self._next = dict.fromkeys(rows, 0)

    def counts(self, weights: Mapping[str, float]) -> dict[str, int]:
        """Returns task → rows of the next trial, under these weights; all rows together are as many in every trial.

        A task that has fewer rows than ``size`` shows all it has.
        """
        limits = {task: max(self._size, len(mine)) for task, mine in self._rows.items()}
        shares = {task: weights.get(task, 1.0) for task in self._rows}
        return row_counts(shares, self._size * len(self._rows), limits)

    def look(self, counts: Mapping[str, int]) -> dict[str, Sequence[Row]]:
        """Returns the next rows of every task."""
        return {
            task: [mine[(self._next[task] + place) % len(mine)] for place in range(min(counts[task], len(mine)))]
            for task, mine in self._rows.items()
        }

    def move_on(self, counts: Mapping[str, int]) -> None:
        """Leaves these rows behind."""
        for task, count in counts.items():
            self._next[task] += count
