"""Numbers, dates and times of day that stand in a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time

_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\d])")
_MAX_DIGITS = 40
_TIME = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?:\s*([ap])\.?m\b)?", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]*\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_DATES: tuple[tuple[re.Pattern[str], Callable[[tuple[str, ...]], tuple[int, int, int]]], ...] = (
    (re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), lambda g: (int(g[0]), int(g[1]), int(g[2]))),
    (
        re.compile(rf"\b{_MONTH}\s+{_DAY},?\s+(\d{{4}})\b", re.IGNORECASE),
        lambda g: (int(g[2]), _month(g[0]), int(g[1])),
    ),
    (
        re.compile(rf"\b{_DAY}\s+(?:of\s+)?{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE),
        lambda g: (int(g[2]), _month(g[1]), int(g[0])),
    ),
    # 13/2/2020 can only be day first, 2/3/2020 is read month first.
    (
        re.compile(r"\b(\d{1,2})[/.](\d{1,2})[/.](\d{4})\b"),
        lambda g: (int(g[2]), int(g[0]), int(g[1])) if int(g[0]) <= 12 else (int(g[2]), int(g[1]), int(g[0])),
    ),
)


def find_numbers(text: str) -> list[str]:
    """The numbers in a text.

    Args:
        text: Any text.

    Returns:
        The numbers in order as Python writes them.

    Example:
        >>> find_numbers("$1,200.50 for 3 nights, w2")
        ['1200.50', '3']
    """
    found = (match.group().replace(",", "") for match in _NUMBER.finditer(text))
    return [number for number in found if len(number) <= _MAX_DIGITS]


def find_dates(text: str) -> list[date]:
    """The dates in a text that name day, month and year.

    Args:
        text: Any text.

    Returns:
        The dates in order.

    Example:
        >>> find_dates("due March 3rd, 2021")
        [datetime.date(2021, 3, 3)]
    """
    found: list[tuple[int, date]] = []
    for pattern, parts in _DATES:
        for match in pattern.finditer(text):
            try:
                found.append((match.start(), date(*parts(match.groups()))))
            except ValueError:
                continue
    return [day for _, day in sorted(found)]


def find_times(text: str) -> list[time]:
    """The times of day in a text.

    Args:
        text: Any text.

    Returns:
        The times in order.

    Example:
        >>> find_times("at 7:30 pm")
        [datetime.time(19, 30)]
    """
    found: list[time] = []
    for match in _TIME.finditer(text):
        hour, half = int(match[1]), (match[4] or "").lower()
        if half and hour <= 12:
            hour = hour % 12 + (12 if half == "p" else 0)
        found.append(time(hour, int(match[2]), int(match[3] or 0)))
    return found


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1
