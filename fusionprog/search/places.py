"""Where tasks and items lie: what an embedder makes of them, seen in the basis of the tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fusionprog.program.graph import ProgramGraph
from fusionprog.program.signature import closed_choice
from fusionprog.program.task import Task, TaskProgram
from fusionprog.prompts.embedders import Embedder, Subject
from fusionprog.prompts.embedding import Basis, Vectors, task_text
from fusionprog.prompts.items import Item

_ROWS_EMBEDDED = 8


@dataclass(frozen=True)
class Places:
    """Where tasks and items lie.

    Attributes:
        basis: The basis of the tasks' vectors.
        vectors: Task → its vector, shape ``(n_features,)``.
        tasks: Task → coordinates.
        items: Item → its unit direction; empty where it has none.
    """

    basis: Basis
    vectors: Mapping[str, Vectors]
    tasks: Mapping[str, tuple[float, ...]]
    items: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(
        cls,
        embedder: Embedder,
        tasks: Mapping[str, Subject],
        items: Mapping[str, Subject],
        basis: Basis | None = None,
    ) -> Places:
        """Returns the places of tasks and items.

        Args:
            embedder: Makes the vectors.
            tasks: Task → what is embedded of it, with all that the embedder needs.
            items: Item → likewise.
            basis: The basis that they are seen in; one is made for the tasks, if not given.

        Raises:
            EmbedderError: if something cannot be embedded.
        """
        vectors = embedder.embed([*tasks.values(), *items.values()])
        basis = Basis.fit(vectors[: len(tasks)]) if basis is None else basis
        return cls(
            basis,
            dict(zip(tasks, vectors, strict=False)),
            {name: basis.coordinates(vector) for name, vector in zip(tasks, vectors, strict=False)},
            {
                name: basis.direction(vector) if vector.any() else ()
                for name, vector in zip(items, vectors[len(tasks) :], strict=True)
            },
        )

    @classmethod
    def nowhere(cls, tasks: Sequence[str]) -> Places:
        """Returns the places of tasks of which nothing is known yet: none is told from another."""
        nothing = np.zeros((0, 0))
        return cls(Basis(np.zeros(0), nothing, np.zeros(0)), {}, dict.fromkeys(tasks, ()), {})


def task_subject(graph: ProgramGraph, program: TaskProgram, task: Task) -> Subject:
    """Returns what is embedded of a task: its text.

    Args:
        graph: The program's.
        program: The program as the task sees it.
        task: The task; of a private one no row is read.
    """
    labels = [
        str(label)
        for signature in program.signatures.values()
        for output in signature.output_fields.values()
        for label in closed_choice(output.annotation)
    ]
    rows = () if task.private else task.rows["train"][:_ROWS_EMBEDDED]
    return Subject(task_text(graph, task.description, task.domain, labels, rows))


def item_subject(item: Item) -> Subject:
    """Returns what is embedded of an item."""
    return Subject(item.key_text, item=item.id)
