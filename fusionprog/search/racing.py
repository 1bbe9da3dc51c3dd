"""Racing: a trial that is behind the best one on half of its rows is not measured on the others."""

from __future__ import annotations

from fusionprog.evaluation.statistics import compare, lower_bound
from fusionprog.search.bench import Outcomes, Rows

_LEVEL = 0.05  # how often a trial that is as good as the best one is stopped
_LEAST = 8  # rows over all tasks on which anything can be told


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """Returns the first half of every task's rows, and the rest."""
    first = {task: mine[: -(-len(mine) // 2)] for task, mine in rows.items()}
    return first, {task: mine[len(first[task]) :] for task, mine in rows.items()}


def can_tell(rows: Rows) -> bool:
    """Returns whether rows are enough to tell a trial that is behind."""
    return sum(map(len, rows.values())) >= _LEAST


def is_behind(outcomes: Outcomes, leader: Outcomes) -> bool:
    """Returns whether a trial's outcomes are worse than the leader's on the same rows, by a paired test.

    Args:
        outcomes: Task → outcomes on the first rows of the task.
        leader: Task → the leader's, on the same rows and more.

    References:
        Maron and Moore, "The Racing Algorithm: Model Selection for Lazy Learners", 1997 (racing with paired tests).
    """
    lost = {
        task: compare([each.value for each in mine], [each.value for each in leader[task][: len(mine)]])
        for task, mine in outcomes.items()
        if mine
    }
    return lower_bound(lost, finalists=1, level=_LEVEL) > 0


def projected(outcomes: Outcomes, leader: Outcomes) -> dict[str, float]:
    """Returns what a trial that was stopped would come to in each task, if it lost as much on the other rows.

    Its mean so far may be above the leader's on all rows, where the first rows are easy.

    Args:
        outcomes: As in ``is_behind``.
        leader: As in ``is_behind``.
    """
    made = {}
    for task, mine in outcomes.items():
        values = [each.value for each in leader[task]]
        lost = sum(values[: len(mine)]) - sum(each.value for each in mine)
        made[task] = sum(values) / len(values) - lost / len(mine)
    return made
