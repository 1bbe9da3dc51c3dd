"""Compiles under every entry of the registries of screening, racing, narrowing and stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError
from fusionprog.search.decisions import Decisions
from fusionprog.search.narrowing import narrowing_registry
from fusionprog.search.racing import racing_registry
from fusionprog.search.screening import screening_registry
from fusionprog.search.stopping import stopping_registry

REGISTRIES: dict[str, Any] = {
    "screening": screening_registry,
    "racing": racing_registry,
    "narrowing": narrowing_registry,
    "stopping": stopping_registry,
}
UNUSUAL = [
    (role, name) for role, registry in REGISTRIES.items() for name in registry if name != getattr(Decisions, role)
]


def compiled(kit: Any, concurrency: int = 16, **decisions: Any) -> Any:
    optimizer = fp.optimizers.Fusion(sampler="tpe", **decisions)
    tasks = [kit.task(val=30, test=0)]
    return kit.compile(tasks=tasks, optimizer=optimizer, budget=fp.Budget(calls=300), concurrency=concurrency)


@pytest.mark.parametrize(("role", "name"), UNUSUAL)
def test_a_compile_keeps_to_its_budget_says_how_it_decided_and_is_the_same_again(
    kit: Any, tmp_path: Path, role: str, name: str
) -> None:
    decided: Any = {role: name}
    first, again = compiled(kit, **decided), compiled(kit, concurrency=2, **decided)
    record = first.program.record
    first.program.save(tmp_path / "first.json")
    again.program.save(tmp_path / "again.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert record.optimizer == {"name": "fusion", "sampler": "tpe", "objective": "mean", role: name}
    assert record.spent["calls"] <= 300
    confirmed = record.tasks["shop"].confirmation
    assert confirmed.gain > 0 if record.improved else confirmed.gain == 0
    done = {event.phase for event in first.events if hasattr(event, "phase")}
    parts = {"screening", "narrowing"}
    assert parts - done == (parts & {role} if name == "none" else set())


def test_a_race_is_what_stops_trials(kit: Any) -> None:
    raced, not_raced = (
        kit.compile(
            optimizer=fp.optimizers.Fusion("tpe", racing=racing), trials=20, budget=fp.Budget(calls=1500)
        ).program.record
        for racing in ("paired_test", "none")
    )
    assert any("stopped halfway" in note for note in raced.notes)
    assert not any("stopped halfway" in note for note in not_raced.notes)


def test_another_optimizer_is_another_study(kit: Any) -> None:
    usual, named = (
        compiled(kit).program,
        kit.compile(tasks=[kit.task(val=30, test=0)], sampler="tpe", budget=fp.Budget(calls=300)).program,
    )
    assert usual.record == named.record
    assert compiled(kit, stopping="none").program.record.fingerprint != usual.record.fingerprint


@pytest.mark.parametrize("wrong", [{"sampler": "tpe"}, {"objective": "worst"}])
def test_an_optimizer_that_is_passed_says_its_own_sampler_and_objective(kit: Any, wrong: Any) -> None:
    (name,) = wrong
    with pytest.raises(FusionProgError, match=f"has a {name} of its own"):
        kit.compile(optimizer=fp.optimizers.Fusion(), **wrong)


def test_the_objective_of_an_optimizer_is_what_is_reached(kit: Any) -> None:
    record = kit.compile(optimizer=fp.optimizers.Fusion(objective="worst")).program.record
    assert record == kit.compile(objective="worst").program.record


@pytest.mark.parametrize("what", [None, fp.optimizers.Fusion, 3])
def test_what_is_no_optimizer_is_refused(kit: Any, what: Any) -> None:
    with pytest.raises(FusionProgError, match="neither a name nor an optimizer"):
        kit.compile(optimizer=what)
