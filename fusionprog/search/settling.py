"""Which tasks follow what was found, and which go on with what they followed before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fusionprog.evaluation.statistics import lower_bound, mean_gain
from fusionprog.runtime.growth import Growth
from fusionprog.runtime.record import Comparison
from fusionprog.search.confirmation import Decision


@dataclass(frozen=True)
class Standing:
    """What was measured of a program that tasks followed before, on the rows of a candidate.

    Attributes:
        gains: Task → the program as written against it.
        unchanged: Task → it against itself.
        against: Task → it against the candidate.
        written: Task → it against the program as written.
    """

    gains: Mapping[str, Comparison]
    unchanged: Mapping[str, Comparison]
    against: Mapping[str, Comparison]
    written: Mapping[str, Comparison]


@dataclass(frozen=True)
class Settled:
    """What tasks follow.

    Attributes:
        kept: The tasks that go on with what they followed before.
        gains: Task → the program as written against what it follows now.
        replaced: Task → what it followed before against what it follows now.
        growth: What the tasks scored stage by stage.
    """

    kept: tuple[str, ...] = ()
    gains: Mapping[str, Comparison] = field(default_factory=dict)
    replaced: Mapping[str, Comparison] = field(default_factory=dict)
    growth: Growth | None = None

    @property
    def why(self) -> str:
        """What was measured of all tasks together, in words."""
        gain, error, _ = mean_gain(self.gains)
        return (
            f"nothing better was found than what was known before: mean gain {gain:+.3f} ± {error:.3f} on confirmation"
        )

    @property
    def improved(self) -> bool:
        """Whether a task that goes on as before is better than as written."""
        return any(self.gains[task].gain > 0 for task in self.kept)


def settle(
    decision: Decision, standing: Standing, *, known: Collection[str], tolerance: float | None, before: Growth | None
) -> Settled:
    """Returns which tasks follow what was found.

    A task goes on with what it followed before, where its measured score would fall by more than a tolerance; a task
    that was not compiled before, by anything at all, and only if it was measured to be better than as written: what it
    followed is but what other tasks make one expect. So what was found for all tasks together is never bought with one
    of them. What was measured to be worse than the program as written never goes on.

    Args:
        decision: What was found, against the program as written.
        standing: What was measured of the program before.
        known: The tasks that had been compiled before.
        tolerance: How much lower the score of one of these may be; ``None`` where it must be higher: by a one-sided
            test at 95% in the task, or in all of them together.
        before: What tasks scored as the program grew so far.
    """
    kept: list[str] = []
    gains: dict[str, Comparison] = {}
    replaced: dict[str, Comparison] = {}
    follows = {task: decision.improved and task not in decision.schedule.as_written for task in decision.gains}
    changes = {task: (standing.against if new else standing.written)[task] for task, new in follows.items()}
    together = lower_bound(changes, finalists=1) > 0
    for task, found in decision.gains.items():
        now = changes[task]
        if tolerance is None:
            goes_on = now.gain <= 0 or not (together or lower_bound({task: now}, finalists=1) > 0)
        else:
            goes_on = -now.gain > (tolerance if task in known else 0.0) or (now.gain == 0 and not follows[task])
        gain = standing.gains[task].gain
        if goes_on and (gain > 0 or (gain == 0 and task in known)):
            kept.append(task)
            gains[task], replaced[task] = standing.gains[task], standing.unchanged[task]
        else:
            gains[task], replaced[task] = found, now
    return Settled(tuple(kept), gains, replaced, _growth(standing, replaced, known, before))


def _growth(
    standing: Standing, replaced: Mapping[str, Comparison], known: Collection[str], before: Growth | None
) -> Growth:
    """The stages so far, as they are measured now, and this one."""
    was = {task: each.before.mean for task, each in replaced.items()}
    now = {task: each.after.mean for task, each in replaced.items()}
    written = {task: each.before.mean for task, each in standing.gains.items()}
    if before is None:
        learned_in = {task: 1 if task in known else 2 for task in replaced}
        return Growth(("as written", "before", "after"), learned_in, (written, was, now))
    stages = [*before.stages[:-1], "before", "after"]
    new = {task: len(stages) - (2 if task in known else 1) for task in replaced if task not in before.learned_in}
    learned_in = {**before.learned_in, **new}
    return Growth(stages, learned_in, ({**before.scores[0], **written}, *before.scores[1:-1], was, now))
