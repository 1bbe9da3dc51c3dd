"""The catalogue: modules by name, modules of one's own, and one copy of the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError
from fusionprog.program.module import module_registry

Refused = Callable[..., FusionProgError]


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forgets what a test registers."""
    monkeypatch.setattr(module_registry, "_entries", dict(module_registry._entries))
    yield


def own_modules() -> list[str]:
    """The names of the package's own modules; other tests may have registered theirs."""
    return [name for name in module_registry if module_registry.get(name).__module__.startswith("fusionprog.modules")]


def test_every_module_is_known_by_the_name_it_says_it_has() -> None:
    assert own_modules() == ["ChainOfThought", "DSPyCode", "Function", "Predict"]
    assert {name: module_registry.get(name).kind for name in own_modules()} == {name: name for name in own_modules()}
    assert module_registry.get("Predict") is fp.modules.Predict


def test_all_is_what_is_there() -> None:
    assert all(hasattr(fp.modules, name) for name in fp.modules.__all__)
    assert set(own_modules()) <= set(fp.modules.__all__)


@pytest.mark.usefixtures("catalogue")
def test_a_module_of_ones_own_is_registered_and_called_like_any() -> None:
    @fp.modules.register_module("Shout")
    class Shout(fp.modules.Module):
        async def run(self, inputs: Mapping[str, Any], ask: fp.modules.Ask) -> dict[str, Any]:
            return await ask(inputs)

    graph = fp.ProgramGraph()
    graph.add("shout", Shout("text -> loud"))
    graph.connect("text", "shout.text")

    assert Shout.kind == "Shout"
    assert module_registry.get("Shout") is Shout
    assert graph.resolve("loud") == graph.resolve("shout.loud")


@pytest.mark.usefixtures("catalogue")
def test_a_name_of_the_catalogue_is_given_once(refused: Refused) -> None:
    class Other(fp.modules.Predict):
        pass

    refused(ProgramError, lambda: fp.modules.register_module("Predict")(Other), "two modules", "'Predict'", "Rename")
    assert module_registry.get("Predict") is fp.modules.Predict


def test_an_unknown_module_is_an_error_with_advice(refused: Refused) -> None:
    refused(ProgramError, lambda: module_registry.get("Predikt"), "'Predikt'", "Did you mean 'Predict'?")


def test_the_bare_folder_cannot_be_imported() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", "import modules"], cwd=root, capture_output=True, text=True)

    assert done.returncode == 1
    assert "ImportError: import fusionprog.modules" in done.stderr
