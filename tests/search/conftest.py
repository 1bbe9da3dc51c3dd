"""A bench whose scores are planted, for the parts of the search that only measure and choose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Outcomes

Score = Callable[[frozenset[tuple[str, str]], str, Row], float]


class PlantedBench:
    """Stands for a ``Bench``: what a candidate scores depends on its open items (node, item), the task and the row.

    Attributes:
        measured: Every different piece of work that was done: candidate, task, row.
        charged: What was entered into the books.
    """

    def __init__(self, score: Score, tasks: Sequence[str], calls_per_example: int = 1) -> None:
        self.scorers: Mapping[str, Any] = dict.fromkeys(tasks)
        self.calls_per_row = calls_per_example * len(tasks)
        self.ended_by: str | None = None
        self.measured: set[tuple[str, str, str]] = set()
        self.charged: set[tuple[str, str, str]] = set()
        self._score = score
        self._each = calls_per_example

    @property
    def calls(self) -> int:
        """Calls that were made at most."""
        return len(self.measured) * self._each

    @staticmethod
    def opened(schedule: Schedule) -> frozenset[tuple[str, str]]:
        """The items with an effect above zero at a node with an open gate."""
        return frozenset(
            (node, item)
            for node, effects in schedule.at_node.items()
            for item, effect in effects.items()
            if effect > 0 and any(schedule.nodes[node].gates.values())
        )

    def candidate(self, schedule: Schedule, task: str) -> str:
        return repr(sorted(self.opened(schedule)))

    def prompts(self, schedule: Schedule, task: str) -> Mapping[str, Any]:
        """Every open item makes a prompt longer by five tokens of four bytes."""
        return {"n": SimpleNamespace(most_tokens=40 + 20 * len(self.opened(schedule)))}

    async def measure(self, schedule: Schedule, rows: Mapping[str, Sequence[Row]]) -> Outcomes:
        await asyncio.sleep(0)
        opened = self.opened(schedule)
        for task, mine in rows.items():
            self.measured |= {(self.candidate(schedule, task), task, row.id) for row in mine}
        return {
            task: [Outcome(row.id, self._score(opened, task, row), tokens=10 + 5 * len(opened)) for row in mine]
            for task, mine in rows.items()
        }

    async def measure_all(
        self, schedules: Sequence[Schedule], rows: Mapping[str, Sequence[Row]], *, keep: Any = None
    ) -> list[Outcomes]:
        made = [await self.measure(schedule, rows) for schedule in schedules]
        for schedule, outcomes in zip(schedules, made, strict=True):
            self.charge(schedule, outcomes)
        return made

    def charge(self, schedule: Schedule, outcomes: Outcomes) -> None:
        for task, mine in outcomes.items():
            self.charged |= {(self.candidate(schedule, task), task, each.example) for each in mine}


@pytest.fixture
def planted_bench() -> type[PlantedBench]:
    """The class, to be made with a score function."""
    return PlantedBench
