"""A pool whose items do planted things, measured without a model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.fusion.compose import Composition, Line
from fusionprog.lm.budget import Budget, Cost, Ledger
from fusionprog.program.data import Row
from fusionprog.prompts.items import Content, Fragment
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.bench import Outcomes
from fusionprog.search.objective import mean
from fusionprog.search.sources import Source
from fusionprog.search.space import Space
from fusionprog.search.strategy import Setting, Strategy

Chance = Callable[[str, Mapping[str, frozenset[str]]], float]


class PlantedPool:
    """Stands for a ``Bench``: how often a task is right depends on which items its nodes show.

    Prompts are those of ``Schedule.mixture``. A row is right where its own luck is below the chance, so that equal
    prompts score alike.

    Args:
        items: The items, all on offer at every node in every task.
        tasks: Task → its coordinates.
        chance: Task, and node → items shown → the probability to be right.
        nodes: The nodes.
        seed: Of the rows' luck.
    """

    def __init__(
        self,
        items: Sequence[Fragment],
        tasks: Mapping[str, tuple[float, ...]],
        chance: Chance = lambda task, shown: 0.5,
        nodes: Sequence[str] = ("n",),
        seed: int = 0,
        calls: int = 10**9,
    ) -> None:
        self.items = {item.id: item for item in items}
        self.tasks = tasks
        self.nodes = nodes
        self.ledger = Ledger(Budget(calls=calls))
        self.ended_by: str | None = None
        self.calls = 0
        self.measured: list[dict[str, list[str]]] = []
        self._chance = chance
        self._seed = seed
        offered: dict[str, dict[str, Content]] = {
            node: {key: item.text or "" for key, item in self.items.items()} for node in nodes
        }
        view = SimpleNamespace(offered=offered)
        self.scorers = {task: SimpleNamespace(view=view, calls_per_example=1, uncertain=frozenset()) for task in tasks}
        self._offered = offered

    def shown(self, schedule: Schedule, task: str) -> dict[str, frozenset[str]]:
        """Node → the items that are used there."""
        return {
            node: frozenset(
                each.id
                for facet in self._mixture(schedule, task, node).facets.values()
                for each in facet
                if each.amount
            )
            for node in self.nodes
        }

    def opened(self, schedule: Schedule, task: str) -> dict[str, frozenset[str]]:
        """Node → the items whose gates are open there."""
        return {
            node: frozenset(
                each.id for facet in self._mixture(schedule, task, node).facets.values() for each in facet if each.open
            )
            for node in self.nodes
        }

    def _mixture(self, schedule: Schedule, task: str, node: str) -> Any:
        return schedule.mixture(node, task, self.tasks[task], self.items, self._offered[node])

    def prompts(self, schedule: Schedule, task: str) -> dict[str, Any]:
        return {
            node: SimpleNamespace(
                composition=Composition(tuple(Line("", key) for key in [*sorted(shown), None]), (), "chat"),
                demo_items=(),
                frame=SimpleNamespace(format=SimpleNamespace(name=schedule.settings(node, task).format)),
            )
            for node, shown in self.shown(schedule, task).items()
        }

    def options(self, schedule: Schedule, task: str) -> dict[str, dict[str, str]]:
        return {}

    def candidate(self, schedule: Schedule, task: str) -> str:
        return repr([sorted(shown) for shown in self.shown(schedule, task).values()])

    def worth(self, schedule: Schedule) -> float:
        """The true mean score of a schedule."""
        return sum(self._chance(task, self.shown(schedule, task)) for task in self.tasks) / len(self.tasks)

    def worst_case(self, schedules: Sequence[Schedule], rows: Mapping[str, Sequence[Row]]) -> Cost:
        return Cost(len(schedules) * sum(map(len, rows.values())))

    async def measure(self, schedule: Schedule, rows: Mapping[str, Sequence[Row]]) -> Outcomes:
        await asyncio.sleep(0)
        self.measured.append({task: [row.id for row in mine] for task, mine in rows.items()})
        self.calls += sum(map(len, rows.values()))
        results = {}
        for task, mine in rows.items():
            chance = self._chance(task, self.shown(schedule, task))
            results[task] = [Outcome(row.id, float(self._luck(row) < chance), tokens=10) for row in mine]
        return results

    def _luck(self, row: Row) -> float:
        return random.Random(f"{self._seed} {row.id}").random()

    async def measure_all(
        self, schedules: Sequence[Schedule], rows: Mapping[str, Sequence[Row]], *, keep: Any = None
    ) -> list[Outcomes]:
        self.ended_by = None
        made: list[Outcomes] = []
        for schedule in schedules:
            worst = self.worst_case([schedule], rows)
            if self.ledger.short_of(worst, keep=keep) is not None:
                self.ended_by = "calls"
                return [*made, *({task: [] for task in rows} for _ in schedules[len(made) :])]
            made.append(await self.measure(schedule, rows))
            self.charge(schedule, made[-1])
        return made

    def charge(self, schedule: Schedule, outcomes: Outcomes) -> None:
        self.ledger.calls += sum(map(len, outcomes.values()))

    def setting(self, seed: int = 0, trials: int = 20, prior: Sequence[Source] = ()) -> Setting:
        """What a strategy is made for here."""
        space = Space({node: dict(self.items) for node in self.nodes}, {})
        bench: Any = self
        return Setting(space, bench, dict(self.tasks), mean, seed, trials, prior)


def hints(*names: str) -> list[Fragment]:
    """One-word fragments of facets with room for all of them."""
    facets: list[Any] = ["instruction", "hint", "constraint"]
    return [Fragment(name, name, facet=facets[place % 3]) for place, name in enumerate(names)]


def tasks_at(count: int, size: int = 2) -> dict[str, tuple[float, ...]]:
    """Tasks in two groups along the first coordinate."""
    draw = random.Random(count)
    return {
        f"t{place}": ((-1.0) ** place, *(round(draw.gauss(0, 1), 3) for _ in range(size - 1)))[:size]
        for place in range(count)
    }


def rows_of(tasks: Iterable[str], count: int) -> dict[str, list[Row]]:
    """Task → different rows."""
    return {task: [Row({"text": f"{task} {place}"}) for place in range(count)] for task in tasks}


def learn(strategy: Strategy, pool: PlantedPool, trials: int, rows: Mapping[str, Sequence[Row]], size: int) -> None:
    """Draws, measures and tells trials one after the other, each on the next rows."""
    study = optuna.create_study()
    longest = len(next(iter(rows.values())))

    async def one(number: int) -> None:
        study.sampler = strategy.sampler(number)
        schedule = strategy.schedule(number, study.ask(dict(strategy.distributions)).params)
        block = {
            task: [mine[(number * size + place) % longest] for place in range(size)] for task, mine in rows.items()
        }
        strategy.observe(schedule, await pool.measure(schedule, block))

    async def all_of_them() -> None:
        for number in range(trials):
            await one(number)

    asyncio.run(all_of_them())


@pytest.fixture(scope="session")
def planted() -> Any:
    """What the tests here are made of."""
    return SimpleNamespace(Pool=PlantedPool, hints=hints, tasks_at=tasks_at, rows_of=rows_of, learn=learn)
