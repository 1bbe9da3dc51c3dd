"""``fusionprog compile``."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fusionprog.lm.limits import LimitsSpec


@click.command("compile")
@click.argument("program", metavar="PROGRAM.py[:name]")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Where the artifact goes (needed but for --dry-run)."
)
@click.option("--lm", help="Model: a LiteLLM name, 'offline' or 'offline-semantic'.  [default: the program file's]")
@click.option(
    "--objective", metavar="NAME", help="What to reach over the tasks: mean, worst, …  [default: the program file's]"
)
@click.option(
    "--embedder",
    metavar="NAME",
    help="How tasks are told apart: hashed_ngrams, functional, litellm/MODEL, sentence-transformers/PACKAGE.  "
    "[default: the program file's]",
)
@click.option("--trials", type=click.IntRange(min=1), help="Trials of the search.")
@click.option("--max-calls", type=click.IntRange(min=1), help="Model calls at most.")
@click.option("--max-usd", type=click.FloatRange(min=0, min_open=True), help="Dollars at most.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Tokens at most.")
@click.option("--max-time", metavar="TIME", help="Time of the search at most, e.g. 90s, 20m, 2h.")
@click.option("-j", "--concurrency", type=click.IntRange(min=1), default=16, show_default=True, help="Calls in flight.")
@click.option("--rpm", type=click.FloatRange(min=0, min_open=True), help="Requests per minute at most.")
@click.option("--tpm", type=click.FloatRange(min=0, min_open=True), help="Tokens per minute at most.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Of one attempt.")
@click.option(
    "--retries", type=click.IntRange(min=0), help="Attempts after the first, where a model cannot answer now."
)
@click.option("--task", "tasks", multiple=True, metavar="T", help="Only this task; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows a split.")
@click.option("--storage", metavar="URL", help="Where measurements are kept.  [default: the output's name with .db]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--fresh", is_flag=True, help="Ask the model again instead of using kept answers.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what it would cost, and stop.")
@click.option("--yes", is_flag=True, help="Do not ask before spending on a paid model without a cap.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compile_command(
    program: str,
    output: str | None,
    lm: str | None,
    objective: str | None,
    embedder: str | None,
    trials: int | None,
    max_calls: int | None,
    max_usd: float | None,
    max_tokens: int | None,
    max_time: str | None,
    concurrency: int,
    rpm: float | None,
    tpm: float | None,
    timeout: float | None,
    retries: int | None,
    tasks: tuple[str, ...],
    limit: int | None,
    storage: str | None,
    seed: int,
    fresh: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Compile the program that PROGRAM.py defines into one JSON file.

    The file defines `program` and `tasks` and, if it likes, `pool`, `lm`, `budget`, `limits`, `objective` and
    `embedder`. The same command again continues: finished model calls are not made twice. On several machines with one
    PostgreSQL URL as --storage it is one search that they share.
    """
    if output is None and not dry_run:
        raise click.UsageError("Say where the artifact goes: -o desk.json")

    from fusionprog.cli.program_file import only_tasks, read_program_file
    from fusionprog.cli.summary import dry_run_lines, paid_line, record_data, summary_lines
    from fusionprog.lm.budget import Budget
    from fusionprog.lm.client import Paid
    from fusionprog.optimizers.compile import run_job
    from fusionprog.optimizers.fusion import Fusion
    from fusionprog.search.display import Display
    from fusionprog.search.events import Event, Finished
    from fusionprog.search.objective import objective_of
    from fusionprog.search.preflight import preflight
    from fusionprog.store.store import Store

    if output is not None and not Path(output).resolve().parent.is_dir():
        raise click.UsageError(f"There is no folder {str(Path(output).parent)!r} for the output.")
    file = read_program_file(program)
    own = file.budget or Budget()
    wanted = objective_of(objective or file.objective or "mean")
    budget = Budget(
        calls=max_calls or own.calls,
        usd=max_usd or own.usd,
        tokens=max_tokens or own.tokens,
        seconds=_seconds(max_time) if max_time else own.seconds,
    )
    job = preflight(
        file.program,
        only_tasks(file.tasks, tasks, limit),
        pool=file.pool,
        lm=lm or file.lm,
        budget=budget,
        trials=trials,
        freeze=(),
        seed=seed,
        objective=wanted,
        embedder=embedder or file.embedder,
    )
    if dry_run:
        click.echo(json.dumps(job.estimate.__dict__) if as_json else "\n".join(dry_run_lines(job)))
        return
    assert output is not None
    costs = any(not model.free for model in job.asked)
    if costs and not budget.bounded and not yes:
        _ask_first(dry_run_lines(job))
    paid = Paid()

    def note_paid(event: Event) -> None:
        nonlocal paid
        if isinstance(event, Finished):
            paid = event.paid

    with Store(storage or str(Path(output).with_suffix(".db"))) as store, Display() as display:
        compiled = run_job(
            job,
            Fusion(objective=wanted),
            store,
            concurrency=concurrency,
            limits=_limits(
                file.limits, requests_per_minute=rpm, tokens_per_minute=tpm, timeout=timeout, retries=retries
            ),
            prior=(),
            callbacks=[display, note_paid],
            fresh=fresh,
        )
    compiled.save(output)
    where = str(store.path or store.name)
    if as_json:
        result = {"output": output, "storage": where, "paid": asdict(paid), **record_data(compiled.record)}
        click.echo(json.dumps(result))
    else:
        lines = [*summary_lines(compiled.record), paid_line(paid), f"wrote {output} (measurements in {where})"]
        click.echo("\n".join(lines))


def _limits(own: LimitsSpec, **given: Any) -> LimitsSpec:
    """The program file's limits, with what the command line says in its place."""
    from fusionprog.lm.limits import Limits

    said = {name: value for name, value in given.items() if value is not None}
    if isinstance(own, Limits) or own is None:
        return replace(own or Limits(), **said)
    return {name: replace(each, **said) for name, each in {"*": Limits(), **own}.items()}


def _ask_first(lines: list[str]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "This model is paid and there is no cap. Set one (--max-usd 2, --max-calls 4000), or pass --yes."
        )
    click.echo("\n".join(lines), err=True)
    click.confirm("This model is paid and there is no cap. Go on?", abort=True, err=True)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match or float(match[1]) <= 0:
        raise click.BadParameter(f"{text!r} is no time span; write 90s, 20m or 2h", param_hint="--max-time")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
