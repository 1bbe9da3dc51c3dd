"""Strategies: what the search tries next, and what it would return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna

from fusionprog._internal.registry import Registry
from fusionprog.errors import FusionProgError
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import RenderedPrompt
from fusionprog.search.bench import Bench, Outcomes
from fusionprog.search.findings import Findings
from fusionprog.search.objective import Value
from fusionprog.search.sources import Source
from fusionprog.search.space import Space

PRICES = (1.0, 10.0, 100.0)
"""Factors of what a token must bring at which candidates are named, where dear and cheap ones are wanted."""


@dataclass(frozen=True)
class Setting:
    """What a strategy is made for.

    Attributes:
        space: The items in play, and their directions among the tasks.
        bench: Where candidates are measured; a strategy looks at its prompts and asks nothing.
        embeddings: Task → its coordinates.
        objective: How the tasks' scores become one number, under the task weights of now.
        seed: For all draws.
        trials: How many trials there will be.
        prior: What other compiles make one expect, matched by item id.
        prices: Factors of what a token must bring, at which candidates are named, the usual one first.
    """

    space: Space
    bench: Bench
    embeddings: Mapping[str, tuple[float, ...]]
    objective: Value
    seed: int
    trials: int
    prior: Sequence[Source]
    prices: Sequence[float] = (1.0,)


class Strategy(Protocol):
    """Proposes trials through an Optuna sampler, and says what the sampler's parameters mean.

    It is asked and told in the order of the trials, so that what it does depends on the seed and on history alone.

    Attributes:
        screens: Whether items should be tried alone before the search.
        moves_on: Whether every trial takes the next rows, rather than all the same ones.
        distributions: Parameter → its distribution.
    """

    screens: bool
    moves_on: bool

    @property
    def distributions(self) -> Mapping[str, optuna.distributions.BaseDistribution]:
        """Parameter → its distribution."""
        ...

    def starts(self, screened: Mapping[tuple[str, str], float]) -> Sequence[Mapping[str, Any]]:
        """Returns parameters of the first trials.

        Args:
            screened: (node, item) → what the item alone did in screening.
        """
        ...

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Returns the sampler of a trial."""
        ...

    def schedule(self, number: int, params: Mapping[str, Any]) -> Schedule:
        """Returns what a trial's parameters mean; asked for once a trial, before it begins."""
        ...

    def observe(self, schedule: Schedule, outcomes: Outcomes) -> None:
        """Is told what was measured, in the order in which it is booked."""
        ...

    def regret(self) -> float | None:
        """Returns what perfect knowledge would add to the score; ``None`` if it cannot say. Asked after each trial."""
        ...

    def hands_over(self) -> str | None:
        """Returns why another strategy should do the rest, in words; asked once, halfway."""
        ...

    def notes(self) -> Sequence[str]:
        """Returns what the user should know of how it went, when the search is done."""
        ...

    def ranked(self, tried: Sequence[Schedule], values: Sequence[float]) -> list[Schedule]:
        """Returns candidates to measure on more rows, the most promising first.

        Args:
            tried: The best of the trials' schedules, best first; where all trials are measured on the same rows, those
                that are no worse there than the program as written.
            values: What they came to.
        """
        ...

    def forecast(self, schedule: Schedule) -> float | None:
        """Returns what a schedule is expected to come to; ``None`` if the strategy cannot say."""
        ...

    def vouched_gain(self, schedule: Schedule) -> tuple[float, float] | None:
        """Returns the mean gain over the program as written that sources make it expect, and its standard error.

        ``None`` where it has no sources, or what they say does not hold here.
        """
        ...

    def expected(self) -> float | None:
        """Returns the objective that its model expects of the best it knows; ``None`` if it has no model."""
        ...

    def findings(self, study: optuna.Study) -> Findings:
        """Returns what it found out about items and settings.

        Args:
            study: The trials.
        """
        ...

    def explained_with(self, others: Sequence[Any], average: Findings) -> Findings:
        """Returns what it and searches of other rows found out together.

        Args:
            others: The strategies of those searches.
            average: What they all found, on average.
        """
        ...


StrategyFactory = Callable[[Setting], Strategy]
strategy_registry: Registry[StrategyFactory] = Registry("sampler", FusionProgError)


def offered_items(bench: Bench) -> dict[tuple[str, str], frozenset[str]]:
    """Returns (task, node) → the items on offer there."""
    return {
        (task, node): frozenset(mine)
        for task, scorer in bench.scorers.items()
        for node, mine in scorer.view.offered.items()
    }


def items_of(prompt: RenderedPrompt) -> frozenset[str]:
    """Returns the items that a prompt shows."""
    return prompt.composition.items.union(item for item in prompt.demo_items if item is not None)
