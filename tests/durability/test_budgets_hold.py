"""A budget is never exceeded, at any concurrency: counted at the model, in programs without a test report."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import fusionprog as fp
from fusionprog.errors import BudgetError
from fusionprog.lm.model import approximate_tokens
from fusionprog.runtime.record import CompileRecord
from fusionprog.testing import TextModel
from tests.durability import desk
from tests.durability.answers import answer

READ, WRITTEN = 2e-6, 8e-6  # dollars per token
LONGEST = 2000  # tokens of an answer at most
TOLERANCE = 1.0  # seconds after its time that a call may still begin: own work between a look at the clock and a call


@dataclass
class Meter:
    """A text function that now and then talks as long as it may, and counts what it is asked.

    Attributes:
        answers: Prompt tokens and answer tokens of every call.
    """

    answers: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, messages: list[dict[str, str]]) -> str:
        """Answers; two of three answers are as long as an answer can be."""
        text = answer(messages)
        drawn = hashlib.blake2b("".join(message["content"] for message in messages).encode(), digest_size=4).digest()
        if drawn[0] % 3:
            text = f"{text}\n".ljust(4 * LONGEST, "…")
        self.answers.append((sum(approximate_tokens(message["content"]) for message in messages), written(text)))
        return text

    @property
    def spent(self) -> dict[str, float]:
        """Calls, tokens and dollars."""
        read, said = sum(each[0] for each in self.answers), sum(each[1] for each in self.answers)
        return {"calls": len(self.answers), "tokens": read + said, "usd": read * READ + said * WRITTEN}


def written(text: str) -> int:
    tokens = approximate_tokens(text)
    assert tokens <= LONGEST
    return tokens


@dataclass(frozen=True)
class Compiled:
    """A compile, what its model was asked, and when.

    Attributes:
        record: What it says about itself.
        artifact: Its artifact.
        spent: Calls, tokens and dollars, counted at the model.
        begun: When its calls began, in seconds from its start.
    """

    record: CompileRecord
    artifact: bytes
    spent: dict[str, float]
    begun: list[float]


def compiled(folder: Path, budget: fp.Budget, concurrency: int, *, trials: int | None = 24) -> Compiled:
    meter, started = Meter(), time.monotonic()
    model = TextModel(meter, "desk", latency=0.001, usd_per_token=(READ, WRITTEN), max_output_tokens=LONGEST)
    program = fp.compile(
        desk.Desk(),
        [desk.desk_task("shop", test=0), desk.desk_task("bank", test=0)],
        pool=desk.pool,
        lm=model,
        budget=budget,
        trials=trials,
        concurrency=concurrency,
        progress=False,
    )
    path = folder / f"{concurrency}.json"
    program.save(path)
    begun = [record.started - started for record in model.requests]
    return Compiled(program.record, path.read_bytes(), meter.spent, begun)


@pytest.fixture(scope="module")
def unbounded(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compiled(tmp_path_factory.mktemp("unbounded"), fp.Budget(), 16)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("limit", ["tokens", "usd"])
def test_what_is_cut_stays_inside_and_is_the_same_at_any_concurrency(
    unbounded: Compiled, tmp_path: Path, limit: str, share: float
) -> None:
    allowed = share * unbounded.spent[limit]
    budget = fp.Budget(tokens=int(allowed)) if limit == "tokens" else fp.Budget(usd=allowed)
    cut = [compiled(tmp_path, budget, concurrency) for concurrency in (1, 4, 32)]
    assert all(each.spent[limit] <= allowed for each in cut)
    assert all(each.artifact == cut[0].artifact for each in cut)
    assert all(each.spent == pytest.approx(cut[0].spent) for each in cut)
    record = cut[0].record
    assert 0.2 * allowed < record.spent[limit]  # a plan is made of estimates, and some of it is left
    assert record.spent["calls"] == cut[0].spent["calls"]
    assert record.spent["tokens"] == cut[0].spent["tokens"]
    assert record.spent["usd"] == pytest.approx(cut[0].spent["usd"], abs=1e-6)
    assert set(record.tasks) == {"shop", "bank"}  # each with what it was compared on
    assert all(task.confirmation and task.confirmation.after.n > 0 for task in record.tasks.values())


@pytest.mark.parametrize("calls", [380, 600])
def test_calls_are_shared_out_before_they_are_made(tmp_path: Path, calls: int) -> None:
    planned = [compiled(tmp_path, fp.Budget(calls=calls), concurrency, trials=None) for concurrency in (1, 4, 32)]
    assert all(0.5 * calls < each.spent["calls"] <= calls for each in planned)
    assert all(each.artifact == planned[0].artifact for each in planned)


def test_the_best_program_so_far_comes_back(unbounded: Compiled, tmp_path: Path) -> None:
    cut = compiled(tmp_path, fp.Budget(tokens=int(0.8 * unbounded.spent["tokens"])), 8)
    assert unbounded.record.improved and cut.record.improved


def test_several_limits_hold_at_once(unbounded: Compiled, tmp_path: Path) -> None:
    spent = unbounded.spent
    budget = fp.Budget(calls=int(spent["calls"]), tokens=int(0.9 * spent["tokens"]), usd=0.7 * spent["usd"])
    cut = compiled(tmp_path, budget, 32)
    assert cut.spent["calls"] <= spent["calls"]
    assert cut.spent["tokens"] <= 0.9 * spent["tokens"] and cut.spent["usd"] <= 0.7 * spent["usd"]


@pytest.mark.parametrize("limit", ["calls", "tokens", "usd"])
def test_a_budget_that_pays_for_nothing_is_refused_unspent(unbounded: Compiled, limit: str) -> None:
    allowed = 0.003 * unbounded.spent[limit]
    budget = fp.Budget(usd=allowed) if limit == "usd" else replace(fp.Budget(), **{limit: max(1, int(allowed))})
    meter = Meter()
    model = TextModel(meter, "desk", usd_per_token=(READ, WRITTEN), max_output_tokens=LONGEST)
    with pytest.raises(BudgetError, match=limit if limit != "usd" else r"usd|dollar|\$"):
        fp.compile(desk.Desk(), [desk.desk_task("shop")], pool=desk.pool, lm=model, budget=budget, progress=False)
    assert meter.answers == []


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_time_runs_out(tmp_path: Path, concurrency: int, seconds: float) -> None:
    """At this latency the whole compile would take many times as long."""
    meter = Meter()
    model = TextModel(meter, "desk", latency=0.05, usd_per_token=(READ, WRITTEN), max_output_tokens=LONGEST)
    started = time.monotonic()
    program = fp.compile(
        desk.Desk(),
        [desk.desk_task("shop", test=0), desk.desk_task("bank", test=0)],
        pool=desk.pool,
        lm=model,
        budget=fp.Budget(seconds=seconds),
        trials=64,
        concurrency=concurrency,
        progress=False,
    )
    begun = [record.started - started for record in model.requests]
    assert max(begun) <= seconds + TOLERANCE
    assert "seconds" in program.record.reason or "time" in program.record.reason
    program.save(tmp_path / "desk.json")
    assert "shop" in fp.load(tmp_path / "desk.json", lm=model).tasks
