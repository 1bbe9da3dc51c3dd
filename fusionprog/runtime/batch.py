"""Runs a compiled program on many rows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fusionprog._internal import sync
from fusionprog.errors import CallError
from fusionprog.program.signature import Prediction
from fusionprog.store.store import Store

if TYPE_CHECKING:
    from fusionprog.runtime.compiled import CompiledProgram


def run_rows(
    program: CompiledProgram, task: str, rows: Sequence[Any], storage: str | os.PathLike[str] | None
) -> list[Prediction | Exception]:
    """Returns a prediction per row, in their order; an exception in its place where the row failed.

    Args:
        program: The program.
        task: Its task.
        rows: The program's inputs, row by row; other columns are ignored.
        storage: Where answers are kept and looked up; nowhere, if not given.

    Raises:
        StoreError: if the storage cannot be opened.
    """

    async def one(asked: CompiledProgram, row: Any) -> Prediction | Exception:
        try:
            return await asked.acall(task, **_inputs(program, row))
        except Exception as error:
            return error

    async def every(asked: CompiledProgram) -> list[Prediction | Exception]:
        return await asyncio.gather(*(one(asked, row) for row in rows))

    with kept_in(storage) as store:
        return sync.run(every(program if store is None else program.with_parts(store=store)))


@contextmanager
def kept_in(storage: str | os.PathLike[str] | None) -> Iterator[Store | None]:
    """Opens a store, if one is named."""
    if storage is None:
        yield None
        return
    with Store(storage) as store:
        yield store


def _inputs(program: CompiledProgram, row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise CallError("a row is no row", expected="a dict of the program's inputs", found=repr(row)[:80])
    return {name: row[name] for name in program.graph.inputs if name in row}
