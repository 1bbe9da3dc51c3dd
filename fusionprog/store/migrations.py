"""Numbered steps that bring older databases up to date.

Each step is written in the words of its own time: it says what tables looked like then and imports none of today's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Connection, Float, Integer, LargeBinary, String, Text, text

Step: TypeAlias = Callable[[Operations, Connection], None]


def _bytes_for_keys(operations: Operations, connection: Connection) -> None:
    """Version 2: keys are bytes, and a call knows when it was stored, why it ended and what was paid for it."""
    operations.create_table(
        "fusionprog_calls_new",
        Column("key", LargeBinary(16), primary_key=True),
        Column("model", String(64), nullable=False),
        Column("prompt", String(64), nullable=False),
        Column("content", Text, nullable=False),
        Column("sample", Integer, nullable=False),
        Column("text", Text, nullable=False),
        Column("input_tokens", Integer, nullable=False),
        Column("output_tokens", Integer, nullable=False),
        Column("usd", Float, nullable=True),
        Column("finish", String(16), nullable=False),
        Column("created", Float, nullable=False),
        Column("paid_calls", Integer, nullable=False),
        Column("paid_tokens", BigInteger, nullable=False),
        Column("paid_usd", Float, nullable=False),
    )
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.create_function("key_bytes", 1, bytes.fromhex)  # type: ignore[union-attr]
        key, is_key = "key_bytes(key)", "key not glob '*[^0-9a-f]*'"
    else:
        key, is_key = "decode(key, 'hex')", "key !~ '[^0-9a-f]'"
    # Nothing ever asks for a key that is no digest.
    connection.execute(
        text(
            f"""
            insert into fusionprog_calls_new
            select {key}, model, prompt, content, sample, text, input_tokens, output_tokens, usd,
                   'stop', :now, 1, input_tokens + output_tokens, coalesce(usd, 0)
            from fusionprog_calls where length(key) = 32 and {is_key}
            """
        ),
        {"now": time.time()},
    )
    operations.drop_table("fusionprog_calls")
    operations.rename_table("fusionprog_calls_new", "fusionprog_calls")
    if connection.dialect.name != "sqlite":
        operations.execute("alter index fusionprog_calls_new_pkey rename to fusionprog_calls_pkey")
    operations.create_table(
        "fusionprog_trials",
        Column("study", String(64), primary_key=True),
        Column("fold", Integer, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("params", Text, nullable=False),
        Column("value", Float, nullable=True),
        Column("state", String(16), nullable=False),
    )
    operations.create_table(
        "fusionprog_rates",
        Column("model", String(64), primary_key=True),
        Column("requests_at", Float, nullable=False),
        Column("tokens_at", Float, nullable=False),
    )


# Version n → what makes version n + 1 of it.
STEPS: Mapping[int, Step] = {1: _bytes_for_keys}


def migrate(connection: Connection, version: int) -> None:
    """Brings a database from ``version`` to the newest one, in the transaction of ``connection``."""
    operations = Operations(MigrationContext.configure(connection))
    while step := STEPS.get(version):
        step(operations, connection)
        version += 1
