"""Loads artifacts for commands."""

from __future__ import annotations

import warnings

import click

import fusionprog as fp


def load_program(path: str, lm: str | None = None) -> fp.CompiledProgram:
    """Returns the program of an artifact; what loading warns of is printed on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        program = fp.load(path, lm=lm)
    for warning in caught:
        click.echo(f"warning: {warning.message}", err=True)
    return program
