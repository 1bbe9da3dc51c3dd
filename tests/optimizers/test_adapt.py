"""``adapt``: more tasks for a compiled program, by their embedding, after a few calls, after a search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.artifacts.pool_codec import RecordedFamily
from fusionprog.errors import BudgetError, DataError, FusionProgError, LMConfigurationError, PoolError, ProgramError
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.record import Adapted

GLOSSARY = fp.builders.LabelGlossary(words=3)


@pytest.fixture(scope="module")
def source(kit: Any) -> tuple[fp.CompiledProgram, Any]:
    """A program of the shop whose good hint was found, and its model."""
    model = kit.Scripted()
    program = fp.compile(
        kit.Desk(),
        [kit.task("shop")],
        pool=kit.pool(GLOSSARY),
        lm=model,
        budget=fp.Budget(calls=300),
        progress=False,
    )
    assert program.record.improved
    return program, model


def shown(program: fp.CompiledProgram, task: str, node: str = "triage") -> str:
    return json.dumps(program.prompt(task, node=node))


def prompts(program: fp.CompiledProgram, task: str) -> dict[str, Any]:
    return {node: program.prompt(task, node=node) for node in ("triage", "answer")}


def test_by_its_embedding_alone_a_task_gets_what_helped_others_and_no_model_is_asked(
    kit: Any, source: tuple[fp.CompiledProgram, Any], tmp_path: Path
) -> None:
    program, model = source
    before = len(model.seen)
    both = program.adapt(kit.task("bank"), trials=0)
    assert len(model.seen) == before
    assert kit.GOOD in shown(both, "bank")
    assert "fraud" in shown(both, "bank") and "delivery" not in shown(both, "bank")
    assert prompts(both, "shop") == prompts(program, "shop")
    record = both.record.tasks["bank"]
    assert record.confirmation is None and record.adapted is not None and record.adapted.rung == "zero-shot"
    assert record.adapted.expected > 2 * record.adapted.se > 0
    assert list(program.tasks) == ["shop"]
    (parent,) = both.record.lineage.parents
    assert (parent.hash, parent.kind, parent.change) == (program.content_hash, "adapt", "zero-shot: bank")

    both.save(tmp_path / "both.json")
    loaded = fp.load(tmp_path / "both.json", lm=model)
    assert prompts(loaded, "bank") == prompts(both, "bank")
    assert loaded.record.tasks["bank"].adapted == record.adapted
    assert loaded("bank", message="Please see to case-bank-new-0.").team in kit.TEAMS["bank"]


@pytest.mark.parametrize(
    ("how", "rung"), [({"probes": 40}, "probed"), ({"budget": fp.Budget(calls=120)}, "warm-started")]
)
def test_a_search_starts_from_what_is_known_and_says_what_of_it_held(
    kit: Any, source: tuple[fp.CompiledProgram, Any], how: Mapping[str, Any], rung: str, tmp_path: Path
) -> None:
    program, model = source
    asked = len(model.seen)
    both = program.adapt(kit.task("bank"), progress=False, **how)
    most = how.get("probes") or how["budget"].calls
    assert both.record.spent["calls"] <= most
    assert len(model.seen) - asked <= most + 2 * 12  # and the test report
    record = both.record.tasks["bank"]
    assert record.adapted is not None and record.adapted.rung == rung
    assert record.adapted.sources["all tasks"] > 0.5
    assert record.confirmation is not None and record.confirmation.gain >= 0
    assert record.test is not None and record.test.gain > 0.3
    assert kit.GOOD in shown(both, "bank")
    assert prompts(both, "shop") == prompts(program, "shop")
    both.save(tmp_path / "one.json")
    program.adapt(kit.task("bank"), progress=False, **how).save(tmp_path / "other.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    assert prompts(fp.load(tmp_path / "one.json", lm=model), "bank") == prompts(both, "bank")


def test_where_what_is_known_does_harm_the_new_task_is_no_worse_than_as_written(kit: Any) -> None:
    def harms_banks(prompt: str, task: str, number: int) -> bool:
        good = kit.GOOD in prompt
        return bool(seed_of(task, number) % 10 < ((9 if good else 3) if task == "shop" else (1 if good else 6)))

    model = kit.Scripted(harms_banks)
    program = fp.compile(
        kit.Desk(), [kit.task("shop")], pool=kit.pool(), lm=model, budget=fp.Budget(calls=300), progress=False
    )
    both = program.adapt(kit.task("bank"), budget=fp.Budget(calls=150), progress=False)
    record = both.record.tasks["bank"]
    assert kit.GOOD in shown(program, "shop") and kit.GOOD not in shown(both, "bank")
    assert record.adapted is not None and record.adapted.expected > 0.2
    assert record.adapted.sources["all tasks"] < 0.1
    assert record.confirmation is not None and record.confirmation.gain >= 0
    assert record.test is not None and record.test.gain >= 0


def test_where_nothing_was_proven_what_is_likely_to_help_is_used(
    kit: Any, source: tuple[fp.CompiledProgram, Any]
) -> None:
    program, _ = source
    unproven = program._copy(program.tasks, program.models)
    unproven.schedule, unproven.record = Schedule(), replace(program.record, improved=False)
    both = unproven.adapt(kit.task("bank"), trials=0)
    assert kit.GOOD in shown(both, "bank")
    adapted = both.record.tasks["bank"].adapted
    assert adapted is not None and adapted.expected > 0.2

    added = unproven.adapt(kit.task("bank"), budget=fp.Budget(calls=100), progress=False)
    assert added.record.improved  # in the new task alone: nothing of that is in what the tasks share
    third = replace(kit.task("bank"), name="third")
    assert kit.GOOD in shown(added.adapt(third, trials=0), "third")

    learned = program.record.learned
    assert learned is not None and learned.shared is not None
    nodes = learned.shared.effects.items()
    vague = {node: {item: replace(each, mean=0.01) for item, each in items.items()} for node, items in nodes}
    unproven.record = replace(unproven.record, learned=replace(learned, shared=replace(learned.shared, effects=vague)))
    doubtful = unproven.adapt(kit.task("bank"), trials=0)
    assert doubtful.record.tasks["bank"].adapted == Adapted("zero-shot", 0.0, 0.0)
    assert not doubtful.tasks["bank"].view.offered["triage"]


def test_without_a_model_of_what_tasks_share_it_is_what_they_show_on_average(kit: Any) -> None:
    model = kit.Scripted()
    program = fp.compile(
        kit.Desk(),
        [kit.task("shop")],
        pool=kit.pool(useless=2),
        lm=model,
        sampler="tpe",
        budget=fp.Budget(calls=400),
        progress=False,
    )
    assert program.record.learned is not None and program.record.learned.shared is None
    both = program.adapt(kit.task("bank"), trials=0)
    adapted = both.record.tasks["bank"].adapted
    assert kit.GOOD in shown(both, "bank") and adapted is not None and adapted.expected > 2 * adapted.se > 0


def test_tasks_can_be_added_one_after_the_other(
    kit: Any, source: tuple[fp.CompiledProgram, Any], tmp_path: Path
) -> None:
    program, model = source
    two = program.adapt(kit.task("bank"), budget=fp.Budget(calls=100), progress=False)
    more = fp.Task(
        "inn",
        description="Messages to an inn.",
        labels={"triage.team": ["rooms", "kitchen"]},
        train=[{"message": "A table for two.", "team": "kitchen"}, {"message": "A bed for two.", "team": "rooms"}],
        metric=fp.metrics.exact_match("team"),
    )
    alone = two["shop"]
    alone.save(tmp_path / "alone.json")
    again = fp.load(tmp_path / "alone.json", lm=model)
    expected = program.adapt(kit.task("bank"), trials=0).record.tasks["bank"].adapted
    for known in (alone, again):  # nothing that the other task followed is left
        added = known.adapt(kit.task("bank"), trials=0)
        assert not added.schedule.by_task and added.record.tasks["bank"].adapted == expected
        assert added.record.learned is not None and list(added.record.learned.effects) == ["shop"]
    three = two.adapt([more], trials=0)
    assert list(three.tasks) == ["shop", "bank", "inn"]
    for task in ("shop", "bank"):
        assert prompts(three, task) == prompts(two, task)
    assert kit.GOOD in shown(three, "inn")


@pytest.mark.parametrize(
    ("changes", "how", "error", "said"),
    [
        ({}, {"trials": 0, "budget": fp.Budget(calls=9)}, BudgetError, "Pass one of them"),
        ({}, {"probes": 0}, BudgetError, "probes must be at least 1"),
        ({}, {"probes": 5}, BudgetError, "the budget is too small"),
        ({"train": 0}, {"trials": 0}, DataError, "no training rows"),
        ({"val": []}, {"probes": 60}, DataError, "val is empty"),
        ({"labels": {"triage.team": ["cards"]}}, {"trials": 0}, FusionProgError, "label"),
        ({"labels": {"sort.team": ["a", "b"]}}, {"trials": 0}, ProgramError, "no node 'sort'"),
        ({"outputs": ["price"]}, {"trials": 0}, ProgramError, "price"),
    ],
)
def test_what_cannot_be_added_is_refused_before_anything_is_asked(
    kit: Any,
    source: tuple[fp.CompiledProgram, Any],
    changes: Mapping[str, Any],
    how: Mapping[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    program, model = source
    before = len(model.seen)
    with pytest.raises(error, match=said):
        program.adapt(kit.task("bank", **changes), progress=False, **how)
    assert len(model.seen) == before


def test_a_task_of_the_same_name_and_a_model_that_cannot_be_asked_are_refused(
    kit: Any, source: tuple[fp.CompiledProgram, Any], tmp_path: Path
) -> None:
    program, _ = source
    with pytest.raises(DataError, match="has a task 'shop' already"):
        program.adapt(kit.task("shop"), trials=0)
    program.save(tmp_path / "desk.json")
    loaded = fp.load(tmp_path / "desk.json")
    with pytest.raises(LMConfigurationError, match="'scripted' cannot be made from its name"):
        loaded.adapt(kit.task("bank"), probes=60, progress=False)
    assert prompts(loaded.adapt(kit.task("bank"), trials=0), "bank") == prompts(
        program.adapt(kit.task("bank"), trials=0), "bank"
    )


def test_a_family_whose_builder_is_not_there_or_another_one_is_refused(
    source: tuple[fp.CompiledProgram, Any], kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source[0].save(tmp_path / "desk.json")
    loaded = fp.load(tmp_path / "desk.json")
    family = next(item for item in loaded.items.values() if isinstance(item, RecordedFamily))
    changed = {**family.spec.arguments, "letters": 3}
    for spec, said in (
        (family.spec.model_copy(update={"family": "gone"}), "its builder 'gone' is not known here"),
        (family.spec.model_copy(update={"arguments": changed}), "another one now.*letters"),
        (family.spec.model_copy(update={"facet": "role"}), "of another facet"),
    ):
        monkeypatch.setitem(loaded.items, family.id, RecordedFamily(spec))
        with pytest.raises(PoolError, match=said):
            loaded.adapt(kit.task("bank"), trials=0)
