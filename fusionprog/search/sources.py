"""What other compiles make one expect here: the sources that a search may start from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fusionprog.prompts.embedding import Vectors
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.learned import Learned

Coordinates = Mapping[str, tuple[float, ...]]

_ALIKE = 3  # source tasks that are looked at alone: the most similar ones
_ALL, _SINGLE = 0.6, 0.25  # how much all of them together, and these alone, count before anything is measured
_UNKNOWN_SE, _UNKNOWN_OWN = 0.05, 0.06  # of effects where there is no model of what tasks have in common
_SETTINGS_DIFFER = 0.03  # by how much effects of settings differ from one compile to the next, in units of score


@dataclass(frozen=True)
class Expected:
    """What something is expected to do to a score that is near one half.

    Attributes:
        mean: The change of the score.
        se: How well that is known, as a standard deviation.
        own: How far a single task may be from it, as a standard deviation.
    """

    mean: float
    se: float
    own: float = 0.0


ItemEffects = Mapping[str, Mapping[str, Expected]]  # node → item


@dataclass(frozen=True)
class Source:
    """What one compile, or one task of it, makes one expect here.

    Attributes:
        name: What it is called.
        weight: How much it counts before anything is measured, in [0, 1].
        effects: Task of here → node → item → what it is expected to do.
        settings: Node → setting → value → what it is expected to do.
        pairs: Node → item → item → what both do beyond the sum of their effects.
    """

    name: str
    weight: float
    effects: Mapping[str, ItemEffects]
    settings: Mapping[str, ItemEffects] = field(default_factory=dict)
    pairs: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def mean_effects(self) -> dict[tuple[str, str], float]:
        """Returns (node, item) → what the item is expected to do there, on average over the tasks of here."""
        found: dict[tuple[str, str], list[float]] = {}
        for by_node in self.effects.values():
            for node, items in by_node.items():
                for item, expected in items.items():
                    found.setdefault((node, item), []).append(expected.mean)
        return {place: math.fsum(means) / len(means) for place, means in found.items()}


def sources_of(programs: Sequence[CompiledProgram], vectors: Mapping[str, Vectors]) -> tuple[Source, ...]:
    """Returns what compiled programs make one expect of tasks.

    Of each program that is what its tasks have in common, by how alike the new ones are to them; and what each of its
    most similar tasks shows alone. Which of these hold here, the search finds out.

    Args:
        programs: The programs.
        vectors: Task → its vector by the programs' embedder, shape ``(n_features,)``.
    """
    made: list[Source] = []
    for number, program in enumerate(programs):
        coordinates = {task: program.basis.coordinates(vector) for task, vector in vectors.items()}
        prefix = f"{program.graph.name} {number + 1}: " if len(programs) > 1 else ""
        settings = _settings(program.record.learned)
        likeness = _likeness(program, coordinates)
        together = Source(
            f"{prefix}all tasks",
            (_ALL if len(likeness) > 1 else _ALL + _SINGLE) / len(programs),
            {task: _effects_here(program, task, place) for task, place in coordinates.items()},
            settings,
            program.schedule.pairs,
        )
        made.append(together)
        if len(likeness) < 2:  # one task alone is all of them
            continue
        first = sorted(likeness, key=lambda task: (-likeness[task], task))[:_ALIKE]
        total = math.fsum(likeness[task] for task in first)
        for task in first:
            effects = _effects_of_one(program, task)
            weight = _SINGLE * likeness[task] / total / len(programs)
            made.append(Source(f"{prefix}{task}", weight, dict.fromkeys(vectors, effects), settings, together.pairs))
    return tuple(made)


def _likeness(program: CompiledProgram, coordinates: Coordinates) -> dict[str, float]:
    """Source task → how alike the tasks of here are to it, in (0, 1], on average over them."""
    here = np.array(list(coordinates.values())).reshape(len(coordinates), program.basis.size)
    made = {}
    for task, part in program.tasks.items():
        distances = ((here - np.array(part.view.embedding)) ** 2).sum(axis=1)
        made[task] = round(float(np.exp(-distances / 2).mean()) + 1e-6, 9)
    return made


def effects_at(program: CompiledProgram, place: tuple[float, ...]) -> ItemEffects:
    """Returns what all tasks of a program together make one expect of a task at a place among them."""
    learned = program.record.learned
    if learned is not None and learned.shared is not None:
        own = learned.shared.own
        return {
            node: {item: Expected(*each.at(place), own) for item, each in items.items()}
            for node, items in learned.shared.effects.items()
        }
    return _effects_on_average(program)


def _effects_on_average(program: CompiledProgram) -> ItemEffects:
    """What items do in the tasks of a program, on average over those that show it."""
    found: dict[str, dict[str, list[Expected]]] = {}
    for task in program.tasks:
        for node, items in _effects_of_one(program, task).items():
            for item, expected in items.items():
                found.setdefault(node, {}).setdefault(item, []).append(expected)
    return {node: {item: _average(each) for item, each in items.items()} for node, items in found.items()}


def _average(found: Sequence[Expected]) -> Expected:
    mean = math.fsum(each.mean for each in found) / len(found)
    error = math.sqrt(math.fsum(each.se**2 for each in found)) / len(found)
    return Expected(mean, math.hypot(error, _UNKNOWN_SE), _UNKNOWN_OWN)


def _effects_here(program: CompiledProgram, task: str, place: tuple[float, ...]) -> ItemEffects:
    """What a program makes one expect of a task; of one that it has, what that showed."""
    expected = effects_at(program, place)
    if task not in program.tasks:
        return expected
    shown = _effects_of_one(program, task)
    return {node: {**items, **shown.get(node, {})} for node, items in {**shown, **expected}.items()}


def _effects_of_one(program: CompiledProgram, task: str) -> ItemEffects:
    """What one task of a program shows."""
    learned = program.record.learned
    found = {} if learned is None else learned.effects.get(task, {})
    own = _UNKNOWN_OWN if learned is None or learned.shared is None else learned.shared.own
    return {
        node: {item: Expected(each.mean, each.se, own) for item, each in mine.items()} for node, mine in found.items()
    }


def _settings(learned: Learned | None) -> Mapping[str, ItemEffects]:
    if learned is None:
        return {}
    return {
        node: {
            setting: {value: Expected(each.mean, math.hypot(each.se, _SETTINGS_DIFFER)) for value, each in mine.items()}
            for setting, mine in settings.items()
        }
        for node, settings in learned.settings.items()
    }
