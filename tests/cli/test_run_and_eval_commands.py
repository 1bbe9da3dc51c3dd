"""``fusionprog run`` and ``fusionprog eval``."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
import fusionprog.cli.main as main_module
from fusionprog.store.store import Store

Command = Callable[..., Any]
TEAMS = {"billing", "delivery", "returns"}


def rows_file(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled program with inputs that are no text, of one task."""

    class Count(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.pick = fp.modules.Predict("note: str, words: list[str], most: int -> word: str")

        def forward(self, note: str, words: list[str], most: int) -> Any:
            return {"word": self.pick(note=note, words=words, most=most).word}

    rows = [{"note": f"note {n}", "words": ["a", "b"], "most": n, "word": "a"} for n in range(60)]
    task = fp.Task("count", train=rows[:8], val=rows[8:], metric=fp.metrics.exact_match("word"))
    pool = fp.PromptPool([fp.Fragment("short", "Be brief.", facet="constraint")])
    folder = tmp_path_factory.mktemp("typed")
    fp.compile(Count(), [task], pool=pool, lm="offline", trials=1, budget=fp.Budget(calls=120), progress=False).save(
        folder / "count.json"
    )
    return folder / "count.json"


# run, one input


def test_run_prints_the_outputs(command: Command, desk: Path) -> None:
    ran = command("run", desk / "desk.json", "--task", "shop", "message=about the parcel here")
    assert (ran.code, ran.err) == (0, "")
    name, value = ran.out.strip().split(": ")
    assert name == "team" and value in TEAMS
    as_json = command("run", desk / "desk.json", "--task", "shop", "message=about the parcel here", "--json")
    assert as_json.data == {"team": value}


def test_a_program_file_beside_the_artifact_is_compared(command: Command, desk: Path, tmp_path: Path) -> None:
    line = ("run", desk / "desk.json", "--task", "shop", "message=about the parcel here", "--program")
    assert command(*line, desk / "program.py").code == 0
    other = (desk / "program.py").read_text(encoding="utf-8").replace('"billing", "delivery"', '"money", "delivery"')
    (tmp_path / "program.py").write_text(other, encoding="utf-8")
    ran = command(*line, tmp_path / "program.py")
    assert ran.code == 3
    assert "task shop, triage.team: label 'money' is new; task shop, triage.team: label 'billing' is gone" in ran.err


def test_a_value_may_hold_an_equals_sign_and_text_stays_text(command: Command, typed: Path) -> None:
    given = ("note=1=one", 'words=["x", "y"]', "most=3")
    assert command("run", typed, *given, "--json").code == 0  # the only task need not be named
    assert command("run", typed, "note=7", 'words=["x"]', "most=3", "--json").code == 0  # no number


def test_a_value_of_the_wrong_type_is_refused(command: Command, typed: Path) -> None:
    ran = command("run", typed, "note=x", "words=x", "most=3")
    assert ran.code == 3 and "words" in ran.err and ran.out == ""


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ((), "Give either inputs"),
        (("message",), "'message' is no input; write name=value."),
        (("=x",), "'=x' is no input"),
        (("message=a", "message=b"), "The input 'message' is given twice."),
        (("message=a", "--input", "ROWS"), "Give either inputs"),
        (("message=a", "-o", "out.jsonl"), "-o is for the rows of --input"),
        (("--input", "gone.jsonl"), "does not exist"),
        (("--input", "ROWS", "-o", "gone/out.jsonl"), "There is no folder"),
        (("--inputs", "x"), "No such option"),
    ],
)
def test_a_wrong_command_line_ends_with_2(
    command: Command, desk: Path, tmp_path: Path, inputs: tuple[str, ...], said: str
) -> None:
    rows = str(rows_file(tmp_path, {"message": "x"}))
    given = [rows if each == "ROWS" else each for each in inputs]
    ran = command("run", desk / "desk.json", "--task", "shop", *given)
    assert ran.code == 2 and said in ran.err and ran.out == ""


def test_rows_replace_no_store(command: Command, desk: Path, tmp_path: Path) -> None:
    rows, store = rows_file(tmp_path, {"message": "x"}), tmp_path / "desk.db"
    asked = ("run", desk / "desk.json", "--task", "shop", "--input", rows, "-o", store)
    ran = command(*asked, "--storage", store)
    assert ran.code == 2 and "would be one file" in ran.err and not store.exists()
    Store(store).close()
    ran = command(*asked)
    assert ran.code == 2 and "is a database" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--task", "shopp", "message=x"), "'shop'"),
        (("message=x",), "'bank', 'shop'"),
        (("--task", "shop", "mesage=x"), "mesage"),
    ],
)
def test_what_does_not_fit_the_program_ends_with_3(
    command: Command, desk: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = command("run", desk / "desk.json", *arguments)
    assert ran.code == 3 and ran.err.startswith("error: ") and said in ran.err and ran.out == ""


@pytest.mark.parametrize("kind", ["missing", "text", "other json", "edited", "folder"])
@pytest.mark.parametrize("line", [("run", "--task", "shop", "message=x"), ("show",), ("eval", "--data", "x.jsonl")])
def test_a_file_that_is_no_artifact_ends_with_3(
    command: Command, desk: Path, tmp_path: Path, kind: str, line: tuple[str, ...]
) -> None:
    path = tmp_path / "bad.json"
    text = (desk / "desk.json").read_text(encoding="utf-8")
    texts = {"text": "hello", "other json": "{}", "edited": text.replace("Be fair.", "Be unfair.")}
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text(texts[kind], encoding="utf-8")
    ran = command(line[0], path, *line[1:])
    assert ran.code == 3 and ran.err.startswith("error: ") and "bad.json" in ran.err and ran.out == ""


# run, rows


def test_rows_are_run_in_their_order(command: Command, desk: Path, tmp_path: Path) -> None:
    rows = [{"message": f"about the {word} here", "id": n} for n, word in enumerate(("parcel", "refund", "invoice"))]
    out = tmp_path / "out.jsonl"
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", rows_file(tmp_path, *rows), "-o", out)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    made = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in made] == [0, 1, 2]
    assert all(set(row) == {"message", "id", "team"} and row["team"] in TEAMS for row in made)
    printed = command("run", desk / "desk.json", "--task", "shop", "--input", tmp_path / "rows.jsonl")
    assert printed.out == out.read_text(encoding="utf-8")


def test_a_bad_row_gets_an_error_and_the_others_are_there(command: Command, desk: Path, tmp_path: Path) -> None:
    rows = [{"message": "about the parcel here"}, {"text": "no message"}, {"message": "about the refund here"}]
    out = tmp_path / "out.jsonl"
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", rows_file(tmp_path, *rows), "-o", out)
    assert ran.code == 3 and "1 rows failed; they have an 'error'" in ran.err
    made = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [set(row) for row in made] == [{"message", "team"}, {"text", "error"}, {"message", "team"}]
    assert "message" in made[1]["error"]


def test_a_column_called_error_is_no_failure(command: Command, desk: Path, tmp_path: Path) -> None:
    rows = rows_file(tmp_path, {"message": "about the parcel here", "error": "none"})
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", rows)
    assert ran.code == 0 and json.loads(ran.out)["team"] in TEAMS


def test_rows_as_json_are_one_document(command: Command, desk: Path, tmp_path: Path) -> None:
    rows = rows_file(tmp_path, {"message": "about the parcel here"}, {"text": "x"})
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", rows, "--json")
    assert ran.code == 3
    assert (ran.data["rows"], ran.data["failed"], len(ran.data["output"])) == (2, 1, 2)
    out = tmp_path / "out.jsonl"
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", rows, "-o", out, "--json")
    assert ran.data == {"rows": 2, "failed": 1, "output": str(out)}
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2


def test_csv_rows_and_rows_of_nothing(command: Command, desk: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("message,id\nabout the parcel here,7\n", encoding="utf-8")
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", table)
    assert ran.code == 0 and json.loads(ran.out)["id"] == "7"
    empty, out = rows_file(tmp_path, name="none.jsonl"), tmp_path / "out.jsonl"
    assert command("run", desk / "desk.json", "--task", "shop", "--input", empty, "-o", out).code == 0
    assert out.read_text(encoding="utf-8") == ""


def test_rows_that_cannot_be_read_end_with_3(command: Command, desk: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{\n", encoding="utf-8")
    ran = command("run", desk / "desk.json", "--task", "shop", "--input", broken)
    assert ran.code == 3 and "line 1 is no JSON" in ran.err
    ran = command("run", desk / "desk.json", "--task", "nope", "--input", rows_file(tmp_path, {"message": "x"}))
    assert ran.code == 3 and "nope" in ran.err


def test_another_model_is_warned_of(
    command: Command, tmp_path: Path, new_program: Command, endings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = new_program(tmp_path, endings["logged"])
    assert command("compile", program, "-o", tmp_path / "d.json", "--trials", "1").code == 0
    ran = command("run", tmp_path / "d.json", "--task", "shop", "message=about the parcel here")
    assert ran.code == 3 and "compiled on 'logged'" in ran.err  # its engine is the author's own code
    ran = command("run", tmp_path / "d.json", "--task", "shop", "message=about the parcel here", "--lm", "offline")
    assert ran.code == 0 and ran.out.startswith("team: ")


# eval


def test_eval_prints_mean_error_and_rows(command: Command, desk: Path) -> None:
    data = desk / "shop-test.jsonl"
    ran = command("eval", desk / "desk.json", "--task", "shop", "--data", data)
    assert ran.code == 0 and ran.err == ""
    found = command("eval", desk / "desk.json", "--task", "shop", "--data", data, "--json").data
    assert set(found) == {"task", "mean", "se", "n", "failed"}
    assert (found["task"], found["n"], found["failed"]) == ("shop", 18, {})
    assert ran.out == f"shop: {found['mean']:.3f} ± {found['se']:.3f} (n=18)\n"
    record = fp.load(desk / "desk.json").record.tasks["shop"].test
    assert record is not None and found["mean"] == pytest.approx(record.after.mean, abs=1e-6)


def test_fail_under_is_the_answer_no(command: Command, desk: Path) -> None:
    line = ("eval", desk / "desk.json", "--task", "shop", "--data", desk / "shop-test.jsonl", "--json")
    mean = command(*line).data["mean"]
    assert 0 < mean
    assert command(*line, "--fail-under", mean).code == 0
    ran = command(*line, "--fail-under", mean + 0.001)
    assert ran.code == 1 and ran.data["mean"] == mean
    assert ran.err.startswith("below ")


def test_another_metric_is_taken_from_a_file(command: Command, desk: Path) -> None:
    line = ("eval", desk / "desk.json", "--task", "shop", "--data", desk / "shop-test.jsonl", "--json")
    found = command(*line, "--metric", f"{desk / 'program.py'}:length").data
    assert 0.7 <= found["mean"] <= 0.8  # letters of the teams, by ten
    for reference, said in (
        ("length", "'length' names nothing: expected FILE.py:name"),
        (f"{desk / 'program.py'}:lenght", "Did you mean 'length'?"),
        (f"{desk / 'gone.py'}:length", "there is no program file"),
        (f"{desk / 'program.py'}:TEAMS", "the metric cannot be called"),
    ):
        ran = command(*line, "--metric", reference)
        assert ran.code == 3 and said in ran.err and ran.out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--task", "shop"), 2, "--data"),
        (("--task", "shop", "--data", "gone.jsonl"), 3, "there is no file"),
        (("--task", "shopp", "--data", "DATA"), 3, "'shop'"),
        (("--data", "DATA"), 3, "'bank', 'shop'"),
        (("--task", "bank", "--data", "DATA"), 3, "is no label of"),
        (("--task", "shop", "--data", "DATA", "--fail-under", "high"), 2, "--fail-under"),
    ],
)
def test_what_eval_refuses(command: Command, desk: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    given = [str(desk / "shop-test.jsonl") if each == "DATA" else each for each in arguments]
    ran = command("eval", desk / "desk.json", *given)
    assert ran.code == code and said in ran.err and ran.out == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run", "interrupted\n"),
        ("run --storage desk.db", "interrupted; the same command con"),
        ("compile", "interrupted; the same command con"),
    ],
)
def test_only_what_keeps_its_answers_says_that_it_continues(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module.cli, "main", interrupted)
    monkeypatch.setattr(sys, "argv", ["fusionprog", *name.split()])
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main_module.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith(said)
