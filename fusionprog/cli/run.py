"""``fusionprog run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fusionprog._internal.files import write_atomically
from fusionprog.cli.artifact_file import check_output, load_program


@click.command("run")
@click.argument("artifact", type=click.Path())
@click.argument("inputs", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--task", help="The task; may be left out where there is only one.")
@click.option("--input", "rows", type=click.Path(exists=True, dir_okay=False), help="Rows: .jsonl or .csv.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where rows go; stdout, if not given.")
@click.option("--lm", help="Another model than the program was compiled on.")
@click.option("--module", metavar="APP.py:name", help="The dspy.Module whose code the program runs.")
@click.option(
    "--program", "code", metavar="PROGRAM.py[:name]", help="The program file that it must be compiled from: checked."
)
@click.option("--storage", metavar="FILE|URL", help="Where answers to the rows are kept and looked up, as of compile.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON: the outputs, or what became of the rows.")
def run_command(
    artifact: str,
    inputs: tuple[str, ...],
    task: str | None,
    rows: str | None,
    output: str | None,
    lm: str | None,
    module: str | None,
    code: str | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Run a compiled program on one input, or on the rows of a file.

    A VALUE that is JSON of another type than text is read as such where the input is not text. Each row of the
    output file has the row's columns and the outputs; a row that failed has "error" instead, and the exit code is 3.
    With --storage, the same command continues after Ctrl-C: no answer that was kept is asked for again.
    """
    if bool(rows) == bool(inputs):
        raise click.UsageError("Give either inputs (message='...') or --input rows.jsonl.")
    if output is not None:
        if rows is None:
            raise click.UsageError("-o is for the rows of --input.")
        check_output(output, storage)
    if storage is not None and rows is None:
        raise click.UsageError("--storage is for the rows of --input.")
    program = load_program(artifact, lm, module, code)
    name = (task,) if task else ()
    if rows is None:
        prediction = program(*name, **_inputs(program, inputs))
        outputs = _outputs(program, name, prediction)
        text = json.dumps(outputs, ensure_ascii=False)
        click.echo(text if as_json else "\n".join(f"{key}: {_plain(value)}" for key, value in outputs.items()))
        return
    made, failed = _run_rows(program, name, rows, storage)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
    if output is not None:
        write_atomically(Path(output), lines)
    if as_json:
        click.echo(json.dumps({"rows": len(made), "failed": failed, "output": output or made}, ensure_ascii=False))
    elif output is None:
        click.echo(lines, nl=False)
    if failed:
        click.echo(f"error: {failed} rows failed; they have an 'error'", err=True)
        raise click.exceptions.Exit(3)


def _run_rows(program: Any, name: tuple[str, ...], path: str, storage: str | None) -> tuple[list[dict[str, Any]], int]:
    from fusionprog.program.data import read_rows

    rows = [dict(row.columns) for row in read_rows(path, "--input")]
    predictions = program.batch(*name, rows=rows, storage=storage)
    made = [
        {**row, **({"error": str(each)} if isinstance(each, Exception) else _outputs(program, name, each))}
        for row, each in zip(rows, predictions, strict=True)
    ]
    return made, sum(isinstance(each, Exception) for each in predictions)


def _inputs(program: Any, pairs: tuple[str, ...]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{pair!r} is no input; write name=value.")
        if name in inputs:
            raise click.UsageError(f"The input {name!r} is given twice.")
        each = program.graph.inputs.get(name)
        inputs[name] = value if each is None or each.annotation in (None, str) else _value(value)
    return inputs


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _outputs(program: Any, name: tuple[str, ...], prediction: Any) -> dict[str, Any]:
    from fusionprog._internal.canonical import jsonable

    part = program.tasks[name[0]] if name else next(iter(program.tasks.values()))
    return {key: jsonable(prediction[key]) for key in part.view.program.outputs}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
