"""Texts that PostgreSQL cannot hold as they are: those with a character of code 0.

Models do say it at times, and an answer has to come back as it was.
"""

from __future__ import annotations

_NUL = "\x00"
_MARK = "\ufdd0"  # a code point that Unicode promises never to give to a character


def escaped(text: str) -> str:
    r"""Returns a text without a character of code 0, from which ``unescaped`` makes the original.

    >>> unescaped(escaped("a\x00b")) == "a\x00b"
    True
    """
    if _NUL in text or _MARK in text:
        return text.replace(_MARK, _MARK + "m").replace(_NUL, _MARK + "0")
    return text


def unescaped(text: str) -> str:
    """Returns the text that was escaped."""
    if _MARK in text:
        return text.replace(_MARK + "0", _NUL).replace(_MARK + "m", _MARK)
    return text
