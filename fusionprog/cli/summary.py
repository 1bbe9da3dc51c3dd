"""What a compile says at its end, and what a dry run says in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from fusionprog.lm.client import Paid
from fusionprog.runtime.record import Adapted, Comparison, CompileRecord, TaskRecord
from fusionprog.search.display import short
from fusionprog.search.preflight import Job


def comparison_text(comparison: Comparison) -> str:
    """Returns ``.70→.82 (+.12 ± .05, n=60)``."""
    before, after = short(comparison.before.mean), short(comparison.after.mean)
    gain = short(comparison.gain)
    sign = "" if gain.startswith("-") else "+"
    return f"{before}→{after} ({sign}{gain} ± {short(comparison.se)}, n={comparison.after.n})"


def score_text(task: TaskRecord) -> str:
    """Returns what is known of a task's score: what was measured, and what was expected of a task that was added."""
    expected = "" if task.adapted is None else _expected_text(task.adapted)
    if task.measured is None:
        return f"{expected}, not measured" if expected else "not measured"
    measured = f"{'test' if task.test else 'confirmation'} {comparison_text(task.measured)}"
    return f"{measured}; {expected}" if expected else measured


def sources_text(adapted: Adapted) -> str:
    """Returns how much of what was known before held in a task that was added; nothing where it was not measured."""
    known = sorted(adapted.sources.items(), key=lambda each: (each[0] == "", -each[1], each[0]))
    shown = [f"{name or 'nothing known'} {share:.0%}" for name, share in known if round(share, 2)]
    return f"of what was known there held: {', '.join(shown)}" if shown else ""


def score_lines(record: CompileRecord, names: Iterable[str]) -> list[str]:
    """Returns the scores of tasks, and of those that were added how they were."""
    lines = []
    width = max(map(len, record.tasks))
    for name in names:
        task = record.tasks[name]
        lines.append(f"{name:{width}}  {score_text(task)}")
        if task.adapted is not None and (held := sources_text(task.adapted)):
            lines.append(f"{'':{width}}  {held}")
        if task.replaced is not None:
            before = "its prompts of before" if task.adapted is None else "its embedding alone"
            lines.append(f"{'':{width}}  against {before}: {comparison_text(task.replaced)}")
    return lines


def summary_lines(record: CompileRecord, names: Iterable[str] | None = None) -> list[str]:
    """Returns the end of a compile: per task the scores, the cost, and why it ended.

    Args:
        record: What the compile recorded.
        names: The tasks that it was about; all, if not given.
    """
    names = list(record.tasks if names is None else names)
    lines = [*score_lines(record, names), ""]
    width = max(map(len, record.tasks))
    for name in names:
        if cost := record.tasks[name].cost:
            lines.append(f"{name:{width}}  per 1,000 calls: {_cost(cost['before'])} → {_cost(cost['after'])}")
    spent = record.spent
    usd = f", ${spent['usd']:.2f}" if spent["usd"] else ""
    lines += ["", f"{record.trials} trials, {int(spent['calls']):,} calls{usd}; ended because {record.reason}"]
    lines.append(record.notes[-1])
    return lines


def growth_lines(record: CompileRecord) -> list[str]:
    """Returns what became of the tasks as the program grew, in a line; nothing where it did not."""
    if record.growth is None:
        return []
    parts = [
        f"{name} {short(value)}"
        for name, value in (
            ("average score", record.growth.average),
            ("backward transfer", record.growth.backward),
            ("forward transfer", record.growth.forward),
        )
        if value is not None
    ]
    return [f"grown: {', '.join(parts)} (on confirmation)"]


def _expected_text(adapted: Adapted) -> str:
    gain = short(adapted.expected)
    return f"{adapted.rung}, expected {'' if gain.startswith('-') else '+'}{gain} ± {short(adapted.se)}"


def objective_lines(record: CompileRecord) -> list[str]:
    """Returns how much the tasks counted at the end, and why finalists were refused; nothing where that is plain."""
    lines = []
    if record.weights:
        weights = ", ".join(f"{task} {weight:.2f}" for task, weight in record.weights.items())
        lines.append(f"task weights at the end: {weights}")
    return lines + [f"refused: {reason}" for reason in record.refused]


def paid_line(paid: Paid) -> str:
    """Returns what a run really paid, as against what its result is worth."""
    usd = f", ${paid.usd:.2f}" if paid.usd else ""
    failed = f"; {paid.failed:,} attempts failed and were made again" if paid.failed else ""
    return f"asked now: {paid.calls:,} calls, {paid.tokens:,} tokens{usd}{failed}"


def dry_run_lines(job: Job) -> list[str]:
    """Returns what preflight found: the notes, the plan and the price."""
    plan, estimate = job.plan, job.estimate
    usd = "price unknown" if estimate.usd is None else f"about ${estimate.usd:.2f}"
    tasks = f"{len(job.tasks)} task{'' if len(job.tasks) == 1 else 's'}"
    offered = [model for mine in job.offered.values() for model in mine.values()]
    models = ", ".join(sorted({model.name for model in (*job.models.values(), *offered)}))
    chosen = [f"{node}.{choice}" for node, mine in job.choices.items() for choice in mine]
    best = "the best candidate" if plan.finalists == 1 else f"{plan.finalists} candidates along the front"
    return [
        *job.notes,
        f"searched: {', '.join(job.searched)} with {len(job.pool)} items for {tasks} on {models}",
        *([f"chosen: {', '.join(chosen)}"] if chosen else []),
        f"at most {estimate.calls:,} calls and {estimate.test_calls:,} for the test report: "
        f"about {estimate.tokens:,} tokens, {usd}",
        *([f"{plan.placing:,} of these calls tell tasks apart, before the search"] if plan.placing else []),
        f"{plan.moving.trials} trials of {plan.moving.block} rows a task; {best} and your program on "
        f"{plan.confirmation}",
    ]


def record_data(record: CompileRecord) -> dict[str, Any]:
    """Returns a record as JSON data."""
    return asdict(record)


def _cost(cost: Any) -> str:
    usd = "" if not cost["usd"] else f", ${cost['usd']:.3f}"
    return f"{int(cost['tokens']):,} tokens{usd}"
