"""``fusionprog adapt`` and ``transfer-matrix``, and what ``show`` says of their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.cli.pairs import pair_lines, pairs_of
from fusionprog.cli.summary import sources_text
from fusionprog.runtime.record import Adapted

Command = Callable[..., Any]

INN = """
WORDS = {"rooms": ["pillow", "key", "bath"], "kitchen": ["soup", "table", "breakfast"]}

def rows(split, count):
    return [
        {"message": f"{split} {index}: about the {words[index % 3]} here", "team": team}
        for team, words in WORDS.items() for index in range(count)
    ]

inn = fp.Task("inn", description="Messages to an inn.", labels={"triage.team": list(WORDS)}, train=rows("train", 3),
              val=rows("val", 21), test=rows("test", 6), metric=fp.metrics.exact_match("team"))
"""
TASKS = "import fusionprog as fp\n" + INN + "tasks = [inn]\n"


@pytest.fixture
def inn(tmp_path: Path) -> Path:
    """A file with one new task."""
    path = tmp_path / "inn.py"
    path.write_text(TASKS, encoding="utf-8")
    return path


def test_by_its_embedding_alone_a_task_is_added_without_a_call(
    command: Command, desk: Path, inn: Path, tmp_path: Path
) -> None:
    out = tmp_path / "three.json"
    ran = command("adapt", desk / "desk.json", inn, "-o", out, "--trials", "0")
    assert ran.code == 0, ran.err
    line, last = ran.out.splitlines()
    assert line.startswith("inn   zero-shot, expected ") and line.endswith(", not measured")
    assert last == f"wrote {out}" and not (tmp_path / "three.db").exists()
    assert list(fp.load(out).tasks) == ["shop", "bank", "inn"]
    assert line in command("show", out).out.splitlines()
    assert "made by adapt from Desk" in command("show", out).out
    differences = command("diff", desk / "desk.json", out).out.splitlines()
    assert differences[:3] == ["structure", "  tasks.inn", "    + domain: inn"]
    assert not any(line.startswith("  tasks.shop") for line in differences)


def test_a_search_says_what_it_found_and_continues(command: Command, desk: Path, inn: Path, tmp_path: Path) -> None:
    arguments = ("adapt", desk / "desk.json", inn, "-o", tmp_path / "three.json", "--max-calls", "150")
    ran = command(*arguments)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].startswith("inn   test .") and "; warm-started, expected " in lines[0]
    assert lines[1].startswith("      of what was known there held: ") and "%" in lines[1]
    assert not any(line.startswith("shop") for line in lines)
    assert lines[-1] == f"wrote {tmp_path / 'three.json'} (measurements in {tmp_path / 'three.db'})"
    assert lines[0] in command("show", tmp_path / "three.json").out.splitlines()
    before = (tmp_path / "three.json").read_bytes()
    again = command(*arguments, "--json").data
    assert again["paid"]["calls"] == 0 and again["added"] == ["inn"] and again["spent"]["calls"] <= 150
    assert again["tasks"]["inn"]["adapted"]["rung"] == "warm-started"
    assert (tmp_path / "three.json").read_bytes() == before


def test_on_the_code_as_it_is_now(command: Command, tmp_path: Path, desk: Path, inn: Path) -> None:
    arguments = ("adapt", desk / "desk.json", desk / "program.py", "-o", tmp_path / "same.json", "--recode")
    ran = command(*arguments, "--max-calls", "300")
    assert ran.code == 0, ran.err
    same = fp.load(tmp_path / "same.json")
    assert same.record.lineage.parents[0].change == "other models or code at no node"
    assert same.prompt("shop", node="triage") == fp.load(desk / "desk.json").prompt("shop", node="triage")
    ran = command("adapt", desk / "desk.json", inn, "-o", tmp_path / "x.json", "--recode")
    assert ran.code == 2 and "defines no program" in ran.err


def test_tasks_that_are_there_already_are_left_out(
    command: Command, tmp_path: Path, desk: Path, new_program: Command
) -> None:
    program = new_program(tmp_path, INN + "tasks += [inn]\n")
    arguments = ("adapt", desk / "desk.json", program, "-o", tmp_path / "x.json", "--trials", "0")
    ran = command(*arguments)
    assert ran.code == 0 and "note: left out, as the program has them: shop, bank" in ran.err
    assert list(fp.load(tmp_path / "x.json").tasks) == ["shop", "bank", "inn"]
    for more, said in (
        (("--task", "shop"), "has a task 'shop' already"),
        (("--task", "in"), "there is no task 'in'. Did you mean 'inn'"),
        (("--max-calls", "9"), "Pass one of them"),
    ):
        ran = command(*arguments, *more)
        assert ran.code == 3 and said in ran.err and ran.out == ""
    ran = command("adapt", desk / "desk.json", desk / "program.py", "-o", tmp_path / "y.json", "--trials", "0")
    assert ran.code == 3 and "the program has all of these tasks" in ran.err
    ran = command("adapt", desk / "desk.json", program, "-o", tmp_path / "gone" / "y.json", "--trials", "0")
    assert ran.code == 2 and "There is no folder" in ran.err


def test_all_tasks_together_and_on_another_model(
    command: Command, tmp_path: Path, desk: Path, new_program: Command
) -> None:
    program = new_program(tmp_path, INN + "tasks += [inn]\n")
    arguments = ("adapt", desk / "desk.json", program, "-o", tmp_path / "x.json", "--trials", "3")
    ran = command(*arguments, "--joint", "--limit", "18")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines[:6:2]] == ["shop", "bank", "inn"]
    assert all("against its prompts of before: " in line for line in lines[1:6:2])
    (grown,) = [line for line in lines if line.startswith("grown: average score ")]
    assert grown in command("show", tmp_path / "x.json").out.splitlines()
    ran = command(*arguments, "--lm", "offline")  # which is its own: nothing changes
    assert ran.code == 0 and "note: left out, as the program has none of them: inn" in ran.err
    assert command(*arguments, "--lm", "offline", "--task", "inn").code == 3


@pytest.fixture
def paid(command: Command, tmp_path: Path, new_program: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program file with one more task than ``desk.json`` beside it has, on a model that now costs money."""
    program: Path = new_program(tmp_path, "lm = Logged()\n" + INN + "tasks += [inn]\n")
    assert command("compile", program, "-o", tmp_path / "desk.json", "--task", "shop", "--trials", "2").code == 0
    monkeypatch.setenv("PAID", "1")
    return program


def test_a_paid_model_is_asked_only_under_a_cap_or_with_consent(command: Command, tmp_path: Path, paid: Path) -> None:
    program, desk = paid, tmp_path / "desk.json"
    asked = (tmp_path / "calls.log").read_bytes()
    arguments = ("adapt", desk, program, "-o", tmp_path / "x.json", "--task", "inn")
    ran = command(*arguments)
    assert ran.code == 2 and "This model is paid and there is no cap." in ran.err
    ran = command(*arguments, terminal=True, stdin="n\n")
    assert ran.code == 130 and "searched: triage with " in ran.err and " for 1 task on logged" in ran.err
    assert " calls and 24 for the test report: about " in ran.err
    ran = command("transfer-matrix", desk, program, "--task", "inn", "--rows", "10")
    assert ran.code == 2 and "This model is paid and there is no cap." in ran.err
    ran = command("transfer-matrix", desk, program, "--task", "inn", "--rows", "10", "--max-calls", "19")
    assert ran.code == 2 and "It takes at most 20 calls: about " in ran.err
    assert command(*arguments, "--trials", "0").code == 0
    assert (tmp_path / "calls.log").read_bytes() == asked
    assert command("transfer-matrix", desk, program, "--task", "inn", "--rows", "10", "--max-calls", "20").code == 0
    assert command(*arguments, "--max-calls", "150").code == 0
    assert (tmp_path / "calls.log").read_bytes() != asked


def test_a_dry_run_of_adapt_asks_nothing_and_writes_nothing(command: Command, tmp_path: Path, paid: Path) -> None:
    program, desk = paid, tmp_path / "desk.json"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    arguments = ("adapt", desk, program, "--task", "inn", "--dry-run")
    ran = command(*arguments)  # needs neither a cap nor a place to write to
    assert ran.code == 0, ran.err
    assert "searched: triage with " in ran.out and " for 1 task on logged" in ran.out
    planned = command(*arguments, "--max-calls", "150", "-o", tmp_path / "x.json", "--json").data
    assert planned["calls"] == 150 and planned["test_calls"] == 24 and planned["tokens"] > 0
    shown = command("adapt", desk, program, "--task", "shop", "--task", "inn", "--joint", "--dry-run").out
    assert " for 2 tasks on logged" in shown
    assert command(*arguments, "--trials", "0").out == "no model would be asked\n"
    assert command(*arguments, "--trials", "0", "--json").data["calls"] == 0
    assert command("adapt", desk, program, "--task", "inn").code == 2  # without a place to write to
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_the_matrix_is_a_table_or_json(command: Command, desk: Path, inn: Path) -> None:
    ran = command("transfer-matrix", desk / "desk.json", inn, "--rows", "12")
    assert ran.code == 0 and "at most 48 calls" in ran.err
    rows = [line.strip("│ ").split("│") for line in ran.out.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["shop", "bank", "all tasks"]
    assert all(" ± " in row[1] for row in rows)
    data = command("transfer-matrix", desk / "desk.json", inn, "--rows", "12", "--json").data
    assert set(data) == {"gains", "alarms", "calls", "notes", "paid"}
    entry = data["gains"]["all tasks"]["inn"]
    assert entry["n"] == 12 and entry["gain"] == pytest.approx(entry["after"] - entry["before"])
    ran = command("transfer-matrix", desk / "desk.json", desk / "none.py")
    assert ran.code == 3 and "no program file" in ran.err
    assert command("transfer-matrix", inn).code == 2


def test_a_dry_run_of_the_matrix_says_what_it_would_take(command: Command, desk: Path, inn: Path) -> None:
    arguments = ("transfer-matrix", desk / "desk.json", inn, "--rows", "12", "--dry-run")
    ran = command(*arguments)
    assert ran.code == 0 and ran.out.splitlines()[-1].startswith("at most 48 calls")
    assert "│" not in ran.out
    assert command(*arguments, "--json").data["calls"] == 48
    assert command(*arguments, "--max-calls", "47").code == 2


def test_what_held_and_pairs_are_shown(desk: Path) -> None:
    held = Adapted("probed", 0.1, 0.05, {"all tasks": 0.604, "shop": 0.3, "bank": 0.001, "": 0.095})
    assert sources_text(held) == "of what was known there held: all tasks 60%, shop 30%, nothing known 10%"
    program = fp.load(desk / "desk.json")
    facets = program.tasks["shop"].mixtures["triage"].facets.values()
    one, other, *_ = sorted(each.id for mine in facets for each in mine if each.amount)
    own = replace(program.schedule, pairs={"triage": {"short": {"gone": -0.02}}})
    pairs = {"triage": {"short": {"gone": 0.1}, other: {one: 0.034}}}
    program.schedule = replace(program.schedule, pairs=pairs, by_task={"bank": own})
    nodes = [(task, "triage") for task in program.tasks]
    assert pair_lines(pairs_of(program, nodes), 2, full=False) == [
        "pairs at triage: what both do beyond the sum of their effects (● used)",
        "  gone + short +.10 in shop",
        f"  {one} + {other} +.03 in shop ●",
        "  gone + short -.02 in bank",
    ]
