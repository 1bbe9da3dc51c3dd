"""Who answers a field: for each type of output, the way to find its value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fusionprog.lm.offline.choice_answers import BoolAnswer, ChoiceAnswer
from fusionprog.lm.offline.closed_choice import ClosedChoice, Query
from fusionprog.lm.offline.demonstrations import Demonstration, Shown, shown_values
from fusionprog.lm.offline.field_types import FieldType
from fusionprog.lm.offline.prompt_fields import Field, SystemMessage
from fusionprog.lm.offline.quantity_answers import QUANTITIES, QuantitiesAnswer, QuantityAnswer
from fusionprog.lm.offline.schema_types import least_value
from fusionprog.lm.offline.similarity import Similarity
from fusionprog.lm.offline.text_answers import ReasoningAnswer, TextAnswer, TextsAnswer, is_reasoning

Answer = Callable[[Query], Any]


def answers_for(
    system: SystemMessage, demonstrations: Sequence[Demonstration], similarity: Similarity
) -> list[tuple[Field, Answer]]:
    """The answer of each output field.

    Args:
        system: What is asked for.
        demonstrations: The worked examples.
        similarity: How evidence is compared.

    Returns:
        Pairs of a field and its answer, in the prompt's order.
    """
    found = [
        (field, _answer(field, system, shown_values(field, demonstrations), similarity)) for field in system.outputs
    ]
    choices = [answer for _, answer in found if isinstance(answer, ChoiceAnswer)]
    if not choices:
        return found
    return [(field, ReasoningAnswer(choices) if is_reasoning(field) else answer) for field, answer in found]


def _answer(field: Field, system: SystemMessage, shown: Shown, similarity: Similarity) -> Answer:
    field = _named_choices(field, shown)
    kind = field.type.kind
    item = field.type.item
    if kind == "choice" or (item is not None and item.kind == "choice"):
        return ChoiceAnswer(field, _instructions(system), shown, similarity)
    if kind == "object":
        least = None if field.type.nullable else least_value(field.type.schema or {"type": "object"})
        return lambda query: least
    if kind == "list":
        return _list_answer(field, shown)
    answer: Answer
    if kind == "bool":
        answer = BoolAnswer(field, _instructions(system), shown, similarity)
    elif kind in QUANTITIES:
        answer = QuantityAnswer(field, shown, similarity)
    else:
        answer = TextAnswer(field, shown, similarity)
    some_null = field.type.nullable and not all(values for _, values in shown)
    return _NullAnswer(answer, shown, similarity) if some_null else answer


def _named_choices(field: Field, shown: Shown) -> Field:
    """A list of a class that the prompt does not explain, as a list of the labels that demonstrations give."""
    item = field.type.item
    labels = tuple(dict.fromkeys(value for _, values in shown for value in values))
    if item is None or item.kind != "unknown" or not labels:
        return field
    return replace(field, type=replace(field.type, item=FieldType("choice", choices=labels)))


def _list_answer(field: Field, shown: Shown) -> Answer:
    item = field.type.item
    if item is not None and item.kind in QUANTITIES:
        return QuantitiesAnswer(item.kind)
    if item is not None and item.kind == "str":
        return TextsAnswer(field, shown)
    return lambda query: []


def _instructions(system: SystemMessage) -> list[str]:
    fields = (*system.inputs, *system.outputs)
    return [system.objective, *(field.description for field in fields if field.description)]


class _NullAnswer:
    """Null where the nearest demonstrations answer null."""

    def __init__(self, answer: Answer, shown: Shown, similarity: Similarity) -> None:
        self._answer = answer
        pairs = [(0 if values else 1, text) for text, values in shown]
        self._choice = ClosedChoice(("given", "null"), (), pairs, names=False, similarity=similarity)

    def __call__(self, query: Query) -> Any:
        given, null = self._choice.scores(query)
        return None if null > given else self._answer(query)
