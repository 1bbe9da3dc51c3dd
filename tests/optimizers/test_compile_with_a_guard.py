"""A compile of a program with a guarded repair: the repair is searched, and paid for only where it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import LMError
from fusionprog.search.preflight import preflight

CASE = re.compile(r"case-(\w+?)-\w+-(\d+)")


class Repairing(fp.Program):
    """A draft, a check that knows, and a repair of what does not pass."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = fp.modules.Predict("message -> team")
        self.check = fp.modules.Predict("message, guess -> ok: bool")
        self.repair = fp.modules.Predict("message, wrong -> team")

    def forward(self, message: str) -> Any:
        """Repairs the draft where the check says so."""
        team = self.draft(message=message).team
        ok = self.check(message=message, guess=team).ok
        return {"team": fp.when(ok, team, lambda: self.repair(message=message, wrong=team).team)}


def needs_repair(number: int) -> bool:
    """The draft is wrong on every second case, whatever its prompt says."""
    return number % 2 == 1


@pytest.fixture(scope="session")
def scripted(kit: Any) -> Any:
    """A model that repairs all cases with the good hint, and 1 of 5 without."""

    class Repairer(kit.Scripted):
        def says(self, messages: Any) -> Mapping[str, str]:
            prompt, last = "\n".join(message["content"] for message in messages), messages[-1]["content"]
            found = CASE.search(last)
            assert found is not None
            task, number = found[1], int(found[2])
            right = not needs_repair(number)
            if "## wrong ##" in last or '"wrong"' in last or "<wrong>" in last:
                right = number // 2 % 5 == 0 or kit.GOOD in prompt
            teams = kit.TEAMS[task]
            return {"team": teams[number % 3 if right else (number + 1) % 3], "ok": str(right)}

    return Repairer


def task(kit: Any, name: str = "shop", **more: Any) -> fp.Task:
    labels = {f"{node}.team": list(kit.TEAMS[name]) for node in ("draft", "repair")}
    made: fp.Task = kit.task(name, labels=labels, **more)
    return made


def compiled(kit: Any, model: Any, **changes: Any) -> Any:
    tasks = [task(kit, "shop"), task(kit, "bank")]
    return kit.compile(model, tasks, **{"program": Repairing(), "budget": fp.Budget(calls=2000), **changes})


@pytest.fixture(scope="session")
def found(kit: Any, scripted: Any) -> Any:
    return compiled(kit, scripted())


def at_node(seen: Sequence[str], node: str) -> list[str]:
    """The calls of a node, by what its prompt asks for."""
    inputs = {"repair": "wrong", "check": "guess"}
    return [each for each in seen if f"[[ ## {inputs[node]} ## ]]" in each.rpartition('"role": "user"')[2]]


def number_of(prompt: str) -> int:
    """The number of the case that a prompt asks about."""
    return int(CASE.findall(prompt)[-1][1])


def test_the_repair_is_asked_only_where_the_check_says_so(found: Any) -> None:
    repairs, checks = at_node(found.seen, "repair"), at_node(found.seen, "check")
    assert repairs and all(needs_repair(number_of(each)) for each in repairs)
    assert any(not needs_repair(number_of(each)) for each in checks)


def test_what_helps_the_repair_is_found_and_opened_there(found: Any) -> None:
    record = found.program.record
    assert record.improved
    for name, part in found.program.tasks.items():
        assert any(each.id == "good" and each.open for each in part.mixtures["repair"].facets["hint"])
        assert record.tasks[name].confirmation.gain > 0.1


def test_only_calls_that_were_made_are_charged(found: Any, kit: Any, scripted: Any) -> None:
    spent = found.program.record.spent
    assert spent["calls"] <= len(set(found.seen))  # the rest is the test report
    job = preflight(
        Repairing(), [task(kit)], pool=kit.pool(), lm=scripted(), budget=None, trials=None, freeze=(), seed=0
    )
    assert job.bare_scorer("shop").calls_per_example == 3
    assert job.estimate.test_calls == 2 * 3 * 12


@pytest.mark.parametrize("limit", [{"calls": 700}, {"tokens": 400_000}, {"usd": 4.0}])
def test_no_limit_is_passed(kit: Any, scripted: Any, limit: dict[str, Any]) -> None:
    model = scripted(usd_per_token=(1e-5, 1e-5))
    ended = compiled(kit, model, budget=fp.Budget(**limit), trials=None)
    ((name, most),) = limit.items()
    assert most / 3 < ended.program.record.spent[name] <= most


def test_the_same_program_at_any_concurrency(kit: Any, scripted: Any, found: Any, tmp_path: Path) -> None:
    found.program.save(tmp_path / "one.json")
    compiled(kit, scripted(), concurrency=2).program.save(tmp_path / "other.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_what_was_cut_off_continues(kit: Any, scripted: Any, found: Any, tmp_path: Path) -> None:
    dying, living, store = scripted(fails_after=150), scripted(), str(tmp_path / "repair.db")
    with pytest.raises(LMError):
        compiled(kit, dying, storage=store)
    compiled(kit, living, storage=store).program.save(tmp_path / "other.json")

    found.program.save(tmp_path / "one.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    assert not {*dying.answered} & {*living.seen}


def test_a_node_that_did_not_run_has_no_demonstration_of_it(kit: Any, scripted: Any) -> None:
    made = compiled(kit, scripted(), pool=fp.PromptPool([fp.builders.BootstrappedDemos(count=4)]))
    shown = {
        node: {int(number) for each in at_node(made.seen, node) for _, number in CASE.findall(each)[:-1]}
        for node in ("check", "repair")
    }
    assert shown["repair"] and all(map(needs_repair, shown["repair"]))
    assert {needs_repair(number) for number in shown["check"]} == {True, False}


def test_the_compiled_program_pays_for_the_side_that_it_takes(found: Any, kit: Any, scripted: Any) -> None:
    model = scripted()
    program = found.program.with_models(dict.fromkeys(found.program.models, model))
    for number, calls in ((0, 2), (1, 3)):
        before = len(model.seen)
        prediction = program("shop", message=f"Please see to case-shop-new-{number}.")
        assert len(model.seen) - before == calls
        assert ("repair.team" in prediction) == (calls == 3)
