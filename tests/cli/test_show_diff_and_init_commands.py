"""``fusionprog show``, ``diff`` and ``init``, and what all commands have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

import fusionprog as fp
from fusionprog.artifacts.text import content_hash, to_text
from fusionprog.cli.main import cli
from fusionprog.cli.summary import comparison_text, summary_lines
from fusionprog.evaluation.statistics import compare
from fusionprog.runtime.record import FrontPoint

Command = Callable[..., Any]
COMMANDS = [
    *"adapt compile diff eval init label merge migrate pull push registry run show store".split(),
    "transfer-matrix",
]
OPTIONS = {
    "adapt": "-o --trials --probes --max-calls --max-usd --max-tokens --max-time --yes --joint --tolerance --lm "
    "--recode -j --rpm --tpm --timeout --retries --fresh --task --limit --storage --seed --module --program --dry-run "
    "--json",
    "compile": "--lm --objective --prior --trials --max-calls --max-usd --max-tokens --max-time -j --task --limit "
    "--storage --seed --fresh --dry-run --yes --json -o",
    "run": "--task --input -o --lm --module --program --json",
    "eval": "--task --data --metric --lm --module --program --fail-under --json",
    "show": "--task --node --prompt --effects --json",
    "diff": "--exit-code --json",
    "init": "--json",
    "label": "--json",
    "merge": "--base --registry -o --json",
    "migrate": "-o --in-place --json",
    "pull": "-o --json",
    "push": "--name --label --json",
    "registry": "--json",
    "store": "",
    "transfer-matrix": "--rows --max-calls --yes --lm -j --rpm --tpm --timeout --retries --fresh --task --limit "
    "--storage --dry-run --json",
}


# All commands.


def test_the_help_lists_the_commands_and_the_exit_codes(command: Command) -> None:
    ran = command("--help")
    assert ran.code == 0 and ran.err == ""
    assert [line.split()[0] for line in ran.out.partition("Commands:\n")[2].splitlines()[: len(COMMANDS)]] == COMMANDS
    for code in (0, 1, 2, 3, 130):
        assert re.search(rf"^ *{code}  +\w", ran.out, re.MULTILINE)
    assert command("-h").out == ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_explains_every_option(command: Command, name: str) -> None:
    ran = command(name, "--help")
    assert ran.code == 0 and ran.err == ""
    for option in OPTIONS[name].split():
        assert re.search(rf"(^|[\s,]){option}\b", ran.out), option
    made = cli.commands[name]
    for parameter in made.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.name == "seed", parameter.name
    assert command(name, "-h").out == ran.out


def test_the_version(command: Command) -> None:
    assert command("--version").out == f"fusionprog, version {fp.__version__}\n"


@pytest.mark.parametrize("line", [(), ("compil",), ("--nope",), ("show",), ("diff", "one.json")])
def test_a_wrong_command_line_says_how_it_is_used(command: Command, line: tuple[str, ...]) -> None:
    ran = command(*line)
    assert ran.code == 2 and "Usage: fusionprog" in ran.err and ran.out == ""


# show


def test_show_has_scores_and_a_table_for_every_node(command: Command, desk: Path) -> None:
    ran = command("show", desk / "desk.json")
    assert ran.code == 0 and ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0] == "Desk: triage"
    assert [line.split()[0] for line in lines[1:3]] == ["shop", "bank"]
    record = fp.load(desk / "desk.json").record
    assert [line.strip() for line in lines[1:3]] == summary_lines(record)[:2]
    assert "shop · triage (format " in ran.out and "bank · triage (format " in ran.out
    assert re.search(r"role .*│ must +│ +1 │", ran.out)


def test_show_tells_what_is_decided_in_every_call(command: Command, desk: Path, tmp_path: Path) -> None:
    data = json.loads((desk / "desk.json").read_text("utf-8"))
    data["program"]["inputs"].append({"name": "known", "type": {"type": "boolean"}, "default": {"value": False}})
    sides = {"then": {"field": "triage.team"}, "otherwise": {"constant": "[bold]nobody " + "at all " * 12}}
    data["program"]["outputs"]["sure"] = {"when": {"input": "known"}, **sides}
    path = tmp_path / "guarded.json"
    path.write_text(to_text({**data, "hash": content_hash(data)}), encoding="utf-8")

    ran = command("show", path)
    assert ran.code == 0 and ran.err == ""
    assert ran.out.splitlines()[:2] == [
        "Desk: triage",
        f"sure = triage.team if known else {sides['otherwise']['constant']!r}",
    ]


def test_show_of_a_task_and_a_node(command: Command, desk: Path) -> None:
    ran = command("show", desk / "desk.json", "--task", "bank", "--node", "triage")
    assert ran.code == 0 and "bank · triage" in ran.out and "shop" not in ran.out
    for arguments in (
        ("--task", "bnk"),
        ("--node", "triag"),
        ("--node", "triag", "--prompt"),
        ("--node", "x", "--json"),
    ):
        ran = command("show", desk / "desk.json", *arguments)
        assert ran.code == 3 and ran.err.startswith("error: ") and ran.out == ""


def test_show_says_what_the_tasks_counted_and_what_was_refused_and_traded_off(
    command: Command, desk: Path, tmp_path: Path
) -> None:
    plain = command("show", desk / "desk.json")
    assert "task weights" not in plain.out and "traded off" not in plain.out
    program = fp.load(desk / "desk.json")
    program.record = replace(
        program.record,
        weights={"shop": 1.25, "bank": 0.75},
        refused=("mean gain +0.100 ± 0.090 on confirmation: not proven, it may be -0.050",),
        front=(
            FrontPoint("0123456789abcdef", 0.8, 0.05, 1234.4, 0.0125, 40.0, True),
            FrontPoint("as written", 0.5, 0.06, 300.0, None, 40.0, False),
        ),
    )
    program.save(tmp_path / "desk.json")
    out = command("show", tmp_path / "desk.json").out
    assert "task weights at the end: shop 1.25, bank 0.75\n" in out
    assert "refused: mean gain +0.100 ± 0.090 on confirmation: not proven, it may be -0.050\n" in out
    assert re.search(r"01234567 +│ 0\.800 ± 0\.050 │ +1,234 │ 0\.012500 │ +40 │ yes", out)
    assert re.search(r"as written +│ 0\.500 ± 0\.060 │ +300 │ +│ +40 │", out)
    data = command("show", tmp_path / "desk.json", "--json").data
    assert data["compile"]["weights"] == {"shop": 1.25, "bank": 0.75} and len(data["compile"]["front"]) == 2
    assert "traded off" not in command("show", tmp_path / "desk.json", "--task", "bank").out


def test_show_prompt_tags_each_line_with_its_item(command: Command, desk: Path) -> None:
    ran = command("show", desk / "desk.json", "--task", "shop", "--prompt")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "shop · triage · system"
    assert any(re.fullmatch(r"must +│ +Be fair\.", line) for line in lines)
    assert lines.count("shop · triage · user") >= 1
    program = fp.load(desk / "desk.json")
    shown = [line.partition("│ ")[2] for line in lines if "│" in line]
    sent = [line for message in program.prompt("shop", node="triage") for line in message["content"].splitlines()]
    assert shown == sent


def test_show_prompt_as_json(command: Command, desk: Path) -> None:
    data = command("show", desk / "desk.json", "--prompt", "--json").data
    assert [(each["task"], each["node"]) for each in data] == [("shop", "triage"), ("bank", "triage")]
    program = fp.load(desk / "desk.json")
    for each in data:
        messages = program.prompt(each["task"], node="triage")
        assert [message["role"] for message in each["messages"]] == [message["role"] for message in messages]
        for found, message in zip(each["messages"], messages, strict=True):
            assert [line["text"] for line in found["lines"]] == message["content"].splitlines()
    items = {line["item"] for each in data for message in each["messages"] for line in message["lines"]}
    assert {"must", None} <= items


def test_show_as_json_has_scores_compile_and_mixtures(command: Command, desk: Path) -> None:
    data = command("show", desk / "desk.json", "--json").data
    parts = {"scores", "compile", "mixtures", "settings", "choices", "pairs", "learned", "interference", "break_even"}
    assert set(data) == {"hash", "lineage", *parts}
    assert data["hash"] == json.loads((desk / "desk.json").read_text(encoding="utf-8"))["hash"]
    assert set(data["scores"]) == set(data["mixtures"]) == {"shop", "bank"}
    one = command("show", desk / "desk.json", "--task", "bank", "--json").data
    assert set(one["mixtures"]) == {"bank"} and one["mixtures"]["bank"] == data["mixtures"]["bank"]


# diff


@pytest.fixture(scope="session")
def other(desk: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program, compiled for one task with another seed."""
    path: Path = tmp_path_factory.mktemp("other") / "other.json"
    assert command("compile", desk / "program.py", "-o", path, "--trials", "2", "--seed", "3").code == 0
    return path


def test_equal_artifacts_have_no_differences(command: Command, desk: Path) -> None:
    ran = command("diff", desk / "desk.json", desk / "desk.json", "--exit-code")
    assert (ran.code, ran.out, ran.err) == (0, "no differences\n", "")
    assert command("diff", desk / "desk.json", desk / "desk.json", "--json").data == []


def test_differences_are_listed_by_part(command: Command, desk: Path, other: Path) -> None:
    ran = command("diff", desk / "desk.json", other)
    assert ran.code == 0
    lines = ran.out.splitlines()
    parts = [line for line in lines if not line.startswith(" ")]
    assert (
        set(parts) <= {"structure", "models", "texts", "weights", "scores", "learned", "compile"} and "compile" in parts
    )
    place = lines.index("  compile.seed")
    assert lines[place + 1 : place + 3] == ["    - 0", "    + 3"]
    assert command("diff", desk / "desk.json", other, "--exit-code").code == 1


def test_differences_as_json(command: Command, desk: Path, other: Path) -> None:
    ran = command("diff", desk / "desk.json", other, "--json", "--exit-code")
    assert ran.code == 1
    (seed,) = [each for each in ran.data if each["path"] == "compile.seed"]
    assert seed == {"part": "compile", "path": "compile.seed", "before": 0, "after": 3, "words": []}


def test_labels_that_differ_are_listed_in_words(command: Command, desk: Path, tmp_path: Path) -> None:
    data = json.loads((desk / "desk.json").read_text(encoding="utf-8"))
    data["tasks"]["shop"]["signatures"]["triage"]["outputs"][0]["type"]["enum"][0] = "money"
    data["hash"] = content_hash(data)
    (tmp_path / "other.json").write_text(json.dumps(data), encoding="utf-8")
    ran = command("diff", desk / "desk.json", tmp_path / "other.json")
    assert ran.out.splitlines() == [
        "structure",
        "  tasks.shop.signatures.triage.outputs.team.type",
        "    label 'money' is new",
        "    label 'billing' is gone",
    ]


def test_diff_needs_two_artifacts(command: Command, desk: Path, tmp_path: Path) -> None:
    ran = command("diff", desk / "desk.json", tmp_path / "gone.json")
    assert ran.code == 3 and "gone.json" in ran.err and ran.out == ""


# init


def test_init_writes_a_program_that_compiles_and_runs(command: Command, tmp_path: Path) -> None:
    ran = command("init", tmp_path / "mine")
    program = tmp_path / "mine" / "program.py"
    assert ran.code == 0 and ran.err == ""
    assert ran.out.splitlines()[0] == f"wrote {program}; compile it with:"
    line = ran.out.splitlines()[1].split()
    assert line[:2] == ["fusionprog", "compile"]
    compiled = command(*line[1:], "--trials", "4", "--max-calls", "400")
    assert compiled.code == 0, compiled.err
    artifact = tmp_path / "mine" / "program.json"
    assert command("run", artifact, "--task", "phone", "review=The battery is dead by noon.").code == 0


def test_init_refuses_a_folder_that_is_not_empty(command: Command, tmp_path: Path) -> None:
    assert command("init", tmp_path / "mine").code == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")}
    ran = command("init", tmp_path / "mine")
    assert ran.code == 2 and "is not empty; name a new folder" in ran.err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")} == before


def test_init_takes_an_empty_folder_and_no_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = command("init", tmp_path / "empty", "--json")
    assert ran.code == 0 and Path(ran.data["program"]).is_file()
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert command("init", tmp_path / "file").code == 2
    ran = command("init", tmp_path / "file" / "below")
    assert ran.code == 3 and ran.err.startswith("error: ")


# The summary.


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ([0.0, 1.0] * 30, [1.0, 1.0] * 30, ".50→1.00 (+.50 ± .07, n=60)"),
        ([1.0, 1.0], [1.0, 0.0], "1.00→.50 (-.50 ± .50, n=2)"),
        ([0.5] * 4, [0.5] * 4, ".50→.50 (+.00 ± .00, n=4)"),
        ([40.0] * 4, [50.3] * 4, "40.00→50.30 (+10.30 ± .00, n=4)"),
        ([0.0, 0.0], [-0.002, -0.002], ".00→.00 (+.00 ± .00, n=2)"),
    ],
)
def test_a_comparison_is_short(before: list[float], after: list[float], text: str) -> None:
    assert comparison_text(compare(before, after)) == text


def test_the_summary_says_when_nothing_was_better(command: Command, desk: Path) -> None:
    record = fp.load(desk / "desk.json").record
    assert summary_lines(record)[-1] == (record.notes[-1] if record.improved else "nothing beat your program")
    assert json.dumps(summary_lines(record))


# texts of a file on the terminal


def test_texts_of_a_file_are_shown_and_do_nothing(command: Command, desk: Path, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> [/b] [link=x]y[/link] \x1b]0;owned\x07\x9b31m \u202eback"
    seen = r"<script>alert(1)</script> [/b] [link=x]y[/link] \x1b]0;owned\x07\x9b31m \u202eback"
    data = json.loads((desk / "desk.json").read_text(encoding="utf-8"))
    data["program"]["name"] = hostile
    data["compile"]["refused"] = [hostile]
    must = next(each for each in data["pool"] if each["id"] == "must")
    must["text"] = [hostile]
    parent = {"hash": "0" * 32, "program": hostile, "kind": "adapt", "change": hostile}
    data["lineage"] = {"parents": [parent]}
    point = {"program": hostile, "quality": 1.0, "se": 0.0, "tokens": 1.0, "usd": None, "latency": 1.0, "chosen": True}
    data["compile"]["front"] = [point]
    path = tmp_path / "hostile.json"
    path.write_text(to_text({**data, "hash": content_hash(data)}), encoding="utf-8")
    assert command("push", path, tmp_path / "registry").code == 0
    for line in (
        ("show", path),
        ("show", path, "--prompt"),
        ("diff", desk / "desk.json", path),
        ("registry", tmp_path / "registry", "hostile"),
    ):
        ran = command(*line)
        assert ran.code == 0, ran.err
        assert not set("\x1b\x07\x9b\u202e") & set(ran.out), line
    for line in (("show", path), ("diff", desk / "desk.json", path)):
        assert seen in command(*line).out
