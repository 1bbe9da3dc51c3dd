"""``fusionprog adapt``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fusionprog.cli.artifact_file import check_folder, load_program
from fusionprog.cli.asking import Asking, asking_options
from fusionprog.cli.spending import Spending, ask_first, spending_options

if TYPE_CHECKING:
    from fusionprog.program.task import Task
    from fusionprog.runtime.compiled import CompiledProgram

EXAMPLES = """\b
Examples:
  fusionprog adapt desk.json hotel.py -o hotel.json --trials 0        by its embedding alone: asks no model
  fusionprog adapt desk.json hotel.py -o hotel.json --probes 60       after a first look
  fusionprog adapt desk.json hotel.py -o hotel.json --max-calls 800   after a search that starts ahead
  fusionprog adapt desk.json all.py -o all.json --joint               all tasks together, new ones among them
  fusionprog adapt desk.json desk.py -o other.json --port --lm L      to another model, and to desk.py as it is now
"""


@click.command("adapt", epilog=EXAMPLES)
@click.argument("artifact", type=click.Path())
@click.argument("tasks", metavar="TASKS.py")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="Where the new artifact goes.")
@click.option("--trials", type=click.IntRange(min=0), help="Trials of the search; 0 asks no model.")
@click.option("--probes", type=click.IntRange(min=1), metavar="N", help="N model calls at most, for a first look.")
@click.option("--joint", is_flag=True, help="Compile all tasks together: TASKS.py has those of the program, too.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.02,
    show_default=True,
    help="How much lower a task may score than before, with --joint.",
)
@click.option("--port", is_flag=True, help="Take the program to --lm, and to TASKS.py's program as it is now.")
@spending_options
@click.option("--lm", help="Another model than the program was compiled on.  [default: that of TASKS.py]")
@asking_options
@click.option("--task", "names", multiple=True, metavar="T", help="Only this new task; may be repeated.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows a split.")
@click.option("--storage", metavar="URL", help="Where measurements are kept.  [default: the output's name with .db]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--module", metavar="APP.py:name", help="The dspy.Module whose code the program runs.")
@click.option(
    "--program", "code", metavar="PROGRAM.py[:name]", help="The program file that it must be compiled from: checked."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def adapt_command(
    artifact: str,
    tasks: str,
    output: str,
    trials: int | None,
    probes: int | None,
    joint: bool,
    tolerance: float,
    port: bool,
    spending: Spending,
    lm: str | None,
    asking: Asking,
    names: tuple[str, ...],
    limit: int | None,
    storage: str | None,
    seed: int,
    module: str | None,
    code: str | None,
    as_json: bool,
) -> None:
    """Add the tasks of TASKS.py to a compiled program, starting from what it knows.

    The file defines `tasks` and, if it likes, `pool`, `lm`, `budget`, `limits` and `embedder`; it may be a program
    file. Tasks that the program has keep their prompts. A new one is never measured worse than as written: where
    nothing better is found, it runs as written.

    With --joint all tasks are compiled together, and one that would score lower than before goes on with its prompts.
    With --port prompts are chosen again where a node's model or signature changed, or the prompts before it did.
    """
    from fusionprog.cli.program_file import only_tasks, read_tasks_file
    from fusionprog.cli.receipt import Receipt
    from fusionprog.cli.summary import paid_line, record_data, score_lines, summary_lines
    from fusionprog.search.display import Display

    check_folder(output)
    file = read_tasks_file(tasks)
    program = load_program(artifact, None if port else lm or file.lm, module, code)
    if port:
        if names or joint or not (lm or file.lm or file.program):
            raise click.UsageError("--port takes all tasks of the program, and --lm or a TASKS.py with a program.")
        new = [task for task in only_tasks(file.tasks, (), limit) if task.name in program.tasks]
    else:
        new = only_tasks(file.tasks, names, limit) if joint else new_tasks(program, file.tasks, names, limit)
    mode: dict[str, Any] = {"joint": True, "tolerance": tolerance} if joint else {}
    if port:
        mode = {"lm": lm or file.lm, "code": file.program}
    asks_none = trials == 0
    budget = spending.budget(None if asks_none or probes else file.budget)
    if not (asks_none or probes or budget.bounded or spending.yes) and _costs(program, new):
        ask_first([f"a search for {', '.join(task.name for task in new)} on {_models(program)}"])
    where, receipt = storage or str(Path(output).with_suffix(".db")), Receipt()
    with Display() as display:
        adapted = program.adapt(
            new,
            trials=trials,
            probes=probes,
            budget=budget if budget.bounded else None,
            pool=file.pool,
            embedder=file.embedder,
            storage=where,
            seed=seed,
            callbacks=[display, receipt],
            progress=False,
            **mode,
            **asking.how(file.limits),
        )
    adapted.save(output)
    record, added = adapted.record, [task.name for task in new]
    if as_json:
        result = {"output": output, "storage": where, "paid": asdict(receipt.paid), "added": added}
        click.echo(json.dumps({**result, **record_data(record)}))
        return
    if asks_none:
        lines = score_lines(record, added)
    else:
        lines = [*summary_lines(record, added), paid_line(receipt.paid)]
    click.echo("\n".join([*lines, f"wrote {output}" + ("" if asks_none else f" (measurements in {where})")]))


def new_tasks(program: CompiledProgram, tasks: Sequence[Task], names: Sequence[str], limit: int | None) -> list[Task]:
    """Returns the tasks that are named; if none is, those that a program has not, with a note on stderr of the others.

    Raises:
        DataError: if a name is unknown, the tasks are not sound, or there is no new one.
    """
    from fusionprog.cli.program_file import only_tasks
    from fusionprog.errors import DataError

    chosen = only_tasks(tasks, names, limit)
    if names:
        return chosen
    known = [task.name for task in chosen if task.name in program.tasks]
    if len(known) == len(chosen):
        raise DataError("the program has all these tasks already", found=", ".join(known), fix="Define a new one")
    for name in known:
        click.echo(f"note: the program has the task {name} already; left out", err=True)
    return [task for task in chosen if task.name not in known]


def _costs(program: CompiledProgram, tasks: Sequence[Task]) -> bool:
    """Whether a model that a search for tasks asks is a paid one."""
    from fusionprog.evaluation.metrics import as_metric
    from fusionprog.evaluation.program import make_scorer
    from fusionprog.program.task import bind
    from fusionprog.runtime.render import TaskView

    views = [(task, TaskView(task.name, task.domain, bind(program.graph, task), ())) for task in tasks]
    scorers = [make_scorer(view, as_metric(task.metric), program.models) for task, view in views]
    return any(not model.free for scorer in scorers for model in scorer.asked)


def _models(program: CompiledProgram) -> str:
    return ", ".join(sorted({model.name for model in program.models.values()}))
