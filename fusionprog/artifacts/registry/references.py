"""Names of programs, versions and labels in a registry."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from fusionprog.errors import RegistryError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_HASH_PREFIX = re.compile(r"[0-9a-f]{6,32}")
# What Windows takes for a device, whatever comes after the dot.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Reference:
    """What names a version.

    Attributes:
        name: The program's name in the registry.
        version: A label, or the first six or more digits of a hash; empty for the newest version.
    """

    name: str
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Reads ``desk``, ``desk@prod`` or ``desk@1f0c9a``.

        Raises:
            RegistryError: if it is none of these.
        """
        name, at, version = text.partition("@")
        check_name(name, "a program")
        if at and not is_hash_prefix(version):
            check_name(version, "a label")
        return cls(name, version)


def check_name(name: str, what: str) -> None:
    """Checks a name that becomes a part of a path, on any system.

    Args:
        name: The name.
        what: What it is the name of.

    Raises:
        RegistryError: if it is none.
    """
    if not is_name(name):
        raise RegistryError(
            f"{str(name)[:80]!r} is no name of {what} in a registry",
            expected="1 to 64 letters, digits, '.', '_' and '-', with a letter or digit at both ends",
            fix="Choose another name, such as desk",
        )


def check_label(label: str) -> None:
    """Checks the name of a label: it may not be taken for a hash.

    Raises:
        RegistryError: if it may.
    """
    check_name(label, "a label")
    if is_hash_prefix(label):
        raise RegistryError(
            f"the label {label!r} could be the beginning of a hash", fix="Use another word, or put a '-' into it"
        )


def is_name(name: str) -> bool:
    """Returns whether a name can be a part of a path, on any system, and leads nowhere else."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and not _DEVICES.fullmatch(name)


def is_hash_prefix(text: str) -> bool:
    """Returns whether a text can be the beginning of a content hash, and long enough to be meant as one."""
    return _HASH_PREFIX.fullmatch(text) is not None


def is_in_registry(source: str | os.PathLike[str]) -> bool:
    """Returns whether a source is a version in a registry, and no file: ``memory://registry#desk@prod``."""
    return isinstance(source, str) and "://" in source and "#" in source
