"""``fusionprog compile``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.store.store import Store

Command = Callable[..., Any]


def calls(folder: Path) -> list[str]:
    """What the logged model was asked, in order."""
    log = folder / "calls.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.fixture
def logged(tmp_path: Path, new_program: Command, endings: Mapping[str, str]) -> Path:
    return Path(new_program(tmp_path, endings["logged"]))


@pytest.fixture
def unbounded(tmp_path: Path, new_program: Command, endings: Mapping[str, str]) -> Path:
    return Path(new_program(tmp_path, endings["unbounded"]))


def test_it_writes_the_artifact_and_says_what_it_found(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "desk.json", "--trials", "8")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("shop  test .") and "n=18)" in lines[0]
    assert lines[1].startswith("bank  test .")
    assert any(line.startswith("shop  per 1,000 calls: ") and " tokens → " in line for line in lines)
    assert any(line.startswith("8 trials, ") and line.endswith("all 8 trials are done") for line in lines)
    assert lines[-1] == f"wrote {tmp_path / 'desk.json'} (measurements in {tmp_path / 'desk.db'})"
    assert "search …" in ran.err and "note: shop: val n=42" in ran.err
    assert {path.name for path in tmp_path.iterdir()} >= {"desk.json", "desk.db", "desk.study.log"}
    assert list(fp.load(tmp_path / "desk.json").tasks) == ["shop", "bank"]


def test_the_same_command_writes_the_same_bytes(command: Command, desk: Path, tmp_path: Path) -> None:
    command("compile", desk / "program.py", "-o", tmp_path / "again.json", "--trials", "8", "-j", "1")
    assert (tmp_path / "again.json").read_bytes() == (desk / "desk.json").read_bytes()


def test_json_is_all_that_it_prints(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "d.json", "--trials", "2", "--json")
    assert ran.code == 0
    assert ran.data["output"] == str(tmp_path / "d.json") and ran.data["trials"] == 2
    assert set(ran.data["tasks"]) == {"shop", "bank"}
    assert ran.data["spent"]["calls"] <= 260


def test_an_objective_is_named_on_the_command_line_or_in_the_file(
    command: Command, tmp_path: Path, new_program: Command, endings: Mapping[str, str]
) -> None:
    own = 'objective = fp.Objective("dwa", floors={"shop": 0.01})\n'
    program = new_program(tmp_path, endings["offline"] + own)
    for arguments, expected in (((), {"tasks": "dwa", "floors": {"shop": 0.01}}), (("--objective", "worst"), "worst")):
        ran = command("compile", program, "-o", tmp_path / "desk.json", "--trials", "2", *arguments, "--json")
        assert ran.code == 0 and ran.data["optimizer"]["objective"] == expected
    ran = command("compile", program, "--dry-run", "--objective", "wurst")
    assert ran.code == 3 and "no objective called 'wurst'. Did you mean 'worst'" in ran.err


def test_floors_of_tasks_that_are_left_out_do_not_count(
    command: Command, tmp_path: Path, new_program: Command, endings: Mapping[str, str]
) -> None:
    own = 'objective = fp.Objective("dwa", floors={"shop": 0.01, "bank": 2.0})\n'
    program = new_program(tmp_path, endings["offline"] + own)
    ran = command("compile", program, "-o", tmp_path / "x.json", "--task", "shop", "--trials", "2", "--json")
    assert ran.code == 0
    assert "note: the floors of tasks that are left out do not count: bank" in ran.err
    assert ran.data["optimizer"]["objective"] == {"tasks": "dwa", "floors": {"shop": 0.01}}
    ran = command("compile", program, "-o", tmp_path / "x.json", "--trials", "2")
    assert ran.code == 0
    assert "nothing was found that keeps to the objective" in ran.out and "below its floor of 2" in ran.out


def test_an_embedder_is_named_on_the_command_line_or_in_the_file(
    command: Command, tmp_path: Path, new_program: Command, endings: Mapping[str, str]
) -> None:
    program = new_program(tmp_path, endings["offline"] + 'embedder = "functional"\n')
    said = "of these calls tell tasks apart, before the search"
    assert said in command("compile", program, "--dry-run").out
    assert said not in command("compile", program, "--dry-run", "--embedder", "hashed_ngrams").out
    ran = command("compile", program, "--dry-run", "--embedder", "functionnal")
    assert ran.code == 3 and "no embedder called 'functionnal'. Did you mean 'functional'" in ran.err


def test_options_reach_the_compile(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command(
        *("compile", f"{desk / 'program.py'}:second", "-o", tmp_path / "d.json", "--lm", "offline", "--trials", "3"),
        *("--max-calls", "200", "--task", "bank", "--limit", "30", "--seed", "7", "--json"),
        *("--storage", tmp_path / "elsewhere.db", "--max-time", "1h", "--max-tokens", "9000000", "--max-usd", "5"),
    )
    assert ran.code == 0, ran.err
    assert list(ran.data["tasks"]) == ["bank"]
    assert ran.data["tasks"]["bank"]["sizes"] == {"train": 12, "val": 30, "test": 18}
    assert ran.data["trials"] == 3 * 2  # thirty rows of val are cross-fitted
    assert ran.data["seed"] == 7 and ran.data["spent"]["calls"] <= 200
    assert ran.data["storage"] == str(tmp_path / "elsewhere.db") and (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "d.db").exists()


def test_a_time_that_is_up_ends_the_search(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "d.json", "--max-time", "0.001", "--json")
    assert ran.code == 0 and ran.data["reason"] == "the budget's seconds are used up"


# The store.


def test_the_same_command_continues_without_a_call(command: Command, logged: Path, tmp_path: Path) -> None:
    arguments = ("compile", logged, "-o", tmp_path / "d.json", "--trials", "4")
    assert command(*arguments).code == 0
    first, artifact = calls(tmp_path), (tmp_path / "d.json").read_bytes()
    assert len(first) == len(set(first)) > 0
    again = command(*arguments)
    assert again.code == 0 and calls(tmp_path) == first
    assert (tmp_path / "d.json").read_bytes() == artifact
    assert "from the store" in again.err
    assert command(*arguments, "--fresh").code == 0
    assert sorted(calls(tmp_path)) == sorted(first * 2)


def test_a_compile_that_failed_continues(
    command: Command, logged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("compile", logged, "-o", tmp_path / "d.json", "--trials", "4")
    monkeypatch.setenv("DEAD", "1")
    ran = command(*arguments)
    assert ran.code == 3 and "error: the line is dead" in ran.err and ran.out == ""
    assert not (tmp_path / "d.json").exists()
    monkeypatch.delenv("DEAD")
    assert command(*arguments).code == 0


# A dry run.


def test_a_dry_run_makes_no_call_and_writes_nothing(command: Command, logged: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".pyc" and path.name != "__pycache__")
    ran = command("compile", logged, "-o", tmp_path / "d.json", "--dry-run")
    assert ran.code == 0
    assert "shop: val n=42, 16 of them confirm: gains below ±.18 are invisible" in ran.out
    assert "searched: triage with 4 items for 2 tasks on logged" in ran.out
    assert "at most 260 calls and 72 for the test report: about " in ran.out and " tokens, about $0." in ran.out
    assert calls(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == before


def test_a_dry_run_needs_no_output_and_no_consent(
    command: Command, unbounded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAID", "1")
    ran = command("compile", unbounded, "--dry-run", "--json")
    assert ran.code == 0
    assert set(ran.data) == {"calls", "test_calls", "tokens", "usd"} and ran.data["usd"] > 0


# Money.


def test_a_paid_model_without_a_cap_is_refused_where_nobody_can_answer(
    command: Command, unbounded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAID", "1")
    ran = command("compile", unbounded, "-o", tmp_path / "d.json")
    assert ran.code == 2
    assert "This model is paid and there is no cap. Set one (--max-usd 2" in ran.err
    assert calls(tmp_path) == [] and not (tmp_path / "d.db").exists()


@pytest.mark.parametrize("cap", [("--max-calls", "200"), ("--max-usd", "1"), ("--yes",)])
def test_a_cap_or_a_yes_is_enough(
    command: Command, unbounded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cap: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PAID", "1")
    assert command("compile", unbounded, "-o", tmp_path / "d.json", "--trials", "2", *cap).code == 0


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 130), ("", 130)])
def test_at_a_terminal_it_asks_first(
    command: Command, unbounded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setenv("PAID", "1")
    ran = command("compile", unbounded, "-o", tmp_path / "d.json", "--trials", "2", stdin=answer, terminal=True)
    assert ran.code == code
    assert "This model is paid and there is no cap. Go on?" in ran.err and "at most " in ran.err
    assert bool(calls(tmp_path)) == (code == 0)


def test_a_paid_judge_is_a_paid_model(
    command: Command, tmp_path: Path, new_program: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAID", "1")
    judged = (
        'from dataclasses import replace\njudge = fp.metrics.judge("team, gold_team -> score: float", lm=Logged())\n'
        'tasks = [replace(each, metric=judge) for each in tasks]\nlm = "offline"\n'
    )
    ran = command("compile", new_program(tmp_path, judged), "-o", tmp_path / "d.json")
    assert ran.code == 2 and "This model is paid" in ran.err and calls(tmp_path) == []


# What is refused.


def test_it_needs_an_output_in_a_folder_that_is_there(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py")
    assert ran.code == 2 and "-o desk.json" in ran.err
    ran = command("compile", desk / "program.py", "-o", tmp_path / "gone" / "d.json")
    assert ran.code == 2 and "There is no folder" in ran.err
    assert command("compile", desk / "program.py", "-o", tmp_path).code == 2


@pytest.mark.parametrize("named", ["default", "path", "url", "other"])
def test_an_artifact_replaces_no_store(command: Command, desk: Path, tmp_path: Path, named: str) -> None:
    """What was paid for is in the store, and the artifact is written when all is done."""
    place = tmp_path / "desk.db"
    if named == "other":
        Store(place).close()
    storage = {"default": (), "other": ("--storage", tmp_path / "other.db"), "path": ("--storage", place)}
    given = storage.get(named, ("--storage", f"sqlite:///{tmp_path}/../{tmp_path.name}/desk.db"))
    before = place.read_bytes() if place.exists() else None
    ran = command("compile", desk / "program.py", "-o", place, *given)
    assert ran.code == 2 and ("is a database" if named == "other" else "would be one file") in ran.err
    assert (place.read_bytes() if place.exists() else None) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("--trials", "0"),
        ("--max-calls", "0"),
        ("--max-usd", "0"),
        ("--max-tokens", "-1"),
        ("--max-time", "soon"),
        ("--max-time", "0s"),
        ("-j", "0"),
        ("--limit", "0"),
        ("--seed", "x"),
        ("--sampler", "tpe"),
    ],
)
def test_a_wrong_option_is_a_wrong_command_line(
    command: Command, desk: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "d.json", *arguments)
    assert ran.code == 2
    assert arguments[0] in ran.err and ran.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_task_is_refused_with_the_known_ones(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "d.json", "--task", "shopp")
    assert ran.code == 3
    assert ran.err == "error: there is no task 'shopp'. Did you mean 'shop'? Known are 'bank', 'shop'.\n"


def test_too_few_calls_are_refused_with_a_number(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "d.json", "--max-calls", "9")
    assert ran.code == 3 and "error: the budget is too small for a search" in ran.err


def test_a_store_that_cannot_be_opened_is_refused(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("compile", desk / "program.py", "-o", tmp_path / "d.json", "--storage", tmp_path / "no" / "x.db")
    assert ran.code == 3 and "cannot be opened" in ran.err


# The program file.


def _file(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import fusionprog as fp\n\n1 / 0\n", "mine.py, line 3, failed: found ZeroDivisionError: division by zero"),
        ("import fusionprog as fp\nimport nothing_like_it\n", "mine.py, line 2, failed: found ModuleNotFoundError"),
        ("x = (\n", "mine.py failed: found SyntaxError"),
        ("raise SystemExit('set the variable')\n", "mine.py, line 1, failed: found SystemExit: set the variable"),
        ("tasks = []\n", "defines no 'program'"),
        ("program = 1\n", "defines no 'tasks'"),
        ("program = 1\ntasks = 2\n", "tasks is no list: found int"),
        ("program = 1\ntasks = []\n", "there are no tasks"),
        ("program = 1\ntasks = ['shop']\n", "tasks holds something else: expected fusionprog.Task, found str"),
    ],
)
def test_a_program_file_that_is_not_sound_is_refused(command: Command, tmp_path: Path, text: str, said: str) -> None:
    ran = command("compile", _file(tmp_path, text), "--dry-run")
    assert ran.code == 3 and ran.out == ""
    assert said in ran.err


def test_a_missing_file_is_refused_with_the_way_to_one(command: Command, tmp_path: Path) -> None:
    ran = command("compile", tmp_path / "gone.py", "--dry-run")
    assert ran.code == 3 and "there is no program file" in ran.err and "fusionprog init DIR" in ran.err


def test_two_tasks_of_one_name_are_refused(command: Command, tmp_path: Path, new_program: Command) -> None:
    path = new_program(tmp_path, 'tasks = [task("shop"), task("shop")]\nlm = "offline"\n')
    ran = command("compile", path, "--dry-run")
    assert ran.code == 3 and "two tasks are named 'shop'" in ran.err


def test_a_class_is_made_into_a_program(command: Command, tmp_path: Path, new_program: Command) -> None:
    path = new_program(tmp_path, 'lm = "offline"\n')
    assert command("compile", f"{path}:Desk", "--dry-run").code == 0
    ran = command("compile", f"{path}:Dask", "--dry-run")
    assert ran.code == 3 and "defines no 'Dask'. Did you mean " in ran.err


def test_a_class_that_cannot_be_made_is_refused(command: Command, tmp_path: Path, new_program: Command) -> None:
    broken = "class Broken(Desk):\n    def __init__(self):\n        raise OSError('no such thing')\n"
    ran = command("compile", f"{new_program(tmp_path, broken)}:Broken", "--dry-run")
    assert ran.code == 3 and "failed: found OSError: no such thing" in ran.err


def test_a_program_file_may_import_what_lies_beside_it(command: Command, tmp_path: Path, new_program: Command) -> None:
    (tmp_path / "words_of_mine.py").write_text("MODEL = 'offline'\n", encoding="utf-8")
    path = new_program(tmp_path, "import words_of_mine\nlm = words_of_mine.MODEL\n")
    assert command("compile", path, "--dry-run").code == 0


def test_a_program_file_does_not_take_the_place_of_a_library(
    command: Command, tmp_path: Path, new_program: Command
) -> None:
    path = new_program(tmp_path, 'lm = "offline"\n')
    text = path.read_text(encoding="utf-8")
    (tmp_path / "statistics.py").write_text(text, encoding="utf-8")
    assert command("compile", tmp_path / "statistics.py", "--dry-run").code == 0
    import statistics

    assert statistics.mean([1, 3]) == 2


def test_the_model_is_the_options_the_files_or_the_environments(
    command: Command, tmp_path: Path, new_program: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_program(tmp_path, "")
    ran = command("compile", path, "--dry-run")
    assert ran.code == 3 and "there is no language model" in ran.err
    monkeypatch.setenv("FUSIONPROG_LM", "offline")
    assert "on offline" in command("compile", path, "--dry-run").out
    path = new_program(tmp_path, "lm = Logged()\n")
    assert "on logged" in command("compile", path, "--dry-run").out
    assert "on offline" in command("compile", path, "--dry-run", "--lm", "offline").out


def test_an_option_goes_before_the_files_budget(command: Command, desk: Path) -> None:
    assert command("compile", desk / "program.py", "--dry-run", "--json").data["calls"] == 260
    assert command("compile", desk / "program.py", "--dry-run", "--json", "--max-calls", "300").data["calls"] == 300
    tokens = command("compile", desk / "program.py", "--dry-run", "--json", "--max-tokens", "100000").data
    assert tokens["calls"] < 260 and json.dumps(tokens)


def test_a_compile_starts_from_what_another_one_knows(command: Command, tmp_path: Path, desk: Path) -> None:
    arguments = ("compile", desk / "program.py", "--max-calls", "260", "--seed", "1")
    ran = command(*arguments, "-o", tmp_path / "next.json", "--prior", desk / "desk.json")
    assert ran.code == 0, ran.err
    made, known = fp.load(tmp_path / "next.json"), fp.load(desk / "desk.json")
    assert [parent.hash for parent in made.record.lineage.parents] == [known.content_hash]
    assert made.record.learned is not None and "all tasks" in made.record.learned.sources
    ran = command(*arguments, "-o", tmp_path / "x.json", "--prior", tmp_path / "gone.json")
    assert ran.code == 3 and "gone.json" in ran.err and not (tmp_path / "x.db").exists()
