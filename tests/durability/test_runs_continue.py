"""Runs and evaluations of a compiled program with a storage: nothing is paid twice there either."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import MetricError, StoreError
from fusionprog.store.store import Store
from fusionprog.testing import Faults, TextModel
from tests.durability import desk
from tests.durability.answers import answer
from tests.durability.commands import Command
from tests.durability.scene import DESK, Scene, Whole

ROWS = 40


def started(scene: Scene, folder: Path, *arguments: str) -> Command:
    return scene.commands.start(*arguments, folder=folder, OPENAI_API_KEY=desk.KEY, DESK_URL=scene.server.url)


def run(scene: Scene, folder: Path) -> Command:
    """Runs the compiled desk over the rows of a file."""
    rows = [{"message": f"Please see to case-shop-new-{place}."} for place in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = ("--task", "shop", "--input", str(folder / "rows.jsonl"), "-o", str(folder / "out.jsonl"))
    return started(scene, folder, "run", str(folder / "desk.json"), *given, "--storage", str(folder / "runs.db"))


def compiled(model: TextModel) -> fp.CompiledProgram:
    budget = fp.Budget(calls=300)
    return fp.compile(
        desk.Desk(), [desk.desk_task("shop")], pool=desk.pool, lm=model, trials=2, budget=budget, progress=False
    )


def test_an_interrupted_run_continues(scene: Scene, whole: Whole, tmp_path: Path) -> None:
    (tmp_path / "desk.json").write_bytes(whole.artifact)
    scene.server.faults = Faults(latency=0.1)
    command = run(scene, tmp_path)
    scene.wait(command, ROWS)
    command.send(signal.SIGINT)
    stopped = command.end()
    assert (stopped.code, stopped.out) == (130, "") and "interrupted; the same command continues" in stopped.err
    assert not (tmp_path / "out.jsonl").exists()
    before = scene.asked()

    scene.forget()
    ended = run(scene, tmp_path).end()
    assert ended.code == 0, ended.err
    asked = scene.asked()
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == ROWS
    assert len(before.keys() & asked.keys()) <= 16  # those that were in flight
    assert len(before.keys() | asked.keys()) == 2 * ROWS > len(asked)


def test_what_a_compile_has_measured_is_not_asked_again(scene: Scene, whole: Whole, tmp_path: Path) -> None:
    assert scene.compile(tmp_path).code == 0
    data = tmp_path / "test.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in desk.rows("shop", "test", 4)), encoding="utf-8")
    evaluate = ("eval", str(tmp_path / "desk.json"), "--task", "shop", "--data", str(data), "--json")
    more = ("--metric", f"{DESK}:both", "--storage", str(tmp_path / "desk.db"))

    scene.forget()
    ended = started(scene, tmp_path, *evaluate, *more).end()
    assert ended.code == 0, ended.err
    assert not scene.asked()
    with pytest.warns(UserWarning, match="another model"):
        record = fp.load(tmp_path / "desk.json", lm=TextModel(answer, "desk")).record
    report = record.tasks["shop"].test
    assert report is not None and json.loads(ended.out)["mean"] == pytest.approx(report.after.mean, abs=1e-4)


def test_a_batch_and_an_evaluation_are_kept(tmp_path: Path) -> None:
    model = TextModel(answer, "desk")
    program = compiled(model)
    rows: list[dict[str, Any]] = desk.rows("shop", "new", 6)
    storage = tmp_path / "runs.db"
    for _ in range(2):
        model.reset()
        assert all(isinstance(each, fp.Prediction) for each in program.batch("shop", rows=rows, storage=storage))
        first = len(model.requests)
        model.reset()
        assert program.evaluate("shop", data=rows, storage=storage).score.n == 6
        assert not model.requests
    assert first == 0
    assert len(program.batch("shop", rows=rows)) == 6 and len(model.requests) == 12


def test_an_evaluation_that_is_kept_counts_what_metrics_ask(tmp_path: Path) -> None:
    """One that is not kept lets them ask by themselves."""
    model = TextModel(answer, "desk")
    program = compiled(model)
    asked: list[str] = []

    class Judge(dspy.BaseLM):
        def __call__(self, *given: Any, **more: Any) -> Any:
            asked.append("once")
            return ["[[ ## score ## ]]\n1\n\n[[ ## completed ## ]]"]

    def judged(example: Any, prediction: Any) -> float:
        with dspy.context(lm=Judge("judge")):
            return float(dspy.Predict("team -> score: float")(team=prediction.team).score)

    rows = desk.rows("shop", "new", 2)
    assert program.evaluate("shop", data=rows, metric=judged).score.mean == 1.0
    assert len(asked) == 2
    with pytest.raises(MetricError, match="calls=1"):
        program.evaluate("shop", data=rows, metric=judged, storage=tmp_path / "runs.db")
    assert len(asked) == 2


@pytest.mark.parametrize("storage", ["", "  ", 5, b"runs.db"])
def test_a_storage_without_a_name_is_refused(storage: Any) -> None:
    with pytest.raises(StoreError, match="names no store"):
        Store(storage)


def test_a_storage_that_cannot_be_opened_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    model = TextModel(answer, "desk")
    program = compiled(model)
    model.reset()
    with pytest.raises(StoreError):
        program.batch("shop", rows=desk.rows("shop", "new", 6), storage=tmp_path / "no" / "folder" / "runs.db")
    assert not model.requests
