"""Answers in free text: extracted from the inputs, or those of the nearest demonstration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from fusionprog.lm.offline.choice_answers import ChoiceAnswer, NearestShown
from fusionprog.lm.offline.closed_choice import Query
from fusionprog.lm.offline.demonstrations import Shown
from fusionprog.lm.offline.extraction import NOTHING, SpanFinder, is_span, nearest_sentences
from fusionprog.lm.offline.prompt_fields import Field
from fusionprog.lm.offline.similarity import Similarity, words

_SHORT_WORDS = 8
_MAX_ITEMS = 3
_REASONING = re.compile(r"reason|rational|explan|thought|justif", re.IGNORECASE)


class TextAnswer:
    """One text: a span where demonstrations give spans, their value where that is short, else a sentence."""

    def __init__(self, field: Field, shown: Shown, similarity: Similarity) -> None:
        """Learn from demonstrations what kind of text is wanted.

        Args:
            field: The field.
            shown: What demonstrations answer.
            similarity: How inputs are compared.
        """
        self._topic = topic_of(field)
        self._nullable = field.type.nullable
        pairs = [(text, values[0]) for text, values in shown if values and values[0].strip()]
        spans = [pair for pair in pairs if is_span(*pair)]
        self._find: Callable[[Query], str] = self._sentence
        if spans and 2 * len(spans) >= len(pairs):
            self._spans = SpanFinder(spans)
            self._find = self._span
        elif pairs and all(len(words(value)) <= _SHORT_WORDS for _, value in pairs):
            self._find = NearestShown(pairs, similarity)

    def __call__(self, query: Query) -> str | None:
        """The text, never blank; None for null where there is nothing to read."""
        found = self._find(query) if query.text.strip() else ""
        return found or (None if self._nullable else NOTHING)

    def _span(self, query: Query) -> str:
        return next(iter(self._spans.find(query.text)), "")

    def _sentence(self, query: Query) -> str:
        return next(iter(nearest_sentences(query.inputs, self._topic, query.similarity)), "")


class TextsAnswer:
    """A list of texts: spans where demonstrations give spans, else sentences near the field's words."""

    def __init__(self, field: Field, shown: Shown) -> None:
        """Learn from demonstrations what kind of texts, and how many, are wanted.

        Args:
            field: The field.
            shown: What demonstrations answer.
        """
        self._topic = topic_of(field)
        pairs = [(text, value) for text, values in shown for value in values]
        spans = [pair for pair in pairs if is_span(*pair)]
        self._spans = SpanFinder(spans) if spans and 2 * len(spans) >= len(pairs) else None
        counts = Counter(len(values) for _, values in shown if values)
        self._limit = min(counts, key=lambda count: (-counts[count], count)) if counts else _MAX_ITEMS

    def __call__(self, query: Query) -> list[str]:
        """The texts, in the inputs' order."""
        if self._spans is not None:
            return self._spans.find(query.text, self._limit)
        return nearest_sentences(query.inputs, self._topic, query.similarity, self._limit)


class ReasoningAnswer:
    """What speaks for the choices that are asked for beside it."""

    def __init__(self, choices: Sequence[ChoiceAnswer]) -> None:
        """Stand beside other answers.

        Args:
            choices: Those answers.
        """
        self._choices = choices

    def __call__(self, query: Query) -> str:
        """One sentence per choice."""
        return " ".join(choice.explain(query) for choice in self._choices)


def is_reasoning(field: Field) -> bool:
    """Whether a field asks for the reasons of other answers.

    Args:
        field: The field.

    Returns:
        True for a text that is named so, such as the ``reasoning`` of a chain of thought.
    """
    return field.type.kind == "str" and _REASONING.search(field.name) is not None


def topic_of(field: Field) -> str:
    """The words that say what a field is about.

    Args:
        field: The field.

    Returns:
        Its name and description.
    """
    return f"{field.name} {field.description}"
