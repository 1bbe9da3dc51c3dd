"""``fusionprog eval``."""

from __future__ import annotations

import json

import click

from fusionprog.cli.artifact_file import load_program


@click.command("eval")
@click.argument("artifact", type=click.Path())
@click.option("--task", help="The task; may be left out where there is only one.")
@click.option("--data", required=True, type=click.Path(), help="Rows with gold columns: .jsonl or .csv.")
@click.option("--metric", metavar="APP.py:name", help="Another metric than the task's own.")
@click.option("--lm", help="Another model than the program was compiled on.")
@click.option("--module", metavar="APP.py:name", help="The dspy.Module whose code the program runs.")
@click.option(
    "--program", "code", metavar="PROGRAM.py[:name]", help="The program file that it must be compiled from: checked."
)
@click.option("--storage", metavar="FILE|URL", help="Where answers are kept and looked up, as of compile.")
@click.option("--fail-under", type=float, metavar="SCORE", help="Exit with 1 if the mean score is below this.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def eval_command(
    artifact: str,
    task: str | None,
    data: str,
    metric: str | None,
    lm: str | None,
    module: str | None,
    code: str | None,
    storage: str | None,
    fail_under: float | None,
    as_json: bool,
) -> None:
    """Score a compiled program on rows of one task: mean, standard error, number of rows."""
    program = load_program(artifact, lm, module, code)
    chosen = None
    if metric is not None:
        from fusionprog.cli.program_file import read_attribute

        chosen = read_attribute(metric)
    result = program.evaluate(*((task,) if task else ()), data=data, metric=chosen, storage=storage)
    score = result.score
    if as_json:
        found = {"task": result.task, "mean": score.mean, "se": score.se, "n": score.n, "failed": result.failed}
        click.echo(json.dumps(found))
    else:
        click.echo(str(result))
    if fail_under is not None and score.mean < fail_under:
        click.echo(f"below {fail_under}", err=True)
        raise click.exceptions.Exit(1)
