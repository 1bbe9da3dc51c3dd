"""Interference: which items help some tasks and hurt others, and how alike tasks are in that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusionprog.runtime.learned import Effect

Kind = Literal["shared", "private", "dropped"]

LEAST_EFFECT = 0.01  # a smaller one is taken for none
_DIGITS = 4


@dataclass(frozen=True)
class ItemInterference:
    """What an item does at a node, over tasks.

    Attributes:
        node: The node.
        item: The item.
        kind: ``"shared"`` if it helps two tasks or more, ``"private"`` if it helps one, ``"dropped"`` if none; by its
            effects alone, whether or not a prompt shows it.
        helps: The tasks that it helps.
        hurts: The tasks that it hurts.
        sign: 1 if its effects add up to more than 0 over all tasks, -1 if to less, else 0: whether it would be kept if
            all tasks had to have the same prompt.
    """

    node: str
    item: str
    kind: Kind
    helps: tuple[str, ...]
    hurts: tuple[str, ...]
    sign: int


@dataclass(frozen=True)
class Interference:
    """The interference table of a program.

    Attributes:
        cosine: Task → task → cosine of the tasks' effects, in [-1, 1]: 1 where the same items help, -1 where what
            helps the one hurts the other; ``None`` where a task has no effect that counts.
        items: What items do, those that help and hurt first, then by how many tasks they help.
    """

    cosine: Mapping[str, Mapping[str, float | None]]
    items: tuple[ItemInterference, ...]


def interference(
    effects: Mapping[str, Mapping[str, Mapping[str, Effect]]], *, least: float = LEAST_EFFECT
) -> Interference:
    """Returns the interference table of items' effects.

    Effects that are smaller than their standard error, or than ``least``, are taken for 0; so are those of items that
    are not on offer in a task.

    Note:
        The effects model believes first what tasks share. So with few outcomes tasks look more alike than they are.

    Args:
        effects: Task → node → item → its effect; of at least one task.
        least: In units of score, 0 or more.

    References:
        Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", 2023 (trimming, signs).
        Wang et al., "Localizing Task Information for Improved Model Merging and Compression", 2024 (shared, private
        and dropped by how many tasks something supports).
        Yu et al., "Gradient Surgery for Multi-Task Learning", 2020 (the cosine between tasks as a measure of conflict).
    """
    tasks = list(effects)
    places = list(
        dict.fromkeys((node, item) for nodes in effects.values() for node, items in nodes.items() for item in items)
    )
    counted = np.array(
        [[_trimmed(effects[task].get(node, {}).get(item), least) for node, item in places] for task in tasks]
    ).reshape(len(tasks), len(places))
    items = [
        ItemInterference(
            node,
            item,
            ("dropped", "private", "shared")[min(2, int((column > 0).sum()))],
            tuple(task for task, effect in zip(tasks, column, strict=True) if effect > 0),
            tuple(task for task, effect in zip(tasks, column, strict=True) if effect < 0),
            int(np.sign(math.fsum(column))),
        )
        for (node, item), column in zip(places, counted.T, strict=True)
    ]
    items.sort(key=lambda each: (-min(len(each.helps), len(each.hurts)), -len(each.helps), each.node, each.item))
    # Divided by the largest first, so that nothing small is lost when it is squared.
    largest = np.abs(counted).max(axis=1, initial=0.0)
    known = largest > 0
    scaled = counted / np.where(known, largest, 1.0)[:, np.newaxis]
    lengths = np.sqrt((scaled**2).sum(axis=1))
    cosine: dict[str, dict[str, float | None]] = {task: {} for task in tasks}
    for one, task in enumerate(tasks):
        for other, another in enumerate(tasks):
            if known[one] and known[other]:
                value = float(scaled[one] @ scaled[other] / (lengths[one] * lengths[other]))
                cosine[task][another] = round(min(1.0, max(-1.0, value)), _DIGITS) + 0.0
            else:
                cosine[task][another] = None
    return Interference(cosine, tuple(items))


def _trimmed(effect: Effect | None, least: float) -> float:
    return 0.0 if effect is None or abs(effect.mean) < max(least, effect.se) else effect.mean
