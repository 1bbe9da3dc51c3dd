"""Writes what is in a store as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Select, select

from fusionprog.store.nul import unescaped
from fusionprog.store.store import Store
from fusionprog.store.tables import calls, models, prompts, scores, trials

_AT_ONCE = 1000  # rows that are in memory


def export_lines(store: Store, what: str) -> Iterator[str]:
    """Yields rows as JSON texts, in the order of their keys.

    A call has its model's identity, its whole messages, and what was paid under its key; a key is hexadecimal.

    Args:
        store: The store.
        what: ``"calls"``, ``"scores"`` or ``"trials"``.

    Raises:
        StoreError: if the store cannot be read.
    """
    query, shape = _EXPORTS[what]
    with store.reading() as connection:
        for row in connection.execution_options(yield_per=_AT_ONCE).execute(query).mappings():
            values = dict(row)
            if store.shared:
                values = {key: unescaped(each) if isinstance(each, str) else each for key, each in values.items()}
            yield json.dumps(shape(values), ensure_ascii=False)


def _call(row: dict[str, Any]) -> dict[str, Any]:
    identity, messages, content = row.pop("identity"), row.pop("messages"), row.pop("content")
    before = json.loads(messages) if messages else []
    return {
        "key": bytes(row.pop("key")).hex(),
        "model": json.loads(identity) if identity else row["model"],
        "messages": [*before, {"role": "user", "content": content}],
        **{name: value for name, value in row.items() if name not in ("model", "prompt")},
    }


def _trial(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "params": json.loads(row["params"])}


_EXPORTS: Mapping[str, tuple[Select[Any], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "calls": (
        select(calls, models.c.identity, prompts.c.messages)
        .outerjoin(models, models.c.id == calls.c.model)
        .outerjoin(prompts, prompts.c.id == calls.c.prompt)
        .order_by(calls.c.key),
        _call,
    ),
    "scores": (select(scores).order_by(*scores.primary_key), dict),
    "trials": (select(trials).order_by(*trials.primary_key), _trial),
}
KINDS = tuple(_EXPORTS)
