"""The text that a task's embedding reads, and the basis that embeddings are seen in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusionprog.errors import EmbedderError
from fusionprog.program.data import Row
from fusionprog.program.graph import ProgramGraph

Vectors = NDArray[np.float64]
MAX_COMPONENTS = 4
_DIGITS = 6
_LEAST_SCALE = 1e-4  # tasks that differ by less along a direction do not differ


def task_text(graph: ProgramGraph, description: str, domain: str, labels: Sequence[str], rows: Sequence[Row]) -> str:
    """Returns what a task's embedding reads: its description, domain, field names, labels and a few inputs."""
    names = [*graph.inputs, *graph.outputs]
    inputs = [str(row.columns.get(name, "")) for row in rows for name in graph.inputs]
    return " ".join([description, domain, *(name.replace("_", " ") for name in (*names, *labels)), *inputs])


@dataclass(frozen=True)
class Basis:
    """Principal components of the tasks' embeddings: centred, reduced, unit variance; then frozen.

    Attributes:
        centre: Mean of the tasks' vectors, shape ``(n_features,)``.
        components: Directions, shape ``(n_components, n_features)``, at most four and at most one fewer than tasks.
        scale: Standard deviation of the tasks along each direction, shape ``(n_components,)``.
    """

    centre: Vectors
    components: Vectors
    scale: Vectors

    @classmethod
    def fit(cls, vectors: Vectors) -> Basis:
        """Returns the basis of the tasks' vectors, shape ``(n_tasks, n_features)``.

        Tasks are sorted, signs fixed and numbers rounded, so that the same tasks in any order give the same bytes.
        """
        ordered = vectors[np.lexsort(vectors.T)]
        centre = ordered.mean(axis=0)
        _, spread, directions = np.linalg.svd(ordered - centre, full_matrices=False)
        scale = spread / np.sqrt(len(vectors))
        count = min(MAX_COMPONENTS, int((scale > _LEAST_SCALE).sum()))  # centred: at most one fewer than tasks
        components = sign_fixed(directions[:count])
        return cls(*(np.round(each, _DIGITS) for each in (centre, components, scale[:count])))

    @property
    def size(self) -> int:
        """Number of components."""
        return len(self.components)

    def coordinates(self, vector: Vectors) -> tuple[float, ...]:
        """Returns a vector's place among the tasks, shape ``(n_components,)``, in units of their spread.

        Raises:
            EmbedderError: if it is of another length than the tasks' vectors.
        """
        if not self.size:
            return ()
        if len(vector) != len(self.centre):
            raise EmbedderError(
                "a vector does not fit the basis of the tasks",
                expected=f"{len(self.centre)} numbers",
                found=str(len(vector)),
                fix="Pass embedder= with the embedder that the program was compiled with",
            )
        place = self.components @ (vector - self.centre) / self.scale
        return tuple(round(float(value), _DIGITS) + 0.0 for value in place)

    def direction(self, vector: Vectors) -> tuple[float, ...]:
        """Returns an item's unit direction in the tasks' space, or zeros where it has none."""
        place = np.array(self.coordinates(vector))
        length = float(np.linalg.norm(place))
        return tuple(round(float(value) / length, _DIGITS) + 0.0 if length > 1e-9 else 0.0 for value in place)


def sign_fixed(directions: Vectors) -> Vectors:
    """Returns directions, shape ``(n, n_features)``, each turned so that the first of its largest entries is positive.

    Entries that differ by rounding alone count as equal: else noise in the last bit would choose the sign.
    """
    sizes = np.round(np.abs(directions), _DIGITS)
    largest = directions[np.arange(len(directions)), sizes.argmax(axis=1)]
    return directions * np.where(largest < 0, -1.0, 1.0)[:, np.newaxis]
