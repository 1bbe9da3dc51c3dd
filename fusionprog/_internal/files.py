"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_SQLITE = b"SQLite format 3\x00"  # how its files begin


def write_atomically(path: Path, text: str) -> None:
    """Writes ``text`` to ``path``: a reader sees the old file or the new one, never a part.

    A file that is replaced keeps its permissions; a link stays a link, and what it leads to is replaced.

    Raises:
        OSError: if the folder does not exist or cannot be written, or ``path`` is a SQLite database, which holds what
            was paid for; ``path`` is then unchanged.
    """
    with open_atomically(path) as file:
        file.write(text)


@contextmanager
def open_atomically(path: Path) -> Iterator[TextIO]:
    """Opens a file that takes the place of ``path`` when it was written to its end; see ``write_atomically``.

    A device or a pipe is written as it is.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        with target.open("w", encoding="utf-8", newline="\n") as device:
            yield device
        return
    if is_database(target):
        raise FileExistsError(errno.EEXIST, "it is a database, which no other file replaces", str(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_database(path: Path) -> bool:
    """Whether there is a SQLite database at ``path``."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
