"""The final choice: finalists against the program as written, on rows that nothing was searched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fusionprog.evaluation.statistics import lower_bound, mean_gain
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.record import Comparison

_MEAN_LEVEL, _TASK_LEVEL = 0.04, 0.01  # together 5%: how often what is no better may replace the program


@dataclass(frozen=True)
class Finalist:
    """A candidate and what the confirmation part says of it.

    Attributes:
        schedule: The candidate.
        gains: Task → paired comparison with the program as written.
        unchanged: Task → the program as written compared with itself, on the same rows.
        tokens: Mean tokens per example.
        values: Task → the same comparison of what is left of scores when dollars have been paid, where the search
            chooses among models; scores alone decide where it is empty.
    """

    schedule: Schedule
    gains: Mapping[str, Comparison]
    unchanged: Mapping[str, Comparison]
    tokens: float
    values: Mapping[str, Comparison] = field(default_factory=dict)

    @property
    def judged(self) -> Mapping[str, Comparison]:
        """Task → the comparison that decides."""
        return self.values or self.gains


@dataclass(frozen=True)
class Decision:
    """What is returned.

    Attributes:
        schedule: The chosen schedule; the default one where nothing beat the program as written.
        improved: Whether anything did.
        gains: Task → paired comparison of what is returned with the program as written.
        why: The reason in one sentence.
    """

    schedule: Schedule
    improved: bool
    gains: Mapping[str, Comparison]
    why: str


def decide(finalists: Sequence[Finalist], unchanged: Mapping[str, Comparison]) -> Decision:
    """Chooses among finalists: the best mean, with no task below the program as written.

    A finalist replaces the program as written if the one-sided 96% lower bound of its mean gain over tasks is above
    0, corrected for the number of finalists; a task in which its own gain is below 0 then stays as written. If no
    finalist passes, one may still replace it in single tasks in which it passes alone at 99%, corrected for the
    number of finalists and tasks. So what is no better replaces the program in at most 5% of compiles. Equal gains
    go to the cheaper prompt.

    Args:
        finalists: The candidates; may be empty.
        unchanged: Task → the program as written compared with itself, for where nothing beat it.
    """
    ranked = sorted(finalists, key=lambda each: (-round(mean_gain(each.judged)[0], 9), each.tokens))
    for finalist in ranked:
        if lower_bound(finalist.judged, finalists=len(finalists), level=_MEAN_LEVEL) > 0:
            below = [task for task, each in finalist.gains.items() if each.gain < 0]
            mean, error, _ = mean_gain(finalist.gains)
            kept = f", {mean_gain(finalist.values)[0]:+.4f} with what it costs" if finalist.values else ""
            kept += f"; as written in {', '.join(below)}" if below else ""
            return _keep(finalist, below, f"mean gain +{mean:.3f} ± {error:.3f} on confirmation{kept}")
    tries = len(finalists) * len(unchanged)
    for finalist in ranked:
        bounds = {
            task: lower_bound({task: each}, finalists=tries, level=_TASK_LEVEL)
            for task, each in finalist.judged.items()
        }
        passing = [task for task, bound in bounds.items() if bound > 0]
        if passing:
            below = [task for task in finalist.gains if task not in passing]
            return _keep(finalist, below, f"proven in {', '.join(passing)} alone; as written elsewhere")
    return Decision(Schedule(), False, dict(unchanged), "nothing beat your program")


def _keep(finalist: Finalist, below: Sequence[str], why: str) -> Decision:
    gains = {task: finalist.unchanged[task] if task in below else each for task, each in finalist.gains.items()}
    return Decision(replace(finalist.schedule, as_written=tuple(sorted(below))), True, gains, why)
