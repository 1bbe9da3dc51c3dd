"""How trials are scored: task weights that move by rounds, and the one number that tasks' scores come to."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fusionprog.search.bench import Outcomes, mean_tokens, task_means
from fusionprog.search.constraints import Usage, broken, usage_of
from fusionprog.search.objective import Objective

_ROUND_TRIALS, _ROUND_ROWS = 8, 32  # a round has at least so many trials, and rows of every task
_USUAL_ROWS = 8  # that what is usual for tasks counts as, where a task has few rows of its own
_OTHER_SCALE = 5.0  # full marks that are so many times those of another task are on another scale
_MOST_ROUNDS = 32  # making a study again takes longer, the more trials it has


class Scoring:
    """Scores of tasks become one number under an objective, whose task weights it keeps.

    It is told outcomes in the order in which they are booked. A round is some trials; a task's loss in it is what its
    rows in these trials are short of full marks on average, which are 1, or the highest score seen where metrics go
    further: in any task, or in the task itself where others are marked on another scale. The weights are a function of
    the losses of all rounds that are over: they move at no further call.

    Args:
        objective: What is to be reached.
        seed: For weights that are drawn.

    Attributes:
        objective: What is to be reached.
        scheme: The scheme of its task weights.
        weights: Task → weight of now, above 0 and 1 on average.
        written: Task → what a call of the program as written takes.
    """

    def __init__(self, objective: Objective, seed: int) -> None:
        self.objective = objective
        self.scheme = objective.weights(seed)
        self.weights: Mapping[str, float] = {}
        self.written: Mapping[str, Usage] = {}
        self._round_trials, self._usual_rows = _ROUND_TRIALS, _ROUND_ROWS
        self._rounds: list[Mapping[str, tuple[float, int]]] = []  # task → mean score, and its rows
        self._scores: dict[str, list[float]] = {}
        self._trials = 0
        self._full: dict[str, float] = {}
        self._marks: dict[str, float] = {}  # the same, of tasks of one scale the highest
        self._as_written: dict[str, float] = {}

    def __call__(self, scores: Mapping[str, float]) -> float:
        """Returns what tasks' mean scores come to under the weights of now; higher is better."""
        relative = {}
        if self._rounds:
            relative = {
                task: self._loss(task, score, self._usual_rows) / self._as_written[task]
                for task, score in scores.items()
            }
        weights = {task: self.weights.get(task, 1.0) for task in scores}
        return self.scheme.value(scores, weights, relative or dict.fromkeys(scores, 1.0))

    def begin(self, baseline: Outcomes, trials: int = 0) -> None:
        """Is told what the program as written came to, before all trials; all tasks count alike in the first round.

        Args:
            baseline: Its outcomes, on as many rows of every task as a trial has.
            trials: How many trials there will be at most.
        """
        rows = max(len(mine) for mine in baseline.values())
        self._round_trials = max(_ROUND_TRIALS, math.ceil(_ROUND_ROWS / rows), math.ceil(trials / _MOST_ROUNDS))
        self._usual_rows = self._round_trials * rows
        self.written = usage_of(baseline)
        self._end_round({task: [each.score for each in mine] for task, mine in baseline.items()})
        self.weights = dict.fromkeys(baseline, 1.0)

    def add(self, outcomes: Outcomes) -> bool:
        """Is told what a trial came to; returns whether that has changed what earlier ones come to."""
        for task, mine in outcomes.items():
            self._scores.setdefault(task, []).extend(each.score for each in mine)
        self._trials += 1
        if self._trials < self._round_trials:
            return False
        weights, full = self.weights, dict(self._full)
        self._end_round(self._scores)
        self._scores, self._trials = {}, 0
        return self._full != full or (self.scheme.moves_values and self.weights != weights)

    @property
    def scales(self) -> str:
        """Says so where tasks' metrics have marks of different height, so that a mean is that of the highest ones."""
        lowest, highest = (choose(self._full, key=lambda task: self._full[task]) for choose in (min, max))
        if self._full[highest] < _OTHER_SCALE * self._full[lowest]:
            return ""
        return (
            f"scores in task {highest!r} go up to {self._full[highest]:g}, in {lowest!r} to {self._full[lowest]:g}: "
            "the mean over tasks is all but that of the former; give metrics of one scale, such as 0 to 1"
        )

    def excess(self, outcomes: Outcomes) -> float:
        """Returns by how much outcomes break constraints: scores short of floors, and shares above caps."""
        return sum(broken(self.objective, task_means(outcomes), usage_of(outcomes)).values())

    def order(self, outcomes: Outcomes, value: float) -> tuple[float, float, float]:
        """Returns a key that sorts the better first: what keeps to the constraints, then its value, then its tokens.

        Args:
            outcomes: What was measured.
            value: What they count as: what they come to, or what is made of it where more is known.

        References:
            Deb, "An efficient constraint handling method for genetic algorithms", 2000.
        """
        return round(self.excess(outcomes), 9), -round(value, 9), mean_tokens(outcomes)

    def _end_round(self, scores: Mapping[str, list[float]]) -> None:
        self._full |= {task: max(1.0, self._full.get(task, 1.0), *mine) for task, mine in scores.items() if mine}
        known = self._rounds[-1] if self._rounds else {}
        means = {task: (sum(mine) / len(mine), len(mine)) for task, mine in scores.items() if mine}
        self._rounds.append({**known, **means})
        # Full marks that were not known in earlier rounds hold for them, too.
        highest = max(self._full.values())
        self._marks = {task: highest if highest < _OTHER_SCALE * mine else mine for task, mine in self._full.items()}
        self._as_written = self._losses_as_written()
        later = [{task: self._loss(task, *each) for task, each in ended.items()} for ended in self._rounds[1:]]
        self.weights = self.scheme.weights([self._as_written, *later])

    def _losses_as_written(self) -> dict[str, float]:
        """Losses in the first round, which has the few rows of a trial: they lean towards what is usual for tasks."""
        shares = {task: self._loss(task, *each) / self._marks[task] for task, each in self._rounds[0].items()}
        usual = sum(shares.values()) / len(shares)
        rows = {task: count for task, (_, count) in self._rounds[0].items()}
        return {
            task: self._marks[task] * (rows[task] * share + _USUAL_ROWS * usual) / (rows[task] + _USUAL_ROWS)
            for task, share in shares.items()
        }

    def _loss(self, task: str, score: float, rows: int) -> float:
        """What a score on so many rows is short of full marks; half a row at least, lest a solved task outweigh all."""
        full = self._marks[task]
        return max(full - score, full / (2 * rows))
