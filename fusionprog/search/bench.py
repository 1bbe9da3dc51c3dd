"""Measures schedules on rows of all tasks, and keeps the books."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fusionprog._internal.canonical import digest
from fusionprog._internal.together import together
from fusionprog.evaluation.evaluator import Evaluator, Outcome, TaskScorer
from fusionprog.evaluation.metrics import Metric
from fusionprog.evaluation.variants import Variants
from fusionprog.lm.budget import Cost, Ledger
from fusionprog.lm.client import LMClient
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer
from fusionprog.search.events import Spent
from fusionprog.search.start import Incumbent
from fusionprog.search.worst_case import worst_case

Outcomes = Mapping[str, Sequence[Outcome]]
Rows = Mapping[str, Sequence[Row]]

_REMEMBERED = 1_000  # candidates, by schedule and task
_TIMED_PIECES = 8  # parts that work is cut into where a clock can end it


class Bench:
    """Where candidates are measured.

    Args:
        scorers: Task → how it is scored.
        evaluator: Measures; equal prompts on an equal row once.
        renderer: Turns schedules into prompts.
        client: For what was really paid.
        ledger: Where spending is booked.
        keep: Keeps per-example scores.
        incumbent: A program that is measured by its own prompts, where its schedule is asked for.
        held: The nodes that keep its prompts under every schedule.

    Attributes:
        ended_by: The limit of the budget that cut the last ``measure_all`` short; ``None`` if none did.
    """

    def __init__(
        self,
        scorers: Mapping[str, TaskScorer],
        evaluator: Evaluator,
        renderer: Renderer,
        client: LMClient,
        ledger: Ledger,
        keep: Callable[[list[dict[str, Any]]], None],
        incumbent: Incumbent | None = None,
        held: Sequence[str] = (),
    ) -> None:
        self.scorers = scorers
        self._variants = Variants(scorers)
        self.ledger = ledger
        self.ended_by: str | None = None
        self._evaluator = evaluator
        self._candidates: OrderedDict[tuple[int, str], tuple[Schedule, str]] = OrderedDict()
        self._renderer = renderer
        self._client = client
        self._keep = keep
        self._incumbent = incumbent
        self._held = {
            task: {node: prompt for node, prompt in mine.items() if node in held}
            for task, mine in (incumbent.prompts if incumbent is not None and held else {}).items()
        }

    @property
    def calls_per_row(self) -> int:
        """Model calls that one row of every task needs together, at most."""
        return sum(scorer.calls_per_example for scorer in self.scorers.values())

    @property
    def spent(self) -> Spent:
        """Where the money stands."""
        ledger = self.ledger
        return Spent(ledger.calls, ledger.kept, ledger.usd, ledger.budget, self._client.paid)

    async def measure(self, schedule: Schedule, rows: Rows) -> Outcomes:
        """Returns task → outcomes of its rows, in their order."""

        async def one(task: str) -> list[Outcome]:
            scorer = self.scorer(schedule, task)
            return await self._evaluator.outcomes(scorer, self.prompts(schedule, task), rows[task])

        results = await together(one(task) for task in rows)
        return dict(zip(rows, results, strict=True))

    async def measure_all(
        self, schedules: Sequence[Schedule], rows: Rows, *, keep: Cost | None = None
    ) -> list[Outcomes]:
        """Measures schedules on the same rows and books it, as far as the budget goes.

        Where the worst case of all of it does not fit what is left, it is done in pieces, each booked before the next
        is begun, so that what is left at the end is less than the worst case of one more row. All of it is then known
        for the same first rows of every task; ``ended_by`` names the limit if those are not all.

        Args:
            schedules: What is measured.
            rows: Task → rows.
            keep: What the budget must still have when it is done.
        """
        self.ended_by = None
        longest = max((len(mine) for mine in rows.values()), default=0)
        results: list[dict[str, list[Outcome]]] = [{task: [] for task in rows} for _ in schedules]
        done = 0
        while done < longest and schedules:
            count, limit = self._affordable(schedules, rows, done, longest, keep)
            if count == 0:
                self.ended_by = limit
                break
            piece = block(rows, done, count)
            with self.ledger.reserved(self.worst_case(schedules, piece)):
                try:
                    async with asyncio.timeout(self._patience()):
                        parts = await together(self.measure(schedule, piece) for schedule in schedules)
                except TimeoutError:
                    self.ended_by = "seconds"
                    break
                for schedule, part in zip(schedules, parts, strict=True):
                    self.charge(schedule, part)
            for known, part in zip(results, parts, strict=True):
                for task, mine in part.items():
                    known[task] += mine
            done += count
        return list(results)

    def worst_case(self, schedules: Sequence[Schedule], rows: Rows) -> Cost:
        """Returns what measuring schedules on rows can cost at most."""
        if not self.ledger.budget.by_size:
            calls = sum(len(mine) * self.scorers[task].calls_per_example for task, mine in rows.items())
            return Cost(len(schedules) * calls)
        total = Cost()
        for schedule in schedules:
            for task, mine in rows.items():
                total += worst_case(self.scorer(schedule, task), self.prompts(schedule, task), mine)
        return total

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

    def prompts(self, schedule: Schedule, task: str) -> dict[str, RenderedPrompt]:
        """Returns node → prompt of a schedule in a task, for the nodes that ask a model for its metric."""
        if (given := self._given(schedule)) is not None:
            return dict(given.prompts[task])
        scorer = self.scorer(schedule, task)
        made = self._renderer.prompts(schedule, scorer.view, scorer.asking)
        return {**made, **self._held[task]} if task in self._held else made

    def scorer(self, schedule: Schedule, task: str) -> TaskScorer:
        """Returns how a schedule is scored in a task: what it picks alone runs."""
        if (given := self._given(schedule)) is not None:
            return given.scorers[task]
        return self._variants.scorer(schedule, task)

    def _given(self, schedule: Schedule) -> Incumbent | None:
        incumbent = self._incumbent
        return incumbent if incumbent is not None and schedule is incumbent.schedule else None

    def options(self, schedule: Schedule, task: str) -> dict[str, dict[str, str]]:
        """Returns node → choice → option of a schedule in a task, for the nodes that run for its metric.

        What has no effect is left out: choices at the first option, and those that another one takes out.
        """
        scorer = self.scorer(schedule, task)
        options: dict[str, dict[str, str]] = {}
        for node, choice, option in scorer.picks:
            options.setdefault(node, {})[choice] = option
        return options

    def candidate(self, schedule: Schedule, task: str) -> str:
        """Returns what tells apart what a schedule runs in a task; equal ones score alike."""
        key = id(schedule), task  # held: its id stays its own
        if key not in self._candidates:
            prompts = [prompt.id for prompt in self.prompts(schedule, task).values()]
            self._candidates[key] = schedule, digest([prompts, self.scorer(schedule, task).picks])
            if len(self._candidates) > _REMEMBERED:
                self._candidates.popitem(last=False)
        return self._candidates[key][1]

    def _affordable(
        self, schedules: Sequence[Schedule], rows: Rows, done: int, longest: int, keep: Cost | None
    ) -> tuple[int, str | None]:
        """How many more rows the budget has room for at worst, and which limit sets an end to it."""
        if self.ledger.time_left() <= 0:
            return 0, "seconds"
        most = longest - done
        if self.ledger.budget.seconds is not None:
            most = min(most, -(-longest // _TIMED_PIECES))
        limit = self.ledger.short_of(self.worst_case(schedules, block(rows, done, most)), keep=keep)
        if limit is None:
            return most, None
        fits, too_many = 0, most
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            found = self.ledger.short_of(self.worst_case(schedules, block(rows, done, middle)), keep=keep)
            fits, too_many, limit = (middle, too_many, limit) if found is None else (fits, middle, found)
        return fits, limit

    def _patience(self) -> float | None:
        return None if self.ledger.budget.seconds is None else max(0.0, self.ledger.time_left())


def block(rows: Rows, start: int, count: int) -> dict[str, Sequence[Row]]:
    """Returns ``count`` rows of every task from ``start`` on, or as many as it has."""
    return {task: mine[start : start + count] for task, mine in rows.items()}


def labelled(metric: Metric, rows: Sequence[Row]) -> list[Row]:
    """Returns the rows that have all the gold values that a metric compares with."""
    return [row for row in rows if all(column in row.columns for column in metric.gold)]


def task_means(outcomes: Outcomes) -> dict[str, float]:
    """Returns task → mean score."""
    return {task: sum(each.score for each in mine) / len(mine) for task, mine in outcomes.items() if mine}


def task_values(outcomes: Outcomes) -> dict[str, float]:
    """Returns task → mean value: its score, less what its dollars must bring where models are chosen among."""
    return {task: sum(each.value for each in mine) / len(mine) for task, mine in outcomes.items() if mine}


def mean_tokens(outcomes: Outcomes) -> float:
    """Returns the mean tokens of a call, over tasks."""
    means = [sum(each.tokens for each in mine) / len(mine) for mine in outcomes.values() if mine]
    return sum(means) / len(means) if means else 0.0
