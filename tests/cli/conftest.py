"""The command line, run in this process, and a folder with a program and what it compiles to."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fusionprog.cli.main import main


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands put a program file's folder on the path, as running it would; other tests must not find it there."""
    monkeypatch.setattr(sys, "path", list(sys.path))


WORDS = {
    "shop": {
        "delivery": ["parcel", "courier", "doorstep", "tracking"],
        "returns": ["refund", "exchange", "send back", "label"],
        "billing": ["invoice", "voucher", "receipt", "charged"],
    },
    "bank": {
        "cards": ["plastic", "contactless", "cash machine", "pin"],
        "loans": ["mortgage", "repay", "borrow", "instalment"],
        "fraud": ["scam", "stolen", "stranger", "phishing"],
    },
}
PROGRAM = '''
"""A desk for tests."""
import json, os, time
from pathlib import Path
from fusionprog.lm.offline_model import OfflineModel
import fusionprog as fp

HERE = Path(__file__).parent
TEAMS = {"shop": ["billing", "delivery", "returns"], "bank": ["cards", "fraud", "loans"]}


class Triage(fp.Signature):
    """Decide which team should handle a message."""
    message: str = fp.InputField()
    team: str = fp.OutputField()


class Desk(fp.Program):
    def __init__(self):
        super().__init__()
        self.triage = fp.modules.Predict(Triage)

    def forward(self, message: str):
        return self.triage(message=message).team


class Logged(OfflineModel):
    """The offline reader, which writes a line for each call, and may be slow, dear or dead."""
    name = "logged"
    identity = {"model": "logged"}
    free = os.environ.get("PAID") is None
    usd_per_token = (1e-6, 1e-6)
    max_output_tokens = 100

    async def complete(self, messages):
        import asyncio
        if os.environ.get("DEAD"):
            raise fp.errors.LMError("the line is dead")
        with (HERE / "calls.log").open("a") as log:
            log.write(json.dumps([dict(each) for each in messages]) + "\\n")
        await asyncio.sleep(float(os.environ.get("SLOW", "0")))
        return await super().complete(messages)


def task(name):
    return fp.Task(
        name, domain=name, description=f"Messages to a {name}.", labels={"triage.team": TEAMS[name]},
        train=HERE / f"{name}-train.jsonl", val=HERE / f"{name}-val.jsonl", test=HERE / f"{name}-test.jsonl",
        metric=fp.metrics.exact_match("team"),
    )


def length(example, prediction):
    return len(prediction.team) / 10


program = Desk()
second = Desk()
tasks = [task("shop"), task("bank")]
pool = fp.PromptPool([
    fp.builders.LabelGlossary(words=6), fp.builders.BalancedDemos(per_label=2),
    fp.Fragment("short", "Answer with the name alone.", facet="constraint"),
    fp.Fragment("must", "Be fair.", facet="role", pinned=True),
])
'''
OFFLINE = 'lm = "offline"\nbudget = fp.Budget(calls=260)\n'
LOGGED = "lm = Logged()\nbudget = fp.Budget(calls=260)\n"
UNBOUNDED = "lm = Logged()\n"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, as JSON; nothing else may be there."""
        return json.loads(self.out)


class _Stdin(io.StringIO):
    def __init__(self, text: str, terminal: bool) -> None:
        super().__init__(text)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def run(*arguments: str | Path, stdin: str = "", terminal: bool = False) -> Ran:
    """Runs ``fusionprog`` in this process."""
    before = sys.argv, sys.stdin
    out, err = io.StringIO(), io.StringIO()
    sys.argv, sys.stdin = ["fusionprog", *map(str, arguments)], _Stdin(stdin, terminal)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv, sys.stdin = before
    assert isinstance(stop.value.code, int)
    assert "Traceback" not in err.getvalue()
    return Ran(stop.value.code, out.getvalue(), err.getvalue())


def write_program(folder: Path, end: str = OFFLINE) -> Path:
    """Writes the program and its data into a folder."""
    for name, teams in WORDS.items():
        for split, count in (("train", 4), ("val", 14), ("test", 6)):
            rows = [
                {"message": f"{split} {index}: about the {words[index % 4]} here", "team": team}
                for team, words in teams.items()
                for index in range(count)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{name}-{split}.jsonl").write_text(text, encoding="utf-8")
    path = folder / "program.py"
    path.write_text(PROGRAM + end, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def command() -> Callable[..., Ran]:
    """Runs a command: ``command("show", path)``."""
    return run


@pytest.fixture(scope="session")
def new_program() -> Callable[..., Path]:
    """Writes the program into a folder; ``end`` are its last lines."""
    return write_program


@pytest.fixture(scope="session")
def endings() -> Mapping[str, str]:
    """Last lines of a program file."""
    return {"offline": OFFLINE, "logged": LOGGED, "unbounded": UNBOUNDED}


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ``program.py``, its data, and ``desk.json`` compiled from it. To be read only."""
    folder = tmp_path_factory.mktemp("desk")
    program = write_program(folder)
    compiled = run("compile", program, "-o", folder / "desk.json", "--trials", "8")
    assert compiled.code == 0, compiled.err
    yield folder
