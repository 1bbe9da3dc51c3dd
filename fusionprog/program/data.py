"""Rows of a task's splits, read once and checked."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import dspy

from fusionprog._internal.canonical import digest
from fusionprog.errors import DataError

Rows: TypeAlias = str | os.PathLike[str] | Sequence[Mapping[str, Any] | dspy.Example]


@dataclass(frozen=True)
class Row:
    """One example: its columns, and an id made of them, so that equal rows are one example everywhere."""

    columns: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        """Content hash of the columns."""
        return digest(dict(self.columns))

    @cached_property
    def example(self) -> dspy.Example:
        """The row as metrics get it."""
        return dspy.Example(**self.columns)


def read_rows(source: Rows, where: str) -> tuple[Row, ...]:
    """Reads one split.

    Args:
        source: A path to a ``.jsonl`` or ``.csv`` file (UTF-8), or a list of dicts or ``dspy.Example``s.
        where: What is read (``"task 'shop', train"``), for messages.

    Raises:
        DataError: if the file is missing, unreadable or of another kind, or an entry is no row.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return tuple(Row(columns) for columns in _read_file(path, where))
    if isinstance(source, (Mapping, dspy.Example)) or not isinstance(source, Iterable):
        raise DataError(f"{where} holds no rows", expected="a list of dicts, or a path", found=type(source).__name__)
    return tuple(_row(entry, f"{where}, row {index}") for index, entry in enumerate(source))


def _row(entry: Any, where: str) -> Row:
    if isinstance(entry, dspy.Example):
        return Row(entry.toDict())
    if isinstance(entry, Mapping):
        if not all(isinstance(key, str) for key in entry):
            raise DataError(f"{where}: column names must be text", found=repr(list(entry)))
        return Row(dict(entry))
    raise DataError(f"{where} is no row", expected="a dict or a dspy.Example", found=type(entry).__name__)


def _read_file(path: Path, where: str) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{where}: there is no file {str(path)!r} (looked for from {str(Path.cwd())!r})",
            fix="Give a path that does not depend on where you stand, e.g. Path(__file__).parent / 'train.jsonl'",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: {str(path)!r} cannot be read", found=str(error), fix="Save it as UTF-8") from error
    if path.suffix == ".csv":
        return _parse_csv(text, f"{where}: {str(path)!r}")
    if path.suffix in (".jsonl", ".ndjson"):
        return _parse_jsonl(text, f"{where}: {str(path)!r}")
    raise DataError(f"{where}: {str(path)!r} is of a kind that is not read", expected=".jsonl or .csv")


def _parse_jsonl(text: str, where: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}, line {number} is no JSON", found=str(error)) from error
        if not isinstance(value, dict):
            raise DataError(f"{where}, line {number} is no row", expected="a JSON object", found=type(value).__name__)
        rows.append(value)
    return rows


def _parse_csv(text: str, where: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{where}, line {reader.line_num} does not have the header's columns",
                    expected=f"{len(reader.fieldnames or ())} fields",
                )
            rows.append(dict(row))
    except csv.Error as error:
        raise DataError(f"{where}, line {reader.line_num} is no CSV", found=str(error)) from error
    return rows
