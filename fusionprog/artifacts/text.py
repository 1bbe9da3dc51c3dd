"""The artifact's bytes: laid out for git, read strictly."""

from __future__ import annotations

import json
import re
from typing import Any

from fusionprog._internal.canonical import digest
from fusionprog.errors import ArtifactError

MAX_DEPTH = 100
MAX_BYTES = 256 * 1024 * 1024
_WIDTH = 110
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def to_text(data: dict[str, Any]) -> str:
    """Returns the JSON text of an artifact: short values on one line, everything else one element a line."""
    return _layout(data, 0) + "\n"


def content_hash(data: dict[str, Any]) -> str:
    """Returns the hash of an artifact's content: of everything but the hash itself."""
    return digest({key: value for key, value in data.items() if key != "hash"})


def from_text(text: str, where: str) -> dict[str, Any]:
    """Reads strict JSON: no repeated keys, no nan, no hostile depth.

    Raises:
        ArtifactError: if it is none.
    """
    _check_depth(text, where)
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{where} is no complete JSON file",
            found=str(error).partition("\n")[0][:200],
            fix="Copy it again from where it was compiled; files are written whole or not at all",
        ) from error
    if not isinstance(data, dict):
        raise ArtifactError(f"{where} is no artifact", expected="a JSON object", found=type(data).__name__)
    return data


def _layout(value: Any, indent: int) -> str:
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    nested = isinstance(value, (dict, list)) and any(
        isinstance(item, (dict, list)) for item in (value.values() if isinstance(value, dict) else value)
    )
    numbers = isinstance(value, list) and all(isinstance(item, (int, float)) for item in value)
    short = (
        len(flat) + indent <= _WIDTH and not nested and not (isinstance(value, list) and not numbers and len(value) > 1)
    )
    if not isinstance(value, (dict, list)) or not value or short or numbers:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        parts = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {_layout(item, indent + 1)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(f"{pad}{_layout(item, indent + 1)}" for item in value) + "\n" + " " * indent + "]"


def _check_depth(text: str, where: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        sign = token.group()[0]
        depth += sign in "[{"
        depth -= sign in "]}"
        if depth > MAX_DEPTH:
            raise ArtifactError(f"{where} is nested too deeply", expected=f"at most {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
