"""``fusionprog store``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fusionprog.store.inventory import Inventory
    from fusionprog.store.trimming import Trimmed

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@click.group("store")
def store_command() -> None:
    """Show, trim and export what compiles have measured.

    STORE is a file, or a URL of PostgreSQL. One that an older version made is brought up to date.
    """


@store_command.command("info")
@click.argument("store", metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def info_command(store: str, as_json: bool) -> None:
    """Show what is in a store, and what was really paid for it."""
    from fusionprog.store.existing import open_existing
    from fusionprog.store.inventory import take_inventory

    with open_existing(store) as opened:
        inventory = take_inventory(opened)
    if as_json:
        click.echo(json.dumps(asdict(inventory), ensure_ascii=False))
    else:
        _show(inventory)


@store_command.command("gc")
@click.argument("store", metavar="STORE")
@click.option("--older-than", metavar="TIME", help="Answers stored longer ago than this go, e.g. 12h, 30d, 8w.")
@click.option("--model", metavar="NAME", help="Answers of this model go; with --older-than only its old ones.")
@click.option(
    "--study", metavar="FINGERPRINT", help="This study goes, with its scores and trials; a beginning will do."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def gc_command(
    store: str, older_than: str | None, model: str | None, study: str | None, dry_run: bool, as_json: bool
) -> None:
    """Remove answers and studies, and always the prompts and models that no answer needs.

    Answers that are gone are paid for again when a compile needs them. No compile should be running on the store.
    """
    age = None if older_than is None else _seconds(older_than)

    from fusionprog.store.existing import open_existing
    from fusionprog.store.trimming import trim

    with open_existing(store) as opened:
        before = None if age is None else opened.now() - age
        trimmed = trim(opened, before=before, model=model, study=study, dry_run=dry_run)
        size = opened.size()
    if as_json:
        click.echo(json.dumps({**asdict(trimmed), "size": size, "dry_run": dry_run}))
    else:
        click.echo(_trimmed_line(trimmed, dry_run) + f"; the store takes {_size(size)}")


@store_command.command("export")
@click.argument("store", metavar="STORE")
@click.argument("what", type=click.Choice(["calls", "scores", "trials"]))
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file.  [default: print]")
def export_command(store: str, what: str, output: str | None) -> None:
    """Write calls, scores or trials as JSON lines."""
    from fusionprog._internal.files import open_atomically
    from fusionprog.cli.artifact_file import check_output
    from fusionprog.store.existing import open_existing
    from fusionprog.store.export import export_lines

    if output is not None:
        check_output(output, store)
    with open_existing(store) as opened:
        if output is None:
            for line in export_lines(opened, what):
                click.echo(line)
            return
        with open_atomically(Path(output)) as file:
            count = sum(bool(file.write(line + "\n")) for line in export_lines(opened, what))
    click.echo(f"wrote {count:,} {what} to {output}")


def _show(inventory: Inventory) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{inventory.name}: schema version {inventory.version}, {_size(inventory.size)}, {inventory.prompts:,} prompts",
        soft_wrap=True,
        markup=False,
    )
    models = Table(title="models", title_justify="left")
    models.add_column("model")
    for column in ("answers", "calls paid", "tokens paid", "dollars paid"):
        models.add_column(column, justify="right")
    for model in inventory.models:
        usd = f"${model.paid_usd:,.4f}" if model.unpriced < model.answers or model.paid_usd else "price unknown"
        if 0 < model.unpriced < model.answers:
            usd += f" and {model.unpriced:,} of unknown price"
        models.add_row(model.name, f"{model.answers:,}", f"{model.paid_calls:,}", f"{model.paid_tokens:,}", usd)
    studies = Table(title="studies", title_justify="left")
    for column in ("study", "trials", "scores", "parts"):
        studies.add_column(column, justify="right" if column in ("trials", "scores") else "left")
    for study in inventory.studies:
        parts = " ".join(f"{name}={digest[:8]}" for name, digest in study.parts.items())
        studies.add_row(study.fingerprint[:12], f"{study.trials:,}", f"{study.scores:,}", parts)
    for table, nothing in ((models, "no calls"), (studies, "no studies")):
        console.print(table if table.row_count else nothing)


def _trimmed_line(trimmed: Trimmed, dry_run: bool) -> str:
    counts = [
        (trimmed.calls, "answers"),
        (trimmed.prompts, "prompts"),
        (trimmed.models, "models"),
        (trimmed.studies, "studies"),
        (trimmed.scores, "scores"),
        (trimmed.trials, "trials"),
    ]
    parts = [f"{count:,} {name}" for count, name in counts if count]
    if trimmed.paid_usd:
        parts[0] += f" (${trimmed.paid_usd:,.4f} were paid for them)"
    done = "would remove" if dry_run else "removed"
    return f"{done} {', '.join(parts)}" if parts else f"{done} nothing"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if not match:
        raise click.BadParameter(f"{text!r} is no time span; write 12h, 30d or 8w", param_hint="--older-than")
    return float(match[1]) * _SECONDS[match[2]]
