"""``fusionprog merge``."""

from __future__ import annotations

import json

import click

from fusionprog.cli.artifact_file import load_program
from fusionprog.cli.terminal import inert


@click.command("merge")
@click.argument("one", type=click.Path())
@click.argument("other", type=click.Path())
@click.option("--base", type=click.Path(), help="The nearest artifact that both were made from.")
@click.option("--registry", metavar="REGISTRY", help="A registry that has it, in place of --base.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="Where the artifact goes.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def merge_command(one: str, other: str, base: str | None, registry: str | None, output: str, as_json: bool) -> None:
    """Make one artifact of two that were made from the same one.

    A node that one of them changed is taken from there; one that both changed, from the one with the higher measured
    gain. Tasks that only one of them has are taken as they are. Nothing is measured: run eval on the result.
    """
    if (base is None) == (registry is None):
        raise click.UsageError("Say where the common ancestor is: --base base.json, or --registry REGISTRY.")

    import fusionprog as fp

    before = None if base is None else load_program(base)
    merged = fp.merge(load_program(one), load_program(other), before, registry=registry)
    merged.save(output)
    if as_json:
        click.echo(json.dumps({"output": output, "hash": merged.content_hash, "notes": list(merged.record.notes)}))
    else:
        click.echo("\n".join([*map(inert, merged.record.notes), f"wrote {output}"]))
