"""``fusionprog push``."""

from __future__ import annotations

import click


@click.command("push")
@click.argument("artifact", type=click.Path())
@click.argument("registry", metavar="REGISTRY")
@click.option("--name", help="The program's name in the registry.  [default: the file's without its ending]")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Put this label on it; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def push_command(artifact: str, registry: str, name: str | None, labels: tuple[str, ...], as_json: bool) -> None:
    """Add an artifact to a registry, as the newest version of a program.

    REGISTRY is a folder, or a URL that fsspec knows (s3://bucket/registry). Versions never change; the same content
    pushed again is no new version.
    """
    from fusionprog.artifacts.registry.registry import Registry
    from fusionprog.cli.registry import echo_version

    echo_version(Registry(registry).push(artifact, name=name, labels=labels), "pushed", as_json)
