"""Answers that are numbers, dates or times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from fusionprog.lm.offline.choice_answers import NearestShown
from fusionprog.lm.offline.closed_choice import Query
from fusionprog.lm.offline.demonstrations import Shown
from fusionprog.lm.offline.field_types import Kind
from fusionprog.lm.offline.prompt_fields import Field
from fusionprog.lm.offline.quantities import find_dates, find_numbers, find_times
from fusionprog.lm.offline.similarity import Similarity

QUANTITIES: tuple[Kind, ...] = ("int", "float", "decimal", "date", "datetime", "time")
_NOTHING: dict[str, str] = {"date": "1970-01-01", "datetime": "1970-01-01T00:00:00", "time": "00:00:00"}


class QuantityAnswer:
    """A number, date or time: the nearest demonstration's, or the first in the inputs.

    Where demonstrations copy their value from the inputs, the inputs come first.
    """

    def __init__(self, field: Field, shown: Shown, similarity: Similarity) -> None:
        """Learn from demonstrations whether values are copied.

        Args:
            field: The field.
            shown: What demonstrations answer.
            similarity: How inputs are compared.
        """
        self._field = field
        self._kind = field.type.kind
        pairs = [(text, value) for text, values in shown for value in values[:1] if find_quantities(self._kind, value)]
        copied = sum(value in map(str, find_quantities(self._kind, text)) for text, value in pairs)
        self._copies = 2 * copied >= len(pairs)
        self._nearest = NearestShown(pairs, similarity) if pairs else None

    def __call__(self, query: Query) -> Any:
        """The value as JSON can hold it; None for null where there is none."""
        found: Sequence[Any] = find_quantities(self._kind, query.text) if self._copies else ()
        if not found and self._nearest is not None:
            found = find_quantities(self._kind, self._nearest(query))
        if found:
            return self._bounded(found[0])
        return None if self._field.type.nullable else self._bounded(_NOTHING.get(self._kind, "0"))

    def _bounded(self, value: str) -> Any:
        if self._kind not in ("int", "float"):
            return value
        number = float(value)
        lower, upper = self._field.lower, self._field.upper
        if lower is not None and number < lower:
            value = str(lower)
        if upper is not None and number > upper:
            value = str(upper)
        return as_json(self._kind, value)


class QuantitiesAnswer:
    """All numbers, dates or times in the inputs."""

    def __init__(self, kind: Kind) -> None:
        """Look for one kind.

        Args:
            kind: What the items are.
        """
        self._kind = kind

    def __call__(self, query: Query) -> list[Any]:
        """The values in order."""
        return [as_json(self._kind, value) for value in find_quantities(self._kind, query.text)]


def find_quantities(kind: Kind, text: str) -> list[str]:
    """The quantities of a kind in a text.

    Args:
        kind: One of `QUANTITIES`.
        text: The text.

    Returns:
        The quantities in order: numbers as Python writes them, dates and times in ISO format.
    """
    if kind == "date":
        return [day.isoformat() for day in find_dates(text)]
    if kind == "time":
        return [moment.isoformat() for moment in find_times(text)]
    if kind == "datetime":
        moment = next(iter(find_times(text)), time())
        return [datetime.combine(day, moment).isoformat() for day in find_dates(text)]
    return find_numbers(text)


def as_json(kind: Kind, value: str) -> Any:
    """A quantity as JSON can hold it.

    Args:
        kind: One of `QUANTITIES`.
        value: The quantity as text.

    Returns:
        An integer, a float, or the text.
    """
    if kind == "int":
        return int(value.partition(".")[0] or "0")
    return float(value) if kind == "float" else value
