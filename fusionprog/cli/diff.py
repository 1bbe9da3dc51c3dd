"""``fusionprog diff``."""

from __future__ import annotations

import json
from typing import Any

import click

from fusionprog.cli.terminal import inert

_LINE = 100  # characters; what is longer and has parts is shown part by part


@click.command("diff")
@click.argument("one", type=click.Path())
@click.argument("other", type=click.Path())
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there are differences.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def diff_command(one: str, other: str, exit_code: bool, as_json: bool) -> None:
    """Show what differs between two artifacts: structure, models, texts, weights, scores, what was learned."""
    from fusionprog.artifacts.diff import diff_artifacts
    from fusionprog.artifacts.file import read_artifact

    differences = diff_artifacts(read_artifact(one), read_artifact(other))
    if as_json:
        click.echo(json.dumps([each.__dict__ for each in differences], ensure_ascii=False))
    part = None
    for each in () if as_json else differences:
        if each.part != part:
            part = each.part
            click.secho(part, bold=True)
        click.echo(f"  {inert(each.path)}")
        for line in each.words:
            click.echo(f"    {inert(line)}")
        for sign, value, colour in () if each.words else (("-", each.before, "red"), ("+", each.after, "green")):
            for line in _lines(value):
                click.secho(f"    {sign} {inert(line)}", fg=colour)
    if not differences and not as_json:
        click.echo("no differences")
    if differences and exit_code:
        raise click.exceptions.Exit(1)


def _lines(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _LINE or not isinstance(value, (dict, list)):
        return [text]

    import yaml

    return str(yaml.safe_dump(_filled(value), sort_keys=False, allow_unicode=True, width=_LINE)).splitlines()


def _filled(value: Any) -> Any:
    """Returns a value without what is empty in it."""
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each) for key, each in value.items() if each not in (None, "", [], {})}
    return value
