"""The numbers of PostgreSQL's advisory locks."""

from __future__ import annotations

import hashlib


def lock_number(name: str) -> int:
    """Returns the number that stands for a name, the same in every process."""
    return key_number(hashlib.blake2b(f"fusionprog {name}".encode(), digest_size=8).digest())


def key_number(key: bytes) -> int:
    """Returns the number that stands for a call: its key's first eight bytes."""
    return int.from_bytes(key[:8], "big", signed=True)
