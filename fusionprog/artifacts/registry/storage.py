"""The files of a registry, in a folder or wherever fsspec reads and writes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Final

import fsspec

from fusionprog._internal.files import write_atomically
from fusionprog.artifacts.text import MAX_BYTES
from fusionprog.errors import RegistryError

# Stores in which an object is there whole or not at all; renaming would be a copy.
_PUTS_WHOLE: Final = frozenset("memory s3 s3a gs gcs az abfs abfss adl oci oss".split())


class Storage:
    """Reads and writes files below a URL; what is written is there whole or not at all, where the system allows it.

    Args:
        url: A folder, or a URL of one that fsspec knows.

    Raises:
        RegistryError: if the URL cannot be used.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = str(url)
        try:
            self._files, root = fsspec.url_to_fs(self.url)
        except (ValueError, ImportError, OSError) as error:
            raise RegistryError(
                f"the registry {self.url!r} cannot be opened",
                expected="a folder, or a URL that fsspec can read",
                found=str(error)[:200],
                fix="Check the URL; for a store such as S3, install fsspec's package for it",
            ) from error
        self._root: str = root.rstrip("/")
        protocols = self._files.protocol
        self._protocols = {protocols} if isinstance(protocols, str) else set(protocols)

    def read(self, path: str) -> bytes | None:
        """Returns a file's content; ``None`` where there is none.

        Raises:
            RegistryError: if it cannot be read, or is larger than an artifact may be.
        """
        try:
            content: bytes = self._files.cat_file(self._at(path), start=0, end=MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._failed("read", path, error) from error
        if len(content) > MAX_BYTES:
            raise RegistryError(
                f"{path!r} in the registry {self.url!r} is too large", expected=f"at most {MAX_BYTES:,} bytes"
            )
        return content

    def names(self, folder: str) -> list[str]:
        """Returns the names of what is in a folder, sorted; none where it is not there.

        Raises:
            RegistryError: if it cannot be read.
        """
        try:
            self._files.invalidate_cache()  # what others wrote since must be seen
            found: list[Any] = self._files.ls(self._at(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as error:
            raise self._failed("read", folder, error) from error
        return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)

    def write(self, path: str, text: str) -> None:
        """Writes a file.

        Raises:
            RegistryError: if it cannot be written.
        """
        target = self._at(path)
        folder = target.rpartition("/")[0]
        try:
            self._files.makedirs(folder, exist_ok=True)
            if "file" in self._protocols:
                write_atomically(Path(target), text)
            elif self._protocols & _PUTS_WHOLE:
                self._files.pipe_file(target, text.encode("utf-8"))
            else:
                self._put_and_move(folder, target, text.encode("utf-8"))
        except Exception as error:
            raise self._failed("written", path, error) from error

    def _put_and_move(self, folder: str, target: str, content: bytes) -> None:
        temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
        try:
            self._files.pipe_file(temporary, content)
            self._files.mv(temporary, target)
        except BaseException:
            if self._files.exists(temporary):
                self._files.rm_file(temporary)
            raise

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _failed(self, what: str, path: str, error: Exception) -> RegistryError:
        fix = "Check that it is there and that you may read it"
        if what == "written":
            fix = "It may be read-only for you: use a registry that you may write to, or ask who keeps it"
        found = f"{type(error).__name__}: {error}"[:300].rstrip(".")
        return RegistryError(f"the registry {self.url!r} cannot be {what} at {path!r}", found=found, fix=fix)
