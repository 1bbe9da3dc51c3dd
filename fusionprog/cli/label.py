"""``fusionprog label``."""

from __future__ import annotations

import click


@click.command("label")
@click.argument("registry", metavar="REGISTRY")
@click.argument("name")
@click.argument("label")
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def label_command(registry: str, name: str, label: str, version: str, as_json: bool) -> None:
    """Put LABEL on a version of the program NAME; where it was before stays in its history.

    VERSION is the beginning of a hash, or another label.
    """
    from fusionprog.artifacts.registry.registry import Registry
    from fusionprog.cli.registry import echo_version

    echo_version(Registry(registry).label(name, label, version), f"{label} is on", as_json)
