"""Effects become weights, weights become a choice of items: the rules of DESIGN section "From weights to prompts".

All functions are pure. An item's effect and its cost are in units of score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

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
_QUOTA_DIGITS = 9
_ROOM_DIGITS = 4  # a gate of 2/3, as floating point or an artifact has it, lets two of three through


@dataclass(frozen=True, slots=True)
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
    most = max(values)
    powers = [math.exp((value - most) / temperature) for value in values]
    whole = math.fsum(powers)
    return [power / whole for power in powers]


def apportion(seats: int, weights: Sequence[float], limits: Sequence[int]) -> list[int]:
    """Shares ``seats`` out by weight: largest remainders first, never above a limit, ties to the earlier.

    Seats that a limit leaves over go to the others by the same rule; where no weight is left, all count alike.

    Note:
        With any method of largest remainders one more seat in all can mean one less for a single entry (the Alabama
        paradox); the sum never falls.
    """
    given = [0] * len(weights)
    free = [index for index, limit in enumerate(limits) if limit > 0]
    left = seats
    while free and left > 0:
        total = sum(weights[index] for index in free)
        quotas = {
            index: round(left * (weights[index] / total if total > 0 else 1 / len(free)), _QUOTA_DIGITS)
            for index in free
        }
        full = [index for index in free if quotas[index] >= limits[index]]
        for index in full:
            given[index] = limits[index]
        if not full:
            for index in free:
                given[index] = math.floor(quotas[index])
            remainders = {index: round(quotas[index] - given[index], _QUOTA_DIGITS) for index in free}
            most = sorted(free, key=lambda index: (-remainders[index], index))
            for index in most[: left - sum(given[index] for index in free)]:
                given[index] += 1
            break
        left -= sum(limits[index] for index in full)
        free = [index for index in free if quotas[index] < limits[index]]
    return given


def spread_of(effects: Sequence[float]) -> float:
    """Returns the standard deviation of effects, to the bit the same in any order, or 1 where all are alike."""
    if len(set(effects)) < 2:
        return 1.0
    mean = math.fsum(effects) / len(effects)
    return math.sqrt(math.fsum([(effect - mean) ** 2 for effect in effects]) / len(effects)) or 1.0


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
    *,
    spread: float | None = None,
    chosen_only: bool = False,
) -> Mixture:
    """Returns a node's mixtures in one task.

    Args:
        items: All items by id.
        offered: What is on offer here, by item id.
        effects: Item → its effect here; 0 where it is not named.
        costs: Item → the effect above which its gate opens; 0 where it is not named.
        temperature: Diversity of the mixtures, above 0.
        gates: Facet → the share of its cap, in [0, 1]; 0 where it is not named.
        spread: The standard deviation of all effects here, where only some of the items are given.
        chosen_only: Whether only the items that are used are in the result.
    """
    effect = {key: effects.get(key, 0.0) for key in offered}
    spread = spread_of(list(effect.values())) if spread is None else spread
    rooms = {facet: math.ceil(round(gates.get(facet, 0.0) * cap, _ROOM_DIGITS)) for facet, cap in CAPS.items()}
    pinned = {key for key in effect if items[key].pinned}
    helpful = {key for key, value in effect.items() if value > costs.get(key, 0.0) and rooms[items[key].facet]}
    ranked = sorted(effect, key=lambda key: (-effect[key], key))
    by_facet: dict[Facet, list[str]] = {facet: [] for facet in CAPS}
    for key in ranked:
        by_facet[items[key].facet].append(key)
    is_open = _settle([key for key in ranked if key in helpful or key in pinned], pinned, items)
    while True:
        weights: dict[str, float] = {}
        amounts: dict[str, int] = {}
        for facet, mine in by_facet.items():
            opened = [key for key in mine if key in is_open]
            shares = softmax([effect[key] / spread for key in opened], temperature)
            weights.update(zip(opened, shares, strict=True))
            amounts.update(zip(opened, _amounts(facet, opened, shares, rooms[facet], offered), strict=True))
        amounts.update({key: _whole(offered[key]) for key in pinned})
        stranded = {
            key for key in is_open - pinned if not all(amounts.get(needed, 0) for needed in items[key].requires)
        }
        if not stranded:
            break
        is_open -= stranded
    facets = {
        facet: tuple(
            Weighted(
                key,
                round(weights[key], 4) if key in weights else 0.0,
                round(effect[key], 4),
                key in is_open,
                amounts.get(key, 0),
            )
            for key in mine
            if not chosen_only or amounts.get(key)
        )
        for facet, mine in by_facet.items()
    }
    return Mixture(facets, {facet: gates.get(facet, 0.0) for facet in CAPS})


def _whole(content: Content) -> int:
    return 1 if isinstance(content, str) else len(content)


def _amounts(
    facet: Facet, opened: Sequence[str], shares: Sequence[float], room: int, offered: Mapping[str, Content]
) -> list[int]:
    if facet == "demos":
        return apportion(room, shares, [_whole(offered[key]) for key in opened])
    count = min(smallest_prefix(shares), room)
    return [int(place < count) for place in range(len(opened))]


def _settle(candidates: Sequence[str], pinned: Set[str], items: Mapping[str, Item]) -> set[str]:
    """Closes items whose requirements are not there or that conflict with a heavier one; pinned ones always stay.

    Args:
        candidates: Items that may be open, heaviest first.
        pinned: Those among them that stay.
        items: All items by id.
    """
    able = _provided(candidates, pinned, items)
    kept = set(pinned)
    beaten = {rival for key in pinned for rival in items[key].conflicts}
    for key in candidates:
        if key in able and key not in beaten and kept.isdisjoint(items[key].conflicts):
            kept.add(key)
            beaten.update(items[key].conflicts)
    return _provided(kept, pinned, items)


def _provided(candidates: Iterable[str], pinned: Set[str], items: Mapping[str, Item]) -> set[str]:
    """Returns the items whose requirements are among them, and the pinned ones."""
    kept = set(candidates)
    needed_by: dict[str, list[str]] = {}
    for key in kept - pinned:
        for needed in items[key].requires:
            needed_by.setdefault(needed, []).append(key)
    missing = [needed for needed in needed_by if needed not in kept]
    while missing:
        for key in needed_by.get(missing.pop(), ()):
            if key in kept:
                kept.remove(key)
                missing.append(key)
    return kept
