"""The package is light to import, and what it offers is what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fusionprog import testing

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_importing_it_loads_none_of_the_large_libraries() -> None:
    heavy = ("dspy", "litellm", "optuna", "sklearn", "sqlalchemy")
    code = f"import sys, fusionprog.testing; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_engines_are_made_without_dspy() -> None:
    code = "import sys, fusionprog.testing as t; t.engine(lambda messages: 'x'); print('dspy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_public_name_is_there_and_has_words() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name) is not None
        assert name == "TextFunction" or getattr(testing, name).__doc__


@pytest.mark.parametrize("place", range(len(re.findall(r"```python\n", PAGE))))
def test_examples_of_the_page_run(place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[place]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, f"docs/testing.md, example {place}", "exec", dont_inherit=True), names)
    tests = [value for name, value in names.items() if name.startswith("test_") and callable(value)]
    for test in tests:
        test()
