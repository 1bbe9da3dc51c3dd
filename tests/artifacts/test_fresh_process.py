"""A file that one process compiled runs in another, which has neither the program's source nor its folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("everything_program.py")

_SHOWN = """
import json, sys
import fusionprog as fp
from fusionprog._internal.canonical import jsonable

def search(query, depth=2):
    return [query] * depth

def shown(program):
    messages = {f"{task}.{node}": program.prompt(task, node=node)
                for task, part in program.tasks.items() for node in part.mixtures}
    outputs = [jsonable(dict(program(task, message=message, untyped=1).items()))
               for task in program.tasks for message in ("the parcel \\u2028", "the invoice is wrong", "")]
    return {"messages": messages, "outputs": outputs}
"""

COMPILE = (
    _SHOWN
    + """
import everything_program as everything
program = fp.compile(
    everything.program(), everything.tasks(), pool=everything.pool(), lm="offline", sampler="tpe", trials=2,
    budget=fp.Budget(calls=500), storage=sys.argv[2], concurrency=int(sys.argv[3]), progress=False,
)
program.save(sys.argv[1])
print(json.dumps(shown(program)))
"""
)

LOAD = (
    _SHOWN
    + """
program = fp.load(sys.argv[1], functions={"wiki": search})
program.save(sys.argv[2])
assert "everything_program" not in sys.modules
print(json.dumps(shown(program)))
"""
)

WATCH = """
import json, sys
import fusionprog as fp

fp.load(sys.argv[1])
happened = []
watched = False

def hook(event, arguments):
    if not watched:
        return
    if event == "open" and ("w" in str(arguments[1]) or "a" in str(arguments[1]) or "+" in str(arguments[1])):
        happened.append([event, str(arguments[0])])
    if event == "open" and not str(arguments[0]).endswith(".json"):
        happened.append([event, str(arguments[0])])
    if event.split(".")[0] in ("import", "os", "subprocess", "socket", "shutil", "tempfile", "pickle", "ctypes"):
        happened.append([event, repr(arguments)])

sys.addaudithook(hook)
modules = set(sys.modules)
watched = True
for path in sys.argv[1:]:
    try:
        fp.load(path)
    except fp.errors.ArtifactError:
        pass
watched = False
print(json.dumps([happened, sorted(set(sys.modules) - modules)]))
"""


def run(script: str, *arguments: object, path: Path | None = None, seed: int = 0) -> Any:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "FUSIONPROG"))}
    environment["PYTHONHASHSEED"] = str(seed)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A folder with what two processes compiled, from one store, before the program was deleted; and what they said."""
    folder = tmp_path_factory.mktemp("elsewhere")
    source = folder / "source"
    source.mkdir()
    shutil.copy(SOURCE, source)
    store = folder / "store.db"
    said = [
        run(COMPILE, folder / "cold.json", store, 1, path=source, seed=1),
        run(COMPILE, folder / "warm.json", store, 16, path=source, seed=2),
    ]
    shutil.rmtree(source)
    return folder, said


def test_a_compile_is_the_same_in_every_process(elsewhere: tuple[Path, list[Any]], artifact: Path) -> None:
    folder, said = elsewhere
    assert (folder / "cold.json").read_bytes() == (folder / "warm.json").read_bytes()
    assert (folder / "cold.json").read_bytes() == artifact.read_bytes()
    assert said[0] == said[1]


def test_a_file_runs_where_the_program_is_not(elsewhere: tuple[Path, list[Any]], tmp_path: Path) -> None:
    folder, said = elsewhere
    loaded = run(LOAD, folder / "cold.json", tmp_path / "again.json", seed=3)
    assert loaded["messages"] == said[0]["messages"]
    assert loaded["outputs"] == said[0]["outputs"]
    assert (tmp_path / "again.json").read_bytes() == (folder / "cold.json").read_bytes()
    assert any("Dringlichkeit" in str(each) for each in loaded["messages"].values())
    assert any(each.get("find.found") for each in loaded["outputs"])


def test_loading_writes_imports_and_sends_nothing(
    artifact: Path, data: dict[str, Any], write: Any, tmp_path: Path
) -> None:
    data["program"]["nodes"][0]["module"]["name"] = "os.system"
    hostile = write(tmp_path / "hostile.json", data)
    happened, modules = run(WATCH, artifact, hostile)
    assert happened == []
    assert modules == []
