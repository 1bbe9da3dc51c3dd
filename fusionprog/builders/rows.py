"""What builders read of a node's training rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusionprog._internal.canonical import jsonable
from fusionprog.program.signature import closed_choice
from fusionprog.prompts.embedders import HashedNgrams
from fusionprog.prompts.items import BuildContext, Demo


def closed_fields(context: BuildContext) -> list[tuple[str, tuple[Any, ...]]]:
    """Returns the node's output fields that are a closed choice, with their labels in order."""
    fields = ((name, closed_choice(field.annotation)) for name, field in context.signature.output_fields.items())
    return [(name, labels) for name, labels in fields if labels]


def demonstrable(context: BuildContext) -> list[Demo]:
    """Returns the rows that have all inputs of the node and at least one output, without repeats."""
    inputs = [name for name, field in context.signature.input_fields.items() if field.is_required()]
    rows = [
        row
        for row in context.rows
        if all(row.get(name) is not None for name in inputs)
        and any(row.get(name) is not None for name in context.signature.output_fields)
    ]
    return list({input_text(context, row): row for row in rows}.values())


def input_text(context: BuildContext, row: Demo) -> str:
    """Returns a row's inputs as one text."""
    return "\n".join(str(row[name]) for name in context.signature.input_fields if row.get(name) is not None)


def labels_of(row: Demo, field: str) -> tuple[Any, ...]:
    """Returns the labels that a row has for a field: one, or those of a list."""
    value = jsonable(row.get(field))
    given = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(label for label in given if label is not None))


def by_label(context: BuildContext, rows: Sequence[Demo]) -> list[list[Demo]]:
    """Returns rows grouped by the first label of the first closed field that they tell.

    Groups are in the labels' order, each shuffled. Where no row tells a closed field, all rows are one group.
    """
    groups: list[list[Demo]] = [list(rows)]
    for field, labels in closed_fields(context):
        told: dict[Any, list[Demo]] = {label: [] for label in labels}
        for row in rows:
            for label in labels_of(row, field)[:1]:
                if label in told:
                    told[label].append(row)
        if any(told.values()):
            groups = [group for group in told.values() if group]
            break
    draw = random.Random(context.seed)
    for group in groups:
        draw.shuffle(group)
    return groups


def vectors(texts: Sequence[str]) -> NDArray[np.float64]:
    """Returns unit vectors of hashed word n-grams, shape ``(n_texts, 1024)``."""
    return HashedNgrams(features=1024).embed_texts(texts)
