"""The functional embedder: a task is what fragments do to its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusionprog.errors import EmbedderError
from fusionprog.prompts.embedders.embedder import Probes, Subject, check_count, register_embedder, unit
from fusionprog.prompts.embedding import Vectors

LEAST_ITEMS = 3
MOST_ITEMS = 64
MOST_ROWS = 256
_MOST_NODES = 1_000


@register_embedder("functional")
class Functional:
    """The effects of some items on a task's score, measured on a few rows: tasks that need alike are alike.

    Effects are centred over the items and scaled to length 1, so that a task whose scores move more in all is not for
    that another kind of task. An item of the probes lies on its own axis; others lie nowhere.

    Args:
        items: Ids of the items that tasks are probed with, from 3 to 64; a compile chooses some of its pool, of all
            facets, if none are given.
        nodes: The nodes that show them; a compile takes all that it searches, if none are given.
        rows: Rows of every task that each item is measured on.

    Raises:
        EmbedderError: if an argument is not usable.

    Note:
        It costs ``(len(items) + 1) * rows`` runs of every task. The standard error of an effect is about
        ``0.5 / sqrt(rows)`` where scores are right or wrong.

    References:
        Vu et al., "SPoT: Better Frozen Model Adaptation through Soft Prompt Transfer", ACL 2022 (the tuned prompt as
        the task's embedding); this is its analogue for models that can only be asked.
    """

    def __init__(self, items: Sequence[str] = (), nodes: Sequence[str] = (), rows: int = 8) -> None:
        self.items = _names(items, "items", MOST_ITEMS)
        self.nodes = _names(nodes, "nodes", _MOST_NODES)
        self.rows = check_count(rows, "the rows of a functional embedding", MOST_ROWS)
        if 0 < len(self.items) < LEAST_ITEMS:
            raise EmbedderError(
                "a functional embedding has too few items",
                expected=f"at least {LEAST_ITEMS}",
                found=", ".join(self.items),
            )

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name, items, nodes and rows."""
        return {"name": "functional", "items": list(self.items), "nodes": list(self.nodes), "rows": self.rows}

    @property
    def needs(self) -> Probes:
        """The effects of the items."""
        return Probes(self.items, self.nodes, self.rows)

    def embed(self, subjects: Sequence[Subject]) -> Vectors:
        """Returns centred effects of length 1, shape ``(n_subjects, n_items)``; zeros where nothing has an effect.

        Raises:
            EmbedderError: if a task was not measured with these items.
        """
        size = len(self.items)
        made = np.zeros((len(subjects), size))
        for place, subject in enumerate(subjects):
            if not subject.item and len(subject.measured) != size:
                raise EmbedderError(
                    "a task was not probed", expected=f"{size} effects", found=f"{len(subject.measured)} effects"
                )
            if not subject.item:
                made[place] = subject.measured
            elif subject.item in self.items:
                made[place, self.items.index(subject.item)] = 1.0
        return unit(made - made.mean(axis=1, keepdims=True)) if size else made


def _names(given: Any, what: str, most: int) -> tuple[str, ...]:
    listed = isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given)
    if not listed or len(set(given)) != len(given) or len(given) > most:
        raise EmbedderError(
            f"the {what} of a functional embedding cannot be so",
            expected=f"a list of at most {most:,} different names",
            found=repr(given)[:80],
        )
    return tuple(given)
