"""The final choice: finalists against the program as written, on rows that nothing was searched on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scipy.stats import norm

from fusionprog._internal.canonical import digest
from fusionprog.evaluation.statistics import CHANGED_SHARE, lower_bound
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.record import Comparison, FrontPoint
from fusionprog.search.constraints import Usage, broken, mean_usage, point
from fusionprog.search.objective import Objective
from fusionprog.search.pareto import chord_distances, front
from fusionprog.search.weighting import EqualWeights, TaskWeights

_ADDED = 4  # rows
_LEAST_SAVING = 0.05  # share of the dollars for which alone the program is replaced
_MEAN_LEVEL, _TASK_LEVEL = 0.04, 0.01  # together 5%: how often what is no better may replace the program
_VOUCHED_LEVEL = 0.2  # the same where other compiles proved it: without any rows, they would be believed at once


@dataclass(frozen=True)
class Finalist:
    """A candidate and what the confirmation part says of it.

    Attributes:
        schedule: The candidate.
        gains: Task → paired comparison with the program as written.
        unchanged: Task → the program as written compared with itself, on the same rows.
        tokens: Mean tokens per example.
        usage: Task → what a call takes.
        written: Task → what a call of the program as written takes.
        weights: Task → how much it counted at the end of the candidate's search; all alike where it is not named.
        values: Task → the same comparison of what is left of scores when dollars have been paid, where the search
            chooses among models; scores alone decide where it is empty.
        vouched: The mean gain that sources make one expect, and its standard error; ``None`` without sources that hold.
    """

    schedule: Schedule
    gains: Mapping[str, Comparison]
    unchanged: Mapping[str, Comparison]
    tokens: float
    usage: Mapping[str, Usage] = field(default_factory=dict)
    written: Mapping[str, Usage] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Comparison] = field(default_factory=dict)
    vouched: tuple[float, float] | None = None

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
        refused: Why finalists that came before it were not, a sentence each.
        weights: Task → how much it counted; empty where all counted alike.
        front: What was traded off, where anything was.
    """

    schedule: Schedule
    improved: bool
    gains: Mapping[str, Comparison]
    why: str
    refused: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    front: tuple[FrontPoint, ...] = ()


@dataclass(frozen=True)
class _Kept:
    """What would be returned: a finalist, but for the tasks that stay as written."""

    finalist: Finalist
    below: tuple[str, ...]
    why: str

    @property
    def schedule(self) -> Schedule:
        return replace(self.finalist.schedule, as_written=self.below)

    @property
    def gains(self) -> dict[str, Comparison]:
        finalist = self.finalist
        return {task: finalist.unchanged[task] if task in self.below else each for task, each in finalist.gains.items()}

    @property
    def usage(self) -> dict[str, Usage]:
        finalist = self.finalist
        return {task: finalist.written[task] if task in self.below else each for task, each in finalist.usage.items()}

    def broken(self, objective: Objective) -> str:
        """What it does not keep to, in words; none if it keeps to all."""
        return "; ".join(broken(objective, {task: each.after.mean for task, each in self.gains.items()}, self.usage))


def decide(
    finalists: Sequence[Finalist],
    unchanged: Mapping[str, Comparison],
    objective: Objective | None = None,
    *,
    written: Mapping[str, Usage] | None = None,
) -> Decision:
    """Chooses among finalists by the objective: by default the best mean, with no task below the program as written.

    A finalist replaces the program as written if the one-sided 96% lower bound of its gain under the objective is
    above 0, corrected for the number of finalists; a task in which its own gain is below 0 then stays as written. If no
    finalist passes, one may still replace it in single tasks in which it passes alone at 99%, corrected for the
    number of finalists and tasks. So what is no better, under the objective or in any task, replaces the program in at
    most 5% of compiles. Equal gains go to the cheaper prompt. What breaks a constraint of the objective is not
    returned. Where sources make one expect a gain of the mean, it is proven by what they say and the measured gain
    together, each by its precision, at 80% in place of 96%, as long as the measured one is above 0.

    Where quality is traded off, the knee of the front of all that pass is returned; what has no gain passes, too, if it
    loses nothing and is cheaper.

    Args:
        finalists: The candidates; may be empty.
        unchanged: Task → the program as written compared with itself, for where nothing beat it.
        objective: What decides.
        written: Task → what a call of the program as written takes, where quality is traded off.
    """
    objective = objective or Objective()
    scheme = objective.weights(seed=0)
    finalists = [replace(each, weights=each.weights or dict.fromkeys(each.gains, 1.0)) for each in finalists]
    gains = [scheme.gain(each.judged, each.weights)[0] for each in finalists]
    order = sorted(range(len(finalists)), key=lambda place: (-round(gains[place], 9), finalists[place].tokens))
    ranked = [finalists[place] for place in order]
    refused: list[str] = []
    passing: list[_Kept] = []
    for finalist in ranked:
        kept = _proven(finalist, objective, scheme, len(finalists), refused)
        if kept is not None:
            passing.append(kept)
            if not objective.pareto:
                break
    if not passing:
        passing += _proven_alone(ranked, objective, len(unchanged), refused)
    if objective.pareto:
        return _traded_off(passing, unchanged, written or {}, objective, scheme, refused)
    if not passing:
        why = _as_written(unchanged, objective, written or {}, refused)
        return Decision(Schedule(), False, dict(unchanged), why, tuple(refused), _told(ranked))
    return _returned(passing[0], refused)


def _proven(
    finalist: Finalist, objective: Objective, scheme: TaskWeights, finalists: int, refused: list[str]
) -> _Kept | None:
    """The finalist as it would be returned, if its gain is proven and it keeps to the constraints."""
    gain, error = scheme.gain(finalist.gains, finalist.weights)
    bound = scheme.bound(finalist.judged, finalist.weights, tries=finalists, level=_MEAN_LEVEL)
    text = f"{scheme.gain_name} {gain:+.3f} ± {error:.3f} on confirmation"
    if finalist.vouched is not None and not finalist.values and isinstance(scheme, EqualWeights):
        rows = sum(each.before.n for each in finalist.gains.values())
        together, its_error = _together(finalist.vouched, (gain, _usual_error(error, rows)))
        text += f", {together:+.3f} ± {its_error:.3f} with what was known before"
        if gain > 0:  # a few rows often show none of either sign, also of what harms
            bound = max(bound, together + float(norm.ppf(_VOUCHED_LEVEL / finalists)) * its_error)
    if finalist.values:
        text += f", {scheme.gain(finalist.values, finalist.weights)[0]:+.4f} with what it costs"
    below = () if objective.below_baseline else tuple(sorted(t for t, each in finalist.gains.items() if each.gain < 0))
    in_order = [task for task in finalist.gains if task in below]
    kept = _Kept(finalist, below, f"{text}; as written in {', '.join(in_order)}" if below else text)
    if bound > 0 and gain <= 0 and _saves_little(finalist, list(finalist.gains)):
        refused.append(f"{text}: it saves less than {_LEAST_SAVING:.0%}")
        return None
    if bound < 0 or (bound == 0 and not (objective.pareto and _is_cheaper(kept, objective))):
        refused.append(f"{text}: not proven, it may be {bound:+.3f}")
        return None
    if what := kept.broken(objective):
        refused.append(f"{text}: {what}")
        return None
    return kept


def _saves_little(finalist: Finalist, tasks: Sequence[str]) -> bool:
    """Whether dollars decide, and what it costs in tasks is about what the program as written does."""
    if not finalist.values:
        return False
    after, before = (
        mean_usage({task: usage[task] for task in tasks}).usd for usage in (finalist.usage, finalist.written)
    )
    return after is None or before is None or after > (1 - _LEAST_SAVING) * before


def _usual_error(error: float, rows: int) -> float:
    """A standard error to which a few rows with the usual share of changed outcomes were added.

    A few rows may all change alike by chance; their own error would then be 0.
    """
    return math.sqrt((rows * rows * error**2 + _ADDED * CHANGED_SHARE) / (rows + _ADDED) / rows)


def _together(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Two means with their standard errors, both above 0, as one, each by its precision."""
    precisions = [1 / each[1] ** 2 for each in (one, other)]
    mean = (precisions[0] * one[0] + precisions[1] * other[0]) / sum(precisions)
    return mean, sum(precisions) ** -0.5


def _proven_alone(ranked: Sequence[Finalist], objective: Objective, tasks: int, refused: list[str]) -> list[_Kept]:
    """The first finalist that is proven in single tasks and keeps to the constraints, as written elsewhere."""
    tries = len(ranked) * tasks
    for finalist in ranked:
        bounds = {
            task: lower_bound({task: each}, finalists=tries, level=_TASK_LEVEL)
            for task, each in finalist.judged.items()
        }
        passing = [
            task
            for task, bound in bounds.items()
            if bound > 0 and not (finalist.gains[task].gain <= 0 and _saves_little(finalist, [task]))
        ]
        if passing:
            below = tuple(sorted(task for task in finalist.gains if task not in passing))
            kept = _Kept(finalist, below, f"proven in {', '.join(passing)} alone; as written elsewhere")
            if not (what := kept.broken(objective)):
                return [kept]
            refused.append(f"proven in {', '.join(passing)} alone: {what}")
    return []


def _traded_off(
    passing: Sequence[_Kept],
    unchanged: Mapping[str, Comparison],
    written: Mapping[str, Usage],
    objective: Objective,
    scheme: TaskWeights,
    refused: Sequence[str],
) -> Decision:
    """The knee of the front of all that pass and the program as written; it stays where none that pass is on it."""
    weights = passing[0].finalist.weights if passing else dict.fromkeys(unchanged, 1.0)
    base = _level(unchanged, scheme, weights)
    programs = [("as written", base, mean_usage(written))]
    for kept in passing:
        quality, error = _level(kept.gains, scheme, weights)
        ahead = quality - _level(kept.finalist.unchanged, scheme, weights)[0]  # on its own half, where val has two
        programs.append((digest(repr(kept.schedule)), (base[0] + ahead, error), mean_usage(kept.usage)))
    points = [point(objective, quality, usage) for _, (quality, _), usage in programs]
    on_it = front(points)
    distances = chord_distances([points[place] for place in on_it])
    able = [step for step, place in enumerate(on_it) if place > 0]
    best = on_it[max(able, key=lambda step: (round(distances[step], 9), -step))] if able else 0
    shown = []
    for place in on_it:
        name, (quality, error), usage = programs[place]
        shown.append(FrontPoint(name, quality, error, usage.tokens, usage.usd, usage.latency, place == best))
    if best == 0:
        why = _as_written(unchanged, objective, written, refused)
        return Decision(Schedule(), False, dict(unchanged), why, tuple(refused), front=tuple(shown))
    return replace(_returned(passing[best - 1], refused), front=tuple(shown))


def _as_written(
    unchanged: Mapping[str, Comparison], objective: Objective, written: Mapping[str, Usage], refused: Sequence[str]
) -> str:
    """Why the program stays as written, and what it does not keep to either."""
    scores = {task: each.before.mean for task, each in unchanged.items()}
    if not (not_kept := "; ".join(broken(objective, scores, written))):
        return "nothing beat your program"
    nearest = f"; the best candidate: {refused[0]}" if refused else ""
    return f"nothing was found that keeps to the objective, and your program does not either: {not_kept}{nearest}"


def _level(gains: Mapping[str, Comparison], scheme: TaskWeights, weights: Mapping[str, float]) -> tuple[float, float]:
    return scheme.level({task: each.after for task, each in gains.items()}, weights)


def _is_cheaper(kept: _Kept, objective: Objective) -> bool:
    """Whether it takes no more than the program as written on any axis, and less on one."""
    mine, theirs = (point(objective, 0.0, mean_usage(usage)) for usage in (kept.usage, kept.finalist.written))
    return mine != theirs and all(one >= other for one, other in zip(mine, theirs, strict=True))


def _returned(kept: _Kept, refused: Sequence[str]) -> Decision:
    return Decision(kept.schedule, True, kept.gains, kept.why, tuple(refused), _told([kept.finalist]))


def _told(finalists: Sequence[Finalist]) -> dict[str, float]:
    """The weights of the first finalist; none where all tasks counted alike."""
    weights = dict(finalists[0].weights) if finalists else {}
    return weights if len(set(weights.values())) > 1 else {}
