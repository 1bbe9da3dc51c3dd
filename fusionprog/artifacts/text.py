"""The artifact's bytes: laid out for git, read strictly."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from fusionprog._internal.canonical import digest
from fusionprog.errors import ArtifactError

MAX_DEPTH = 100
MAX_BYTES = 128 * 1024 * 1024
MAX_VALUES = 5_000_000
_MAX_DIGITS = 2_500
_WIDTH = 110
# What nobody sees, some editors take for the end of a line, or turns the direction of the text after it.
_UNSEEN = re.compile(r"[\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
# Possessive, and with an end for texts that have none, so that no file makes it go over anything twice.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def to_lines(text: str) -> list[str]:
    """Returns a text as the artifact holds it: one line an element, and none for no text.

    Only line feeds are cut at: ``splitlines`` would lose which of its ten separators there was.
    """
    return text.split("\n") if text else []


def from_lines(lines: list[str]) -> str:
    """Returns the text that ``to_lines`` cut."""
    return "\n".join(lines)


def to_text(data: dict[str, Any]) -> str:
    """Returns the JSON text of an artifact: short values on one line, everything else one element a line."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", _layout(data, 0)) + "\n"


def content_hash(data: dict[str, Any], where: str = "the artifact") -> str:
    """Returns the hash of an artifact's content: of everything but the hash itself.

    Raises:
        ArtifactError: if it holds something that is no JSON: a lone surrogate, or a number that is not finite.
    """
    try:
        return digest({key: value for key, value in data.items() if key != "hash"})
    except ValueError as error:
        raise ArtifactError(f"{where} holds something that JSON cannot hold", found=str(error)[:200]) from error


def from_text(text: str, where: str) -> dict[str, Any]:
    """Reads strict JSON: no repeated keys, no number that is not finite, no hostile depth.

    Raises:
        ArtifactError: if it is none, or is too large.
    """
    if text.count(",") >= MAX_VALUES:
        raise ArtifactError(f"{where} is too large", expected=f"at most {MAX_VALUES:,} values")
    _check_depth(text, where)
    try:
        data = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite, parse_int=_whole
        )
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
    if not isinstance(value, (dict, list)) or not value or _is_short(value, indent):
        return _dumps(value)
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        parts = [f"{pad}{_dumps(key)}: {_layout(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(f"{pad}{_layout(item, indent + 1)}" for item in value) + "\n" + " " * indent + "]"


def _is_short(value: dict[str, Any] | list[Any], indent: int) -> bool:
    if isinstance(value, list) and all(isinstance(item, (int, float)) for item in value):
        return True
    inner = value.values() if isinstance(value, dict) else value
    if any(isinstance(item, (dict, list)) for item in inner) or (isinstance(value, list) and len(value) > 1):
        return False
    return len(_dumps(value)) + indent <= _WIDTH


def _check_depth(text: str, where: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        sign = text[token.start()]
        depth += sign in "[{"
        depth -= sign in "]}"
        if depth > MAX_DEPTH:
            raise ArtifactError(f"{where} is nested too deeply", expected=f"at most {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {repeated[:80]!r} occurs twice")
    return made


def _finite(number: str) -> float:
    value = float(number) if number[-1].isdigit() else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{number[:80]} is no number")
    return value


def _whole(number: str) -> int:
    if len(number) > _MAX_DIGITS:
        raise ValueError(f"a number has more than {_MAX_DIGITS:,} digits")
    return int(number)
