"""The intent example, over a small folder of made-up domains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.cli.program_file import ProgramFile, read_program_file
from fusionprog.errors import DataError

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "intent_domains" / "program.py"
WORDS = {
    "kitchen": {"cook": ["boil", "fry", "roast", "bake"], "buy": ["shop", "order", "cart", "market"]},
    "garden": {"plant": ["seed", "bulb", "sow", "grow"], "water": ["hose", "rain", "spray", "thirsty"]},
}


def write(folder: Path, name: str, intents: dict[str, list[str]]) -> Path:
    target = folder / name
    target.mkdir(parents=True)
    for split, count in (("train", 4), ("val", 24), ("test", 6)):
        rows = [
            {"text": f"{split} {index}: please {words[index % 4]} it", "intent": intent}
            for intent, words in intents.items()
            for index in range(count)
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (target / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return target


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, "home/kitchen", WORDS["kitchen"])
    write(tmp_path, "garden", WORDS["garden"])
    monkeypatch.setenv("FUSIONPROG_DATA", str(tmp_path))
    return tmp_path


def read() -> ProgramFile:
    return read_program_file(str(EXAMPLE))


def test_every_folder_with_three_splits_is_a_domain_with_its_own_intents(data: Path) -> None:
    tasks = {task.name: task for task in read().tasks}
    assert set(tasks) == {"garden", "home.kitchen"}
    assert dict(tasks["home.kitchen"].labels or {}) == {"classify.intent": ["buy", "cook"]}
    assert tasks["garden"].description == "What users say about garden."
    assert {split: len(rows) for split, rows in tasks["garden"].rows.items()} == {"train": 8, "val": 48, "test": 12}


def test_folders_that_are_no_domain_are_left_out(data: Path) -> None:
    write(data, "alone", {"only": ["one", "two", "three", "four"]})
    half = write(data, "half", WORDS["garden"])
    (half / "test.jsonl").unlink()
    empty = write(data, "empty", WORDS["garden"])
    (empty / "val.jsonl").write_text("", encoding="utf-8")
    other = write(data, "other", WORDS["garden"])
    (other / "train.jsonl").write_text('{"text": "x", "label": "y"}\n', encoding="utf-8")
    assert {task.name for task in read().tasks} == {"garden", "home.kitchen"}


def test_lines_are_read_as_jsonl_has_them(data: Path) -> None:
    """An empty line is no row, and a line separator inside of a text does not end it."""
    more = json.dumps({"text": "one line\u2028and another", "intent": "prune"}, ensure_ascii=False)
    with (data / "garden" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"\n{more}\n")
    (garden,) = [task for task in read().tasks if task.name == "garden"]
    assert dict(garden.labels or {}) == {"classify.intent": ["plant", "prune", "water"]}
    assert len(garden.rows["train"]) == 9


@pytest.mark.parametrize("value", [None, "", "gone"])
def test_without_a_folder_it_says_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FUSIONPROG_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("FUSIONPROG_DATA", value)
    with pytest.raises(DataError, match="FUSIONPROG_DATA names no folder: expected a folder of domains"):
        read()


def test_an_empty_folder_has_no_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONPROG_DATA", str(tmp_path))
    assert read().tasks == []


def test_it_compiles(data: Path) -> None:
    example: Any = read()
    assert example.lm == "offline" and example.budget == fp.Budget(calls=2800)
    pool = fp.PromptPool([fp.builders.LabelGlossary(words=6), fp.builders.BalancedDemos(per_label=2)])
    compiled = fp.compile(
        example.program, example.tasks, pool=pool, lm=example.lm, trials=8, budget=fp.Budget(calls=400), progress=False
    )
    assert compiled.record.improved
    assert compiled("garden", text="please sow it").intent == "plant"
