"""Choosing among labels by the nearest evidence in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusionprog.lm.offline.mentions import LabelMentions
from fusionprog.lm.offline.similarity import LEXICAL, Evidence, Similarity, words
from fusionprog.lm.offline.synonyms import find_synonyms, lent_words

_NAME_WEIGHT = 0.5
_MENTION_WEIGHT = 1.0
_DEMONSTRATION_WEIGHT = 0.5
_SYNONYM_WEIGHT = 0.5


@dataclass(frozen=True)
class Query:
    """The inputs that are to be answered.

    Attributes:
        inputs: The values by field name, in the prompt's order.
        similarity: How they are compared with evidence.
    """

    inputs: dict[str, str]
    similarity: Similarity = LEXICAL

    @cached_property
    def text(self) -> str:
        """All values, a line each."""
        return "\n".join(self.inputs.values())

    @cached_property
    def features(self) -> Any:
        """What of all values is compared; several fields share it."""
        return self.similarity.features(self.text)

    @cached_property
    def words(self) -> list[str]:
        """The words of all values in order."""
        return words(self.text)


class ClosedChoice:
    """Scores labels by their names, by what the instructions say about them, and by demonstrations."""

    def __init__(
        self,
        labels: Sequence[str],
        instructions: Sequence[str] = (),
        demonstrations: Sequence[tuple[int, str]] = (),
        *,
        names: bool = True,
        extra: bool = False,
        similarity: Similarity = LEXICAL,
    ) -> None:
        """Gather the evidence.

        Args:
            labels: The labels as they are printed.
            instructions: The texts that may speak about labels.
            demonstrations: Pairs of a label's number and the inputs that it answered.
            names: Whether a label's name is evidence.
            extra: Whether there is one more choice after the labels, which only demonstrations speak for.
            similarity: How evidence is compared with inputs; the same as the queries'.
        """
        self._n_choices = len(labels) + extra
        mentions = LabelMentions(labels)
        named = [Evidence(i, label, _NAME_WEIGHT, "name") for i, label in enumerate(labels)] if names else []
        said = [
            Evidence(i, rest, _MENTION_WEIGHT, "mention") for text in instructions for i, rest in mentions.find(text)
        ]
        synonyms = [pair for text in instructions for pair in find_synonyms(text)]
        lent = [
            Evidence(item.label, word, _SYNONYM_WEIGHT, "synonym")
            for item in (*named, *said)
            for word in lent_words(item.text, synonyms)
        ]
        shown = [Evidence(i, text, _DEMONSTRATION_WEIGHT, "demonstration") for i, text in demonstrations]
        self.described = frozenset(item.label for item in (*said, *shown))
        evidence = [*named, *said, *lent, *shown]
        self._profiles = similarity.profiles(evidence, self._n_choices) if evidence else None
        self._words: dict[int, set[str]] = {}
        for item in evidence:
            self._words.setdefault(item.label, set()).update(words(item.text))

    def scores(self, query: Query) -> NDArray[np.float64]:
        """How near each label's evidence is.

        Args:
            query: The inputs.

        Returns:
            Cosines of shape (n_choices,).
        """
        return np.zeros(self._n_choices) if self._profiles is None else self._profiles.scores(query.features)

    def shared_words(self, query: Query, label: int, limit: int = 5) -> list[str]:
        """The words that the inputs share with a label's evidence.

        Args:
            query: The inputs.
            label: The label's number.
            limit: The most words to give, the longest first, since they say most.

        Returns:
            The words in the order of the inputs.
        """
        shared = dict.fromkeys(word for word in query.words if word in self._words.get(label, ()))
        longest = set(sorted(shared, key=lambda word: -len(word))[:limit])
        return [word for word in shared if word in longest]
