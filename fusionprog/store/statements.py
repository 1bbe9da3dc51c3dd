"""The statements that write rows, as SQL text for the driver: compiled once, run for many rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, Dialect, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from fusionprog.store.calls import CallRow
from fusionprog.store.tables import calls, models, prompts, scores, studies, trials

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_ADDED_UP = ("paid_calls", "paid_tokens", "paid_usd")


class Statement(NamedTuple):
    """A statement, and the columns of the rows that it takes."""

    sql: str
    columns: tuple[str, ...]


def upserts(dialect: Dialect, created: Any = None) -> Mapping[str, Statement]:
    """Returns table name → the statement that writes its rows, with positional parameters.

    The newest row of a key wins, as two processes may measure the same thing; what was paid is added up. Models and
    prompts never change under their digest, so the first row stays.

    Args:
        dialect: With a positional style of parameters.
        created: An SQL expression in place of the time that a row of a call brings along.
    """
    own = {} if created is None else {"created": created}
    return {
        models.name: _upsert(dialect, models, keep=True),
        prompts.name: _upsert(dialect, prompts, keep=True),
        calls.name: _upsert(dialect, calls, columns=CallRow._fields, own=own),
        scores.name: _upsert(dialect, scores),
        trials.name: _upsert(dialect, trials),
        studies.name: _upsert(dialect, studies),
    }


def _upsert(
    dialect: Dialect,
    table: Table,
    *,
    keep: bool = False,
    columns: tuple[str, ...] = (),
    own: Mapping[str, Any] | None = None,
) -> Statement:
    own = own or {}
    columns = tuple(each for each in columns or table.columns.keys() if each not in own)
    keys = [column.name for column in table.primary_key]
    statement = _INSERT[dialect.name](table).values(
        {name: bindparam(name, type_=table.columns[name].type) for name in columns} | dict(own)
    )
    if keep:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    else:
        changed = {
            column.name: _newest(column, statement.excluded) for column in table.columns if column.name not in keys
        }
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    compiled = statement.compile(dialect=dialect)
    order = tuple(compiled.positiontup or ())
    return Statement(str(compiled), order)


def _newest(column: Column[Any], excluded: Any) -> Any:
    return column + excluded[column.name] if column.name in _ADDED_UP else excluded[column.name]
