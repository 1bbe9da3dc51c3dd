"""Hints such as "A parcel is an order.": they lend a word to each label whose evidence has the other."""

from __future__ import annotations

import re

from fusionprog.lm.offline.similarity import words

_BULLET = r"(?:(?:[-*+•>]|\d+[.)])\s+)?"
# Both sides need their article: "You are an expert" is about nobody's words.
_HINT = re.compile(
    rf"{_BULLET}an?\s+(?P<word>[\w '’-]{{2,40}}?)\s+(?:is|means)\s+"
    r"(?:(?:also|just|called|another word for)\s+)*"
    r"an?\s+(?P<meaning>[\w '’-]{2,40}?)[.;]?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def find_synonyms(text: str) -> list[tuple[str, str]]:
    """The pairs of words that a text declares to mean the same.

    Args:
        text: Instructions of several lines.

    Returns:
        Pairs of a word and its meaning, both in plain words, in the text's order.

    Example:
        >>> find_synonyms("You are an expert. A parcel is an order.")
        [('parcel', 'order')]
    """
    sentences = (part.strip() for line in text.splitlines() for part in _SENTENCE_END.split(line.strip()))
    found = (_HINT.fullmatch(sentence) for sentence in sentences)
    return [(" ".join(words(hint["word"])), " ".join(words(hint["meaning"]))) for hint in found if hint]


def lent_words(evidence: str, synonyms: list[tuple[str, str]]) -> list[str]:
    """The words that synonyms add to a text.

    Args:
        evidence: A label's name or what is said about it.
        synonyms: The pairs of `find_synonyms`.

    Returns:
        The words whose meaning stands in the text.
    """
    plain = f" {' '.join(words(evidence))} "
    return [word for word, meaning in synonyms if f" {meaning} " in plain]
