"""Compiles under objectives: what is planted for the worst task, a floor, a cap or a trade-off is what is returned."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import BudgetError, FusionProgError, LMError

NARROW, BROAD = "Go the narrow way.", "Go the broad way."


def luck(task: str, number: int) -> int:
    return (number * 7 + (3 if task == "bank" else 0)) % 10


def by_ways(prompt: str, task: str, number: int) -> bool:
    """The narrow way lifts shop from .2 to 1 and leaves bank; the broad one lifts both to .5."""
    if NARROW in prompt:
        return luck(task, number) < (10 if task == "shop" else 2)
    return luck(task, number) < (5 if BROAD in prompt else 2)


def ways() -> fp.PromptPool:
    return fp.PromptPool([fp.Fragment("narrow", NARROW, facet="role"), fp.Fragment("broad", BROAD, facet="role")])


def compile_ways(kit: Any, objective: Any, **changes: Any) -> fp.CompiledProgram:
    """With a sampler whose effects all tasks share, so that one way must be chosen for both."""
    tasks = [kit.task(name, val=120, test=0) for name in ("shop", "bank")]
    arguments = {"pool": ways(), "sampler": "tpe", "budget": fp.Budget(calls=1500), "trials": 16}
    done = kit.compile(kit.Scripted(by_ways), tasks, objective=objective, **{**arguments, **changes})
    program: fp.CompiledProgram = done.program
    return program


def after(program: fp.CompiledProgram) -> dict[str, float]:
    return {name: task.confirmation.after.mean for name, task in program.record.tasks.items() if task.confirmation}


@pytest.fixture(scope="module")
def by_mean(kit: Any) -> fp.CompiledProgram:
    return compile_ways(kit, "mean")


def test_the_mean_is_lifted_by_the_one_task(by_mean: fp.CompiledProgram) -> None:
    assert after(by_mean)["shop"] == 1.0 and after(by_mean)["bank"] < 0.3
    assert by_mean.record.weights == {}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_worst_task_is_lifted_where_it_is_the_objective(
    kit: Any, by_mean: fp.CompiledProgram, sampler: str
) -> None:
    worst = compile_ways(kit, "worst", sampler=sampler)
    assert min(after(worst).values()) > min(after(by_mean).values()) + 0.2
    assert worst.record.notes[-1].startswith("gain of the worst task +0.")
    assert worst.record.optimizer["objective"] == "worst"


def test_a_floor_is_kept_to(kit: Any, by_mean: fp.CompiledProgram) -> None:
    program = compile_ways(kit, fp.Objective(floors={"bank": 0.4}))
    assert after(program)["bank"] >= 0.4 > after(by_mean)["bank"]
    assert program.record.optimizer["objective"] == {"floors": {"bank": 0.4}}


def test_a_floor_that_nothing_reaches_leaves_the_program_as_written(kit: Any) -> None:
    record = compile_ways(kit, fp.Objective(floors={"bank": 0.95})).record
    assert not record.improved
    assert record.refused and all("bank scores 0." in reason for reason in record.refused)


LONG = "Look the case number up in the long ledger. " + "It has very many pages. " * 40


def by_length(prompt: str, task: str, number: int) -> bool:
    if "the long ledger" in prompt:
        return luck(task, number) < 10
    return luck(task, number) < (8 if "short list" in prompt else 2)


def lengths() -> fp.PromptPool:
    """The best hint is long; the short one is nearly as good."""
    return fp.PromptPool(
        [
            fp.Fragment("long", LONG, facet="role"),
            fp.Fragment("short", "Look it up in the short list.", facet="role"),
        ]
    )


def compile_lengths(kit: Any, objective: Any, sampler: str = "effects", **changes: Any) -> fp.CompiledProgram:
    tasks = [kit.task(name, val=120, test=0) for name in ("shop", "bank")]
    arguments = {"pool": lengths(), "sampler": sampler, "budget": fp.Budget(calls=1500), "trials": 24}
    model = changes.pop("model", None) or kit.Scripted(by_length)
    program: fp.CompiledProgram = kit.compile(model, tasks, objective=objective, **{**arguments, **changes}).program
    return program


def shows(program: fp.CompiledProgram, item: str) -> bool:
    return any(
        each.id == item and each.amount
        for task in program.tasks.values()
        for facet in task.mixtures["triage"].facets.values()
        for each in facet
    )


@pytest.mark.parametrize("sampler", ["effects", "tpe"])
def test_a_cap_on_tokens_is_kept_to(kit: Any, sampler: str) -> None:
    free = compile_lengths(kit, "mean", sampler)
    assert shows(free, "long")
    dearest = max(task.cost["after"]["tokens"] or 0 for task in free.record.tasks.values()) / 1000
    program = compile_lengths(kit, fp.Objective(most_tokens=dearest - 100), sampler)
    assert program.record.improved and shows(program, "short") and not shows(program, "long")
    for task in program.record.tasks.values():
        assert (task.cost["after"]["tokens"] or 0) / 1000 <= dearest - 100


@pytest.mark.parametrize("sampler", ["effects", "tpe"])
def test_the_knee_is_returned_and_the_front_is_kept(kit: Any, sampler: str, tmp_path: Path) -> None:
    program = compile_lengths(kit, fp.Objective(pareto=("quality", "tokens")), sampler)
    front = program.record.front
    assert [point.quality for point in front] == sorted((point.quality for point in front), reverse=True)
    assert [point.tokens for point in front] == sorted((point.tokens for point in front), reverse=True)
    assert len({point.tokens for point in front}) == len(front) >= 3
    assert front[0].quality == 1.0 and front[0].tokens > front[-1].tokens + 200
    (chosen,) = [point for point in front if point.chosen]
    assert 0.6 < chosen.quality < 1.0 and chosen.tokens < front[-1].tokens + 60
    assert shows(program, "short")
    program.save(tmp_path / "desk.json")
    assert fp.load(tmp_path / "desk.json", lm=kit.Scripted()).record.front[0].tokens == front[0].tokens


# The same at any speed and after any end.

OBJECTIVES = [
    ("uncertainty", "effects"),
    ("dwa", "effects"),
    ("random", "effects"),
    ("uncertainty", "tpe"),
    ("random", "tpe"),
    (fp.Objective("cvar", pareto=("quality", "tokens", "latency")), "effects"),
]


def weighed(kit: Any, objective: Any, sampler: str, **changes: Any) -> Any:
    def right(prompt: str, task: str, number: int) -> bool:
        return luck(task, number) < (5 if task == "shop" else 0) + (5 if kit.GOOD in prompt else 0)

    model = kit.Scripted(right, **{key: changes.pop(key) for key in ("waits", "fails_after") if key in changes})
    return kit.compile(model, sampler=sampler, objective=objective, budget=fp.Budget(calls=900), trials=40, **changes)


@pytest.mark.parametrize(("objective", "sampler"), OBJECTIVES)
def test_weights_that_move_change_nothing_about_reproducibility(
    kit: Any, tmp_path: Path, objective: Any, sampler: str
) -> None:
    calm = weighed(kit, objective, sampler)
    assert calm.program.record.improved and calm.program.record.trials == 40
    calm.program.save(tmp_path / "calm.json")
    draw = random.Random(1)
    hurried = weighed(kit, objective, sampler, waits=lambda number: draw.randrange(30), concurrency=5)
    hurried.program.save(tmp_path / "hurried.json")
    assert (tmp_path / "hurried.json").read_bytes() == (tmp_path / "calm.json").read_bytes()
    storage = str(tmp_path / "desk.db")
    with pytest.raises(LMError):
        weighed(kit, objective, sampler, fails_after=len(calm.seen) // 2, storage=storage)
    again = weighed(kit, objective, sampler, storage=storage)
    again.program.save(tmp_path / "again.json")
    assert len(again.seen) < len(calm.seen)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "calm.json").read_bytes()


def test_weights_at_the_end_are_in_the_artifact_and_shown(kit: Any, tmp_path: Path) -> None:
    program = weighed(kit, "uncertainty", "effects").program
    weights = program.record.weights
    assert sum(weights.values()) == pytest.approx(2.0) and weights["shop"] > 1.1 > 0.9 > weights["bank"] > 0
    program.save(tmp_path / "desk.json")
    loaded = fp.load(tmp_path / "desk.json", lm=kit.Scripted()).record
    assert loaded.weights == pytest.approx(weights, abs=1e-6)


def test_the_weights_decide_how_many_rows_a_task_gets(kit: Any) -> None:
    def calls(objective: str) -> dict[str, int]:
        seen = weighed(kit, objective, "effects", tasks=[kit.task(n, val=120, test=0) for n in ("shop", "bank")]).seen
        return {task: sum(f"case-{task}-val" in each for each in seen) for task in ("shop", "bank")}

    even, uneven = calls("mean"), calls("uncertainty")
    assert uneven["shop"] - uneven["bank"] > even["shop"] - even["bank"] + 60


# What is refused before a call.


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        (fp.Objective(floors={"bnak": 0.5}), FusionProgError, "floor for task 'bnak'.*Did you mean 'bank'"),
        (fp.Objective(most_tokens=5), BudgetError, "no call in task 'shop' takes as little as most_tokens=5"),
        (fp.Objective(most_usd=1e-9), BudgetError, "no call in task 'shop' costs as little as most_usd=1e-09"),
    ],
)
def test_what_cannot_be_kept_to_is_refused(kit: Any, objective: Any, error: type[Exception], message: str) -> None:
    model = kit.Scripted(usd_per_token=(1e-6, 1e-6))
    with pytest.raises(error, match=message):
        kit.compile(model, objective=objective)
    assert model.seen == []


@pytest.mark.parametrize("objective", [fp.Objective(most_usd=1), fp.Objective(pareto=("quality", "usd"))])
def test_dollars_cannot_be_counted_where_a_price_is_unknown(kit: Any, objective: Any) -> None:
    model = kit.Scripted(usd_per_token=None)
    with pytest.raises(BudgetError, match=r"the price of scripted is unknown.*Count tokens instead"):
        kit.compile(model, objective=objective)
    assert model.seen == []


@pytest.mark.parametrize("objective", [fp.Objective(most_usd=1), fp.Objective(pareto=("quality", "usd"))])
def test_dollars_cannot_be_counted_where_a_model_on_offer_has_no_price(kit: Any, objective: Any) -> None:
    model, other = kit.Scripted(usd_per_token=(1e-6, 1e-6)), kit.Scripted(name="other", usd_per_token=None)
    with pytest.raises(BudgetError, match=r"the price of other is unknown"):
        kit.compile(model, lm={"triage": [model, other], "*": model}, objective=objective)
    assert model.seen == other.seen == []


class Repaired(fp.Program):
    """A node, and four that may be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.triage = fp.modules.Predict("message -> team")
        self.repair = [
            fp.modules.Optional(fp.modules.Predict("message, draft -> team"), passthrough={"team": "draft"})
            for _ in range(4)
        ]

    def forward(self, message: str) -> Any:
        """Triage, then repair four times."""
        team = self.triage(message=message).team
        for repair in self.repair:
            team = repair(message=message, draft=team).team
        return {"team": team}


class Branched(fp.Program):
    """Four nodes, of which one runs."""

    def __init__(self) -> None:
        super().__init__()
        self.halves, self.thirds = (
            fp.modules.Function(lambda message, by=by: len(message) % by == 0, name=f"by{by}", outputs={"ok": bool})
            for by in (2, 3)
        )
        self.triage = [fp.modules.Predict("message -> team") for _ in range(4)]

    def forward(self, message: str) -> Any:
        """Triage in one of four ways."""
        thirds = self.thirds(message=message).ok

        def either(number: int) -> Any:
            first, second = self.triage[number : number + 2]
            return fp.when(thirds, lambda: first(message=message).team, lambda: second(message=message).team)

        return {"team": fp.when(self.halves(message=message).ok, lambda: either(0), lambda: either(2))}


@pytest.mark.parametrize("program", [Repaired, Branched])
def test_a_cap_counts_what_every_row_must_ask(kit: Any, program: type[fp.Program]) -> None:
    """Nodes that may be off, and those of which one runs, do not make a cap too low that can be kept."""
    tasks = [kit.task(test=0, labels={})]
    with pytest.raises(BudgetError, match="no call in task 'shop'"):
        kit.compile(program=program(), tasks=tasks, objective=fp.Objective(most_tokens=20))
    done = kit.compile(
        program=program(), tasks=tasks, budget=fp.Budget(calls=2000), objective=fp.Objective(most_tokens=250)
    ).program
    assert (done.record.tasks["shop"].cost["after"]["tokens"] or 0.0) <= 250_000


def test_a_cap_in_dollars_counts_the_cheapest_model(kit: Any) -> None:
    dear = kit.Scripted(usd_per_token=(1e-3, 1e-3), free=False)
    cheap = kit.Scripted(name="cheap", usd_per_token=(1e-7, 1e-7), free=False)
    objective = fp.Objective(most_usd=5e-4)
    done = kit.compile(dear, lm={"*": [dear, cheap]}, tasks=[kit.task(test=0)], objective=objective).program
    assert cheap.seen and done.record.models["triage"] == "cheap"


def test_an_objective_is_part_of_what_a_study_is_known_by(kit: Any) -> None:
    prints = [
        kit.compile(tasks=[kit.task(test=0)], objective=objective, trials=4).program.record.fingerprint
        for objective in ("mean", "worst", fp.Objective(), fp.Objective(floors={"shop": 0.1}))
    ]
    assert prints[0] == prints[2] and len(set(prints)) == 3
