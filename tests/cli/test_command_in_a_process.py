"""The installed command, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

COMMAND = str(Path(sys.executable).with_name("fusionprog"))
HEAVY = ("dspy", "litellm", "optuna", "sklearn", "sqlalchemy")


def started(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment},
    )


def finished(*arguments: str | Path, **environment: str) -> tuple[int, str, str]:
    process = started(*arguments, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


LIGHT = f"import sys\n{{}}\nprint([name for name in {HEAVY!r} if name in sys.modules])"


@pytest.mark.parametrize(
    "line",
    [
        "import fusionprog",
        "import fusionprog.cli.main",
        "import fusionprog.cli.main as m\nsys.argv[1:] = ['--help']\ntry:\n    m.main()\nexcept SystemExit as stop:\n"
        "    assert stop.code == 0",
        "import fusionprog.cli.main as m\nsys.argv[1:] = ['compile', '--help']\ntry:\n    m.main()\n"
        "except SystemExit as stop:\n    assert stop.code == 0",
    ],
    ids=["package", "command line", "help", "help of compile"],
)
def test_the_package_and_its_help_load_no_other_library(line: str) -> None:
    code, out, err = finished(sys.executable, "-c", LIGHT.format(line))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "[]"


def test_another_process_compiles_the_same_bytes(desk: Path, tmp_path: Path) -> None:
    """Whatever order its sets have."""
    line = (COMMAND, "compile", desk / "program.py", "-o", tmp_path / "desk.json", "--trials", "8", "--json")
    code, out, err = finished(*line, PYTHONHASHSEED="123")
    assert code == 0, err
    assert json.loads(out)["trials"] == 8 and "search …" in err
    assert (tmp_path / "desk.json").read_bytes() == (desk / "desk.json").read_bytes()


def test_an_error_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    code, out, err = finished(COMMAND, "show", tmp_path / "gone.json")
    assert (code, out) == (3, "") and err.startswith("error: the artifact ")


def test_a_paid_model_without_a_cap_is_refused_where_stdin_is_no_terminal(
    tmp_path: Path, new_program: Callable[..., Path], endings: Mapping[str, str]
) -> None:
    program = new_program(tmp_path, endings["unbounded"])
    code, out, err = finished(COMMAND, "compile", program, "-o", tmp_path / "d.json", PAID="1")
    assert (code, out) == (2, "") and "there is no cap" in err
    assert not (tmp_path / "calls.log").exists() and not (tmp_path / "d.db").exists()


def test_an_interrupt_ends_with_130_and_the_same_command_continues(
    tmp_path: Path, new_program: Callable[..., Path], endings: Mapping[str, str]
) -> None:
    program = new_program(tmp_path, endings["logged"])
    log = tmp_path / "calls.log"
    line: tuple[Any, ...] = (COMMAND, "compile", program, "-o", tmp_path / "d.json", "--trials", "4", "-j", "2")
    process = started(*line, SLOW="0.05")
    try:
        while not log.exists() or len(log.read_text(encoding="utf-8").splitlines()) < 20:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == "" and "interrupted; the same command continues" in err and "Traceback" not in err
    assert not (tmp_path / "d.json").exists()
    first = log.read_text(encoding="utf-8").splitlines()
    code, out, err = finished(*line)
    assert code == 0, err
    both = log.read_text(encoding="utf-8").splitlines()
    assert len(both) > len(first)
    assert len(both) - len(set(both)) <= 2  # what was in flight is asked again, nothing else
