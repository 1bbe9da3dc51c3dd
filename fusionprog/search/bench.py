"""Measures schedules on rows of all tasks, and keeps the books."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from fusionprog._internal.canonical import digest
from fusionprog.evaluation.evaluator import Evaluator, Outcome, TaskScorer
from fusionprog.lm.budget import Budget, Ledger
from fusionprog.lm.client import LMClient
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import Renderer
from fusionprog.search.events import Spent

Outcomes = Mapping[str, Sequence[Outcome]]
T = TypeVar("T")


class Bench:
    """Where candidates are measured.

    Args:
        scorers: Task → how it is scored.
        evaluator: Measures; equal prompts on an equal row once.
        renderer: Turns schedules into prompts.
        client: For what was really paid.
        budget: What may be spent.
        ledger: Where spending is booked.
        keep: Keeps per-example scores.
    """

    def __init__(
        self,
        scorers: Mapping[str, TaskScorer],
        evaluator: Evaluator,
        renderer: Renderer,
        client: LMClient,
        budget: Budget,
        ledger: Ledger,
        keep: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        self.scorers = scorers
        self.ledger = ledger
        self.budget = budget
        self._evaluator = evaluator
        self._renderer = renderer
        self._client = client
        self._keep = keep

    @property
    def calls_per_row(self) -> int:
        """Model calls that one row of every task needs together, at most."""
        return sum(scorer.calls_per_example for scorer in self.scorers.values())

    @property
    def spent(self) -> Spent:
        """Where the money stands."""
        return Spent(self.ledger.calls, self._client.stored, self.ledger.usd, self.budget)

    async def measure(self, schedule: Schedule, rows: Mapping[str, Sequence[Row]]) -> Outcomes:
        """Returns task → outcomes of its rows, in their order."""

        async def one(task: str) -> list[Outcome]:
            scorer = self.scorers[task]
            prompts = self._renderer.prompts(schedule, scorer.view, scorer.asking)
            return await together(self._evaluator.outcome(scorer, prompts, row) for row in rows[task])

        results = await together(one(task) for task in rows)
        return dict(zip(rows, results, strict=True))

    def charge(self, schedule: Schedule, outcomes: Outcomes) -> None:
        """Enters the calls behind outcomes into the ledger, each call once, and keeps the scores."""
        for task, results in outcomes.items():
            candidate = self.candidate(schedule, task)
            for outcome in results:
                self.ledger.charge(outcome.calls)
            self._keep(
                [
                    {
                        "candidate": candidate,
                        "task": task,
                        "example": outcome.example,
                        "score": outcome.score,
                        "status": outcome.status,
                        "error": outcome.error,
                    }
                    for outcome in results
                ]
            )

    def candidate(self, schedule: Schedule, task: str) -> str:
        """Returns what tells a schedule's prompts in a task apart; equal ones score alike."""
        scorer = self.scorers[task]
        prompts = self._renderer.prompts(schedule, scorer.view, scorer.asking)
        return digest([prompts[node].id for node in scorer.asking])


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Does work at once and returns what comes of it, in order; the first failure ends all of it.

    ``asyncio.gather`` alone would leave the rest running: calls that are paid for and used by nobody.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def block(rows: Mapping[str, Sequence[Row]], start: int, count: int) -> dict[str, Sequence[Row]]:
    """Returns ``count`` rows of every task from ``start`` on, or as many as it has."""
    return {task: mine[start : start + count] for task, mine in rows.items()}


def task_means(outcomes: Outcomes) -> dict[str, float]:
    """Returns task → mean score."""
    return {task: sum(each.score for each in mine) / len(mine) for task, mine in outcomes.items() if mine}


def mean_tokens(outcomes: Outcomes) -> float:
    """Returns the mean tokens of a call, over tasks."""
    means = [sum(each.tokens for each in mine) / len(mine) for mine in outcomes.values() if mine]
    return sum(means) / len(means) if means else 0.0
