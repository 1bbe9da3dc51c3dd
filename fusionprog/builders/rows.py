"""What builders read of a node's training rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from fusionprog._internal.canonical import jsonable
from fusionprog.program.signature import closed_choice
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
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


def by_label(context: BuildContext, rows: Sequence[Demo]) -> list[list[Demo]]:
    """Returns rows grouped by the first closed field's first label, in the labels' order, each group shuffled.

    Without a closed field all rows are one group.
    """
    draw = random.Random(context.seed)
    closed = closed_fields(context)
    if not closed:
        rest = list(rows)
        draw.shuffle(rest)
        return [rest]
    field, labels = closed[0]
    groups: dict[Any, list[Demo]] = {label: [] for label in labels}
    for row in rows:
        for label in labels_of(row, field)[:1]:
            if label in groups:
                groups[label].append(row)
    for group in groups.values():
        draw.shuffle(group)
    return [group for group in groups.values() if group]


def vectors(texts: Sequence[str]) -> NDArray[np.float64]:
    """Returns unit vectors of hashed word n-grams, shape ``(n_texts, 1024)``."""
    hashed = HashingVectorizer(n_features=1024, ngram_range=(1, 2), norm="l2", token_pattern=r"(?u)\b\w+\b")
    dense: NDArray[np.float64] = hashed.transform(texts).toarray()
    return dense
