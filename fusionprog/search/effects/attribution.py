"""What the effects model learned: what items and settings do, and which of them explain the scores."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set

import numpy as np

from fusionprog.runtime.learned import Effect
from fusionprog.search.effects.columns import Column, Columns, Shown, Vector
from fusionprog.search.effects.model import Posterior
from fusionprog.search.findings import Findings, Place, Table, rounded_effect, shares_of

_SETTINGS = {"format": "format", "amount": "demos"}  # kind of column → what its parameter is called


class Sightings:
    """Counts the outcomes that showed something.

    Attributes:
        places: (task, node) → outcomes with a prompt of the node.
        items: (task, node, item) → those that showed the item.
        settings: Column of a setting → those that showed it.
    """

    def __init__(self) -> None:
        self.places: Counter[Place] = Counter()
        self.items: Counter[tuple[str, str, str]] = Counter()
        self.settings: Counter[Column] = Counter()

    def add(self, task: str, shown: Mapping[str, Shown], columns: Iterable[Column], count: int) -> None:
        """Counts outcomes of equal prompts.

        Args:
            task: Their task.
            shown: Node → what its prompt shows.
            columns: The columns that they show.
            count: How many there are.
        """
        for node, what in shown.items():
            self.places[task, node] += count
            for item in what.items:
                self.items[task, node, item] += count
        for name in columns:
            if name[0] in _SETTINGS:
                self.settings[name] += count


def findings_of(
    columns: Columns,
    posterior: Posterior,
    sightings: Sightings,
    offered: Mapping[Place, Set[str]],
    facets: Mapping[str, str],
) -> Findings:
    """Returns what the posterior says of items and settings.

    An effect's mean and standard error are those of the sum of its columns. Importance is the share of the variance
    of trials' expected scores: of an item ``p * (1 - p) * effect**2``, where it was shown in a share ``p`` of the
    outcomes, on average over tasks; of a setting the variance of its values' effects. Draws open items independently,
    so that these add up.

    Args:
        columns: What the effects are of.
        posterior: What is known of them.
        sightings: What was shown how often.
        offered: (task, node) → the items on offer there.
        facets: Item → its facet.
    """
    effects: dict[Place, Table] = {}
    parts: dict[str, float] = defaultdict(float)
    for node, items in columns.nodes.items():
        for task in columns.embeddings:
            outcomes = sightings.places[task, node]
            if not outcomes:
                continue
            places, values = columns.parts(task, node)
            mean = posterior.mean[places] @ values
            here = np.array([item in offered[task, node] for item in items], dtype=bool)
            counts = np.array([sightings.items[task, node, item] for item in items], dtype=np.int64)
            effects[task, node] = Table(mean, np.where(here, posterior.spread(places, values), np.inf), counts)
            shown = counts / outcomes
            for item, part in zip(items, shown * (1 - shown) * mean**2, strict=True):
                parts[f"{node}.{facets[item]}.{item}"] += float(part) / len(columns.embeddings)
    settings = _settings(columns, posterior, sightings)
    for node, mine in settings.items():
        outcomes = sum(sightings.places[task, node] for task in columns.embeddings)
        for setting, found in mine.items():
            parts[f"{node}.{setting}"] = _variance(found.values(), outcomes)
    return Findings("posterior", columns.nodes, effects, settings, shares_of(parts))


def _settings(columns: Columns, posterior: Posterior, sightings: Sightings) -> dict[str, dict[str, dict[str, Effect]]]:
    """Node → setting → value → its effect; those of nodes that were never asked say nothing."""
    asked = {node for _, node in sightings.places}
    found: dict[str, dict[str, dict[str, Effect]]] = {}
    places = np.arange(len(columns.names))[:, np.newaxis]
    spread: Vector = posterior.spread(places, np.ones(1))
    for place, name in enumerate(columns.names):
        if name[0] in _SETTINGS and name[1] in asked:
            _, node, value = name
            effect = rounded_effect(posterior.mean[place], spread[place], sightings.settings[name])
            found.setdefault(node, {}).setdefault(_SETTINGS[name[0]], {})[value] = effect
    return found


def _variance(values: Iterable[Effect], outcomes: int) -> float:
    """The variance of a setting's effect over outcomes; those that show none of the values have an effect of 0."""
    seen = [(each.mean, each.n / outcomes) for each in values]
    mean = sum(effect * share for effect, share in seen)
    return max(0.0, sum(effect**2 * share for effect, share in seen) - mean**2)
