"""Answers that are labels: closed choices, lists of labels, true or false."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from fusionprog.lm.offline.closed_choice import ClosedChoice, Query
from fusionprog.lm.offline.demonstrations import Shown
from fusionprog.lm.offline.field_types import FieldType
from fusionprog.lm.offline.prompt_fields import Field
from fusionprog.lm.offline.similarity import Similarity, words

_SHARE_OF_BEST = 0.6
# Below it texts share little but common words, and null is the better answer where it is allowed.
_LEAST_SIMILARITY = 0.05
_STEM = 4


class ChoiceAnswer:
    """A label, or several.

    Where demonstrations answer with null or an empty list, that is one more choice; only they speak for it.
    """

    def __init__(self, field: Field, instructions: Sequence[str], shown: Shown, similarity: Similarity) -> None:
        """Gather the evidence.

        Args:
            field: The field; its type, or that of its items, is a closed choice.
            instructions: The texts that may speak about labels.
            shown: What demonstrations answer.
            similarity: How evidence is compared.
        """
        self._type: FieldType = field.type.item if field.type.item else field.type
        self._several = field.type.kind == "list"
        self._nullable = field.type.nullable or self._type.nullable
        self._labels = [str(choice) for choice in self._type.choices]
        places = _Places(self._labels)
        pairs = [(place, text) for text, values in shown for place in places.of(values)]
        empty = [(len(self._labels), text) for text, values in shown if not values]
        self._has_empty = bool(empty) and (self._several or self._nullable)
        self._choice = ClosedChoice(
            self._labels,
            instructions,
            pairs + empty if self._has_empty else pairs,
            extra=self._has_empty,
            similarity=similarity,
        )

    def __call__(self, query: Query) -> Any:
        """The label, its list, or None for null."""
        scores = self._choice.scores(query)
        best = self._best(scores)
        if best is None:
            return [] if self._several else None
        if not self._several:
            return self._type.choices[best]
        return [self._type.choices[i] for i in _near_best(scores[: len(self._labels)])]

    def explain(self, query: Query) -> str:
        """One sentence that names the evidence for the answer.

        Args:
            query: The inputs.

        Returns:
            Plain text on one line.
        """
        best = self._best(self._choice.scores(query))
        if best is None:
            return "Nothing in the inputs is near to a choice."
        label = " ".join(self._labels[best].split())
        shared = self._choice.shared_words(query, best)
        if not shared:
            return f"No word of the inputs is evidence for a choice; {label} is the nearest."
        return f"{', '.join(shared)}: this is nearest to what is known of {label}."

    def _best(self, scores: NDArray[np.float64]) -> int | None:
        best = int(scores.argmax())
        nothing = best == len(self._labels) or (self._nullable and scores[best] < _LEAST_SIMILARITY)
        return None if nothing else best


class BoolAnswer:
    """True or false: by the prompt's evidence where it speaks of both, else by the field's words."""

    def __init__(self, field: Field, instructions: Sequence[str], shown: Shown, similarity: Similarity) -> None:
        """Gather the evidence.

        Args:
            field: The field.
            instructions: The texts that may speak about true and false; the first is the objective.
            shown: What demonstrations answer.
            similarity: How evidence is compared.
        """
        labels = ["True", "False"]
        places = _Places(labels)
        pairs = [(place, text) for text, values in shown for place in places.of(values)]
        self._choice = ClosedChoice(labels, instructions, pairs, names=False, similarity=similarity)
        self._usually = 2 * sum(place == 0 for place, _ in pairs) > len(pairs)
        topic = _content_words(f"{field.name} {field.description}")
        self._topic = topic or _content_words(instructions[0] if instructions else "")

    def __call__(self, query: Query) -> bool:
        """Whether it holds."""
        if len(self._choice.described) == 2:
            true, false = self._choice.scores(query)
            return bool(true > false) if true != false else self._usually
        return any(_related(word, topic) for word in query.words for topic in self._topic)


class NearestShown:
    """The value of the demonstration that is nearest."""

    def __init__(self, shown: Sequence[tuple[str, str]], similarity: Similarity) -> None:
        """Gather the values.

        Args:
            shown: Pairs of a demonstration's inputs and its value, at least one.
            similarity: How inputs are compared.
        """
        self._values = list(dict.fromkeys(value for _, value in shown))
        pairs = [(self._values.index(value), text) for text, value in shown]
        self._choice = ClosedChoice(self._values, (), pairs, names=False, similarity=similarity)

    def __call__(self, query: Query) -> str:
        """The value as the demonstration prints it."""
        return self._values[int(self._choice.scores(query).argmax())]


class _Places:
    """Which label a demonstration's value is, whatever its quotes and case."""

    def __init__(self, labels: Sequence[str]) -> None:
        numbered = list(enumerate(labels))[::-1]
        self._exact = {label.strip(): place for place, label in numbered}
        self._folded = {label.strip().casefold(): place for place, label in numbered}

    def of(self, values: Sequence[str]) -> list[int]:
        """The labels' numbers; a value that is no label is left out."""
        found = []
        for value in (value.strip() for value in values):
            bare = value[1:-1].strip() if value[:1] == value[-1:] == '"' else value
            place = self._exact.get(value, self._exact.get(bare, self._folded.get(bare.casefold())))
            found += [] if place is None else [place]
        return found


def _near_best(scores: NDArray[np.float64]) -> list[int]:
    best = scores.max(initial=0.0)
    if best <= 0:
        return [0] if len(scores) else []
    return [int(i) for i in np.flatnonzero(scores >= _SHARE_OF_BEST * best)]


def _content_words(text: str) -> list[str]:
    return [word for word in words(text) if len(word) > 2 and word not in ENGLISH_STOP_WORDS]


def _related(word: str, topic: str) -> bool:
    """Whether two words are the same but for their endings."""
    if min(len(word), len(topic)) < _STEM:
        return word == topic
    return word.startswith(topic[: max(_STEM, len(topic) - 2)]) or topic.startswith(word)
