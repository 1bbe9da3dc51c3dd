"""Val is split once by seed: what chooses is never what was searched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusionprog._internal.canonical import digest
from fusionprog.errors import DataError
from fusionprog.program.data import Row

MIN_CONFIRMATION = 20


@dataclass(frozen=True)
class Fold:
    """One split of every task's val rows.

    Attributes:
        search: Task → rows that candidates are searched on, in the order that all candidates share.
        confirmation: Task → rows that finalists are compared on.
    """

    search: Mapping[str, tuple[Row, ...]]
    confirmation: Mapping[str, tuple[Row, ...]]


def split_val(val: Mapping[str, Sequence[Row]], seed: int) -> tuple[Fold, ...]:
    """Splits val rows into a search part and a confirmation part.

    The confirmation part is one third, at least 20 rows. Where a task has fewer than 40 rows, all are
    cross-fitted: halved, and each half confirms what was searched on the other, so that there are two folds.

    Raises:
        DataError: if a task has fewer than two rows.
    """
    shuffled = {task: sorted(_distinct(rows), key=lambda row: digest([seed, row.id])) for task, rows in val.items()}
    for task, rows in shuffled.items():
        if len(rows) < 2:
            raise DataError(f"task {task!r}: val has fewer than 2 different rows", fix="Give it at least 40")
    if all(len(rows) >= 2 * MIN_CONFIRMATION for rows in shuffled.values()):
        cuts = {task: max(MIN_CONFIRMATION, len(rows) // 3) for task, rows in shuffled.items()}
        return (
            Fold(
                {task: tuple(rows[cuts[task] :]) for task, rows in shuffled.items()},
                {task: tuple(rows[: cuts[task]]) for task, rows in shuffled.items()},
            ),
        )
    one = {task: tuple(rows[: len(rows) // 2]) for task, rows in shuffled.items()}
    other = {task: tuple(rows[len(rows) // 2 :]) for task, rows in shuffled.items()}
    return Fold(one, other), Fold(other, one)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    return list({row.id: row for row in rows}.values())
