"""Rows of a task's splits, read once and checked."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import dspy

from fusionprog._internal.canonical import canonical_json, digest
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
    def size(self) -> int:
        """Bytes of the columns as JSON."""
        return len(canonical_json(dict(self.columns)).encode())

    @cached_property
    def example(self) -> dspy.Example:
        """The row as metrics get it."""
        return dspy.Example(dict(self.columns))


def read_rows(source: Rows, where: str) -> tuple[Row, ...]:
    """Reads one split.

    Args:
        source: A path to a ``.jsonl`` or ``.csv`` file (UTF-8), or a list of dicts or ``dspy.Example``s.
        where: What is read (``"task 'shop', train"``), for messages.

    Raises:
        DataError: if the file is missing, unreadable or of another kind, an entry is no row, or a value cannot be
            kept in JSON.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        place = f"{where}: {str(path)!r}"
        return tuple(_checked(columns, f"{place}, line {number}") for number, columns in _read_file(path, where, place))
    if isinstance(source, (Mapping, dspy.Example)) or not isinstance(source, Iterable):
        raise DataError(f"{where} holds no rows", expected="a list of dicts, or a path", found=type(source).__name__)
    return tuple(_row(entry, f"{where}, row {index}") for index, entry in enumerate(source))


def _row(entry: Any, where: str) -> Row:
    if isinstance(entry, dspy.Example):
        return _checked(entry.toDict(), where)
    if isinstance(entry, Mapping):
        return _checked(dict(entry), where)
    raise DataError(
        f"{where} is no row",
        expected="a dict or a dspy.Example",
        found=type(entry).__name__,
        fix="Give a list of dicts; a pandas table makes one with frame.to_dict('records')",
    )


def _checked(columns: dict[Any, Any], where: str) -> Row:
    if not all(isinstance(key, str) for key in columns):
        raise DataError(f"{where}: column names must be text", found=repr(list(columns)))
    row = Row(columns)
    try:
        _ = row.id
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{where} holds a value that cannot be kept in JSON",
            found=str(error),
            fix="Use plain data, and null (None) or no column where a value is missing",
        ) from error
    return row


def _read_file(path: Path, where: str, place: str) -> Iterator[tuple[int, dict[str, Any]]]:
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise DataError(
            f"{place} is of a kind that is not read",
            expected=", ".join(_PARSERS),
            fix="Save it as one of these, or pass its rows as a list of dicts",
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{where}: there is no file {str(path)!r} (looked for from {str(Path.cwd())!r})",
            fix="Give a path that does not depend on where you stand, e.g. Path(__file__).parent / 'train.jsonl'",
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is no UTF-8 text", found=str(error), fix="Save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{place} cannot be read", found=str(error)) from error
    return parse(text, place)


def _parse_jsonl(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}, line {number} is no JSON", found=str(error), fix="Write one JSON object a line"
            ) from error
        if not isinstance(value, dict):
            raise DataError(f"{where}, line {number} is no row", expected="a JSON object", found=type(value).__name__)
        yield number, value


def _parse_csv(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Lines are cut by the reader alone: str.splitlines also cuts at characters that a field may hold.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise DataError(f"{where}: two columns are named {twice[0]!r}", fix="Give each column a name of its own")
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise DataError(
                    f"{where}, line {reader.line_num} does not have the header's columns",
                    expected=f"{len(header)} fields",
                    found=f"{len(fields)}",
                    fix='Put fields that hold commas or line breaks into quotes ("...")',
                )
            yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{where}, line {reader.line_num} is no CSV", found=str(error), fix="Mend the line, or save as .jsonl"
        ) from error


_PARSERS: dict[str, Callable[[str, str], Iterator[tuple[int, dict[str, Any]]]]] = {
    ".jsonl": _parse_jsonl,
    ".ndjson": _parse_jsonl,
    ".csv": _parse_csv,
}
