"""What a compile says at its end, and what a dry run says in its place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fusionprog.lm.client import Paid
from fusionprog.runtime.record import Comparison, CompileRecord, TaskRecord
from fusionprog.search.display import short
from fusionprog.search.preflight import Job


def comparison_text(comparison: Comparison) -> str:
    """Returns ``.70→.82 (+.12 ± .05, n=60)``."""
    before, after = short(comparison.before.mean), short(comparison.after.mean)
    gain = short(comparison.gain)
    sign = "" if gain.startswith("-") else "+"
    return f"{before}→{after} ({sign}{gain} ± {short(comparison.se)}, n={comparison.after.n})"


def score_text(task: TaskRecord) -> str:
    """Returns what is known of a task's score: what was measured, else what was expected."""
    if task.measured is not None:
        return f"{'test' if task.test else 'confirmation'} {comparison_text(task.measured)}"
    if task.adapted is None:
        return "not measured"
    expected = f"{task.adapted.expected:+.2f} ± {task.adapted.se:.2f}".replace("0.", ".")
    return f"{task.adapted.rung}: expected {expected}, not measured"


def summary_lines(record: CompileRecord) -> list[str]:
    """Returns the end of a compile: per task the scores, the cost, and why it ended."""
    lines = []
    width = max(len(name) for name in record.tasks)
    for name, task in record.tasks.items():
        lines.append(f"{name:{width}}  {score_text(task)}")
    lines.append("")
    for name, task in record.tasks.items():
        if not task.cost:
            continue
        before, after = task.cost["before"], task.cost["after"]
        lines.append(f"{name:{width}}  per 1,000 calls: {_cost(before)} → {_cost(after)}")
    spent = record.spent
    usd = f", ${spent['usd']:.2f}" if spent["usd"] else ""
    lines += ["", f"{record.trials} trials, {int(spent['calls']):,} calls{usd}; ended because {record.reason}"]
    lines.append(record.notes[-1] if record.improved else "nothing beat your program")
    return lines


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
    offered = [model for mine in job.offered.values() for model in mine.values()]
    models = ", ".join(sorted({model.name for model in (*job.models.values(), *offered)}))
    chosen = [f"{node}.{choice}" for node, mine in job.choices.items() for choice in mine]
    best = "the best candidate" if plan.finalists == 1 else f"{plan.finalists} candidates along the front"
    return [
        *job.notes,
        f"searched: {', '.join(job.searched)} with {len(job.pool)} items for {len(job.tasks)} tasks on {models}",
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
