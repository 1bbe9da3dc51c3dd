"""Artifacts of commands: loading them, and where they go."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

import fusionprog as fp
from fusionprog._internal.files import is_database


def load_program(
    path: str, lm: Any = None, module: str | None = None, program: str | None = None
) -> fp.CompiledProgram:
    """Returns the program of an artifact; what loading warns of is printed on stderr.

    Args:
        path: The artifact.
        lm: Another model than it was compiled on.
        module: Where the ``dspy.Module`` is whose code it runs: ``APP.py:name``, an object or its class.
        program: The program file that it should have been compiled from.
    """
    code = None
    declared: dict[str, Any] = {}
    if program is not None:
        from fusionprog.cli.program_file import read_program_file

        file = read_program_file(program)
        declared = {"program": file.program, "tasks": file.tasks}
    if module is not None:
        from fusionprog.cli.program_file import read_attribute

        code = read_attribute(module)
        code = code() if isinstance(code, type) else code
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled = fp.load(path, lm=lm, module=code, **declared)
    for warning in caught:
        click.echo(f"warning: {warning.message}", err=True)
    return compiled


def check_output(output: str, storage: str | None = None) -> None:
    """Checks that a file can be written: before anything is spent on what is to be in it.

    Args:
        output: The file.
        storage: The store that is used meanwhile, a file name or a URL.

    Raises:
        UsageError: if its folder is not there, or it is the store or another database.
    """
    path = Path(output).resolve()
    if not path.parent.is_dir():
        raise click.UsageError(f"There is no folder {str(Path(output).parent)!r} for the output.")
    if storage is not None and _file_of(storage) == path:
        raise click.UsageError(f"The output and the store would be one file, {output!r}: give another -o or --storage.")
    if is_database(path):
        raise click.UsageError(f"{output!r} is a database, which the output would replace: give another -o.")


def _file_of(storage: str) -> Path | None:
    from fusionprog.store.urls import database_url

    url = database_url(storage)
    return Path(url.database).resolve() if url.get_backend_name() == "sqlite" and url.database else None
