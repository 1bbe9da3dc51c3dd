"""What the effects model learned: what items and settings do, and which of them explain the scores."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set

import numpy as np
import numpy.typing as npt

from fusionprog.runtime.learned import Effect, Shared, SharedEffect
from fusionprog.search.effects.columns import SETTINGS, Column, Columns, Places
from fusionprog.search.effects.explanation import Explanation
from fusionprog.search.effects.link import Levels
from fusionprog.search.effects.model import Posterior
from fusionprog.search.findings import Findings, Place, Settings, Table, rounded_effect, shares_of

Counts = npt.NDArray[np.int64]


class Sightings:
    """Counts the outcomes that showed something.

    Attributes:
        places: (task, node) → outcomes with a prompt of the node.
    """

    def __init__(self) -> None:
        self.places: Counter[Place] = Counter()
        self._counts: dict[str, Counts] = {}  # task → how many showed each atom

    def add(self, columns: Columns, task: str, nodes: Iterable[str], atoms: Places, count: int) -> None:
        """Counts outcomes of equal prompts.

        Args:
            columns: The columns.
            task: Their task.
            nodes: The nodes that had a prompt.
            atoms: What the prompts showed (``Columns.atoms``).
            count: How many outcomes there are.
        """
        if task not in self._counts:
            self._counts[task] = np.zeros(columns.atom_count, dtype=np.int64)
        self._counts[task][atoms] += count
        for node in nodes:
            self.places[task, node] += count

    def take(self, others: Sightings) -> None:
        """Adds those of another search of the same columns."""
        self.places.update(others.places)
        for task, counts in others._counts.items():
            self._counts[task] = self._counts[task] + counts if task in self._counts else counts.copy()

    def items(self, columns: Columns, task: str, node: str) -> Counts:
        """Returns the outcomes that showed each item at a node in a task, in the node's order."""
        return self._counts[task][columns.atoms_at(node)]

    def setting(self, columns: Columns, name: Column) -> list[int]:
        """Returns how many outcomes showed the setting of a column, in the order of the columns' tasks."""
        atom = columns.atom_of(name)
        return [int(self._counts[task][atom]) if task in self._counts else 0 for task in columns.embeddings]


def findings_of(
    columns: Columns,
    known: Explanation,
    levels: Levels,
    sightings: Sightings,
    offered: Mapping[Place, Set[str]],
    facets: Mapping[str, str],
) -> Findings:
    """Returns what outcomes say of items and settings.

    An effect's mean and standard error are those of the sum of its columns, as differences of the task's score
    (``Levels.differences``). Importance is the share of the variance
    that the mean effects make between prompts in which every item is open as often as not, and every value of a
    setting (or none of them) is as frequent as the others: of an item ``effect**2 / 4``, on average over tasks. Trials
    are no such prompts, since a search comes to open what helps in all of them; by their variance, what helps most
    would matter least.

    Args:
        columns: What the effects are of.
        known: What is known of them, in the units of the link.
        levels: Where the tasks are.
        sightings: What was shown how often.
        offered: (task, node) → the items on offer there.
        facets: Item → its facet.
    """
    effects: dict[Place, Table] = {}
    parts: dict[str, float] = defaultdict(float)
    for node, items in columns.nodes.items():
        for task in columns.embeddings:
            if not sightings.places[task, node]:
                continue
            places, values = columns.parts(task, node)
            sums = (known.mean[places] * values).sum(axis=1)
            here = np.array([item in offered[task, node] for item in items], dtype=bool)
            counts = sightings.items(columns, task, node)
            shares = counts / sightings.places[task, node]
            mean, spread = levels.differences(task, sums, known.spread(places, values), shares)
            effects[task, node] = Table(mean, np.where(here, spread, np.inf), counts)
            for item, effect in zip(items, np.where(here, mean, 0.0).tolist(), strict=True):
                parts[f"{node}.{facets[item]}.{item}"] += effect**2 / 4 / len(columns.embeddings)
    settings = _settings(columns, known, levels, sightings)
    for node, mine in settings.items():
        for setting, found in mine.items():
            parts[f"{node}.{setting}"] = float(np.var([0.0, *(each.mean for each in found.values())]))
    return Findings("posterior", columns.nodes, effects, _shown(settings), shares_of(parts))


def shared_of(columns: Columns, posterior: Posterior, own_scale: float) -> Shared:
    """Returns what items do in a task that was not seen: everywhere, at the node, and by kind of task.

    Args:
        columns: What the effects are of.
        posterior: What is known of them, in units of score.
        own_scale: How far a single task may be from what tasks have in common, as a standard deviation.
    """
    made: dict[str, dict[str, SharedEffect]] = {}
    for node, items in columns.nodes.items():
        if not items:
            continue
        places, values = columns.common_parts(node)
        means, spread = posterior.mean[places] * values, posterior.spread(places[:, :2], values[:, :2])
        along_se = np.sqrt(np.diag(posterior.covariance)[places[:, 2:]]) * values[:, 2:]
        made[node] = {
            item: SharedEffect(
                float(means[number, :2].sum()),
                float(spread[number]),
                tuple(means[number, 2:].tolist()),
                tuple(along_se[number].tolist()),
            )
            for number, item in enumerate(items)
        }
    return Shared(own_scale, made)


def _settings(
    columns: Columns, known: Explanation, levels: Levels, sightings: Sightings
) -> dict[str, dict[str, dict[str, Effect]]]:
    """Node → setting → value → its effect, on average over tasks.

    An effect is that of the value against the first one: the score with it less the score without any of the setting's,
    where the task's mean score is made of all of them.
    """
    found: dict[str, dict[str, dict[str, Effect]]] = {}
    for (node, setting), values in _values_of(columns).items():
        places = np.array([columns.index[name] for name in values.values()], dtype=np.intp)
        effects, spread = known.mean[places], known.spread(places[:, np.newaxis], np.ones((len(places), 1)))
        counts = np.array([sightings.setting(columns, name) for name in values.values()])  # of values in tasks
        asked = np.array([sightings.places[task, node] for task in columns.embeddings])
        changes = [
            levels.against_first(task, effects, spread, counts[:, place] / asked[place])
            for place, task in enumerate(columns.embeddings)
            if asked[place]
        ]
        if not changes:
            continue
        mean, se = (np.mean([each[part] for each in changes], axis=0) for part in (0, 1))
        found.setdefault(node, {})[setting] = {
            value: rounded_effect(mean[place], se[place], counts[place].sum()) for place, value in enumerate(values)
        }
    return found


def _shown(settings: Settings) -> Settings:
    """Without values that were never shown, of which nothing is known."""
    kept = {
        node: {name: {value: each for value, each in found.items() if each.n} for name, found in mine.items()}
        for node, mine in settings.items()
    }
    kept = {node: {name: found for name, found in mine.items() if found} for node, mine in kept.items()}
    return {node: mine for node, mine in kept.items() if mine}


def _values_of(columns: Columns) -> dict[tuple[str, str], dict[str, Column]]:
    """(node, setting) → value → its column; the first value has none."""
    found: dict[tuple[str, str], dict[str, Column]] = {}
    for name in columns.names:
        if name[0] in SETTINGS:
            _, node, *setting, value = name
            found.setdefault((node, setting[0] if setting else "demos"), {})[value] = name
    return found
