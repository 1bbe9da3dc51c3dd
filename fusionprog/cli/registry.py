"""``fusionprog registry``: what is in one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fusionprog.cli.lineage import SHORT_HASH
from fusionprog.cli.terminal import inert, plain_console

if TYPE_CHECKING:
    from fusionprog.artifacts.registry.registry import Registry, Version


@click.command("registry")
@click.argument("registry", metavar="REGISTRY")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def registry_command(registry: str, name: str | None, as_json: bool) -> None:
    """List the programs of a registry; of one NAME, its versions, scores, labels, and where labels were before."""
    from fusionprog.artifacts.registry.registry import Registry

    opened = Registry(registry)
    if name is None:
        _list_programs(opened, as_json)
    else:
        _list_versions(opened, name, as_json)


def echo_version(version: Version, done: str, as_json: bool) -> None:
    """Prints a version, after what was done with it."""
    if as_json:
        click.echo(json.dumps(asdict(version)))
        return
    labels = f" [{', '.join(version.labels)}]" if version.labels else ""
    click.echo(f"{done} {version.name}@{version.hash[:SHORT_HASH]} (version {version.number}){labels}")


def _list_programs(registry: Registry, as_json: bool) -> None:
    programs = {
        name: {"versions": len(registry.hashes(name)), "labels": registry.labels(name)} for name in registry.names()
    }
    if as_json:
        click.echo(json.dumps(programs))
        return
    for name, found in programs.items():
        count = found["versions"]
        labels = "".join(f"  {label} {on[:SHORT_HASH]}" for label, on in sorted(registry.labels(name).items()))
        click.echo(f"{name}  {count} version{'s' if count != 1 else ''}{labels}")
    if not programs:
        click.echo("no programs")


def _list_versions(registry: Registry, name: str, as_json: bool) -> None:
    from rich.table import Table

    versions = registry.versions(name)
    histories = {label: registry.history(name, label) for label in sorted(registry.labels(name))}
    if as_json:
        data: dict[str, Any] = {"versions": [asdict(each) for each in versions], "labels": histories}
        click.echo(json.dumps(data))
        return
    table = Table()
    for column in ("version", "hash", "labels", "scores", "made from"):
        table.add_column(column, justify="right" if column == "version" else "left")
    for each in versions:
        scores = "\n".join(
            f"{task} {score.mean:.2f} ± {score.se:.2f} (n={score.n})" for task, score in each.scores.items()
        )
        made_from = "\n".join(f"{parent.kind} {parent.hash[:SHORT_HASH]}" for parent in each.parents)
        cells = (str(each.number), each.hash[:SHORT_HASH], "\n".join(each.labels), scores or each.problem, made_from)
        table.add_row(*map(inert, cells))
    console = plain_console()
    console.print(table)
    for label, hashes in histories.items():
        if len(hashes) > 1:
            console.print(f"{label}: {' → '.join(each[:SHORT_HASH] for each in hashes)}", soft_wrap=True)
