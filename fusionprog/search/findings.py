"""What strategies find out about items and settings, and how much of it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fusionprog.runtime.learned import Effect, Learned, Method, Point, Shared, SharedEffect

Vector = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Place = tuple[str, str]  # task and node
Settings = Mapping[str, Mapping[str, Mapping[str, Effect]]]  # node → setting → value → effect

MOST_ITEMS = 64  # items of a node that are kept
LEAST_ITEMS = 8
MOST_EFFECTS = 20_000  # effects that are kept in all, if the least number of items lets it
MOST_IMPORTANT = 64  # parameters that are kept
_DIGITS = 5
_TINY = 1e-9


@dataclass(frozen=True)
class Table:
    """Effects of a node's items in a task, in the node's order.

    Attributes:
        mean: Shape ``(n_items,)``.
        se: Their standard errors, shape ``(n_items,)``; infinite where an item is not on offer or nothing is known.
        n: Outcomes that showed each, shape ``(n_items,)``.
    """

    mean: Vector
    se: Vector
    n: Counts


@dataclass(frozen=True)
class Findings:
    """What one search found.

    Attributes:
        method: Where effects are from.
        items: Node → the items in play there.
        effects: (task, node) → the effects of the node's items, in their order.
        settings: Node → setting → value → its effect.
        importance: Parameter → its share, of all together 1; empty if nothing explains the scores.
        shared: What tasks have in common; ``None`` where there is no model of that.
        sources: What the search started from → how much of it held.
    """

    method: Method
    items: Mapping[str, Sequence[str]]
    effects: Mapping[Place, Table]
    settings: Settings
    importance: Mapping[str, float]
    shared: Shared | None = None
    sources: Mapping[str, float] = field(default_factory=dict)


def combined(findings: Sequence[Findings]) -> Findings:
    """Returns what the searches of all folds found on average.

    Effects are averaged by their precision, since the folds' rows are different ones; importance is averaged.

    Note:
        What was believed before any outcome counts once a fold, so that where little was seen the standard errors are
        too small by a factor of up to the square root of the number of folds. Strategies with a model put the outcomes
        of all folds together instead (``Strategy.explained_with``).

    Args:
        findings: At least one; of the same items.
    """
    if len(findings) == 1:
        return findings[0]
    places = dict.fromkeys(place for each in findings for place in each.effects)
    importance = [each.importance for each in findings if each.importance]
    names = dict.fromkeys(name for each in importance for name in each)
    return Findings(
        findings[0].method,
        findings[0].items,
        {place: _pooled([each.effects[place] for each in findings if place in each.effects]) for place in places},
        _pooled_settings([each.settings for each in findings]),
        {name: sum(each.get(name, 0.0) for each in importance) / len(importance) for name in names},
        _pooled_shared([each.shared for each in findings if each.shared is not None]),
        {name: sum(each.sources[name] for each in findings) / len(findings) for name in findings[0].sources},
    )


def kept(findings: Findings, curve: Sequence[Point], used: Mapping[Place, Set[str]]) -> Learned:
    """Returns what is kept of findings, rounded.

    Of every node's items at most 64 are, and fewer (at least 8) where all tasks, nodes and items together would have
    more than 20,000 effects: first those that are used, in most tasks first, then those whose effects are largest in
    units of their standard errors. An item is kept in all tasks where it is on offer, so that tasks can be compared.

    Args:
        findings: What was found.
        curve: The learning curve.
        used: (task, node) → the items that the returned program uses there.
    """
    limit = max(LEAST_ITEMS, min(MOST_ITEMS, MOST_EFFECTS // max(1, len(findings.effects))))
    tasks = list(dict.fromkeys(task for task, _ in findings.effects))
    chosen = {
        node: _first(
            items,
            {task: table for task in tasks if (table := findings.effects.get((task, node))) is not None},
            [used.get((task, node), frozenset()) for task in tasks],
            limit,
        )
        for node, items in findings.items.items()
    }
    effects: dict[str, dict[str, dict[str, Effect]]] = {}
    for (task, node), table in findings.effects.items():
        mine = {
            findings.items[node][place]: rounded_effect(table.mean[place], table.se[place], table.n[place])
            for place in chosen[node]
            if np.isfinite(table.se[place])
        }
        if mine:
            effects.setdefault(task, {})[node] = mine
    shares = {name: round(share, _DIGITS) for name, share in findings.importance.items()}
    largest = sorted((name for name, share in shares.items() if share), key=lambda name: (-shares[name], name))
    return Learned(
        method=findings.method,
        effects=effects,
        settings=findings.settings,
        importance={name: shares[name] for name in largest[:MOST_IMPORTANT]},
        curve=tuple(curve),
        shared=None if findings.shared is None else _kept_shared(findings.shared),
        sources={name: round(share, _DIGITS) for name, share in findings.sources.items()},
    )


def shares_of(parts: Mapping[str, float]) -> dict[str, float]:
    """Returns numbers of 0 and more as shares of their sum; nothing where that is 0."""
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()} if total > 0 else {}


def rounded_effect(mean: float, se: float, n: int) -> Effect:
    """Returns an effect with as many digits as are kept."""
    return Effect(round(float(mean), _DIGITS) + 0.0, round(float(se), _DIGITS), int(n))


def _pooled_shared(found: Sequence[Shared]) -> Shared | None:
    """What the searches of all folds found tasks to have in common, on average."""
    if not found:
        return None
    count = len(found)
    effects: dict[str, dict[str, SharedEffect]] = {}
    for node, items in found[0].effects.items():
        for item in items:
            each = [mine.effects[node][item] for mine in found]
            width = min(len(one.along) for one in each)
            effects.setdefault(node, {})[item] = SharedEffect(
                sum(one.mean for one in each) / count,
                sum(one.se for one in each) / count**1.5,
                tuple(sum(one.along[place] for one in each) / count for place in range(width)),
                tuple(sum(one.along_se[place] for one in each) / count**1.5 for place in range(width)),
            )
    return Shared(sum(mine.own for mine in found) / count, effects)


def _kept_shared(shared: Shared) -> Shared:
    """Rounded; of more than 20,000 effects those that are known best to be none of 0."""
    places = [(node, item) for node, items in shared.effects.items() for item in items]
    if len(places) > MOST_EFFECTS:

        def strength(place: tuple[str, str]) -> float:
            each = shared.effects[place[0]][place[1]]
            return round(abs(each.mean) / max(each.se, _TINY), 6)

        kept_places = set(sorted(places, key=lambda place: (-strength(place), place))[:MOST_EFFECTS])
        places = [place for place in places if place in kept_places]
    effects: dict[str, dict[str, SharedEffect]] = {}
    for node, item in places:
        each = shared.effects[node][item]
        effects.setdefault(node, {})[item] = SharedEffect(
            round(each.mean, _DIGITS) + 0.0,
            round(each.se, _DIGITS),
            tuple(round(value, _DIGITS) + 0.0 for value in each.along),
            tuple(round(value, _DIGITS) for value in each.along_se),
        )
    return Shared(round(shared.own, _DIGITS), effects)


def _first(items: Sequence[str], tables: Mapping[str, Table], used: Sequence[Set[str]], limit: int) -> list[int]:
    """The places of the items of a node that are kept, in the node's order."""
    if not tables:
        return []
    strength = np.max([np.abs(each.mean) / np.maximum(each.se, _TINY) for each in tables.values()], axis=0).round(6)
    known = np.isfinite([each.se for each in tables.values()]).any(axis=0)
    uses = [sum(item in mine for mine in used) for item in items]
    order = sorted(np.flatnonzero(known).tolist(), key=lambda at: (-uses[at], -strength[at], items[at]))
    return sorted(order[:limit])


def _pooled(tables: Sequence[Table]) -> Table:
    precision = np.array([1 / np.maximum(each.se, _TINY) ** 2 for each in tables])
    total = precision.sum(axis=0)
    known = total > 0
    divisor = np.where(known, total, 1.0)
    mean = (precision * np.array([each.mean for each in tables])).sum(axis=0) / divisor
    se = np.where(known, 1 / np.sqrt(divisor), np.inf)
    return Table(mean, se, np.sum([each.n for each in tables], axis=0))


def _pooled_settings(found: Sequence[Settings]) -> Settings:
    pooled: dict[str, dict[str, dict[str, Effect]]] = {}
    for node, settings in found[0].items():
        for setting, values in settings.items():
            for value in values:
                each = [mine[node][setting][value] for mine in found]
                table = _pooled([Table(*(np.array([part]) for part in (e.mean, e.se, e.n))) for e in each])
                effect = rounded_effect(table.mean[0], table.se[0], table.n[0])
                pooled.setdefault(node, {}).setdefault(setting, {})[value] = effect
    return pooled
