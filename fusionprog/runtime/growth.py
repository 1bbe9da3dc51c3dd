"""What tasks scored stage by stage, as a program grew: forgetting and transfer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """The R matrix: what every task scored after every stage.

    Attributes:
        stages: What the stages are called; the first is the program as written.
        learned_in: Task → the stage, from 1 on, in which it was compiled.
        scores: Stage by stage task → mean score; a task that was not measured in a stage is left out.

    References:
        Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning", 2017, section 2 (backward and forward
        transfer). Here a stage may learn several tasks, and means are over what was measured.
    """

    stages: Sequence[str]
    learned_in: Mapping[str, int]
    scores: Sequence[Mapping[str, float]]

    @property
    def average(self) -> float | None:
        """AP: the mean score of all tasks after the last stage."""
        return _mean(list(self.scores[-1].values()))

    @property
    def backward(self) -> float | None:
        """BWT: what later stages did to tasks that were learned before; below 0 they were forgotten."""
        by_stage = [
            _mean([self._change(task, learned, stage) for task, learned in self.learned_in.items() if learned < stage])
            for stage in range(2, len(self.stages))
        ]
        return _mean(by_stage)

    @property
    def forward(self) -> float | None:
        """FWT: what earlier stages did to tasks that were not learned yet, against the program as written."""
        by_stage = [
            _mean([self._change(task, 0, stage) for task, learned in self.learned_in.items() if learned > stage])
            for stage in range(1, len(self.stages) - 1)
        ]
        return _mean(by_stage)

    def _change(self, task: str, before: int, after: int) -> float | None:
        """What a task gained from one stage to another; ``None`` where it was not measured in both."""
        if task not in self.scores[before] or task not in self.scores[after]:
            return None
        return self.scores[after][task] - self.scores[before][task]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
