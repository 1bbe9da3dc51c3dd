"""What must not be in a file: private rows, keys, paths, times, names of processes."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dspy

import fusionprog as fp
from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.runtime.compiled import CompiledProgram

_WORDS = {
    "open": {"delivery": ["parcel", "courier"], "billing": ["invoice", "voucher"]},
    "secret": {"delivery": ["zeppelin", "gondola"], "billing": ["escudo", "florin"]},
}


def rows(task: str, split: str, count: int) -> list[dict[str, str]]:
    return [
        {"message": f"{task} {split} {index}: about a {words[index % 2]} of person {index * 7919}", "team": label}
        for label, words in _WORDS[task].items()
        for index in range(count)
    ]


def tasks(private: bool) -> list[fp.Task]:
    return [
        fp.Task(
            name,
            description=f"Messages to the {name} desk.",
            labels={"triage.team": ["billing", "delivery"]},
            train=rows(name, "train", 6),
            val=rows(name, "val", 16),
            test=rows(name, "test", 4),
            metric=fp.metrics.exact_match("team"),
            private=private and name == "secret",
        )
        for name in _WORDS
    ]


def desk() -> fp.ProgramGraph:
    graph = fp.ProgramGraph("Desk")
    graph.add("triage", fp.modules.ChainOfThought("message -> team"))
    graph.connect("message", "triage.message")
    return graph


def compile_desk(private: bool, path: Path) -> str:
    families = [
        fp.builders.LabelGlossary(words=3, pinned=True),
        fp.builders.BalancedDemos(per_label=2, pinned=True),
        fp.builders.ClusteredDemos(count=3, pinned=True),
        fp.builders.BasisDemos(count=2, pinned=True),
        fp.builders.BootstrappedDemos(count=3, pinned=True),
    ]
    program = fp.compile(
        desk(),
        tasks(private),
        pool=fp.PromptPool(families),
        lm="offline",
        trials=2,
        budget=fp.Budget(calls=600),
        progress=False,
    )
    program.save(path)
    return path.read_text(encoding="utf-8")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield str(key)
        yield from texts(each)


def rows_in(content: str, task: str) -> list[str]:
    everything = "\n".join(texts(json.loads(content)))
    all_rows = [row for split, count in (("train", 6), ("val", 16), ("test", 4)) for row in rows(task, split, count)]
    return [row["message"] for row in all_rows if row["message"] in everything or row["message"][10:] in everything]


def test_no_row_of_a_private_task_is_in_the_file(tmp_path: Path) -> None:
    content = compile_desk(True, tmp_path / "private.json")
    assert rows_in(content, "secret") == []
    assert not re.search(r"person \d+", json.dumps(json.loads(content)["tasks"]["secret"]))
    assert len(rows_in(content, "open")) > 2
    assert "zeppelin" in json.dumps(json.loads(content)["tasks"]["secret"]["texts"])


def test_rows_of_a_task_that_is_not_private_are(tmp_path: Path) -> None:
    assert len(rows_in(compile_desk(False, tmp_path / "open.json"), "secret")) > 2


TASK = fp.Task(
    "only", metric=fp.metrics.exact_match("team"), val=[{"message": "m", "team": "t"}], train=[{"message": "m"}]
)


def test_no_key_is_in_the_file(assemble: Callable[..., CompiledProgram], tmp_path: Path) -> None:
    lm = dspy.LM(
        "openai/some-model",
        api_key="sk-THESECRET0001",
        api_base="https://user:THESECRET0002@example.org/v1?api-key=THESECRET0003",
        headers={"Authorization": "Bearer THESECRET0004"},
        extra_headers={"X-Key": "THESECRET0005"},
        aws_secret_access_key="THESECRET0006",
        azure_ad_token="THESECRET0007",
        temperature=0.5,
        cache=False,
    )
    path = tmp_path / "model.json"
    program = assemble(desk(), [TASK], model=DSPyModel(lm))
    program.save(path)
    content = path.read_text(encoding="utf-8")
    assert "THESECRET" not in content
    assert "openai/some-model" in content and '"temperature": 0.5' in content and "example.org" in content
    loaded = fp.load(path)
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_no_path_no_time_and_no_address_is_in_the_file(artifact: Path) -> None:
    everything = "\n".join(texts(json.loads(artifact.read_text(encoding="utf-8"))))
    assert str(Path.cwd()) not in everything
    assert str(artifact.parent) not in everything
    assert not re.search(r"(^|\s)(/(home|tmp|root|usr|work|private|Users)/|[A-Z]:\\)", everything)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    for day in (today - datetime.timedelta(days=1), today, today + datetime.timedelta(days=1)):
        assert day.isoformat() not in everything
    assert not re.search(r"0x[0-9a-f]{6,}", everything)


class Engine:
    """An engine that says nothing about itself."""

    def complete(self, request: Any) -> Any:
        raise AssertionError("not asked")


def test_an_engine_that_only_this_process_knows_is_kept_by_its_kind(
    assemble: Callable[..., CompiledProgram], tmp_path: Path
) -> None:
    for name in ("one.json", "other.json"):
        model = DSPyModel(dspy.LM("local/model", engine=Engine(), cache=False))
        assert not model.persistent
        assemble(desk(), [TASK], model=model).save(tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    kept = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))["lm"]["triage"]
    assert kept == {"model": "local/model", "engine": [f"{Engine.__module__}.Engine"]}
