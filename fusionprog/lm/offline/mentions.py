"""Where instructions speak about a label: glossary lines, arrows, labels named inside of a sentence.

Many labels are common words ("no", "text", "order"), so a word alone is no mention. A label counts where it
opens a line before a separator, where an arrow leads to it, where it is quoted, or where no common word looks
like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from fusionprog.lm.offline.similarity import words

_BULLET = r"(?:(?:[-*+•>]|\d+[.)])\s+)?"
_OPEN = r"""[`"'“‘«*\[]+"""
_CLOSE = r"""[`"'”’»*\]]+"""
_TRIM = " \t`\"'“”‘’«»*[]"
_ARROW = re.compile(r"(?:->|=>|→)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
# Parts that common words lack: an underscore, a slash, a digit beside a letter, a capital inside.
_UNUSUAL = re.compile(r"[_/]|[^\W\d_]\d|\d[^\W\d_]|[a-z][A-Z]")
_NEGATION = re.compile(r"\b(?:not|never|avoid|don['’]t)\b[^,;:]*$", re.IGNORECASE)


class LabelMentions:
    """Finds what a text says about labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Make the patterns that find these labels.

        Args:
            labels: The labels as they are printed; a blank label is never mentioned.
        """
        # From the last to the first, so that the first of equal labels stays.
        self._exact = {label: number for number, label in reversed(list(enumerate(labels)))}
        self._folded = {label.casefold(): number for label, number in self._exact.items()}
        printed = sorted((label for label in self._exact if label.strip()), key=lambda label: (-len(label), label))
        any_label = "|".join(map(re.escape, printed)) or r"(?!)"
        label = rf"(?P<open>{_OPEN})?(?<![\w-])(?P<label>{any_label})(?!\w)"
        self._line = re.compile(
            rf"(?P<bullet>{_BULLET}){label}(?:{_CLOSE})?(?:\s*(?::|=>?|->|→|\|)|\s+[-–—])\s*(?P<rest>.*)",
            re.IGNORECASE,
        )
        self._arrow = re.compile(
            rf"{_BULLET}(?P<rest>\S.*?)\s*{_ARROW.pattern}\s*{label}(?:{_CLOSE})?\.?", re.IGNORECASE
        )
        self._inline = re.compile(rf"{label}(?P<close>{_CLOSE})?(?![\w-])")

    def find(self, text: str) -> list[tuple[int, str]]:
        """What a text says about the labels.

        Args:
            text: Instructions or a description of several lines.

        Returns:
            Pairs of a label's number and the words said about it, in the text's order.
        """
        found: list[tuple[int, str]] = []
        open_label: int | None = None
        for line in (line.strip() for line in text.splitlines()):
            opened = self._glossary_line(line)
            if opened:
                found += [(label, rest) for label, rest in opened if rest]
                open_label = opened[-1][0] if not opened[-1][1] else None
            elif not line:
                open_label = None
            elif open_label is not None:
                # A label alone on its line, with what is said about it below.
                found.append((open_label, line))
            else:
                found += self._in_sentences(line)
        return found

    def _glossary_line(self, line: str) -> list[tuple[int, str]]:
        parts = re.split(r";\s+", line)
        opened = [self._opening(part) for part in parts]
        if len(parts) > 1 and all(opened):
            return [pair for pair in opened if pair]
        whole = self._opening(line)
        return [whole] if whole else []

    def _opening(self, line: str) -> tuple[int, str] | None:
        found = self._line.fullmatch(line)
        # A common word before a separator, in another case and without any mark, is prose.
        if found and not (found["label"] in self._exact or found["open"] or found["bullet"]):
            found = None
        if found is None and _ARROW.search(line):
            found = self._arrow.fullmatch(line)
        number = self._number(found["label"]) if found else None
        return (number, found["rest"].strip(_TRIM)) if found and number is not None else None

    def _in_sentences(self, line: str) -> Iterable[tuple[int, str]]:
        for sentence in _SENTENCE_END.split(line):
            labels = list(self._inline.finditer(sentence))
            mentions = [found for found in labels if _is_mention(found)]
            # In an enumeration of labels the common words among them are labels too.
            borders = [found.start() for found in (labels if len(mentions) > 2 else mentions)]
            for mention in mentions:
                if _NEGATION.search(sentence[: mention.start()]):
                    continue
                # Beside other labels only what follows belongs to this one.
                before = sentence[: mention.start()] if len(mentions) == 1 else ""
                end = next((border for border in borders if border >= mention.end()), len(sentence))
                said = f"{before} {sentence[mention.end() : end]}".strip()
                if any(len(word) > 2 and word not in ENGLISH_STOP_WORDS for word in words(said)):
                    yield self._exact[mention["label"]], said

    def _number(self, label: str) -> int | None:
        return self._exact.get(label, self._folded.get(label.casefold()))


def _is_mention(found: re.Match[str]) -> bool:
    return bool((found["open"] and found["close"]) or _UNUSUAL.search(found["label"]))
