"""``fusionprog transfer-matrix``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from fusionprog.cli.artifact_file import load_program
from fusionprog.cli.asking import Asking, asking_options

EXAMPLES = """\b
Examples:
  fusionprog transfer-matrix desk.json hotel.py                           what each task of desk does for a hotel
  fusionprog transfer-matrix shop.json bank.json hotel.py --rows 40       several artifacts of one program
  fusionprog transfer-matrix desk.json hotel.py --storage desk.db --json  answers are kept, and found again
"""


@click.command("transfer-matrix", epilog=EXAMPLES)
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(), metavar="ARTIFACT...")
@click.argument("tasks", metavar="TASKS.py")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="N rows of val, always the same ones.  [default: at most 100]",
)
@click.option("--max-calls", type=click.IntRange(min=1), help="Refuse if it may take more model calls.")
@click.option("--yes", is_flag=True, help="Do not ask before spending on a paid model without a cap.")
@click.option("--lm", help="Another model than the programs were compiled on.  [default: that of TASKS.py]")
@asking_options
@click.option("--task", "names", multiple=True, metavar="T", help="Only this target; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows a split.")
@click.option("--storage", metavar="URL", help="Where measurements are kept.  [default: nowhere]")
@click.option("--dry-run", is_flag=True, help="Check everything, say what it would cost, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
def transfer_matrix_command(
    artifacts: tuple[str, ...],
    tasks: str,
    rows: int | None,
    max_calls: int | None,
    yes: bool,
    lm: str | None,
    asking: Asking,
    names: tuple[str, ...],
    limit: int | None,
    storage: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Measure what the tasks of compiled programs do for the tasks of TASKS.py, and where they hurt.

    A row of the matrix is a task of an artifact, or all of them together; a column is a target. An entry is the gain
    over the program as written if the target follows what was learned there, on the same rows of its val.
    """
    from fusionprog.cli.program_file import only_tasks, read_tasks_file
    from fusionprog.cli.receipt import Receipt
    from fusionprog.cli.spending import ask_first
    from fusionprog.cli.summary import paid_line
    from fusionprog.cli.terminal import plain_console
    from fusionprog.optimizers.transfer_matrix import names_of, run_plan
    from fusionprog.search.display import Display
    from fusionprog.search.transfer_plan import plan_transfer
    from fusionprog.store.store import Store

    file = read_tasks_file(tasks)
    programs = [load_program(each, lm or file.lm) for each in artifacts]
    sources = dict(zip(names_of(artifacts), programs, strict=True))
    plan = plan_transfer(sources, only_tasks(file.tasks, names, limit), rows=rows, embedder=file.embedder)
    if max_calls is not None and plan.calls > max_calls:
        raise click.UsageError(f"It takes {plan.cost}. Allow more (--max-calls), or measure fewer --rows.")
    if dry_run:
        said = [*plan.notes, plan.cost]
        planned = {"calls": plan.calls, "tokens": plan.tokens, "usd": plan.usd, "notes": plan.notes}
        click.echo(json.dumps(planned) if as_json else "\n".join(said))
        return
    if any(not model.free for model in plan.asked) and max_calls is None and not yes:
        ask_first([*plan.notes, plan.cost], caps="--max-calls 4000")
    receipt = Receipt()
    with Store(storage) as store, Display() as display:
        matrix = run_plan(plan, store, callbacks=[display, receipt], **asking.how(file.limits))
    if as_json:
        click.echo(json.dumps({**matrix.as_json(), "paid": asdict(receipt.paid)}))
        return
    plain_console().print(matrix)
    click.echo(paid_line(receipt.paid))
