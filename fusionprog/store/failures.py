"""What a database's error means for a user, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import DBAPIError

from fusionprog.errors import StoreError

_ELSE = "or give another storage="
_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("disk is full", "no space left", "could not extend file"),
        "Make room on its disk; what was not written yet is kept and written by the next attempt,",
    ),
    (("is locked", "is busy"), "Another process holds it: wait for its end or stop it,"),
    (
        ("readonly", "read-only", "unable to open", "permission denied"),
        "Check that its folder exists and that the file and the folder may be written,",
    ),
    (
        ("disk i/o error", "file too large", "quota"),
        "Its disk does not take it (a quota, a limit on the size of files, damage): make room and check the disk; what "
        "was not written yet is kept and written by the next attempt,",
    ),
    (
        ("malformed", "not a database"),
        "The file is damaged: move it away, restore a copy or try sqlite3 FILE .recover,",
    ),
    (
        ("connection", "server closed", "shutting down", "starting up", "terminating"),
        "Check that the server runs and can be reached, then run the same command again,",
    ),
    (("password", "authentication", "role"), "Check the user and the password in its URL,"),
)
_GENERAL = "Check its folder, its rights and the room on its disk,"


def store_failure(name: str, done: str, error: BaseException, secrets: Sequence[str] = ()) -> StoreError:
    """Returns the error that a store could not be opened, read or written.

    Args:
        name: The store, as it may be shown.
        done: ``"opened"``, ``"read"`` or ``"written"``.
        error: What the database or its driver raised.
        secrets: What must not be shown.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    found = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    for secret in secrets:
        found = found.replace(secret, "***")
    words = found.lower()
    fix = next((fix for signs, fix in _REMEDIES if any(sign in words for sign in signs)), _GENERAL)
    return StoreError(f"the store {name!r} cannot be {done}", found=found, fix=f"{fix} {_ELSE}")


def given_up(name: str) -> StoreError:
    """Returns the error that another process has what only one may have, and that nobody waits for it any more."""
    return StoreError(
        f"the store {name!r} is used by another process",
        fix="Run the same command again: what is missing is written then",
    )


def closed_store(name: str) -> StoreError:
    """Returns the error that a store was used after its end."""
    return StoreError(f"the store {name!r} is closed", fix="Open it again")
