"""``fusionprog pull``."""

from __future__ import annotations

import click


@click.command("pull")
@click.argument("registry", metavar="REGISTRY")
@click.argument("program", metavar="NAME[@VERSION]")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="Where the artifact goes.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def pull_command(registry: str, program: str, output: str, as_json: bool) -> None:
    """Copy a version from a registry into a file, byte for byte.

    VERSION is a label, or the beginning of a hash; the newest version, if not given.
    """
    from fusionprog.artifacts.registry.registry import Registry
    from fusionprog.cli.registry import echo_version

    echo_version(Registry(registry).pull(program, output), f"wrote {output} from", as_json)
