"""The package is laid out as pyproject.toml says, and stays quick to import."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fusionprog as fp

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = ("dspy", "litellm", "optuna", "sklearn", "sqlalchemy")


def test_packages_in_pyproject_are_the_folders_of_the_tree() -> None:
    folders = {path.parent for path in (ROOT / "fusionprog").rglob("__init__.py")}
    named = {"modules": "fusionprog.modules", "optimizers": "fusionprog.optimizers"}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders} | set(named.values())
    assert sorted(found) == PROJECT["tool"]["setuptools"]["packages"]


def test_links_of_the_two_catalogues_are_relative() -> None:
    for name in ("modules", "optimizers"):
        link = ROOT / "fusionprog" / name
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{name}"


def test_version_is_the_project_s() -> None:
    assert fp.__version__ == PROJECT["project"]["version"]


def test_every_public_name_is_there_and_no_other_is() -> None:
    assert fp.__all__ == sorted(fp.__all__)
    for name in fp.__all__:
        assert getattr(fp, name) is not None
    assert set(fp.__all__) <= set(dir(fp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fp.nothing


@pytest.mark.parametrize("name", ["modules", "optimizers"])
def test_a_catalogue_refuses_to_be_imported_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(ImportError, match=f"import fusionprog.{name}"):
        importlib.import_module(name)


@pytest.mark.parametrize("code", ["import fusionprog", "import fusionprog.cli.main"])
def test_importing_loads_no_heavy_library(code: str) -> None:
    script = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
