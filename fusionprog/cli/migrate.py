"""``fusionprog migrate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fusionprog._internal.files import write_atomically


@click.command("migrate")
@click.argument("artifacts", nargs=-1, required=True, metavar="ARTIFACT...", type=click.Path())
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where the only ARTIFACT goes.")
@click.option("--in-place", is_flag=True, help="Write each in the place of the older one.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def migrate_command(artifacts: tuple[str, ...], output: str | None, in_place: bool, as_json: bool) -> None:
    """Bring artifacts of older versions up to date. The older one is the parent of what is written.

    Older artifacts load as they are; this saves the steps. Without -o or --in-place it only says which are old. All
    are checked before one is written.
    """
    if output is not None and (in_place or len(artifacts) > 1):
        raise click.UsageError("-o is for one artifact, and not with --in-place.")

    from fusionprog.artifacts.document import artifact_data, artifact_of, checked_data, read_text
    from fusionprog.artifacts.schema import SCHEMA_VERSION
    from fusionprog.artifacts.text import to_text

    found = []
    for path in artifacts:
        where = f"the artifact {path!r}"
        data = checked_data(read_text(path, where), where)
        found.append((path, int(data["schema_version"]), to_text(artifact_data(artifact_of(data, where)))))
    result = []
    for path, version, text in found:
        target = path if in_place else output
        written = target if version < SCHEMA_VERSION else None
        if written is not None:
            write_atomically(Path(written), text)
        result.append({"artifact": path, "version": version, "newest": SCHEMA_VERSION, "written": written})
    if as_json:
        click.echo(json.dumps(result))
        return
    for each in result:
        if each["version"] == SCHEMA_VERSION:
            click.echo(f"{each['artifact']} is up to date (schema version {SCHEMA_VERSION})")
        else:
            end = f"; wrote {each['written']}" if each["written"] else "; write it with -o or --in-place"
            click.echo(f"{each['artifact']} has schema version {each['version']} of {SCHEMA_VERSION}{end}")
