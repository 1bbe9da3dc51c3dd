"""Text from a file on a terminal: it is shown, and does nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# What moves the cursor, sets colours, cannot be seen, or turns the direction of what comes after it.
_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def inert(text: str) -> str:
    """Returns a text with characters that would act on the terminal written as their escapes."""
    return _ACTIVE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def plain_console() -> Console:
    """Returns a console that takes no markup from texts and colours nothing by itself."""
    from rich.console import Console

    return Console(highlight=False, markup=False)
