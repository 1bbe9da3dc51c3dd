"""What docs/transfer.md shows runs as it is printed.

Run as a script, this file writes what is printed into the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fusionprog.cli.main import cli

PAGE = Path(__file__).parent.parent / "docs" / "transfer.md"
_BLOCK = re.compile(r"```(python|sh|text)\n(.*?)```", re.DOTALL)
_SHOWN = {"diff": 12, "show": 18}  # lines of a command's output that the page has; all, of the others


def outputs(page: str) -> Iterator[tuple[re.Match[str], str]]:
    """Runs the page in the current folder; yields its blocks of output, each with what the code before it printed."""
    printed, names = "", dict[str, Any]()
    for block in _BLOCK.finditer(page):
        kind, code = block.groups()
        if kind == "text":
            yield block, printed
        elif kind == "sh":
            printed = "\n".join(_command(line) for line in code.splitlines())
        elif name := re.match(r"# (\w+\.py)\n", code):
            Path(name[1]).write_text(code, encoding="utf-8")
        else:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
            printed = out.getvalue().rstrip()


def _command(line: str) -> str:
    _, name, *rest = shlex.split(line)
    ran = CliRunner().invoke(cli, [name, *rest], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    lines = [each.rstrip() for each in ran.stdout.splitlines()]
    most = _SHOWN.get(name, len(lines))
    return "\n".join([*lines[:most], *(["…"] if lines[most:] else [])])


def test_the_page_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    try:
        found = [(block[2], printed) for block, printed in outputs(PAGE.read_text(encoding="utf-8"))]
    finally:
        sys.modules.pop("desk", None)
    assert len(found) >= 8
    for shown, printed in found:  # the rest has numbers, whose last digits depend on the platform
        assert shown.split()[0] == printed.split()[0]
    assert ", not measured\nwrote zero.json" in found[1][1]
    warm = next(printed for _, printed in found if "; warm-started, " in printed)
    assert re.match(r"hotel  test \.\d\d→\.\d\d \(\+\.[1-9]", warm)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        for found_block, new in reversed(list(outputs(text))):
            text = f"{text[: found_block.start(2)]}{new}\n{text[found_block.end(2) :]}"
    PAGE.write_text(text, encoding="utf-8")
