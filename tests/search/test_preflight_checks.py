"""Preflight: what is refused, noted, planned and estimated before any call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic
import pytest

import fusionprog as fp
from fusionprog.cli.summary import dry_run_lines
from fusionprog.errors import (
    BudgetError,
    DataError,
    FusionProgError,
    LMConfigurationError,
    MetricError,
    PoolError,
    ProgramError,
)
from fusionprog.lm.model import Completion, Messages
from fusionprog.search.preflight import Job, preflight

SMALL = fp.PromptPool([fp.builders.LabelGlossary(words=4), fp.Fragment("short", "Be brief.", facet="constraint")])


class Silent:
    """A model that must not be asked."""

    persistent = True

    def __init__(
        self, name: str = "silent", usd: tuple[float, float] | None = (1e-6, 2e-6), free: bool = False
    ) -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}
        self.usd_per_token = usd
        self.max_output_tokens: int | None = 100

    async def complete(self, messages: Messages) -> Completion:
        raise AssertionError("preflight asked the model")


def check(program: Any, tasks: Any, **changes: Any) -> Job:
    arguments: dict[str, Any] = {
        "pool": SMALL,
        "lm": Silent(),
        "budget": None,
        "trials": 8,
        "freeze": (),
        "seed": 0,
    }
    return preflight(program, tasks, **{**arguments, **changes})


def graph_of(**modules: Any) -> fp.ProgramGraph:
    """Nodes in a row: each reads ``text`` and makes a field of its own."""
    graph = fp.ProgramGraph("row")
    for name, module in modules.items():
        graph.add(name, module)
        graph.connect("text", f"{name}.text")
        for field in module.signature.output_fields:
            graph.output(field, f"{name}.{field}")
    return graph


def task_of(metric: Any, rows: int = 48, **columns: Any) -> fp.Task:
    made = {
        split: [{"text": f"{split} {index}", **columns} for index in range(count)]
        for split, count in (("train", 8), ("val", rows))
    }
    return fp.Task("only", train=made["train"], val=made["val"], metric=metric)


# What is refused.


def test_no_program_and_no_tasks_are_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(ProgramError, match="no program to compile"):
        check("desk.py", desk_tasks)
    with pytest.raises(DataError, match="no tasks"):
        check(desk_program, [])
    with pytest.raises(DataError, match="two tasks are named 'shop'"):
        check(desk_program, [desk_tasks[0], desk_tasks[0]])


@pytest.mark.parametrize("trials", [0, -3])
def test_fewer_than_one_trial_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task], trials: int) -> None:
    with pytest.raises(BudgetError, match=f"trials must be at least 1.*found {trials}"):
        check(desk_program, desk_tasks, trials=trials)


def test_a_task_that_does_not_fit_the_graph_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(ProgramError, match=r"task 'shop', labels: there is no node 'triag'.*'triage'"):
        check(desk_program, [replace(desk_tasks[0], labels={"triag.team": ["a", "b"]})])


def test_a_metric_of_an_unknown_output_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(ProgramError, match="'teem'"):
        check(desk_program, [replace(desk_tasks[0], metric=fp.metrics.exact_match("teem"))])
    with pytest.raises(MetricError, match="cannot be called"):
        check(desk_program, [replace(desk_tasks[0], metric="exact")])


def test_rows_without_the_gold_column_are_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    val = [{"message": f"hello {index}"} for index in range(48)]
    with pytest.raises(DataError, match="task 'shop', val, row 0 has no column 'team'"):
        check(desk_program, [replace(desk_tasks[0], val=val)])


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_split_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task], split: str) -> None:
    changes: Any = {split: []}
    with pytest.raises(DataError, match=f"task 'shop', {split} is empty"):
        check(desk_program, [replace(desk_tasks[0], **changes)])


def test_data_that_cannot_be_read_is_refused_with_its_place(
    desk_program: fp.Program, desk_tasks: list[fp.Task], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"task 'shop', val: there is no file .*val.jsonl"):
        check(desk_program, [replace(desk_tasks[0], val=tmp_path / "val.jsonl")])
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"message": "hi", "team": "billing"}\n{"message": \n', encoding="utf-8")
    with pytest.raises(DataError, match="line 2 is no JSON"):
        check(desk_program, [replace(desk_tasks[0], val=broken)])


def test_one_row_of_val_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    rows: Any = desk_tasks[0].val
    with pytest.raises(DataError, match="val has fewer than 2 different rows"):
        check(desk_program, [replace(desk_tasks[0], val=[*rows][:1])])


def test_a_pool_for_another_program_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    pool = fp.PromptPool([fp.Fragment("short", "Be brief.", facet="constraint", nodes=["anwser"])])
    with pytest.raises(PoolError, match=r"'short' is for an unknown node 'anwser'.*'answer'"):
        check(desk_program, desk_tasks, pool=pool)


def test_freezing_what_is_not_there_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(PoolError, match="freeze names 'shorter', which is neither a node nor an item"):
        check(desk_program, desk_tasks, freeze=("triage", "shorter"))


def test_nothing_to_search_is_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(ProgramError, match=r"nothing to search.*Freeze less"):
        check(desk_program, desk_tasks, freeze=("triage",))
    shout = fp.modules.Function(str.upper, name="shout", inputs={"text": str}, outputs={"loud": str})
    with pytest.raises(ProgramError, match="nothing to search"):
        check(graph_of(shout=shout), [task_of(fp.metrics.exact_match("loud"), loud="X")])


def test_no_model_at_all_is_refused_and_offers_the_offline_reader(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    with pytest.raises(LMConfigurationError, match=r"no language model.*lm='offline'"):
        check(desk_program, desk_tasks, lm=None)


def test_the_environment_names_the_model_where_none_is_given(
    desk_program: fp.Program, desk_tasks: list[fp.Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSIONPROG_LM", "offline")
    assert {model.name for model in check(desk_program, desk_tasks, lm=None).models.values()} == {"offline"}


def test_models_of_unknown_or_missing_nodes_are_refused(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(LMConfigurationError, match="unknown node 'triag'"):
        check(desk_program, desk_tasks, lm={"triag": Silent(), "*": Silent()})
    with pytest.raises(LMConfigurationError, match="no model for node 'answer'"):
        check(desk_program, desk_tasks, lm={"triage": Silent()})


def test_dollars_need_prices(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    with pytest.raises(BudgetError, match=r"needs prices, and there is none for mystery. Use Budget\(calls"):
        check(desk_program, desk_tasks, lm=Silent("mystery", None), budget=fp.Budget(usd=5))


@pytest.mark.parametrize("budget", [fp.Budget(usd=0.5), fp.Budget(tokens=500_000)])
def test_a_budget_has_room_for_the_worst_case_of_a_row(
    desk_program: fp.Program, desk_tasks: list[fp.Task], budget: fp.Budget
) -> None:
    """What a model may answer is set aside before it is asked, and most of it is never used."""
    model = Silent()
    assert not any("set aside" in note for note in check(desk_program, desk_tasks, lm=model, budget=budget).notes)
    model.max_output_tokens = 50_000
    (note,) = (note for note in check(desk_program, desk_tasks, lm=model, budget=budget).notes if "set aside" in note)
    assert "as an answer may have 50,000 tokens" in note and "max_tokens=" in note
    model.max_output_tokens = 200_000
    with pytest.raises(BudgetError, match=r"no room for a search.*may have 200,000 tokens.*Set a smaller max_tokens="):
        check(desk_program, desk_tasks, lm=model, budget=budget)


def test_dollars_need_prices_only_of_models_that_are_asked(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    models = {"triage": Silent(), "answer": Silent("mystery", None)}  # no metric reads the answer
    job = check(desk_program, desk_tasks, lm=models, budget=fp.Budget(usd=5))
    assert [model.name for model in job.asked] == ["silent"]


def test_dollars_need_prices_of_the_metrics_own_models_too(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    judge = fp.metrics.judge("team, gold_team -> score: float", lm=Silent("mystery", None))
    with pytest.raises(BudgetError, match="there is none for mystery"):
        check(desk_program, [replace(desk_tasks[0], metric=judge)], budget=fp.Budget(usd=5))


def test_a_budget_that_cannot_pay_is_refused_and_the_named_one_is_enough(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    with pytest.raises(BudgetError, match="too small for a search") as refused:
        check(desk_program, desk_tasks, budget=fp.Budget(calls=20))
    least = int(refused.value.fix.partition("calls=")[2].partition(")")[0])
    assert check(desk_program, desk_tasks, budget=fp.Budget(calls=least)).plan.calls == least


# What is noted.


def test_a_node_that_no_metric_reads_is_left_as_written(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    job = check(desk_program, desk_tasks)
    assert job.searched == ("triage",)
    assert "node 'answer' is read by no metric; left as written" in job.notes


def test_a_frozen_node_is_not_searched_and_not_noted(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    reads_both = fp.Metric(lambda example, pred: 1.0, fields=["team", "reply"], gold=["team"])
    tasks = [replace(desk_tasks[0], metric=reads_both)]
    assert check(desk_program, tasks).searched == ("triage", "answer")
    job = check(desk_program, tasks, freeze=("triage",))
    assert job.searched == ("answer",)
    assert not any(note.startswith("node") for note in job.notes)


def test_an_item_of_another_domain_is_noted(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    pool = SMALL | fp.PromptPool([fp.Fragment("beds", "A bed is a room.", facet="hint", domains=["travel"])])
    notes = check(desk_program, desk_tasks, pool=pool).notes
    assert any(note.startswith("item 'beds' is offered nowhere: its domains are travel") for note in notes)


def test_a_training_row_that_is_in_val_is_noted_and_one_in_test_is_refused(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    shop = desk_tasks[0]
    val, test, train = ([row.columns for row in shop.rows[split]] for split in ("val", "test", "train"))
    notes = check(desk_program, [replace(shop, train=[*train, val[3]])]).notes
    assert any("train row 24 is val row 3" in note for note in notes)
    with pytest.raises(DataError, match="train row 24 is test row 5"):
        check(desk_program, [replace(shop, train=[*train, test[5]])])


def test_what_the_data_can_show_is_noted(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    notes = check(desk_program, desk_tasks).notes
    assert "shop: val n=48, 20 of them confirm: gains below ±.16 are invisible" in notes
    assert "bank: val n=48, 20 of them confirm: gains below ±.16 are invisible" in notes


def test_cross_fitted_rows_confirm_one_half_at_a_time(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    shop = desk_tasks[0]
    (note,) = check(desk_program, [replace(shop, val=[row.columns for row in shop.rows["val"]][::3])]).notes[-1:]
    assert note == "shop: val n=16, 8 of them confirm: gains below ±.26 are invisible"


def test_a_task_with_few_rows_that_halves_val_for_all_is_named(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    shop, bank = desk_tasks
    small = replace(shop, val=[row.columns for row in shop.rows["val"]][::3])
    assert any("val of shop has fewer than 40 rows" in note for note in check(desk_program, [small, bank]).notes)
    for tasks in (desk_tasks, [small]):
        assert not any("has fewer than 40 rows" in note for note in check(desk_program, tasks).notes)


def test_fields_that_the_offline_reader_cannot_fill_are_noted() -> None:
    graph = graph_of(read=fp.modules.Predict("text -> score: dict[str, list[int]]"))
    metric = fp.Metric(lambda example, pred: 1.0, fields=["score"])
    notes = check(graph, [task_of(metric)], lm="offline").notes
    assert "the offline reader cannot fill read.score; it is no language model" in notes
    assert not any("offline" in note for note in check(graph, [task_of(metric)]).notes)


class Invoice(pydantic.BaseModel):
    """What is to be paid."""

    total: int

    @pydantic.field_validator("total")
    @classmethod
    def positive(cls, value: int) -> int:
        """Refuses what is below zero."""
        if value < 0:
            raise ValueError("below zero")
        return value


def test_validators_that_an_artifact_cannot_keep_are_noted() -> None:
    class Read(fp.Signature):
        """Read the invoice."""

        text: str = fp.InputField()
        invoice: Invoice = fp.OutputField()

    metric = fp.Metric(lambda example, pred: 1.0, fields=["invoice"])
    notes = check(graph_of(read=fp.modules.Predict(Read)), [task_of(metric)]).notes
    assert "an artifact cannot keep Invoice.positive; load it with types= to have them run" in notes


# What is planned and estimated.


def test_nothing_is_asked_and_everything_is_planned(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    job = check(desk_program, desk_tasks, budget=fp.Budget(calls=500))
    assert job.plan.calls == job.estimate.calls == 500
    assert job.estimate.test_calls == job.plan.test_calls == 2 * 2 * 24
    assert job.estimate.tokens > 0 and job.estimate.usd is not None and job.estimate.usd > 0
    assert job.seed == 0 and len(job.folds) == 1
    assert set(job.places.tasks) == set(job.tasks) == {"shop", "bank"}
    assert {len(place) for place in job.places.tasks.values()} == {1}  # one fewer than tasks


def test_without_prices_the_estimate_says_that_it_is_unknown(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    assert check(desk_program, desk_tasks, lm=Silent("mystery", None)).estimate.usd is None
    assert check(desk_program, desk_tasks, lm="offline").estimate.usd == 0.0


def test_twice_the_price_is_twice_the_estimate(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    once, twice = (
        check(desk_program, desk_tasks, lm=Silent(usd=(price, 2 * price))).estimate for price in (1e-6, 2e-6)
    )
    assert once.tokens == twice.tokens
    assert once.usd and twice.usd == pytest.approx(2 * once.usd)


def test_dollars_and_tokens_bound_the_calls(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    free = check(desk_program, desk_tasks)
    assert free.estimate.usd is not None
    share = (free.estimate.calls + free.estimate.test_calls) / free.estimate.calls
    half = fp.Budget(usd=free.estimate.usd / share / 2)
    assert check(desk_program, desk_tasks, budget=half).plan.calls == pytest.approx(free.plan.calls / 2, rel=0.02)
    half = fp.Budget(tokens=int(free.estimate.tokens / share / 2))
    assert check(desk_program, desk_tasks, budget=half).plan.calls == pytest.approx(free.plan.calls / 2, rel=0.02)
    both = fp.Budget(calls=200, tokens=10**9, usd=1e6)
    assert check(desk_program, desk_tasks, budget=both).plan.calls == 200


def test_dollars_do_not_bind_a_model_that_costs_nothing(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    job = check(desk_program, desk_tasks, lm="offline", budget=fp.Budget(usd=0.01))
    assert job.plan == check(desk_program, desk_tasks, lm="offline").plan


def test_seconds_alone_leave_the_calls_free(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    assert check(desk_program, desk_tasks, budget=fp.Budget(seconds=5)).plan == check(desk_program, desk_tasks).plan


def test_a_metric_that_asks_a_model_counts_its_own_calls(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    shop = desk_tasks[0]
    judge = fp.metrics.judge("team, gold_team -> score: float")
    plain, judged = (
        check(desk_program, [replace(shop, metric=metric)]) for metric in (fp.metrics.exact_match("team"), judge)
    )
    assert judged.plan.test_calls == 3 * plain.plan.test_calls  # a judge reads all outputs: both nodes, and its own
    assert judged.plan.calls == pytest.approx(3 * plain.plan.calls, abs=3)
    assert judged.estimate.tokens > plain.estimate.tokens


def test_items_of_any_tasks_domain_are_screened(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    """Also where the first task has none of them."""
    ours = fp.PromptPool([fp.Fragment(f"bank-{n}", f"Text {n}.", facet="hint", domains=["banking"]) for n in range(4)])
    assert check(desk_program, desk_tasks, pool=ours).plan.same.screening_calls > 0


def test_pinned_and_frozen_items_are_not_screened(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    texts = [fp.Fragment(f"text-{n}", f"Text {n}.", facet="hint") for n in range(4)]
    pinned = [fp.Fragment(f"pinned-{n}", f"Text {n}.", facet="hint", pinned=True) for n in range(4)]
    assert check(desk_program, desk_tasks, pool=fp.PromptPool(texts)).plan.same.screening_calls > 0
    assert check(desk_program, desk_tasks, pool=fp.PromptPool(pinned)).plan.same.screening_calls == 0
    frozen = tuple(item.id for item in texts)
    assert check(desk_program, desk_tasks, pool=fp.PromptPool(texts), freeze=frozen).plan.same.screening_calls == 0


@pytest.mark.parametrize(
    ("objective", "finalists", "said"),
    [
        (None, 1, "the best candidate and your program"),
        (fp.Objective("worst", floors={"shop": 0.5}), 1, "the best candidate and your program"),
        (fp.Objective(pareto=("quality", "tokens")), 3, "3 candidates along the front and your program"),
    ],
)
def test_several_finalists_are_planned_only_where_quality_is_traded_off(
    desk_program: fp.Program, desk_tasks: list[fp.Task], objective: fp.Objective | None, finalists: int, said: str
) -> None:
    job = check(desk_program, desk_tasks, objective=objective)
    assert job.plan.finalists == finalists
    assert f"; {said} on {job.plan.confirmation}" in dry_run_lines(job)[-1]


def test_runs_of_the_program_are_planned_only_for_families_that_need_them(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    with_traces = SMALL | fp.PromptPool([fp.builders.BootstrappedDemos(count=4)])
    assert check(desk_program, desk_tasks).plan.bootstrap == 0
    assert check(desk_program, desk_tasks, pool=with_traces).plan.bootstrap > 0


def test_without_a_pool_there_are_patterns_and_families(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    ids = {item.id for item in check(desk_program, desk_tasks, pool=None).pool}
    assert {item.id for item in fp.PromptPool.patterns()} < ids
    assert any(name.startswith("label-glossary") for name in ids)
    assert any(name.startswith("bootstrapped-demos") for name in ids)


def test_a_private_tasks_rows_do_not_reach_its_embedding(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    shop, bank = (replace(task, private=True) for task in desk_tasks)
    other = replace(shop, train=[{"message": "quite other words", "team": "billing"}])
    assert check(desk_program, [shop, bank]).places.tasks == check(desk_program, [other, bank]).places.tasks
    public = [replace(task, private=False) for task in (shop, other)]
    places = [check(desk_program, [task, bank]).places.basis.centre.tolist() for task in public]
    assert places[0] != places[1]


def test_every_refusal_is_of_the_one_tree(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> None:
    for error in (BudgetError, DataError, LMConfigurationError, MetricError, PoolError, ProgramError):
        assert issubclass(error, FusionProgError)


@pytest.mark.parametrize("formats", [(), "chat", ["chat", "yaml"]])
def test_formats_must_be_known(desk_program: fp.Program, desk_tasks: list[fp.Task], formats: Any) -> None:
    with pytest.raises(ProgramError, match="formats are not usable: expected some of chat, json, xml"):
        check(desk_program, desk_tasks, formats=formats)


def test_a_pinned_family_that_shows_successes_has_the_program_run(
    desk_program: fp.Program, desk_tasks: list[fp.Task]
) -> None:
    for pinned, freeze, runs in ((False, (), True), (True, (), True), (False, ("shown",), False)):
        pool = SMALL | fp.PromptPool([fp.builders.BootstrappedDemos(count=2, id="shown", pinned=pinned)])
        assert bool(check(desk_program, desk_tasks, pool=pool, freeze=freeze).plan.bootstrap) == runs
