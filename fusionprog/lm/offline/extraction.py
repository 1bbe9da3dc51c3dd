"""Free text by extraction: sentences near a topic, and spans like those that demonstrations give."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from fusionprog.lm.offline.similarity import LEXICAL, Similarity, similarities, word_features

NOTHING = "N/A"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_NUMBERED = re.compile(r"^\[\d+\] «(.*)»$")
_MARKER = re.compile(r"\[\[ ## \w+ ## \]\]")
_TOKEN = re.compile(r"\w+(?:[-'’./:,&]\w+)*")
_MAX_SPAN_WORDS = 8
_MAX_TOKENS = 400


def sentences(value: str) -> list[str]:
    """The sentences of an input, each on one line and free of format markers.

    Args:
        value: The input as printed; a JSON list counts as its items.

    Returns:
        The sentences in order, none of them blank.
    """
    parts = [part for item in _items(value) for part in _SENTENCE.split(item)]
    plain = [" ".join(_MARKER.sub(" ", _NUMBERED.sub(r"\1", part.strip())).split()) for part in parts]
    return [part for part in plain if part]


def nearest_sentences(
    inputs: dict[str, str], topic: str, similarity: Similarity = LEXICAL, limit: int = 1
) -> list[str]:
    """The sentences nearest to a topic.

    Among several inputs the longest is read, and the others (a question, say) are part of the topic.

    Args:
        inputs: The inputs by name.
        topic: What is asked for.
        similarity: How sentences are compared with it.
        limit: The most sentences to give.

    Returns:
        Sentences in the order of the inputs; the first ones where nothing is near.
    """
    source = max(inputs, key=lambda name: len(inputs[name]), default="")
    candidates = sentences(inputs.get(source, ""))
    if len(candidates) <= limit:
        return candidates
    others = " ".join(value for name, value in inputs.items() if name != source)
    near = similarities(candidates, f"{topic} {others}", similarity)
    best = sorted(range(len(candidates)), key=lambda place: (-near[place], place))[:limit]
    return [candidates[place] for place in sorted(best)]


def is_span(text: str, value: str) -> bool:
    """Whether a value is a short piece of a text.

    Args:
        text: The text.
        value: The value.

    Returns:
        True for one to eight words that stand in the text, in any case, and are not all of it.
    """
    length = len(_TOKEN.findall(value))
    return 0 < length <= _MAX_SPAN_WORDS and value.casefold() in text.casefold() and len(value) < len(text.strip())


class SpanFinder:
    """Finds spans like those of demonstrations: by the words around them, their words, shape and length."""

    def __init__(self, demonstrations: Sequence[tuple[str, str]]) -> None:
        """Learn from demonstrations.

        Args:
            demonstrations: Pairs of a text and the span in it.
        """
        self._before: Counter[str] = Counter()
        self._after: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._shapes: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()
        self._outside: Counter[str] = Counter()
        self._n = len(demonstrations)
        for text, span in demonstrations:
            start = text.casefold().find(span.casefold())
            tokens = list(_TOKEN.finditer(text))
            inside = [i for i, token in enumerate(tokens) if start <= token.start() < start + len(span)]
            if not inside:
                continue
            self._before[_word(tokens, inside[0] - 1)] += 1
            self._after[_word(tokens, inside[-1] + 1)] += 1
            self._lengths[len(inside)] += 1
            for i, token in enumerate(tokens):
                if i in inside:
                    self._shapes[_shape(token.group())] += 1
                    self._inside.update(set(word_features(token.group().lower())))
                else:
                    self._outside[token.group().lower()] += 1

    def find(self, text: str, limit: int = 1) -> list[str]:
        """The spans most like those of the demonstrations.

        Args:
            text: Where to look.
            limit: The most spans to give; they do not overlap.

        Returns:
            Spans in the text's order; nothing where the text has no words.
        """
        tokens = list(_TOKEN.finditer(text))[:_MAX_TOKENS]
        worth = [self._word_score(token.group()) for token in tokens]
        found: list[tuple[float, int, int]] = []
        for length in sorted(self._lengths):
            for start in range(len(tokens) - length + 1):
                end = start + length
                score = sum(worth[start:end]) / length + self._lengths[length] / (2 * self._n)
                score += self._before[_word(tokens, start - 1)] / self._n + self._after[_word(tokens, end)] / self._n
                found.append((-round(score, 9), start, end))
        chosen: list[tuple[int, int]] = []
        for _, start, end in sorted(found):
            if len(chosen) < limit and all(end <= s or start >= e for s, e in chosen):
                chosen.append((start, end))
        spans = [text[tokens[start].start() : tokens[end - 1].end()] for start, end in sorted(chosen)]
        return [" ".join(span.split()) for span in spans]

    def _word_score(self, word: str) -> float:
        features = set(word_features(word.lower()))
        known = sum(feature in self._inside for feature in features) / len(features)
        shape = self._shapes[_shape(word)] / (sum(self._shapes.values()) or 1)
        # A word that demonstrations leave out is no part of a span, unless it is one elsewhere.
        left_out = word.lower() in self._outside and word.lower() not in self._inside
        return known + shape - left_out


def _items(value: str) -> list[str]:
    if value.startswith("["):
        try:
            items = json.loads(value)
        except json.JSONDecodeError:
            return [value]
        if isinstance(items, list):
            return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    return [value]


def _word(tokens: Sequence[re.Match[str]], place: int) -> str:
    return tokens[place].group().lower() if 0 <= place < len(tokens) else ""


def _shape(word: str) -> str:
    if any(letter.isdigit() for letter in word):
        return "number"
    return "capital" if word[:1].isupper() else "plain"
