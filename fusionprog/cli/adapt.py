"""``fusionprog adapt``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fusionprog.cli.artifact_file import check_output, load_program
from fusionprog.cli.asking import Asking, asking_options
from fusionprog.cli.gate import DryRun, Gate
from fusionprog.cli.spending import Spending, spending_options

if TYPE_CHECKING:
    from fusionprog.lm.client import Paid
    from fusionprog.program.task import Task
    from fusionprog.runtime.compiled import CompiledProgram
    from fusionprog.search.preflight import Job

EXAMPLES = """\b
Examples:
  fusionprog adapt desk.json hotel.py -o hotel.json --trials 0        by its embedding alone: asks no model
  fusionprog adapt desk.json hotel.py -o hotel.json --probes 60       after a first look
  fusionprog adapt desk.json hotel.py -o hotel.json --max-calls 800   after a search that starts ahead
  fusionprog adapt desk.json hotel.py --max-calls 800 --dry-run       what that would cost
  fusionprog adapt desk.json all.py -o all.json --joint --max-usd 3   all tasks together, the old ones too
  fusionprog adapt desk.json desk.py -o mini.json --lm openai/gpt-4o-mini --max-usd 3   to another model
  fusionprog adapt desk.json desk.py -o new.json --recode --max-usd 3   to the code of desk.py as it is now
"""


@click.command("adapt", epilog=EXAMPLES)
@click.argument("artifact", type=click.Path())
@click.argument("tasks", metavar="TASKS.py")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Where the new artifact goes (needed but for --dry-run)."
)
@click.option("--trials", type=click.IntRange(min=0), help="Trials of the search; 0 asks no model.")
@click.option("--probes", type=click.IntRange(min=1), metavar="N", help="N model calls at most, for a first look.")
@spending_options
@click.option("--joint", is_flag=True, help="Compile all tasks together: those that the program has may change, too.")
@click.option("--tolerance", type=click.FloatRange(min=0), help="How much lower these may score then.  [default: 0.02]")
@click.option("--lm", help="Take the program to this model: prompts are chosen again, and no task is added.")
@click.option("--recode", is_flag=True, help="Take the program to that of TASKS.py as it is now; no task is added.")
@asking_options
@click.option("--task", "names", multiple=True, metavar="T", help="Only this task; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows a split.")
@click.option("--storage", metavar="URL", help="Where measurements are kept.  [default: the output's name with .db]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--module", metavar="APP.py:name", help="The dspy.Module whose code the program runs.")
@click.option(
    "--program", "code", metavar="PROGRAM.py[:name]", help="The program file that it must be compiled from: checked."
)
@click.option("--dry-run", is_flag=True, help="Check everything, say what it would cost, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def adapt_command(
    artifact: str,
    tasks: str,
    output: str | None,
    trials: int | None,
    probes: int | None,
    spending: Spending,
    joint: bool,
    tolerance: float | None,
    lm: str | None,
    recode: bool,
    asking: Asking,
    names: tuple[str, ...],
    limit: int | None,
    storage: str | None,
    seed: int,
    module: str | None,
    code: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add the tasks of TASKS.py to a compiled program, starting from what it knows.

    The file defines `tasks` and, if it likes, `pool`, `lm` (which the program runs on now), `budget`, `limits` and
    `embedder`; it may be a program file. Tasks that the program has keep their prompts, and need not be in it, but for
    --joint, --lm and --recode. With the latter two, prompts are chosen again where a node's model or signature
    changed, or the prompts before it did. No task is measured worse than as written: where nothing better is found, it
    runs as written.
    """
    if output is None and not dry_run:
        raise click.UsageError("Say where the new artifact goes: -o hotel.json")

    from fusionprog.cli.program_file import only_tasks, read_tasks_file
    from fusionprog.cli.receipt import Receipt
    from fusionprog.cli.summary import record_data
    from fusionprog.search.display import Display
    from fusionprog.search.start import DEFAULT_TOLERANCE

    if output is not None:
        check_output(output, storage or str(Path(output).with_suffix(".db")))
    file = read_tasks_file(tasks)
    if recode and file.program is None:
        raise click.UsageError(f"{tasks} defines no program, which --recode takes.")
    program = load_program(artifact, file.lm, module, code)
    chosen = only_tasks(file.tasks, names, limit)
    if not (names or joint):
        chosen = _fitting(program, chosen, new=lm is None and not recode)
    asks_none = trials == 0
    budget = spending.budget(None if asks_none or probes else file.budget)
    capped = asks_none or probes is not None or budget.bounded
    gate = Gate(dry_run=dry_run, asks=not (capped or spending.yes))
    if any(task.name not in program.tasks for task in chosen):
        gate.check_embedder(program, file.embedder)
    where = storage or str(Path(output or artifact).with_suffix(".db"))
    receipt = Receipt()
    try:
        with Display() as display:
            adapted = program.adapt(
                chosen,
                trials=trials,
                probes=probes,
                budget=budget if budget.bounded else None,
                joint=joint,
                tolerance=DEFAULT_TOLERANCE if tolerance is None else tolerance,
                lm=lm,
                code=file.program if recode else None,
                pool=file.pool,
                embedder=file.embedder,
                storage=where,
                seed=seed,
                callbacks=[gate, display, receipt],
                progress=False,
                **asking.how(file.limits),
            )
    except DryRun as planned:
        click.echo(_plan(planned.job, as_json=as_json))
        return
    if output is None or dry_run:
        click.echo(_plan(None, as_json=as_json))
        return
    adapted.save(output)
    shown = [task.name for task in chosen]
    if as_json:
        added = [name for name in shown if name not in program.tasks]
        result = {"output": output, "storage": where, "paid": asdict(receipt.paid), "added": added}
        click.echo(json.dumps({**result, **record_data(adapted.record)}))
    else:
        wrote = f"wrote {output}" if asks_none else f"wrote {output} (measurements in {where})"
        click.echo("\n".join([*_found(adapted, shown, None if asks_none else receipt.paid), wrote]))


def _plan(job: Job | None, *, as_json: bool) -> str:
    """What a dry run says: what would be done, or that nothing would be asked."""
    from fusionprog.cli.summary import dry_run_lines
    from fusionprog.search.estimate import Estimate

    if as_json:
        return json.dumps(asdict(Estimate(0, 0, 0, 0.0) if job is None else job.estimate))
    return "no model would be asked" if job is None else "\n".join(dry_run_lines(job))


def _found(adapted: CompiledProgram, shown: Sequence[str], paid: Paid | None) -> list[str]:
    """What the command says of the tasks; what was paid, where anything was asked."""
    from fusionprog.cli.summary import growth_lines, paid_line, score_lines, summary_lines
    from fusionprog.cli.terminal import inert

    record = adapted.record
    if paid is None:
        return list(map(inert, score_lines(record, shown)))
    return list(map(inert, [*summary_lines(record, shown), *growth_lines(record), paid_line(paid)]))


def _fitting(program: CompiledProgram, tasks: Sequence[Task], *, new: bool) -> list[Task]:
    """The tasks that a program has not, or has, with a note on stderr of the others.

    Raises:
        DataError: if none is left.
    """
    from fusionprog.errors import DataError

    left = [task for task in tasks if (task.name not in program.tasks) == new]
    others = ", ".join(task.name for task in tasks if task not in left)
    if not left:
        raise DataError(
            f"the program has {'all' if new else 'none'} of these tasks",
            found=others,
            fix="Define a new one, or pass --joint to compile all of them together"
            if new
            else "Leave --lm and --recode out",
        )
    if others:
        click.echo(f"note: left out, as the program has {'them' if new else 'none of them'}: {others}", err=True)
    return left
