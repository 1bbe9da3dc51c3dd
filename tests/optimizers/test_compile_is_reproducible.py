"""The same seed, data and answers give the same program: at any concurrency, any speed, and after any end."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

import fusionprog as fp
from fusionprog._internal import sync
from fusionprog.errors import LMError, MetricError


def same(one: Any, other: Any) -> bool:
    return bool(
        one.program.record == other.program.record
        and one.program.schedule == other.program.schedule
        and {name: task.mixtures for name, task in one.program.tasks.items()}
        == {name: task.mixtures for name, task in other.program.tasks.items()}
    )


def saved(compiled: Any, path: Path) -> bytes:
    compiled.program.save(path)
    return path.read_bytes()


def storage(tmp_path: Path) -> str:
    return str(tmp_path / "desk.db")


def trial_numbers(store: Path) -> list[list[int]]:
    """The numbers of the kept trials, study by study."""
    backend = optuna.storages.JournalStorage(JournalFileBackend(str(store.with_suffix(".study.log"))))
    studies = optuna.get_all_study_names(backend)
    loaded = [optuna.load_study(study_name=name, storage=backend) for name in studies]
    return [[trial.user_attrs["number"] for trial in study.trials] for study in loaded]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_changes_nothing(kit: Any, improved: Any, tmp_path: Path, concurrency: int) -> None:
    other = kit.compile(concurrency=concurrency)
    assert same(improved, other)
    assert saved(improved, tmp_path / "one.json") == saved(other, tmp_path / "other.json")


@pytest.mark.parametrize("seed", [1, 2])
def test_the_speed_of_the_model_changes_nothing(kit: Any, improved: Any, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    other = kit.compile(kit.Scripted(waits=lambda number: draw.randrange(30)), concurrency=5)
    assert same(improved, other)
    assert saved(improved, tmp_path / "one.json") == saved(other, tmp_path / "other.json")
    assert other.answered != improved.answered  # other order, same calls
    assert sorted(other.answered) == sorted(improved.answered)


def test_concurrency_bounds_the_calls_in_flight(kit: Any) -> None:
    class Counting(kit.Scripted):
        flying = most = 0

        async def complete(self, messages: Any) -> Any:
            self.flying += 1
            self.most = max(self.most, self.flying)
            try:
                return await super().complete(messages)
            finally:
                self.flying -= 1

    for concurrency in (1, 4):
        model = Counting(waits=lambda number: 2)
        kit.compile(model, concurrency=concurrency, tasks=[kit.task(test=0)])
        assert model.most == concurrency


def test_rows_in_another_order_give_the_same_result(kit: Any, improved: Any) -> None:
    tasks = [kit.task(name, val=kit.rows(name, "val", 48)[::-1]) for name in ("shop", "bank")]
    other = kit.compile(tasks=tasks)
    assert other.program.schedule == improved.program.schedule
    assert other.program.record.spent == improved.program.record.spent


def test_another_seed_is_another_study(kit: Any, improved: Any) -> None:
    other = kit.compile(seed=1).program
    assert other.record.seed == 1
    assert other.record.fingerprint != improved.program.record.fingerprint
    assert other.record.tasks["shop"].confirmation != improved.program.record.tasks["shop"].confirmation


# The store.


def test_a_second_compile_on_a_warm_store_makes_no_call(kit: Any, improved: Any, tmp_path: Path) -> None:
    first = kit.compile(storage=storage(tmp_path))
    second = kit.compile(storage=storage(tmp_path))
    assert same(first, second) and same(first, improved)
    assert len(first.seen) > 0 and second.seen == ()
    stored = [event.spent.stored for event in second.steps()]
    assert stored[-1] == second.steps()[-1].spent.calls  # all that was used came from the store
    assert [event.spent.stored for event in first.steps()][-1] == 0


def test_trials_are_in_the_journal_once_also_after_a_second_run(kit: Any, tmp_path: Path) -> None:
    for _ in range(2):
        kit.compile(storage=storage(tmp_path))
        assert trial_numbers(tmp_path / "desk.db") == [list(range(8))]
    kit.compile(storage=storage(tmp_path), seed=1)
    assert trial_numbers(tmp_path / "desk.db") == [list(range(8))] * 2


def test_the_record_names_the_study_in_the_store(kit: Any, tmp_path: Path) -> None:
    record = kit.compile(storage=storage(tmp_path)).program.record
    with closing(sqlite3.connect(tmp_path / "desk.db")) as connection:
        studies = [row[0] for row in connection.execute("select fingerprint from fusionprog_studies")]
        scores = connection.execute("select count(*) from fusionprog_scores where study = ?", studies).fetchone()[0]
        calls = connection.execute("select count(*) from fusionprog_calls").fetchone()[0]
    assert studies == [record.fingerprint]
    assert calls == record.spent["calls"] + record.phases["test"]
    assert scores == record.spent["calls"]  # one call an example here


def test_fresh_asks_again_and_gives_the_same(kit: Any, tmp_path: Path) -> None:
    first = kit.compile(storage=storage(tmp_path))
    again = kit.compile(storage=storage(tmp_path), fresh=True)
    assert sorted(again.seen) == sorted(first.seen)
    assert same(first, again)


def test_fresh_answers_take_the_place_of_the_stored_ones(kit: Any, tmp_path: Path) -> None:
    first = kit.compile(kit.Scripted(lambda prompt, task, number: False), storage=storage(tmp_path))
    fresh = kit.compile(storage=storage(tmp_path), fresh=True)
    after = kit.compile(storage=storage(tmp_path))
    assert not first.program.record.improved
    assert fresh.program.record.improved and after.program.record.improved
    assert same(fresh, after) and after.seen == ()


def test_another_model_is_asked_on_the_same_store(kit: Any, tmp_path: Path) -> None:
    first = kit.compile(storage=storage(tmp_path))
    other = kit.compile(kit.Scripted(name="other"), storage=storage(tmp_path))
    assert sorted(other.seen) == sorted(first.seen)
    assert other.program.record.fingerprint != first.program.record.fingerprint


def test_a_longer_search_pays_only_for_what_is_new(kit: Any, tmp_path: Path) -> None:
    kit.compile(storage=storage(tmp_path), budget=None, trials=8)
    longer = kit.compile(storage=storage(tmp_path), budget=None, trials=16)
    record = longer.program.record
    assert 0 < len(longer.seen) < record.spent["calls"]


# What goes wrong.


@pytest.mark.parametrize("after", [0, 40, 250])
def test_a_model_that_fails_ends_the_compile_and_the_store_continues(
    kit: Any, improved: Any, tmp_path: Path, after: int
) -> None:
    with pytest.raises(LMError, match="the line is dead"):
        kit.compile(kit.Scripted(fails_after=after), storage=storage(tmp_path))
    again = kit.compile(storage=storage(tmp_path))
    assert same(again, improved)
    assert len(again.seen) == len(improved.seen) - after
    assert trial_numbers(tmp_path / "desk.db") == [list(range(8))]


def test_after_a_failure_no_more_calls_are_made(kit: Any) -> None:
    """One call fails; those that wait for their turn must not be paid for by a compile that has ended."""

    class Flaky(kit.Scripted):
        async def complete(self, messages: Any) -> Any:
            if len(self.seen) == 40:
                self.seen.append("the one that fails")
                raise LMError("once")
            return await super().complete(messages)

    budget = fp.Budget(calls=500, tokens=10**9)  # with a limit on tokens, nothing is asked ahead of its turn
    model = Flaky(waits=lambda number: 1000)  # longer than it takes to stop
    with pytest.raises(LMError, match="once"):
        kit.compile(model, concurrency=4, budget=budget)
    made = len(model.seen)

    async def turns() -> None:
        for _ in range(5000):
            await asyncio.sleep(0)

    sync.run(turns())
    whole = len(kit.compile().seen)
    assert len(model.seen) == made < whole / 4  # those of the trials that were under way, and no others


def test_an_error_that_is_not_ours_is_named_with_its_model(kit: Any) -> None:
    def right(prompt: str, task: str, number: int) -> bool:
        raise ZeroDivisionError("in the model's own code")

    with pytest.raises(LMError, match=r"'scripted'.*in the model's own code"):
        kit.compile(kit.Scripted(right))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "good"])
def test_a_metric_that_returns_no_score_ends_the_compile(kit: Any, tmp_path: Path, bad: Any) -> None:
    seen: list[int] = []

    def metric(example: Any, prediction: Any) -> Any:
        seen.append(1)
        return bad if len(seen) > 30 else 0.5

    task = kit.task(metric=fp.Metric(metric, fields=["team"], name="mine"))
    with pytest.raises(MetricError, match=r"task 'shop', row .*: the metric 'mine' returned no score"):
        kit.compile(tasks=[task], storage=storage(tmp_path))


def test_a_metric_that_raises_ends_the_compile_and_the_store_continues(kit: Any, tmp_path: Path) -> None:
    broken = {"is": True}

    def metric(example: Any, prediction: Any) -> float:
        if broken["is"] and "-7." in example.message:
            raise KeyError("gold")
        return float(example.team == prediction.team)

    tasks = [kit.task(metric=fp.Metric(metric, fields=["team"], gold=["team"], name="mine"))]
    model = kit.Scripted()
    with pytest.raises(MetricError, match="the metric 'mine' raised KeyError: found 'gold'") as raised:
        kit.compile(model, tasks=tasks, storage=storage(tmp_path))
    assert "task 'shop', row " in str(raised.value)
    broken["is"] = False
    again = kit.compile(tasks=tasks, storage=storage(tmp_path))
    clean = kit.compile(tasks=tasks)
    assert same(again, clean)
    assert sorted([*model.seen, *again.seen]) == sorted(clean.seen)  # nothing is asked twice


def test_an_answer_that_cannot_be_read_scores_nothing_and_goes_on(kit: Any) -> None:
    class Mumbling(kit.Scripted):
        async def complete(self, messages: Any) -> Any:
            answer = await super().complete(messages)
            return type(answer)("mumble", answer.input_tokens, 1, 0.0)

    record = kit.compile(Mumbling(), tasks=[kit.task()]).program.record
    assert not record.improved
    assert record.tasks["shop"].confirmation.before.mean == 0.0
