"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.evaluation.statistics import score_of
from fusionprog.runtime.record import Score


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of one task's rows.

    Attributes:
        task: The task.
        outcomes: One per row, in their order.
    """

    task: str
    outcomes: Sequence[Outcome]

    @property
    def score(self) -> Score:
        """Mean, standard error and number of rows."""
        return score_of([outcome.score for outcome in self.outcomes])

    @property
    def unreadable(self) -> int:
        """Rows whose answer could not be read; they score 0."""
        return sum(outcome.status == "unreadable" for outcome in self.outcomes)

    def __str__(self) -> str:
        score = self.score
        extra = f", {self.unreadable} unreadable" if self.unreadable else ""
        return f"{self.task}: {score.mean:.3f} ± {score.se:.3f} (n={score.n}{extra})"
