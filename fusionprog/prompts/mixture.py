"""Effects become weights, weights become a choice of items: the rules of DESIGN section "From weights to prompts".

All functions are pure. An item's effect and its cost are in units of score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fusionprog.prompts.items import Content, Facet, Item

CAPS: Mapping[Facet, int] = {
    "role": 1,
    "instruction": 3,
    "pattern": 1,
    "hint": 3,
    "constraint": 4,
    "demos": 16,
}
MASS = 0.9


@dataclass(frozen=True)
class Weighted:
    """One item in a mixture.

    Attributes:
        weight: Its share of the facet's mixture, in [0, 1]; 0 where its gate is closed.
        effect: Its effect here, in units of score.
        open: Its gate.
        amount: How much of it is used: 1 or 0 for a text, the number of demonstrations for a set of them.
    """

    id: str
    weight: float
    effect: float
    open: bool
    amount: int


@dataclass(frozen=True)
class Mixture:
    """A node's mixtures in one task.

    Attributes:
        facets: Facet → its items, heaviest first.
        gates: Facet → the share of its cap that is let through, in [0, 1].
    """

    facets: Mapping[Facet, tuple[Weighted, ...]]
    gates: Mapping[Facet, float]

    def chosen(self, facet: Facet) -> tuple[Weighted, ...]:
        """Returns the items of a facet that are used, heaviest first."""
        return tuple(item for item in self.facets.get(facet, ()) if item.amount)


def softmax(values: Sequence[float], temperature: float) -> list[float]:
    """Returns weights on the simplex: near temperature 0 the largest value alone, at high ones all alike."""
    if not values:
        return []
    scaled = np.asarray(values, dtype=float) / temperature
    powers = np.exp(scaled - scaled.max())
    return [float(weight) for weight in powers / powers.sum()]


def apportion(seats: int, weights: Sequence[float], limits: Sequence[int]) -> list[int]:
    """Shares ``seats`` out by weight: largest remainders first, never above a limit, ties to the earlier.

    Seats that a limit leaves over go to the others by the same rule.
    """
    given = [0] * len(weights)
    while (left := min(seats, sum(limits)) - sum(given)) > 0:
        free = [index for index, limit in enumerate(limits) if given[index] < limit]
        total = sum(weights[index] for index in free)
        shares = {index: left * (weights[index] / total if total > 0 else 1 / len(free)) for index in free}
        before = sum(given)
        for index in free:
            given[index] += min(math.floor(shares[index] + 1e-9), limits[index] - given[index])
        if sum(given) == before:
            by_remainder = sorted(free, key=lambda index: (-shares[index], index))
            for index in by_remainder[:left]:
                given[index] += 1
    return given


def smallest_prefix(weights: Sequence[float], mass: float = MASS) -> int:
    """Returns how many of the weights, heaviest first, reach ``mass``."""
    reached = 0.0
    for count, weight in enumerate(weights, start=1):
        reached += weight
        if reached >= mass - 1e-12:
            return count
    return len(weights)


def mix(
    items: Mapping[str, Item],
    offered: Mapping[str, Content],
    effects: Mapping[str, float],
    costs: Mapping[str, float],
    temperature: float,
    gates: Mapping[Facet, float],
) -> Mixture:
    """Returns a node's mixtures in one task.

    Args:
        items: All items by id.
        offered: What is on offer here, by item id.
        effects: Item → its effect here; 0 where it is not named.
        costs: Item → the effect above which its gate opens; 0 where it is not named.
        temperature: Diversity of the mixtures, above 0.
        gates: Facet → the share of its cap, in [0, 1]; 0 where it is not named.
    """
    effect = {key: effects.get(key, 0.0) for key in offered}
    spread = float(np.std(list(effect.values()))) if len(effect) > 1 else 1.0
    ranked = sorted(offered, key=lambda key: (-effect[key], key))
    is_open = _settle({key for key in offered if effect[key] > costs.get(key, 0.0)}, ranked, items, gates)
    facets: dict[Facet, tuple[Weighted, ...]] = {}
    for facet in CAPS:
        mine = [key for key in ranked if items[key].facet == facet]
        opened = [key for key in mine if key in is_open]
        shares = softmax([effect[key] / (spread or 1.0) for key in opened], temperature)
        weights = dict(zip(opened, shares, strict=True))
        room = math.ceil(round(gates.get(facet, 0.0), 9) * CAPS[facet])
        amounts = _amounts(facet, opened, shares, room, offered)
        for key in mine:
            if items[key].pinned:
                content = offered[key]
                amounts[key] = 1 if isinstance(content, str) else len(content)
        facets[facet] = tuple(
            Weighted(
                key,
                round(weights.get(key, 0.0), 4),
                round(effect[key], 4),
                key in is_open,
                amounts.get(key, 0),
            )
            for key in mine
        )
    return Mixture(facets, {facet: gates.get(facet, 0.0) for facet in CAPS})


def _amounts(
    facet: Facet, opened: Sequence[str], shares: Sequence[float], room: int, offered: Mapping[str, Content]
) -> dict[str, int]:
    if facet == "demos":
        return dict(zip(opened, apportion(room, shares, [len(offered[key]) for key in opened]), strict=True))
    count = min(smallest_prefix(shares), room)
    return {key: 1 for key in opened[:count]}


def _settle(
    opened: set[str], ranked: Sequence[str], items: Mapping[str, Item], gates: Mapping[Facet, float]
) -> set[str]:
    """Closes items whose requirements are not in or that conflict with a heavier one; pinned ones always stay."""
    pinned = {key for key in ranked if items[key].pinned}
    able = {key for key in opened if gates.get(items[key].facet, 0.0) > 0} | pinned
    kept: set[str] = set()
    for key in [*sorted(pinned), *(key for key in ranked if key in able and key not in pinned)]:
        rivals = {*items[key].conflicts, *(other for other in kept if key in items[other].conflicts)}
        if key in pinned or not rivals & kept:
            kept.add(key)
    while unmet := {key for key in kept - pinned if not set(items[key].requires) <= kept}:
        kept -= unmet
    return kept
