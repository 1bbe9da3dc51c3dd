"""What a call of a candidate takes, and how far that is from what the objective asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Bench, Outcomes
from fusionprog.search.objective import Objective

_BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class Usage:
    """What a call of the program takes in a task, on average.

    Attributes:
        tokens: Tokens of prompts and answers.
        usd: Dollars; ``None`` where a price is unknown.
        latency: Tokens of answers.
    """

    tokens: float
    usd: float | None
    latency: float


def usage_of(outcomes: Outcomes) -> dict[str, Usage]:
    """Returns task → what a call takes, for the tasks that have outcomes."""
    return {task: _usage(mine) for task, mine in outcomes.items() if mine}


def estimated_usage(bench: Bench, schedule: Schedule, written: Mapping[str, Usage]) -> dict[str, Usage]:
    """Returns task → about what a call would take, without asking anything.

    The program as written was measured; to that comes what the prompts are longer, at four bytes a token.

    Args:
        bench: Renders prompts.
        schedule: The candidate.
        written: Task → what the program as written takes.
    """
    made = {}
    for task, known in written.items():
        longer = (_length(bench, schedule, task) - _length(bench, Schedule(), task)) / _BYTES_PER_TOKEN
        tokens = max(0.0, known.tokens + longer)
        usd = None if known.usd is None or not known.tokens else known.usd * tokens / known.tokens
        made[task] = Usage(tokens, usd, known.latency)
    return made


def mean_usage(usage: Mapping[str, Usage]) -> Usage:
    """Returns what a call takes on average over tasks."""
    count = max(1, len(usage))
    prices = [each.usd for each in usage.values()]
    return Usage(
        sum(each.tokens for each in usage.values()) / count,
        None if None in prices else sum(price or 0.0 for price in prices) / count,
        sum(each.latency for each in usage.values()) / count,
    )


def point(objective: Objective, quality: float, usage: Usage) -> tuple[float, ...]:
    """Returns where a candidate lies on the axes that an objective trades off: quality first, the higher the better.

    Args:
        objective: Names the axes.
        quality: What the tasks' scores come to.
        usage: What a call takes; a price that is unknown counts as none.
    """
    costs = {"tokens": usage.tokens, "usd": usage.usd or 0.0, "latency": usage.latency}
    return quality, *(-costs[axis] for axis in objective.pareto if axis != "quality")


def broken(objective: Objective, scores: Mapping[str, float], usage: Mapping[str, Usage]) -> dict[str, float]:
    """Returns what is not kept to, in words → by how much: scores below a floor, and shares above a cap.

    Args:
        objective: What it asks for.
        scores: Task → mean score; those without one are not looked at.
        usage: Task → what a call takes; likewise.
    """
    found = {}
    for task, floor in objective.floors.items():
        if task in scores and (short := round(floor - scores[task], 9)) > 0:
            found[f"{task} scores {scores[task]:.3f}, below its floor of {floor:g}"] = short
    for task, mine in usage.items():
        if objective.most_tokens is not None and mine.tokens > objective.most_tokens:
            text = f"a call in {task} takes {mine.tokens:,.0f} tokens, more than {objective.most_tokens:,.0f}"
            found[text] = mine.tokens / objective.most_tokens - 1
        if objective.most_usd is not None and mine.usd is not None and mine.usd > objective.most_usd:
            found[f"a call in {task} costs ${mine.usd:.6f}, more than ${objective.most_usd:g}"] = (
                mine.usd / objective.most_usd - 1
            )
    return found


def _usage(mine: Sequence[Outcome]) -> Usage:
    prices = [each.usd for each in mine]
    return Usage(
        sum(each.tokens for each in mine) / len(mine),
        None if None in prices else sum(price or 0.0 for price in prices) / len(mine),
        sum(each.written for each in mine) / len(mine),
    )


def _length(bench: Bench, schedule: Schedule, task: str) -> int:
    return sum(prompt.most_tokens for prompt in bench.prompts(schedule, task).values())
