"""``fusionprog store``: what it shows, trims and exports, on files and on a server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusionprog.store.store import Store, StoredCall
from fusionprog.store.tables import SCHEMA_VERSION

Command = Callable[..., Any]
MINI, LARGE = "mini-id", "large-id"
TRIAL = {"fold": 0, "number": 0, "params": '{"a": 0.5}', "value": 0.75, "state": "COMPLETE"}
SCORE = {"candidate": "c", "task": "shop", "example": "e", "score": 1.0, "status": "ok", "error": ""}


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def call(text: str, usd: float | None = 0.25) -> StoredCall:
    return StoredCall(text, 100, 10, usd)


def fill(place: str) -> None:
    """Two models, three answers of one prompt each, two studies, and a prompt that no call needs."""
    with Store(place) as store:
        store.put_model(MINI, {"model": "openai/mini", "temperature": 0})
        store.put_model(LARGE, {"model": "openai/large"})
        store.put_model("unused", {"model": "openai/unused"})
        for name in ("p1", "p2", "unused"):
            store.put_prompt(name, [{"role": "system", "content": f"é {name}"}])
        store.put_call(key(1), MINI, "p1", "Where?", 0, call("a\x00b"))
        store.put_call(key(1), MINI, "p1", "Where?", 0, call("a\x00b again", 0.5))
        store.put_call(key(2), MINI, "p1", "When?", 1, call("later"))
        store.put_call(key(3), LARGE, "p2", "Why?", 0, call("so", None))
        for study in ("aaaa1111", "aaab2222"):
            store.put_study(study, {"data": "0123456789abcdef", "seed": "ff"})
            store.put_scores(study, [SCORE, {**SCORE, "example": "f", "error": "odd"}])
            store.put_trials(study, [TRIAL, {**TRIAL, "number": 1, "value": None, "state": "FAIL"}])


@pytest.fixture(params=["file", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with something in it."""
    made = str(request.getfixturevalue("postgres") if request.param == "postgres" else tmp_path / "desk.db")
    fill(made)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store in a file, with something in it."""
    fill(str(tmp_path / "desk.db"))
    return tmp_path / "desk.db"


def info(command: Command, place: str | Path) -> Any:
    return command("store", "info", place, "--json").data


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_info_as_json_says_what_was_paid(command: Command, place: str) -> None:
    data = info(command, place)
    assert (data["version"], data["prompts"]) == (SCHEMA_VERSION, 3)
    assert data["size"] > 0 and "hunter2" not in data["name"]
    mini, large = data["models"]
    assert mini == {
        "id": MINI,
        "name": "openai/mini",
        "answers": 2,
        "unpriced": 0,
        "paid_calls": 3,
        "paid_tokens": 330,
        "paid_usd": 1.0,
    }
    assert (large["name"], large["unpriced"], large["paid_calls"], large["paid_usd"]) == ("openai/large", 1, 1, 0.0)
    parts = {"data": "0123456789abcdef", "seed": "ff"}
    assert data["studies"] == [
        {"fingerprint": name, "parts": parts, "trials": 2, "scores": 2} for name in ("aaaa1111", "aaab2222")
    ]


def test_info_for_people(command: Command, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    ran = command("store", "info", file)
    assert ran.code == 0
    assert f"schema version {SCHEMA_VERSION}" in ran.out and str(file) in ran.out and "3 prompts" in ran.out
    (mini,) = [line for line in ran.out.splitlines() if "openai/mini" in line]
    assert [part.strip() for part in mini.split("│")][2:6] == ["2", "3", "330", "$1.0000"]
    (large,) = [line for line in ran.out.splitlines() if "openai/large" in line]
    assert "price unknown" in large
    assert "aaaa1111" in ran.out and "data=01234567 seed=ff" in ran.out


def test_info_of_an_empty_store(command: Command, tmp_path: Path) -> None:
    Store(tmp_path / "new.db").close()
    ran = command("store", "info", tmp_path / "new.db")
    assert ran.code == 0 and "no calls" in ran.out and "no studies" in ran.out


def test_what_was_compiled_is_in_the_store(command: Command, desk: Path) -> None:
    data = info(command, desk / "desk.db")
    assert data["models"][0]["answers"] > 0
    assert len(data["studies"]) == 1 and data["studies"][0]["scores"] > 0
    (first, *_) = lines(command("store", "export", desk / "desk.db", "calls").out)
    assert first["messages"][0]["role"] == "system" and first["messages"][-1]["role"] == "user"


@pytest.mark.parametrize("arguments", [("info",), ("gc",), ("export", "calls")])
def test_a_store_that_is_not_there_is_an_error_and_is_not_made(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    name, *more = arguments
    ran = command("store", name, tmp_path / "no.db", *more)
    assert ran.code == 3 and "there is no store" in ran.err and "no.db" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_no_store_is_left_alone(command: Command, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("create table mine (x)")
    connection.close()
    before = (tmp_path / "other.db").read_bytes()
    ran = command("store", "gc", tmp_path / "other.db")
    assert ran.code == 3 and "no store" in ran.err
    assert (tmp_path / "other.db").read_bytes() == before


def test_an_empty_server_is_no_store(command: Command, postgres: str, postgres_server: Any) -> None:
    ran = command("store", "info", postgres)
    assert ran.code == 3 and "there is no store" in ran.err and "hunter2" not in ran.err
    tables = "select count(*) from information_schema.tables where table_schema = 'public'"
    assert postgres_server.run(tables, database=postgres) == [(0,)]


def test_a_file_that_is_no_database_is_an_error(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"nothing of the kind\n" * 500)
    ran = command("store", "info", tmp_path / "x.db")
    assert ran.code == 3 and "not a database" in ran.err


def test_gc_without_wishes_removes_what_no_call_needs(command: Command, place: str) -> None:
    trimmed = command("store", "gc", place, "--json").data
    assert {name: trimmed[name] for name in ("calls", "prompts", "models", "studies", "scores", "trials")} == {
        "calls": 0,
        "prompts": 1,
        "models": 1,
        "studies": 0,
        "scores": 0,
        "trials": 0,
    }
    data = info(command, place)
    assert (data["prompts"], sum(model["answers"] for model in data["models"])) == (2, 3)
    assert "removed nothing" in command("store", "gc", place).out


@pytest.mark.parametrize("name", ["openai/mini", MINI, "mini-"])
def test_gc_of_a_model_removes_its_answers_and_prompts(command: Command, place: str, name: str) -> None:
    ran = command("store", "gc", place, "--model", name)
    assert "removed 2 answers ($1.0000 were paid for them), 2 prompts, 2 models" in ran.out
    assert [model["name"] for model in info(command, place)["models"]] == ["openai/large"]


def test_gc_of_old_answers(command: Command, file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("update fusionprog_calls set created = ? where key != ?", (time.time() - 10 * 86_400, key(2)))
    connection.commit()
    connection.close()
    assert "removed 0 answers" not in command("store", "gc", file, "--older-than", "30d").out
    assert len(lines(command("store", "export", file, "calls").out)) == 3
    ran = command("store", "gc", file, "--older-than", "1w", "--model", "openai/large")
    assert "removed 1 answers" in ran.out
    command("store", "gc", file, "--older-than", "9d")
    assert [row["key"] for row in lines(command("store", "export", file, "calls").out)] == [key(2).hex()]


def test_gc_of_a_study_takes_its_scores_and_trials(command: Command, place: str) -> None:
    ran = command("store", "gc", place, "--study", "aaaa")
    assert "1 studies, 2 scores, 2 trials" in ran.out and "answers" not in ran.out
    assert [study["fingerprint"] for study in info(command, place)["studies"]] == ["aaab2222"]
    assert {row["study"] for row in lines(command("store", "export", place, "scores").out)} == {"aaab2222"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--study", "aaa"), "several studies"),
        (("--study", "b"), "aaaa1111"),
        (("--study", ""), "names no study"),
        (("--model", "openai/none"), "openai/large"),
        (("--model", ""), "no call to a model"),
    ],
)
def test_gc_of_what_is_not_clear_removes_nothing(
    command: Command, file: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = info(command, file)
    ran = command("store", "gc", file, "--older-than", "0s", *arguments)
    assert ran.code == 3 and message in ran.err
    assert info(command, file) == before


@pytest.mark.parametrize("span", ["30", "d", "-1d", "1 month", "1y"])
def test_gc_refuses_times_that_are_none(command: Command, file: Path, span: str) -> None:
    ran = command("store", "gc", file, f"--older-than={span}")
    assert ran.code == 2 and "--older-than" in ran.err


def test_a_dry_run_says_what_would_go_and_removes_nothing(command: Command, place: str) -> None:
    before = info(command, place)
    arguments = ("--older-than", "0s", "--study", "aaaa1111")
    ran = command("store", "gc", place, *arguments, "--dry-run")
    assert "would remove 3 answers ($1.0000 were paid for them), 3 prompts, 3 models, 1 studies" in ran.out
    after = info(command, place)
    assert {**after, "size": 0} == {**before, "size": 0}
    assert "removed 3 answers" in command("store", "gc", place, *arguments).out
    assert info(command, place)["models"] == []


def test_gc_makes_the_file_smaller(command: Command, file: Path) -> None:
    with Store(file) as store:
        for number in range(10, 200):
            store.put_call(key(number), LARGE, "p2", "x" * 5000, 0, call("y" * 5000))
    before = file.stat().st_size
    command("store", "gc", file, "--model", "openai/large")
    assert file.stat().st_size < before / 4


def test_what_is_left_is_still_found(command: Command, place: str) -> None:
    command("store", "gc", place, "--model", "openai/large")
    with Store(place) as store:
        assert asyncio.run(store.find(key(2))) == call("later")
        assert asyncio.run(store.find(key(3))) is None


def test_calls_are_exported_whole(command: Command, place: str) -> None:
    first, _, third = lines(command("store", "export", place, "calls").out)
    created = first.pop("created")
    assert abs(created - time.time()) < 600
    assert first == {
        "key": key(1).hex(),
        "model": {"model": "openai/mini", "temperature": 0},
        "messages": [{"role": "system", "content": "é p1"}, {"role": "user", "content": "Where?"}],
        "sample": 0,
        "text": "a\x00b again",
        "input_tokens": 100,
        "output_tokens": 10,
        "usd": 0.5,
        "finish": "stop",
        "paid_calls": 2,
        "paid_tokens": 220,
        "paid_usd": 0.75,
    }
    assert third["usd"] is None


def test_scores_and_trials_are_exported(command: Command, place: str) -> None:
    scores = lines(command("store", "export", place, "scores").out)
    assert scores[:2] == [
        {"study": "aaaa1111", **SCORE},
        {"study": "aaaa1111", **SCORE, "example": "f", "error": "odd"},
    ]
    trials = lines(command("store", "export", place, "trials").out)
    assert len(trials) == 4
    assert trials[0] == {"study": "aaaa1111", **TRIAL, "params": {"a": 0.5}}
    assert trials[1]["value"] is None and trials[1]["state"] == "FAIL"


def test_an_export_replaces_no_store(command: Command, file: Path) -> None:
    before = file.read_bytes()
    ran = command("store", "export", file, "calls", "-o", file)
    assert ran.code == 2 and "would be one file" in ran.err and file.read_bytes() == before


def test_an_export_to_a_file_is_whole_or_not_there(
    command: Command, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "calls.jsonl"
    ran = command("store", "export", file, "calls", "-o", out)
    assert ran.out == f"wrote 3 calls to {out}\n"
    whole = out.read_text(encoding="utf-8")
    assert whole == command("store", "export", file, "calls").out

    connection = sqlite3.connect(file)
    connection.execute("update fusionprog_models set identity = 'no json' where id = ?", (LARGE,))
    connection.commit()
    connection.close()
    with pytest.raises(ValueError, match="Expecting value"):
        command("store", "export", file, "calls", "-o", out)
    assert out.read_text(encoding="utf-8") == whole
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".db", ".jsonl"]
