"""The ``fusionprog`` command."""

from __future__ import annotations

import gc
import sys

import click

import fusionprog as fp
from fusionprog.cli.adapt import adapt_command
from fusionprog.cli.compile import compile_command
from fusionprog.cli.diff import diff_command
from fusionprog.cli.evaluate import eval_command
from fusionprog.cli.init import init_command
from fusionprog.cli.label import label_command
from fusionprog.cli.merge import merge_command
from fusionprog.cli.migrate import migrate_command
from fusionprog.cli.pull import pull_command
from fusionprog.cli.push import push_command
from fusionprog.cli.registry import registry_command
from fusionprog.cli.run import run_command
from fusionprog.cli.show import show_command
from fusionprog.cli.store import store_command
from fusionprog.cli.transfer_matrix import transfer_matrix_command
from fusionprog.errors import FusionProgError

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the answer is no: a score below --fail-under, a difference with --exit-code
  2    the command line is wrong
  3    something is wrong with the program, its data, the model or a file; the message says what to do
  130  interrupted; the same compile or adapt continues, and so do others with --storage
"""
_KEEPING = ("compile", "adapt")  # commands whose answers are kept; with --storage others' too


@click.group(
    help="Compile language-model programs: search how every node should mix a shared pool of prompt fragments for "
    "every task, and get one JSON file that runs anywhere.",
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(fp.__version__, prog_name="fusionprog")
def cli() -> None:
    """The group of all commands."""


for _command in (
    init_command,
    compile_command,
    adapt_command,
    transfer_matrix_command,
    run_command,
    eval_command,
    show_command,
    diff_command,
    merge_command,
    migrate_command,
    registry_command,
    push_command,
    pull_command,
    label_command,
    store_command,
):
    cli.add_command(_command)


def main() -> None:
    """Runs the command line; errors are one message and an exit code, never a traceback."""
    try:
        code = cli.main(prog_name="fusionprog", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        goes_on = sys.argv[1:2] and (sys.argv[1] in _KEEPING or any(each.startswith("--storage") for each in sys.argv))
        _echo_notes(error.__cause__ or error)
        click.echo("interrupted; the same command continues" if goes_on else "interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (FusionProgError, OSError) as error:
        _echo_notes(error)
        click.echo(f"error: {error}", err=True)
        code = 3
    gc.freeze()  # at its end the interpreter would look through all objects of large libraries once more
    sys.exit(code or 0)


def _echo_notes(error: BaseException) -> None:
    for note in getattr(error, "__notes__", ()):
        click.echo(f"note: {note}", err=True)
