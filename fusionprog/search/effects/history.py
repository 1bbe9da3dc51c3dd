"""What was measured first, row by row: what columns that are opened later, and another link, are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusionprog.search.effects.columns import Columns, Places, Vector
from fusionprog.search.effects.model import Observations

MOST_ROWS = 4_000  # a search that is longer has seen what there is to see


@dataclass(frozen=True)
class Measured:
    """Outcomes of a task with the same prompts.

    Attributes:
        task: The task.
        atoms: What the prompts show (``Columns.atoms``).
        count: How many outcomes.
        total: The sum of their scores.
        squares: The sum of the squares of their scores.
        examples: The rows of the data that they are of.
        scores: Their scores, in the order of these.
    """

    task: str
    atoms: Places
    count: int
    total: float
    squares: float
    examples: tuple[str, ...]
    scores: tuple[float, ...]

    @classmethod
    def of(cls, task: str, atoms: Places, outcomes: Sequence[tuple[str, float]]) -> Measured:
        """Returns outcomes, of each the row of the data and the score; at least one."""
        examples, scores = zip(*outcomes, strict=True)
        return cls(task, atoms, len(scores), sum(scores), sum(each**2 for each in scores), examples, scores)

    def observed(self, columns: Columns) -> Observations:
        """Returns it as a model takes it."""
        return Observations(columns.row(self.task, self.atoms), self.count, self.total, self.squares)


class History:
    """The first rows that a model took in.

    Attributes:
        measured: What was measured.
        weights: What each was taken in with.
        responses: The same.
    """

    def __init__(self) -> None:
        self.measured: list[Measured] = []
        self.weights: list[float] = []
        self.responses: list[float] = []
        self._rows: list[Vector] = []

    @property
    def whole(self) -> bool:
        """Whether all that was measured is here."""
        return len(self.measured) < MOST_ROWS

    def add(
        self, measured: Sequence[Measured], seen: Sequence[Observations], weights: Vector, responses: Vector
    ) -> None:
        """Adds what was measured and how it was taken in, as long as there is room."""
        room = max(0, MOST_ROWS - len(self.measured))
        self.measured += measured[:room]
        self.weights += weights.tolist()[:room]
        self.responses += responses.tolist()[:room]
        self._rows += [each.row for each in seen[:room]]

    def open(self, shows: Vector) -> None:
        """Adds a column to all rows.

        Args:
            shows: Whether each row shows it, as 0 and 1, shape ``(n_rows,)``.
        """
        self._rows = [np.append(row, value) for row, value in zip(self._rows, shows.tolist(), strict=True)]

    @property
    def rows(self) -> Vector:
        """How much of every column each row shows, shape ``(n_rows, n_columns)``."""
        return np.stack(self._rows)

    def shown(self, size: int) -> Vector:
        """Returns which rows show which atoms, as 0 and 1, shape ``(n_rows, size)``."""
        made = np.zeros((len(self.measured), size))
        for place, each in enumerate(self.measured):
            made[place, each.atoms[each.atoms < size]] = 1.0
        return made
