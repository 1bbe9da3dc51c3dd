"""The support desk: its data, and a small compile of it."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.cli.program_file import ProgramFile, read_program_file

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "support_desk"
DOMAINS = ("shop", "bank", "telecom")
SPLITS = ("train", "val", "test")


def rows(domain: str, split: str) -> list[dict[str, str]]:
    text = (EXAMPLE / "data" / domain / f"{split}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


MESSAGES = [(row["message"], domain, split) for domain in DOMAINS for split in SPLITS for row in rows(domain, split)]


@pytest.fixture(scope="module")
def example() -> ProgramFile:
    return read_program_file(str(EXAMPLE / "program.py"))


@pytest.fixture(scope="module")
def compiled(example: ProgramFile) -> fp.CompiledProgram:
    return fp.compile(
        example.program,
        example.tasks,
        pool=example.pool,
        lm=example.lm,
        trials=8,
        budget=fp.Budget(calls=1000),
        progress=False,
    )


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_sixty_rows_with_all_teams(example: ProgramFile, domain: str, split: str) -> None:
    made = rows(domain, split)
    assert len(made) >= 60
    assert all(set(row) == {"message", "team"} and row["message"].strip() for row in made)
    (task,) = [task for task in example.tasks if task.name == domain]
    assert task.labels is not None
    teams = Counter(row["team"] for row in made)
    assert set(teams) == set(task.labels["triage.team"])
    assert min(teams.values()) >= len(made) // 10  # no team is an afterthought


def test_no_message_occurs_twice() -> None:
    texts = Counter(" ".join(message.casefold().split()) for message, _, _ in MESSAGES)
    assert [text for text, count in texts.items() if count > 1] == []


def test_no_two_messages_are_nearly_the_same() -> None:
    words = [set(re.findall(r"\w+", message.casefold())) for message, _, _ in MESSAGES]
    alike = [
        (MESSAGES[one][0], MESSAGES[other][0])
        for one, other in itertools.combinations(range(len(words)), 2)
        if len(words[one] & words[other]) > 0.6 * len(words[one] | words[other])
    ]
    assert alike == []


def test_no_message_names_its_team() -> None:
    """A reader that looks for the label's name alone must not be enough."""
    named = sum(
        re.search(rf"\b{row['team']}\b", row["message"].casefold()) is not None
        for domain in DOMAINS
        for split in SPLITS
        for row in rows(domain, split)
    )
    assert named < 0.2 * len(MESSAGES)


def test_a_small_compile_improves_it(compiled: fp.CompiledProgram) -> None:
    record = compiled.record
    assert record.trials == 8 and record.spent["calls"] <= 1000
    assert record.improved
    gains = [task.test.gain for task in record.tasks.values() if task.test is not None]
    assert len(gains) == 3 and sum(gains) > 0.15
    assert "node 'answer' is read by no metric; left as written" in record.notes


def test_the_artifact_runs_without_the_example(compiled: fp.CompiledProgram, tmp_path: Path) -> None:
    compiled.save(tmp_path / "desk.json")
    loaded = fp.load(tmp_path / "desk.json")
    prediction: Any = loaded("bank", message="There is a payment on my statement that I never made.")
    assert prediction.team in {"access", "cards", "fraud", "loans", "payments"}
    assert prediction.reply
