"""A compile from end to end: what it finds, and what it spends on it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog._internal.canonical import seed_of
from fusionprog.search.events import Finished, Note, PhaseStarted, Planned, StepDone

# What it finds.


def test_the_good_hint_is_found_and_proven(improved: Any, kit: Any) -> None:
    record = improved.program.record
    assert record.improved
    assert record.trials == 8 and record.reason == "all 8 trials are done"
    for task in record.tasks.values():
        assert task.confirmation.gain > 0.2 and task.confirmation.after.n == 20
        assert task.test is not None and task.test.gain > 0 and task.test.after.n == 12
        assert task.cost["after"]["tokens"] > task.cost["before"]["tokens"]
    for name in ("shop", "bank"):
        assert kit.GOOD in improved.program.prompt(name, node="triage")[0]["content"]
    assert record.notes[-1].startswith("mean gain +")


def test_where_nothing_helps_the_program_comes_back_as_written(as_written: Any, kit: Any) -> None:
    program = as_written.program
    assert not program.record.improved
    assert program.record.notes[-1] == "nothing beat your program"
    assert program.schedule == type(program.schedule)()
    bare = kit.compile(pool=fp.PromptPool(), trials=1).program
    for name in ("shop", "bank"):
        assert program.prompt(name, node="triage") == bare.prompt(name, node="triage")
        confirmation = program.record.tasks[name].confirmation
        assert confirmation.before == confirmation.after and confirmation.gain == 0.0
        assert program.record.tasks[name].cost["before"] == program.record.tasks[name].cost["after"]


def test_useless_items_seldom_replace_the_program(kit: Any) -> None:
    """At most one compile in twenty may; with luck that differs by prompt, so that there is something to mistake."""

    def right(prompt: str, task: str, number: int) -> bool:
        return bool(seed_of(prompt, task, number) % 10 < 4)

    pool, budget = kit.nothing(6), fp.Budget(calls=400)
    kept = [
        not kit.compile(kit.Scripted(right), pool=pool, budget=budget, trials=None, seed=seed).program.record.improved
        for seed in range(8)
    ]
    assert sum(kept) >= 7


@pytest.mark.parametrize("right", [True, False])
def test_a_program_that_is_always_right_or_always_wrong_stays_as_written(kit: Any, right: bool) -> None:
    record = kit.compile(kit.Scripted(lambda prompt, task, number: right)).program.record
    assert not record.improved
    assert {task.confirmation.after.mean for task in record.tasks.values()} == {float(right)}


def test_a_task_that_a_hint_harms_goes_without_it(kit: Any) -> None:
    def right(prompt: str, task: str, number: int) -> bool:
        helped = kit.GOOD in prompt
        return number % 10 < ({True: 2, False: 7} if task == "bank" else {True: 10, False: 3})[helped]

    program = kit.compile(kit.Scripted(right), pool=kit.pool(useless=1)).program
    assert program.record.improved
    assert kit.GOOD in program.prompt("shop", node="triage")[0]["content"]
    assert kit.GOOD not in program.prompt("bank", node="triage")[0]["content"]
    assert program.record.tasks["bank"].confirmation.gain == 0.0
    assert program.record.tasks["bank"].test.gain == 0.0


def test_what_was_learned_is_recorded(improved: Any, plain: Any, as_written: Any) -> None:
    for compiled, method in ((improved, "posterior"), (plain, "comparison")):
        learned = compiled.program.record.learned
        assert learned.method == method
        for task in ("shop", "bank"):
            effects = learned.effects[task]["triage"]
            assert max(effects, key=lambda item: effects[item].mean) == "good" and effects["good"].n > 0
        assert [point.trials for point in learned.curve] == list(range(compiled.program.record.trials + 1))
        assert learned.curve[-1].calls <= compiled.program.record.spent["calls"]
    assert all(point.expected is not None for point in improved.program.record.learned.curve[1:])
    even = improved.program.record.break_even
    assert even.calls_to_gain > even.spent_calls == improved.program.record.spent["calls"]
    assert as_written.program.record.break_even is None and as_written.program.record.learned is not None


def test_both_halves_of_a_cross_fitted_val_are_learned_from(kit: Any) -> None:
    learned = kit.compile(tasks=[kit.task("shop", val=24)]).program.record.learned
    assert {point.fold for point in learned.curve} == {0, 1}
    second = next(point for point in learned.curve if point.fold == 1)
    assert second.trials == 0 and second.calls > max(point.calls for point in learned.curve if point.fold == 0)


def test_a_node_that_no_metric_reads_is_left_as_written_and_never_run(improved: Any) -> None:
    assert not any("reply" in seen.rpartition("Respond with")[2] for seen in improved.seen)
    assert "node 'answer' is read by no metric; left as written" in improved.program.record.notes


def test_a_compiled_program_answers(improved: Any) -> None:
    prediction = improved.program("shop", message="Please see to case-shop-new-1.")
    assert prediction.team == "delivery" and prediction.reply in ("Thanks.", "No.")
    assert prediction["triage.team"] == "delivery"


# What it spends.


@pytest.mark.parametrize("calls", [185, 200, 251, 613])
@pytest.mark.parametrize("trials", [None, 20])
def test_logical_calls_are_what_the_model_saw_and_never_above_the_budget(
    kit: Any, calls: int, trials: int | None
) -> None:
    done = kit.compile(budget=fp.Budget(calls=calls), trials=trials)
    record = done.program.record
    assert record.spent["calls"] <= calls
    assert len(done.seen) == len(set(done.seen)) == record.spent["calls"] + record.phases["test"]
    assert sum(record.phases.values()) == record.spent["calls"] + record.phases["test"]
    assert record.reason == f"all {record.trials} trials are done"


def test_a_search_gets_the_trials_that_it_was_planned_with(kit: Any) -> None:
    """Nothing is kept back for parts that the plan has paid for already."""
    for trials in (1, 2, 9, 30):
        assert kit.compile(trials=trials).program.record.trials == trials


def test_the_test_report_is_outside_of_the_budget_and_booked_apart(kit: Any) -> None:
    small, large = (kit.compile(tasks=[kit.task(test=test)]).program.record for test in (4, 40))
    assert small.spent == large.spent
    assert (small.phases["test"], large.phases["test"]) == (8, 80)


def test_a_task_without_test_is_reported_from_its_confirmation(kit: Any) -> None:
    done = kit.compile(tasks=[kit.task("shop", test=0), kit.task("bank")])
    record = done.program.record
    assert record.tasks["shop"].test is None and record.tasks["bank"].test is not None
    assert record.tasks["shop"].cost["after"]["tokens"] > record.tasks["shop"].cost["before"]["tokens"] > 0
    assert record.phases["test"] == 2 * 12  # those of the other task
    assert len(done.seen) == record.spent["calls"] + record.phases["test"]


def test_tokens_and_dollars_are_those_of_the_logical_calls(kit: Any) -> None:
    done = kit.compile(kit.Scripted(tokens=lambda prompt: 100, usd_per_token=(1e-3, 1e-2)), tasks=[kit.task(test=0)])
    spent = done.program.record.spent
    assert spent["tokens"] == 105 * spent["calls"]
    assert spent["usd"] == pytest.approx(0.15 * spent["calls"])
    assert done.program.record.tasks["shop"].cost["before"] == {"tokens": 105_000, "usd": 150.0}


def test_unknown_prices_are_no_prices(kit: Any) -> None:
    record = kit.compile(kit.Scripted(usd_per_token=None), tasks=[kit.task()]).program.record
    assert record.spent["usd"] == 0.0
    assert record.tasks["shop"].cost["before"]["usd"] is None


@pytest.mark.parametrize("limit", ["tokens", "usd"])
def test_a_search_ends_before_tokens_or_dollars_do(kit: Any, limit: str) -> None:
    """Calls cost many times the estimate: the search ends early, and the finalists can still be paid for."""
    heavy = kit.Scripted(tokens=lambda prompt: 4000, max_output_tokens=4000, usd_per_token=(1e-3, 1e-3))
    budget = fp.Budget(tokens=2_000_000) if limit == "tokens" else fp.Budget(usd=2000.0)
    done = kit.compile(heavy, tasks=[kit.task(test=0)], budget=budget, trials=None)
    record = done.program.record
    assert record.reason == f"the budget's {limit} are used up"
    assert 0 < record.trials < done.events[-1].record.trials + 1
    assert record.spent[limit] <= getattr(budget, limit)
    assert record.improved
    assert len(done.seen) == record.spent["calls"]  # also what was in flight when the search ended is booked


def test_a_search_that_is_out_of_money_before_it_begins_leaves_the_program_as_written(kit: Any) -> None:
    heavy = kit.Scripted(tokens=lambda prompt: 200_000, max_output_tokens=200_000)
    record = kit.compile(heavy, tasks=[kit.task()], budget=fp.Budget(tokens=500_000), trials=None).program.record
    assert (record.trials, record.improved) == (0, False)
    assert record.reason == "the budget's tokens are used up"


def test_a_fold_that_was_cut_is_the_reason_whatever_the_other_did(kit: Any) -> None:
    """Screening has spent the first fold's half of the tokens; the second fold has enough again."""
    waiting = {"left": 110}

    def tokens(prompt: str) -> int:
        waiting["left"] -= 1
        return 4000 if waiting["left"] > 0 else 10

    done = kit.compile(
        kit.Scripted(tokens=tokens, max_output_tokens=4000),
        tasks=[kit.task(val=36)],
        budget=fp.Budget(tokens=800_000),
        trials=None,
        sampler="tpe",
    )
    planned = [event.steps for event in done.events if isinstance(event, PhaseStarted) and event.phase == "search"]
    assert len(planned) == 2
    all_of_first, all_of_second = (steps or 0 for steps in planned)
    assert all_of_second <= done.program.record.trials < all_of_second + all_of_first / 4
    assert done.program.record.reason == "the budget's tokens are used up"


def test_time_ends_the_search_and_what_is_in_flight_is_told(kit: Any) -> None:
    done = kit.compile(budget=fp.Budget(seconds=1e-6), trials=50)
    record = done.program.record
    assert record.reason == "the budget's seconds are used up"
    assert record.trials < 50
    assert len(done.seen) == record.spent["calls"] + record.phases["test"]


# What it says while it runs.


def phases(compiled: Any) -> list[str]:
    return [event.phase for event in compiled.events if isinstance(event, PhaseStarted)]


@pytest.fixture(scope="module")
def plain(kit: Any) -> Any:
    """A compile whose sampler is Optuna's own."""
    return kit.compile(sampler="random", trials=20)


def test_callbacks_are_told_of_every_part_in_order(improved: Any) -> None:
    events = improved.events
    assert phases(improved) == ["search", "confirmation", "test"]
    assert [event.step for event in improved.steps()] == list(range(1, 9))
    assert isinstance(events[-1], Finished) and events[-1].record == improved.program.record
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0].startswith("study ") and notes[0].endswith(" is new")
    assert tuple(notes[1:]) == improved.program.record.notes


def test_screening_is_a_part_where_the_sampler_begins_with_what_it_finds(plain: Any) -> None:
    assert phases(plain) == ["screening", "search", "narrowing", "confirmation", "test"]


def test_steps_tell_the_best_so_far_where_all_trials_have_the_same_rows(plain: Any) -> None:
    steps = plain.steps()
    best = [sum(step.best.values()) for step in steps]
    assert best == sorted(best) and best[-1] > sum(steps[0].baseline.values())


def test_steps_tell_scores_and_what_was_spent(improved: Any) -> None:
    steps = improved.steps()
    assert all(step.baseline == steps[0].baseline and set(step.best) == {"shop", "bank"} for step in steps)
    calls = [event.spent.calls for event in improved.events if isinstance(event, StepDone)]
    assert calls == sorted(calls) and calls[-1] <= improved.program.record.spent["calls"]
    assert all(step.spent.budget == fp.Budget(calls=500) and step.spent.stored == 0 for step in steps)


def test_a_callback_that_raises_ends_the_compile(kit: Any) -> None:
    def angry(event: Any) -> None:
        if isinstance(event, StepDone) and event.phase == "search":
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        kit.compile(callbacks=[angry])


def test_what_a_callback_raises_at_the_plan_ends_a_compile_before_anything(kit: Any, tmp_path: Path) -> None:
    seen: list[Any] = []

    def stop(event: Any) -> None:
        seen.append(event)
        raise RuntimeError("not today")

    model = kit.Scripted()
    with pytest.raises(RuntimeError, match="not today"):
        kit.compile(model, storage=str(tmp_path / "x.db"), callbacks=[stop])
    assert [type(event) for event in seen] == [Planned] and seen[0].job.estimate.calls > 0
    assert not model.seen and list(tmp_path.iterdir()) == []


def test_progress_is_silent_plain_or_left_to_the_terminal(kit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = [kit.task(test=0)]
    kit.compile(tasks=tasks, progress=False)
    kit.compile(tasks=tasks, progress=None)  # stderr is no terminal here
    assert capsys.readouterr() == ("", "")
    kit.compile(tasks=tasks, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "search …" in captured.err and "trial 8 · shop " in captured.err


@pytest.mark.parametrize("heard", [True, False])
def test_a_journal_that_cannot_be_written_is_told_and_costs_no_program(kit: Any, tmp_path: Path, heard: bool) -> None:
    """Nobody else would say it where there are no callbacks."""
    (tmp_path / "x.study.log").mkdir()
    notes: list[str] = []

    def hear(event: Any) -> None:
        notes.extend([event.text] if isinstance(event, Note) else [])

    told = contextlib.nullcontext() if heard else pytest.warns(UserWarning, match="cannot be kept for Optuna in")
    with told:
        program = fp.compile(
            kit.Desk(),
            [kit.task("shop"), kit.task("bank")],
            pool=kit.pool(useless=0),
            lm=kit.Scripted(),
            budget=fp.Budget(calls=600),
            trials=8,
            storage=str(tmp_path / "x.db"),
            callbacks=[hear] if heard else [],
            progress=False,
        )
    assert program.record.improved
    assert any("cannot be kept for Optuna in" in note for note in notes) == heard
