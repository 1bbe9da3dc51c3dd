"""Racing: whether a trial that is behind the best one on its first rows is measured on the others."""

from __future__ import annotations

from typing import ClassVar, Protocol

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.evaluation.statistics import compare, lower_bound
from fusionprog.search.bench import Outcomes, Rows

_LEVEL = 0.05  # how often a trial that is as good as the best one is stopped
_LEAST = 8  # rows over all tasks on which anything can be told


class Racing(Protocol):
    """Decides which trials are stopped before all of their rows are measured.

    Attributes:
        finding: What it has found of a trial that it stops, in words.
    """

    finding: ClassVar[str]

    def first(self, rows: Rows) -> Rows | None:
        """Returns the first rows of every task, after which a trial may be stopped; ``None`` where none may be."""
        ...

    def is_behind(self, outcomes: Outcomes, leader: Outcomes) -> bool:
        """Returns whether a trial should be stopped.

        Args:
            outcomes: Task → outcomes on the first rows of the task.
            leader: Task → those of the best trial so far, on the same rows and more.
        """
        ...


racing_registry: Registry[type[Racing]] = Registry("racing", FusionProgError)


@racing_registry.register("paired_test")
class PairedTest:
    """Stops what is worse than the best trial on half of the rows, by a one-sided paired t-test at 95%.

    References:
        Maron and Moore, "The Racing Algorithm: Model Selection for Lazy Learners", 1997 (racing with paired tests).
    """

    finding: ClassVar[str] = "behind the best one by a paired test at 95%"

    def first(self, rows: Rows) -> Rows | None:
        """Returns the first half of every task's rows, if that is enough to tell a trial that is behind."""
        half = {task: mine[: -(-len(mine) // 2)] for task, mine in rows.items()}
        return half if sum(map(len, half.values())) >= _LEAST else None

    def is_behind(self, outcomes: Outcomes, leader: Outcomes) -> bool:
        """Returns whether the mean loss over tasks is above 0."""
        lost = {
            task: compare([each.value for each in mine], [each.value for each in leader[task][: len(mine)]])
            for task, mine in outcomes.items()
            if mine
        }
        return lower_bound(lost, finalists=1, level=_LEVEL) > 0


@racing_registry.register("none")
class NoRacing:
    """Every trial is measured on all of its rows."""

    finding: ClassVar[str] = ""

    def first(self, rows: Rows) -> None:
        """Lets no trial be stopped."""

    def is_behind(self, outcomes: Outcomes, leader: Outcomes) -> bool:
        """Stops nothing."""
        return False


def projected(outcomes: Outcomes, leader: Outcomes) -> dict[str, float]:
    """Returns what a trial that was stopped would come to in each task, if it lost as much on the other rows.

    Its mean so far may be above the leader's on all rows, where the first rows are easy.

    Args:
        outcomes: As in ``Racing.is_behind``.
        leader: As in ``Racing.is_behind``.
    """
    made = {}
    for task, mine in outcomes.items():
        values = [each.value for each in leader[task]]
        lost = sum(values[: len(mine)]) - sum(each.value for each in mine)
        made[task] = sum(values) / len(values) - lost / len(mine)
    return made
