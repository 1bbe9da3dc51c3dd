"""``fusionprog compile``."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import click

from fusionprog.cli.artifact_file import check_output, load_program
from fusionprog.cli.asking import Asking, asking_options
from fusionprog.cli.spending import Spending, ask_first, spending_options


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
@click.option(
    "--prior", multiple=True, type=click.Path(), metavar="ARTIFACT", help="Start from what it knows; may be repeated."
)
@click.option("--trials", type=click.IntRange(min=1), help="Trials of the search.")
@spending_options
@asking_options
@click.option("--task", "tasks", multiple=True, metavar="T", help="Only this task; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows a split.")
@click.option("--storage", metavar="URL", help="Where measurements are kept.  [default: the output's name with .db]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Check everything, say what it would cost, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compile_command(
    program: str,
    output: str | None,
    lm: str | None,
    objective: str | None,
    embedder: str | None,
    prior: tuple[str, ...],
    trials: int | None,
    spending: Spending,
    asking: Asking,
    tasks: tuple[str, ...],
    limit: int | None,
    storage: str | None,
    seed: int,
    dry_run: bool,
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
    from fusionprog.cli.receipt import Receipt
    from fusionprog.cli.summary import dry_run_lines, paid_line, record_data, summary_lines
    from fusionprog.optimizers.compile import run_job
    from fusionprog.optimizers.fusion import Fusion
    from fusionprog.search.display import Display
    from fusionprog.search.objective import objective_of
    from fusionprog.search.preflight import preflight
    from fusionprog.store.store import Store

    if output is not None:
        storage = storage or str(Path(output).with_suffix(".db"))
        check_output(output, storage)
    file = read_program_file(program)
    known = [load_program(each) for each in prior]
    chosen = only_tasks(file.tasks, tasks, limit)
    wanted = objective_of(objective or file.objective or "mean")
    left_out = {task.name for task in file.tasks} - {task.name for task in chosen}
    if without := sorted(left_out & wanted.floors.keys()):
        click.echo(f"note: the floors of tasks that are left out do not count: {', '.join(without)}", err=True)
        wanted = replace(wanted, floors={task: floor for task, floor in wanted.floors.items() if task not in without})
    budget = spending.budget(file.budget)
    job = preflight(
        file.program,
        chosen,
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
    if any(not model.free for model in job.asked) and not budget.bounded and not spending.yes:
        ask_first(dry_run_lines(job))
    receipt = Receipt()
    with Store(storage) as store, Display() as display:
        compiled = run_job(
            job,
            Fusion(objective=wanted),
            store,
            prior=known,
            callbacks=[display, receipt],
            **asking.how(file.limits),
        )
    compiled.save(output)
    where = str(store.path or store.name)
    if as_json:
        result = {"output": output, "storage": where, "paid": asdict(receipt.paid), **record_data(compiled.record)}
        click.echo(json.dumps(result))
    else:
        lines = [*summary_lines(compiled.record), paid_line(receipt.paid), f"wrote {output} (measurements in {where})"]
        click.echo("\n".join(lines))
