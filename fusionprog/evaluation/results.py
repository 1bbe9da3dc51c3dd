"""What an evaluation found."""

from __future__ import annotations

from collections import Counter
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
    def failed(self) -> dict[str, int]:
        """Status → number of rows, for the rows whose answer was no good; they score 0."""
        return dict(Counter(outcome.status for outcome in self.outcomes if outcome.status != "ok"))

    def __str__(self) -> str:
        score = self.score
        extra = "".join(f", {count} {status}" for status, count in self.failed.items())
        return f"{self.task}: {score.mean:.3f} ± {score.se:.3f} (n={score.n}{extra})"
