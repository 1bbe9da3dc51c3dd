"""Texts that are no valid Unicode, as half of a surrogate pair is none: no database and no file takes them."""

from __future__ import annotations

from fusionprog.errors import StoreError


def check_unicode(text: str) -> None:
    """Checks that a text can be stored as it is.

    Raises:
        StoreError: if not.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise StoreError(
                "a call holds text that is not valid Unicode",
                found=around(error),
                fix="Replace it before it is stored",
            ) from error


def around(error: UnicodeEncodeError) -> str:
    """Returns what is no Unicode with what stands around it, as it may be shown."""
    return repr(error.object[max(0, error.start - 20) : error.end + 20])


def as_unicode(text: str) -> str:
    """Returns a text with a question mark for everything that is no Unicode; JSON and errors' words can hold such."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
