"""What is believed of effects before anything is measured: nothing in particular, or what sources make one expect."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fusionprog.search.effects.columns import Column, Columns
from fusionprog.search.sources import Expected, Source

_LEAST_DOUBT = 0.1  # how much it counts, before anything is measured, that sources are of no use
_LEAST_SCALE = 0.01  # no source is so certain, in units of score
_SETTING = 0.1  # what a setting does, before anything is known of it
_PAIR = 0.04  # how well a source knows what two items do together, in units of score


@dataclass(frozen=True)
class Hypothesis:
    """A prior of effects.

    Attributes:
        name: Whose it is.
        weight: How probable it is before anything is measured, in relation to the others.
        means: Column → the mean of its prior, in units of score; the usual one where it is not named.
        scales: Column → its standard deviation, in units of score; the usual one where it is not named.
    """

    name: str = ""
    weight: float = 1.0
    means: Mapping[Column, float] = field(default_factory=dict)
    scales: Mapping[Column, float] = field(default_factory=dict)


def hypotheses_of(sources: Sequence[Source], columns: Columns) -> tuple[Hypothesis, ...]:
    """Returns that effects are as usual, then what each source makes one expect of the columns."""
    known = [_hypothesis(source, columns) for source in sources]
    doubt = max(_LEAST_DOUBT, 1.0 - math.fsum(each.weight for each in known))
    return (Hypothesis(weight=doubt if known else 1.0), *known)


def _hypothesis(source: Source, columns: Columns) -> Hypothesis:
    means: dict[Column, float] = {}
    scales: dict[Column, float] = {}
    places: dict[str, dict[str, dict[str, Expected]]] = defaultdict(lambda: defaultdict(dict))
    for node, items in columns.nodes.items():
        for task in columns.embeddings:
            known = source.effects.get(task, {}).get(node, {})
            for item in items:
                if item in known:
                    places[item][node][task] = known[item]
    for item, by_node in places.items():
        _spread_out(item, by_node, columns, means, scales)
    for node, settings in source.settings.items():
        for setting, values in settings.items():
            for option, expected in values.items():
                name = ("amount", node, option) if setting == "demos" else ("choice", node, setting, option)
                means[name], scales[name] = _as_usual(expected)
    for node, mine in source.pairs.items():
        for one, others in mine.items():
            for other, value in others.items():
                means["pair", node, one, other], scales["pair", node, one, other] = value, _PAIR
    return Hypothesis(source.name, source.weight, means, scales)


def _as_usual(expected: Expected) -> tuple[float, float]:
    """Mean and standard deviation of what a setting does, by what is known of it and by what settings usually do.

    What is kept of settings is told as it was seen, with nothing taken off.
    """
    known = _SETTING**2 / (_SETTING**2 + expected.se**2)
    return known * expected.mean, max(_LEAST_SCALE, math.sqrt(known) * expected.se)


def _spread_out(
    item: str,
    by_node: Mapping[str, Mapping[str, Expected]],
    columns: Columns,
    means: dict[Column, float],
    scales: dict[Column, float],
) -> None:
    """Shares out what an item is expected to do over what it does everywhere, at nodes and in tasks.

    Of what is not known, half is of everywhere and half of the node where both have a column, so that both together
    are as uncertain as the source is; what tasks have of their own is of the tasks where these have columns.
    """
    everything = [each for mine in by_node.values() for each in mine.values()]
    by_itself = "in_task" in columns.groups
    level = _mean([each.mean for each in everything])
    variance = _mean([each.se**2 + (0.0 if by_itself else each.own**2) for each in everything])
    parts = 2 if "at_node" in columns.groups else 1
    means["everywhere", item] = level
    scales["everywhere", item] = max(_LEAST_SCALE, math.sqrt(variance / parts))
    for node, mine in by_node.items():
        here = _mean([each.mean for each in mine.values()])
        means["at_node", node, item] = here - level
        scales["at_node", node, item] = max(_LEAST_SCALE, math.sqrt(variance / parts))
        for task, each in mine.items():
            means["in_task", task, node, item] = each.mean - here
            scales["in_task", task, node, item] = max(_LEAST_SCALE, each.own)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
