"""Demonstration families: which training rows to show."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from fusionprog.builders.rows import by_label, demonstrable, input_text, vectors
from fusionprog.prompts.items import BuildContext, Demo, Facet, Family, check_count, register_family


class _Demonstrations(Family):
    """Shared by families of demonstrations: they show whole rows."""

    facet: Facet = "demos"
    reveals_rows = True


@register_family("balanced-demos")
class BalancedDemos(_Demonstrations):
    """Training rows with every label shown equally often, the labels taking turns.

    Args:
        per_label: Rows per label, at least 1. Without a closed output field, rows in all.
        id: The item's id; made of the kind and arguments, if not given.
        nodes: Nodes it is offered to; all if empty.
        pinned: In every prompt, whatever the search thinks of it.
    """

    def __init__(self, per_label: int = 1, *, id: str | None = None, nodes: Any = (), pinned: bool = False) -> None:
        self.per_label = check_count(per_label, "per_label of balanced demonstrations")
        super().__init__(id=id, nodes=nodes, pinned=pinned)

    def arguments(self) -> dict[str, Any]:
        """Returns the rows per label."""
        return {"per_label": self.per_label}

    def build(self, context: BuildContext) -> tuple[Demo, ...] | None:
        """Returns the rows, label by label in turns."""
        groups = [group[: self.per_label] for group in by_label(context, demonstrable(context))]
        return _in_turns(groups)


@register_family("clustered-demos")
class ClusteredDemos(_Demonstrations):
    """The training rows nearest to the centres of clusters of inputs: typical ones, of every kind.

    Args:
        count: Rows, at least 1.
        id: The item's id; made of the kind and arguments, if not given.
        nodes: Nodes it is offered to; all if empty.
        pinned: In every prompt, whatever the search thinks of it.
    """

    def __init__(self, count: int = 8, *, id: str | None = None, nodes: Any = (), pinned: bool = False) -> None:
        self.count = check_count(count, f"count of {self.kind}")
        super().__init__(id=id, nodes=nodes, pinned=pinned)

    def arguments(self) -> dict[str, Any]:
        """Returns the number of rows."""
        return {"count": self.count}

    def build(self, context: BuildContext) -> tuple[Demo, ...] | None:
        """Returns the rows, those of the largest clusters first."""
        rows = demonstrable(context)
        if not rows:
            return None
        points = vectors([input_text(context, row) for row in rows])
        distinct = len(np.unique(points, axis=0))
        fitted = KMeans(min(self.count, distinct), random_state=context.seed, n_init=4).fit(points)
        distances = np.round(np.linalg.norm(points - fitted.cluster_centers_[fitted.labels_], axis=1), 9)
        clusters = [np.flatnonzero(fitted.labels_ == label) for label in np.unique(fitted.labels_)]
        typical = [(-len(members), int(members[distances[members].argmin()])) for members in clusters]
        return tuple(rows[index] for _, index in sorted(typical))


@register_family("basis-demos")
class BasisDemos(_Demonstrations):
    """The training rows that lie most along the leading directions of all inputs (Prompt Space).

    Args:
        count: Rows, at least 1.
        id: The item's id; made of the kind and arguments, if not given.
        nodes: Nodes it is offered to; all if empty.
        pinned: In every prompt, whatever the search thinks of it.

    References:
        Shi et al., "Prompt Space Optimizing Few-shot Reasoning Success with Large Language Models", 2024.
    """

    def __init__(self, count: int = 8, *, id: str | None = None, nodes: Any = (), pinned: bool = False) -> None:
        self.count = check_count(count, f"count of {self.kind}")
        super().__init__(id=id, nodes=nodes, pinned=pinned)

    def arguments(self) -> dict[str, Any]:
        """Returns the number of rows."""
        return {"count": self.count}

    def build(self, context: BuildContext) -> tuple[Demo, ...] | None:
        """Returns one row per direction, the leading one first."""
        rows = demonstrable(context)
        if not rows:
            return None
        points = vectors([input_text(context, row) for row in rows])
        _, _, directions = np.linalg.svd(points, full_matrices=False)
        chosen: list[int] = []
        for direction in directions[: self.count]:
            along = np.round(np.abs(points @ direction), 9)  # the sign of a direction means nothing
            along[chosen] = -np.inf
            chosen.append(int(along.argmax()))
        return tuple(rows[index] for index in chosen)


@register_family("bootstrapped-demos")
class BootstrappedDemos(_Demonstrations):
    """The node's inputs and full outputs in runs of the program as written that the metric found right.

    They are the one source of demonstrations for fields that no training row has, such as reasoning.

    Args:
        count: Demonstrations, at least 1.
        id: The item's id; made of the kind and arguments, if not given.
        nodes: Nodes it is offered to; all if empty.
        pinned: In every prompt, whatever the search thinks of it.
    """

    needs_traces = True

    def __init__(self, count: int = 8, *, id: str | None = None, nodes: Any = (), pinned: bool = False) -> None:
        self.count = check_count(count, f"count of {self.kind}")
        super().__init__(id=id, nodes=nodes, pinned=pinned)

    def arguments(self) -> dict[str, Any]:
        """Returns the number of demonstrations."""
        return {"count": self.count}

    def build(self, context: BuildContext) -> tuple[Demo, ...] | None:
        """Returns the runs, label by label in turns."""
        turns = _in_turns(by_label(context, context.traces))
        return turns[: self.count] if turns else None


def _in_turns(groups: Sequence[Sequence[Demo]]) -> tuple[Demo, ...] | None:
    turns = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return tuple(row for row in turns if row is not None) or None
