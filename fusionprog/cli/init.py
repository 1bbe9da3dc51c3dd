"""``fusionprog init``."""

from __future__ import annotations

import importlib.resources
import json
from importlib.resources.abc import Traversable
from pathlib import Path

import click


@click.command("init")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def init_command(directory: str, as_json: bool) -> None:
    """Write a program to start from into DIR: two tasks with a little data, ready to compile with no key."""
    target = Path(directory)
    if target.exists() and any(target.iterdir()):
        raise click.UsageError(f"{directory!r} is not empty; name a new folder.")
    _copy(importlib.resources.files("fusionprog.cli").joinpath("template"), target)
    program, output = target / "program.py", target / "program.json"
    if as_json:
        click.echo(json.dumps({"program": str(program)}))
    else:
        click.echo(f"wrote {program}; compile it with:\n  fusionprog compile {program} -o {output}")


def _copy(source: Traversable, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir(), key=lambda each: each.name):
        if entry.is_dir() and not entry.name.startswith("__"):
            _copy(entry, target / entry.name)
        elif entry.name.endswith((".jsonl", ".py.txt")):
            (target / entry.name.removesuffix(".txt")).write_text(entry.read_text("utf-8"), encoding="utf-8")
