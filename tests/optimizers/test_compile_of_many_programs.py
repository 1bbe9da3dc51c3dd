"""Compiles of all kinds of programs, tasks, pools and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
import fusionprog.optimizers.fusion as fusion
from fusionprog.errors import ArtifactError, DataError, FusionProgError, LMConfigurationError
from fusionprog.optimizers.registry import optimizer_registry, register_optimizer
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.confirmation import Decision
from fusionprog.search.objective import objective_of
from fusionprog.search.plan import Parts


def system(compiled: Any, task: str = "shop", node: str = "triage") -> str:
    """A node's system message."""
    return str(compiled.program.prompt(task, node=node)[0]["content"])


# Settings.


def test_one_trial_is_a_compile(kit: Any) -> None:
    done = kit.compile(trials=1)
    assert done.program.record.trials == 1
    assert kit.compile(trials=1, sampler="tpe").program.record.improved  # screening has found the hint already


@pytest.mark.parametrize(("sampler", "least", "most"), [("random", 64, 64), ("effects", 60, 80)])
def test_without_a_budget_there_is_a_usual_number_of_trials(kit: Any, sampler: str, least: int, most: int) -> None:
    record = kit.compile(tasks=[kit.task(test=0)], budget=None, trials=None, sampler=sampler).program.record
    assert least <= record.trials <= most


@pytest.mark.parametrize("sampler", ["effects", "nsga2", "random", "tpe"])
def test_a_sampler_is_chosen_by_name(kit: Any, sampler: str) -> None:
    record = kit.compile(sampler=sampler, trials=12).program.record
    assert record.improved
    assert record.optimizer == {"name": "fusion", "sampler": sampler, "objective": "mean"}


def test_the_worst_task_can_be_the_objective(kit: Any) -> None:
    """One hint lifts one task a lot, another lifts both a little; what a trial opens is open in both tasks."""

    def right(prompt: str, task: str, number: int) -> bool:
        luck = (number * 7) % 10
        if "the narrow way" in prompt:
            return luck < (10 if task == "shop" else 1)
        return luck < (4 if "the broad way" in prompt else 1)

    pool = fp.PromptPool(
        [
            fp.Fragment("narrow", "Go the narrow way.", facet="role"),
            fp.Fragment("broad", "Go the broad way.", facet="role"),
        ]
    )
    chosen = {
        objective: kit.compile(
            kit.Scripted(right), pool=pool, objective=objective, sampler="tpe", budget=fp.Budget(calls=1500)
        )
        for objective in ("mean", "worst")
    }
    best = {name: done.steps()[-1].best for name, done in chosen.items()}
    assert min(best["worst"].values()) > min(best["mean"].values())
    assert sum(best["mean"].values()) > sum(best["worst"].values())
    assert chosen["worst"].program.record.optimizer["objective"] == "worst"


@pytest.mark.parametrize(("setting", "value"), [("sampler", "tpee"), ("objective", "meen"), ("optimizer", "fusoin")])
def test_unknown_names_are_refused_with_the_closest_one(kit: Any, setting: str, value: str) -> None:
    model = kit.Scripted()
    with pytest.raises(FusionProgError, match=f"no {setting} called '{value}'. Did you mean"):
        kit.compile(model, **{setting: value})
    assert model.seen == []


@pytest.mark.parametrize("concurrency", [0, -1])
def test_no_calls_in_flight_are_refused(kit: Any, concurrency: int) -> None:
    with pytest.raises(LMConfigurationError, match=f"concurrency.*{concurrency}"):
        kit.compile(concurrency=concurrency)


def test_an_optimizer_of_ones_own_is_handed_the_job(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Mine:
        def __init__(self, sampler: str, objective: str) -> None:
            self.settings = {"sampler": sampler, "objective": objective}
            self.objective, self.parts = objective_of(objective), Parts()

        def arguments(self) -> dict[str, Any]:
            return self.settings

        async def compile(self, job: Any, client: Any, callbacks: Any, prior: Any, kept: Any) -> Any:
            seen.append((job.searched, self.settings, list(prior), kept.fingerprint))
            return "what it makes"

    monkeypatch.setattr(optimizer_registry, "_entries", dict(optimizer_registry._entries))
    register_optimizer("mine")(Mine)
    assert kit.compile(optimizer="mine", objective="worst").program == "what it makes"
    ((searched, settings, prior, fingerprint),) = seen
    assert searched == ("triage",) and prior == [] and len(fingerprint) == 32
    assert settings == {"sampler": "effects", "objective": "worst"}


# Priors.


def test_a_prior_is_tried_first(kit: Any, improved: Any, tmp_path: Path) -> None:
    """Too many items to screen, and one trial: only the prior can know which one helps."""
    crowd = {"pool": kit.pool(useless=60), "trials": 1, "budget": fp.Budget(calls=300)}
    assert not kit.compile(**crowd).program.record.improved
    improved.program.save(tmp_path / "desk.json")
    by_object = kit.compile(**crowd, prior=[improved.program])
    by_path = kit.compile(**crowd, prior=[tmp_path / "desk.json"])
    by_name = kit.compile(**crowd, prior=str(tmp_path / "desk.json"))
    assert by_object.program.record.improved
    assert by_path.program.record == by_object.program.record == by_name.program.record
    assert kit.GOOD in system(by_path)


def test_a_prior_of_another_pool_does_no_harm(kit: Any, improved: Any) -> None:
    done = kit.compile(pool=kit.nothing(3), prior=[improved.program])
    assert not done.program.record.improved and done.program.record.trials == 8


def test_a_prior_that_is_not_there_is_refused(kit: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        kit.compile(prior=[tmp_path / "gone.json"])


# Pools.


def test_one_item_is_enough(kit: Any) -> None:
    done = kit.compile(pool=kit.pool(useless=0))
    assert done.program.record.improved and kit.GOOD in system(done)
    assert done.program.record.phases.get("screening", 0) == 0


def test_an_empty_pool_leaves_little_to_find(kit: Any) -> None:
    done = kit.compile(pool=fp.PromptPool())
    assert not done.program.record.improved


@pytest.mark.parametrize("useful", [True, False])
def test_pinned_fragments_are_in_every_prompt(kit: Any, useful: bool) -> None:
    rule = "Never promise a refund."
    pinned = fp.Fragment("rule", rule, facet="constraint", pinned=True)
    pool = kit.pool(pinned) if useful else kit.nothing() | fp.PromptPool([pinned])
    done = kit.compile(pool=pool)
    assert done.program.record.improved == useful
    for task in ("shop", "bank"):
        for node in ("triage", "answer"):
            assert rule in system(done, task, node)
    assert all(rule in seen for seen in done.seen)  # the program as written has it, too


def test_a_pinned_fragment_of_a_domain_stays_there(kit: Any) -> None:
    pinned = fp.Fragment("rule", "Never lend.", facet="constraint", domains=["bank"], nodes=["triage"], pinned=True)
    done = kit.compile(pool=kit.pool(pinned))
    assert "Never lend." in system(done, "bank")
    assert "Never lend." not in system(done, "shop")
    assert "Never lend." not in system(done, "bank", "answer")


def test_frozen_items_and_nodes_are_left_alone(kit: Any) -> None:
    frozen = kit.compile(freeze=["good"])
    assert not frozen.program.record.improved
    assert not any(kit.GOOD in seen for seen in frozen.seen)
    both = fp.Metric(lambda example, pred: float(example.team == pred.team), fields=["team", "reply"], gold=["team"])
    node = kit.compile(tasks=[kit.task(metric=both)], freeze="triage")
    assert not any(kit.GOOD in seen for seen in node.seen if "reply" not in seen.rpartition("Respond with")[2])
    assert any(kit.GOOD in seen for seen in node.seen)


def test_demonstrations_are_searched(kit: Any) -> None:
    def right(prompt: str, task: str, number: int) -> bool:
        return number % 10 < (9 if "a message like this" in prompt else 3)

    shown = [{"message": f"a message like this {index}", "team": "billing"} for index in range(8)]
    pool = fp.PromptPool([fp.DemoSet("shown", shown, node="triage", domains=["shop"])]) | kit.nothing(2)
    done = kit.compile(kit.Scripted(right), tasks=[kit.task("shop"), kit.task("bank")], pool=pool, trials=20)
    assert done.program.record.tasks["shop"].confirmation.gain > 0
    messages = done.program.prompt("shop", node="triage")
    assert any("a message like this" in message["content"] for message in messages[1:-1])
    assert "a message like this" not in str(done.program.prompt("bank", node="triage"))


def test_a_programs_own_successes_become_demonstrations(kit: Any) -> None:
    seen: dict[str, int] = {}

    def right(prompt: str, task: str, number: int) -> bool:
        seen[task] = seen.get(task, 0) + ("-train-" in prompt)
        return number % 10 < (9 if prompt.count("case-shop-train") > 1 else 4)

    pool = fp.PromptPool([fp.builders.BootstrappedDemos(count=4)]) | kit.nothing(1)
    model = kit.Scripted(right)
    done = kit.compile(model, tasks=[kit.task(train=40)], pool=pool, trials=20)
    record = done.program.record
    assert record.improved
    assert 0 < record.phases["bootstrap"] == sum("-train-" in each.rpartition("role")[2] for each in done.seen)
    assert record.spent["calls"] <= 500
    shown = done.program.prompt("shop", node="triage")[1:-1]
    assert shown and all("case-shop-train-" in message["content"] for message in shown[::2])
    numbers = [int(message["content"].rpartition("case-shop-train-")[2].partition(".")[0]) for message in shown[::2]]
    assert all(number % 10 < 4 for number in numbers)  # only what it got right


# Tasks.


def test_a_cross_fitted_search_is_not_cut_by_calls_that_are_planned_for(kit: Any) -> None:
    """The runs for demonstrations are all paid for by the first fold; that takes nothing from its trials."""
    pool = kit.pool(fp.builders.BootstrappedDemos(count=4))
    for calls in range(300, 500, 50):
        done = kit.compile(
            tasks=[kit.task(val=30, train=60)], pool=pool, trials=None, budget=fp.Budget(calls=calls)
        ).program.record
        assert done.reason == f"all {done.trials} trials are done"


@pytest.mark.parametrize("val", [2, 9, 24, 39])
def test_a_small_val_is_cross_fitted(kit: Any, val: int) -> None:
    done = kit.compile(tasks=[kit.task(val=val)], trials=8)
    record = done.program.record
    assert record.trials == 16 and record.reason == "all 16 trials are done"  # eight in each fold
    assert [event.phase for event in done.events if hasattr(event, "steps")].count("search") == 2
    assert record.spent["calls"] <= 500
    assert len(done.seen) == record.spent["calls"] + record.phases["test"]
    assert record.tasks["shop"].confirmation.after.n in (val // 2, val - val // 2)
    assert record.improved == (val >= 24)  # on fewer rows, a gain on each could be chance


@pytest.mark.parametrize("fold", [0, 1])
def test_a_cross_fitted_task_without_test_costs_nothing_more(
    kit: Any, monkeypatch: pytest.MonkeyPatch, fold: int
) -> None:
    """What is reported of a finalist was measured when it was confirmed, whichever half that was on."""
    chosen: list[bool] = []

    def decide(finalists: Any, unchanged: Any, objective: Any, **more: Any) -> Decision:
        half = len(finalists) // 2
        mine, theirs = (finalists[:half], finalists[half:]) if fold == 0 else (finalists[half:], finalists[:half])
        known = [each.schedule for each in theirs]
        own = [each for each in mine if each.schedule not in known]
        chosen.append(bool(own))
        best = (own or mine)[0]
        return Decision(best.schedule, True, best.gains, "as the test wants it")

    monkeypatch.setattr(fusion, "decide", decide)
    pool = fp.PromptPool(fp.Fragment(f"good-{n}", f"{kit.GOOD} Way {n}.", facet="hint") for n in range(8))
    for seed in range(4):
        # Each row has a text of its own that helps it, so that the halves have favourites of their own.
        model = kit.Scripted(lambda prompt, task, number: f"Way {number % 8}." in prompt)
        done = kit.compile(model, tasks=[kit.task(val=38, test=0)], seed=seed, trials=30, pool=pool)
        record = done.program.record
        assert record.phases["test"] == 0
        assert len(done.seen) == record.spent["calls"] <= 500
    assert any(chosen)  # a finalist of this half alone


def test_one_task_is_enough(kit: Any, tmp_path: Path) -> None:
    program = kit.compile(tasks=[kit.task()]).program
    assert program.record.improved
    assert program(message="Please see to case-shop-new-0.").team == "billing"  # it need not be named
    program.save(tmp_path / "desk.json")
    assert list(fp.load(tmp_path / "desk.json", lm=kit.Scripted()).tasks) == ["shop"]


def test_a_task_of_two_sizes_is_searched_with_what_it_has(kit: Any) -> None:
    record = kit.compile(tasks=[kit.task("shop", val=120), kit.task("bank", val=42)]).program.record
    assert record.tasks["shop"].confirmation.after.n >= record.tasks["bank"].confirmation.after.n >= 20


def test_rows_of_a_private_task_stay_out_of_prompts_and_file(kit: Any, tmp_path: Path) -> None:
    pool = kit.pool(fp.builders.BalancedDemos(per_label=1), fp.builders.BootstrappedDemos(count=4))
    tasks = [kit.task("shop", private=True), kit.task("bank")]

    def right(prompt: str, task: str, number: int) -> bool:
        return number % 10 < (9 if "case-bank-train" in prompt else 5 if kit.GOOD in prompt else 3)

    done = kit.compile(kit.Scripted(right), tasks=tasks, pool=pool, trials=20, budget=fp.Budget(calls=900))
    bootstrapping = [seen for seen in done.seen if "case-shop-train" in seen.rpartition("role")[2]]
    assert not any("case-shop-train" in seen for seen in done.seen if seen not in bootstrapping)
    assert any(seen.count("case-bank-train") > 1 for seen in done.seen)
    done.program.save(tmp_path / "desk.json")
    assert "case-shop-" not in (tmp_path / "desk.json").read_text(encoding="utf-8")


def test_a_task_without_training_rows_is_refused(kit: Any) -> None:
    with pytest.raises(DataError, match="task 'shop', train is empty"):
        kit.compile(tasks=[kit.task(train=0)])


# Programs.


class Chain(fp.Program):
    """Triage, a lookup in ordinary Python, and an answer."""

    def __init__(self, triage: Any, lookup: Any, reply: Any) -> None:
        super().__init__()
        self.triage = triage
        self.lookup = lookup
        self.reply = reply

    def forward(self, message: str) -> Any:
        """One after the other."""
        team = self.triage(message=message).team
        desk = self.lookup(team=team).desk
        return {"team": team, "reply": self.reply(message=message, desk=desk).reply}


def test_a_function_in_the_middle_is_run_and_the_nodes_around_it_are_searched(kit: Any, tmp_path: Path) -> None:
    looked_up: list[str] = []

    def lookup(team: str) -> str:
        looked_up.append(team)
        return f"desk {len(team)}"

    program = Chain(
        fp.modules.Predict(kit.Triage),
        fp.modules.Function(lookup, name="lookup", outputs={"desk": str}),
        fp.modules.ChainOfThought("message, desk -> reply"),
    )
    both = fp.Metric(
        lambda example, pred: (float(pred.team == example.team) + float(pred.reply == "Thanks.")) / 2,
        fields=["team", "reply"],
        gold=["team"],
        name="both",
    )
    pool = kit.pool(fp.Fragment("short", "Be brief.", facet="constraint", nodes=["reply"]))
    tasks = [kit.task("shop", metric=both), kit.task("bank", metric=both)]
    done = kit.compile(program=program, tasks=tasks, pool=pool, budget=fp.Budget(calls=900), trials=20)
    record = done.program.record
    assert record.improved and record.spent["calls"] <= 900
    assert len(done.seen) == record.spent["calls"] + record.phases["test"]
    assert set(looked_up) <= {team for teams in kit.TEAMS.values() for team in teams}
    assert len(looked_up) < len(done.seen)  # equal inputs are looked up once
    assert any(f"desk {len('billing')}" in seen for seen in done.seen)
    assert not any("is read by no metric" in note for note in record.notes)
    done.program.save(tmp_path / "chain.json")
    loaded = fp.load(tmp_path / "chain.json", lm=kit.Scripted(), functions={"lookup": lookup})
    assert loaded("shop", message="Please see to case-shop-new-0.").team == "billing"


def test_the_hint_is_found_at_the_node_that_it_helps(kit: Any) -> None:
    """Only the second node cares, and only about its own prompt."""

    def right(prompt: str, task: str, number: int) -> bool:
        return "desk" in prompt and number % 10 < (9 if kit.GOOD in prompt else 3)

    program = Chain(
        fp.modules.Predict(kit.Triage),
        fp.modules.Function(lambda team: "one", name="lookup", inputs={"team": str}, outputs={"desk": str}),
        fp.modules.Predict("message, desk -> reply"),
    )
    metric = fp.Metric(lambda example, pred: float(pred.reply == "Thanks."), fields=["team", "reply"], name="thanks")
    done = kit.compile(
        kit.Scripted(right),
        program=program,
        tasks=[kit.task(metric=metric)],
        pool=kit.pool(useless=1),
        budget=fp.Budget(calls=800),
        trials=20,
    )
    assert done.program.record.improved
    assert kit.GOOD in system(done, node="reply")


def test_a_judge_is_metered_like_any_node(kit: Any) -> None:
    judge = fp.metrics.judge("reply, gold_reply -> score: float")
    done = kit.compile(tasks=[kit.task(metric=judge)], budget=fp.Budget(calls=700))
    record = done.program.record
    asked = [seen.rpartition("Respond with")[2] for seen in done.seen]
    judged = sum("score" in each for each in asked)
    assert judged > 0
    assert len(done.seen) == len(set(done.seen)) == record.spent["calls"] + record.phases["test"]
    assert record.spent["calls"] <= 700
    assert record.tasks["shop"].confirmation.after.mean in (0.5, 1.0)


def test_a_judge_may_have_a_model_of_its_own(kit: Any) -> None:
    strict = kit.Scripted(name="strict")
    judge = fp.metrics.judge("reply, gold_reply -> score: float", lm=strict)
    done = kit.compile(tasks=[kit.task(metric=judge)], budget=fp.Budget(calls=700))
    record = done.program.record
    assert strict.seen and all("score" in seen.rpartition("Respond with")[2] for seen in strict.seen)
    assert not any("score" in seen.rpartition("Respond with")[2] for seen in done.seen)
    assert len(done.seen) + len(strict.seen) == record.spent["calls"] + record.phases["test"]


def test_nodes_may_have_models_of_their_own(kit: Any) -> None:
    other = kit.Scripted(name="other")
    both = fp.Metric(lambda example, pred: float(pred.reply == "Thanks."), fields=["team", "reply"], name="thanks")
    model = {"triage": kit.Scripted(), "answer": other}
    program = kit.compile(model, tasks=[kit.task(metric=both)], budget=fp.Budget(calls=600)).program
    assert program.record.models == {"triage": "scripted", "answer": "other"}
    assert all("reply ## ]]" in seen or "`reply`" in seen or "<reply>" in seen for seen in other.seen)
    assert len(other.seen) + len(model["triage"].seen) == program.record.spent["calls"] + program.record.phases["test"]


def test_a_graph_written_by_hand_compiles(kit: Any) -> None:
    graph = fp.ProgramGraph("by-hand")
    graph.add("triage", fp.modules.Predict(kit.Triage))
    graph.connect("message", "triage.message")
    graph.output("team", "triage.team")
    done = kit.compile(program=graph)
    assert done.program.record.improved and kit.GOOD in system(done)


# The offline reader.


def test_the_offline_reader_compiles_the_desk(
    desk_program: fp.Program, desk_tasks: list[fp.Task], tmp_path: Path, kit: Any
) -> None:
    pool = fp.PromptPool([fp.builders.LabelGlossary(words=6), fp.builders.BalancedDemos(per_label=2)]) | kit.nothing(2)
    compiled = fp.compile(
        desk_program, desk_tasks, pool=pool, lm="offline", trials=8, budget=fp.Budget(calls=600), progress=False
    )
    assert compiled.record.improved
    assert compiled.record.spent["usd"] == 0.0
    assert {task.test.gain > 0 for task in compiled.record.tasks.values() if task.test} == {True}
    compiled.save(tmp_path / "desk.json")
    loaded = fp.load(tmp_path / "desk.json")
    assert loaded.record.fingerprint == compiled.record.fingerprint and loaded.record.improved
    assert loaded("bank", message="a phishing thing").team == compiled("bank", message="a phishing thing").team


def test_compiling_needs_no_pool(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    compiled = fp.compile(
        desk_program, desk_tasks[:1], lm="offline", trials=4, budget=fp.Budget(calls=400), progress=False
    )
    assert compiled.record.trials == 4
    assert compiled.record.phases["bootstrap"] > 0


def test_the_schedule_of_a_program_as_written_is_empty(as_written: Any) -> None:
    assert as_written.program.schedule == Schedule()
