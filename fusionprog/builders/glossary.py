"""Label glossaries: what the training inputs of each label talk about."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fusionprog.builders.rows import closed_fields, input_text, labels_of
from fusionprog.prompts.items import BuildContext, Facet, Family, check_count, register_family

_WORD = re.compile(r"\b[^\W\d_]{2,}\b")
_PRIOR = 0.5  # words seen before anything is seen


@register_family("label-glossary")
class LabelGlossary(Family):
    """For every label, the words that tell its training inputs from those of the other labels.

    Words are ranked by what they add to the Kullback–Leibler divergence of a label's words from those of the other
    labels: ``p * log(p / q)``, smoothed, so that a word must be both frequent in the label and rare elsewhere.

    Args:
        words: Words per label, at least 1.
        id: The item's id; made of the kind and arguments, if not given.
        nodes: Nodes it is offered to; all if empty.
        pinned: In every prompt, whatever the search thinks of it.
    """

    facet: Facet = "hint"

    def __init__(self, words: int = 8, *, id: str | None = None, nodes: Any = (), pinned: bool = False) -> None:
        self.words = check_count(words, "words of a label glossary")
        super().__init__(id=id, nodes=nodes, pinned=pinned)

    def arguments(self) -> dict[str, Any]:
        """Returns the number of words."""
        return {"words": self.words}

    def build(self, context: BuildContext) -> str | None:
        """Returns a line per label, for every closed output field whose labels the rows show."""
        blocks = []
        for field, labels in closed_fields(context):
            texts: dict[Any, list[str]] = {label: [] for label in labels}
            for row in context.rows:
                for label in labels_of(row, field):
                    if label in texts:
                        texts[label].append(input_text(context, row))
            if sum(bool(group) for group in texts.values()) < 2:
                continue
            words = _telling_words(list(texts.values()), self.words)
            lines = [f"- {label}: {', '.join(best)}" for label, best in zip(texts, words, strict=True) if best]
            if lines:
                blocks.append("\n".join([f"Words that often go with each `{field}`:", *lines]))
        return "\n".join(blocks) or None


def _telling_words(groups: list[list[str]], count: int) -> list[list[str]]:
    """Returns for each group of texts its most telling words, best first."""
    found = [[set(_WORD.findall(text.lower())) for text in group] for group in groups]
    words = sorted({word for group in found for seen in group for word in seen})
    column = {word: index for index, word in enumerate(words)}
    table = np.zeros((len(groups), len(words)))
    for row, group in zip(table, found, strict=True):
        for seen in group:
            row[[column[word] for word in seen]] += 1
    everywhere = table.sum(axis=0)
    best = []
    for mine in table:
        others = everywhere - mine
        share = (mine + _PRIOR) / (mine + _PRIOR).sum()
        elsewhere = (others + _PRIOR) / (others + _PRIOR).sum()
        telling = np.round(share * np.log(share / elsewhere), 9)
        ranked = sorted(np.flatnonzero(mine), key=lambda word: (-telling[word], words[word]))
        best.append([words[word] for word in ranked[:count] if telling[word] > 0])
    return best
