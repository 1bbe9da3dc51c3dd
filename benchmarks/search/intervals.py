"""Do the intervals of effects hold? What a compile says of fragments against what is known of them."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from search.benches import bench_of_shape
from search.calls import Meter
from search.landscape import SHAPES, Landscape, Shape
from search.sides import Terms, compile_tasks

STRONG = Shape(tasks=3, groups=1, items=8, base=0.35, shared=0.15, group=0.0, pairs=0, conflicts=0)
ONE_STRONG = replace(STRONG, base=0.25, shared=0.03, own=0.05, outlier=0.45)
LANDSCAPES = {
    **{name: SHAPES[name] for name in ("landscape", "landscape-12", "landscape-useless")},
    "strong": STRONG,
    "one strong": ONE_STRONG,
}


@dataclass(frozen=True)
class Said:
    """What is said of a fragment in a task, and what is true.

    Attributes:
        true: What it does on average over the prompts that the compile asked, with it less without it.
        mean: What it is said to do.
        se: The standard error of that.
    """

    true: float
    mean: float
    se: float

    @property
    def holds(self) -> bool:
        """Whether the 95% interval holds the truth."""
        return abs(self.mean - self.true) <= 1.96 * self.se


@dataclass(frozen=True)
class Quality:
    """How good what is said is.

    Attributes:
        effects: How many.
        held: The share of 95% intervals that hold the truth.
        error: The root of the mean squared error.
        se: The mean standard error.
        bias: The mean error.
    """

    effects: int
    held: float
    error: float
    se: float
    bias: float


def said_of(name: str, calls: int, seed: int) -> list[Said]:
    """Compiles a landscape, and returns what is said of all effects of its fragments.

    Args:
        name: One of ``LANDSCAPES``.
        calls: Calls per task.
        seed: Decides the landscape and the compile.
    """
    bench = bench_of_shape(name, LANDSCAPES[name], seed)
    known, meter = bench.landscape, Meter(bench.answer)
    assert known is not None
    with meter.watched() as asked:
        learned = compile_tasks(Terms(bench, meter, calls, seed), bench.tasks).record.learned
    assert learned is not None
    shown: dict[tuple[str, str], Counter[frozenset[str]]] = defaultdict(Counter)
    for messages in asked:
        task, node, items, _ = known.read(messages)
        shown[task, node][items] += 1
    return [
        Said(true_effect(known, task, node, item, shown[task, node]), effect.mean, effect.se)
        for task, nodes in learned.effects.items()
        for node, effects in nodes.items()
        for item, effect in effects.items()
    ]


def true_effect(landscape: Landscape, task: str, node: str, item: str, shown: Mapping[frozenset[str], int]) -> float:
    """Returns what a fragment does to a node's chance, on average over prompts.

    Args:
        landscape: What is known.
        task: The task.
        node: The node.
        item: The fragment.
        shown: The fragments that prompts show → how many such prompts there are.
    """
    changes = [
        (landscape.chance(task, node, items | {item}) - landscape.chance(task, node, items - {item})) * count
        for items, count in shown.items()
    ]
    return sum(changes) / sum(shown.values())


def quality(said: Sequence[Said]) -> Quality:
    """Returns how good it is; of at least one effect."""
    errors = [each.mean - each.true for each in said]
    return Quality(
        effects=len(said),
        held=statistics.mean(each.holds for each in said),
        error=math.sqrt(statistics.mean(error**2 for error in errors)),
        se=statistics.mean(each.se for each in said),
        bias=statistics.mean(errors),
    )
