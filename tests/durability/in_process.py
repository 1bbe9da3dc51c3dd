"""The desk, compiled in the tests' own process."""

from __future__ import annotations

from pathlib import Path

import dspy

import fusionprog as fp
from tests.durability import desk


def compiled(url: str, folder: Path, *, limits: fp.Limits, concurrency: int) -> fp.CompiledProgram:
    """Compiles the desk on the model at ``url``, with its store in ``folder``, and leaves no connection open."""
    lm = dspy.LM("openai/desk-model", api_base=url, api_key=desk.KEY, cache=False)
    try:
        return fp.compile(
            desk.Desk(),
            [desk.desk_task("shop"), desk.desk_task("bank")],
            pool=desk.pool,
            lm=lm,
            budget=desk.budget,
            trials=8,
            concurrency=concurrency,
            limits=limits,
            storage=str(folder / "desk.db"),
            progress=False,
        )
    finally:
        lm.close()
