"""A study is known by what it is made of: its fingerprint changes if and only if one of these does."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import fusionprog as fp
from fusionprog._internal.canonical import digest
from fusionprog.lm.model import Completion, Messages
from fusionprog.search import provenance
from fusionprog.search.preflight import preflight
from fusionprog.search.provenance import data_digests, differences, study_parts, versions

POOL = fp.PromptPool([fp.builders.LabelGlossary(words=4), fp.Fragment("short", "Be brief.", facet="constraint")])


class Named:
    """A model that is known by its name."""

    persistent = True
    free = True
    usd_per_token = (0.0, 0.0)
    max_output_tokens = 100

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}

    async def complete(self, messages: Messages) -> Completion:
        raise AssertionError("nothing is asked here")


class Setting:
    """A compile's arguments, ready to be changed one by one."""

    def __init__(self, program: fp.Program, tasks: list[fp.Task]) -> None:
        self.program: Any = program
        self.tasks = tasks
        self.pool = POOL
        self.lm: Any = Named("one")
        self.budget = fp.Budget(calls=600)
        self.trials = 8
        self.freeze: tuple[str, ...] = ()
        self.seed = 0
        self.optimizer: dict[str, Any] = {"sampler": "tpe", "objective": "mean", "prior": []}

    def parts(self) -> dict[str, str]:
        job = preflight(
            self.program,
            self.tasks,
            pool=self.pool,
            lm=self.lm,
            budget=self.budget,
            trials=self.trials,
            freeze=self.freeze,
            seed=self.seed,
        )
        return study_parts(job, self.optimizer)

    def first_task(self, **changes: Any) -> None:
        self.tasks = [replace(self.tasks[0], **changes), *self.tasks[1:]]


@pytest.fixture
def setting(desk_program: fp.Program, desk_tasks: list[fp.Task]) -> Setting:
    return Setting(desk_program, desk_tasks)


def _rows(setting: Setting, split: str) -> list[dict[str, str]]:
    return [dict(row.columns) for row in setting.tasks[0].rows[split]]  # type: ignore[index]


def _other_program(setting: Setting) -> None:
    graph = fp.ProgramGraph("desk")
    graph.add("triage", fp.modules.ChainOfThought("message -> team"))
    graph.connect("message", "triage.message")
    graph.output("team", "triage.team")
    setting.program = graph


def _other_row(setting: Setting) -> None:
    setting.first_task(val=[*_rows(setting, "val"), {"message": "one more parcel", "team": "delivery"}])


def _other_train_order(setting: Setting) -> None:
    setting.first_task(train=_rows(setting, "train")[::-1])


def _other_test_row(setting: Setting) -> None:
    setting.first_task(test=_rows(setting, "test")[1:])


def _other_metric(setting: Setting) -> None:
    setting.first_task(metric=fp.metrics.contains("team"))


def _other_metric_version(setting: Setting) -> None:
    setting.first_task(metric=fp.Metric(lambda example, pred: 1.0, fields=["team"], version="2", name="mine"))


def _judge(setting: Setting, signature: str = "team, gold_team -> score: float", lm: str = "one") -> None:
    setting.first_task(metric=fp.metrics.judge(signature, lm=Named(lm)))


CHANGES: dict[str, tuple[Callable[[Setting], None], str]] = {
    "program": (_other_program, "the program"),
    "task's name": (lambda s: s.first_task(name="store"), "task 'store'"),
    "task's domain": (lambda s: s.first_task(domain="shops"), "task 'shop'"),
    "task's description": (lambda s: s.first_task(description="Other messages."), "task 'shop'"),
    "task's outputs": (lambda s: s.first_task(outputs=["team"]), "task 'shop'"),
    "task's privacy": (lambda s: s.first_task(private=True), "task 'shop'"),
    "labels": (
        lambda s: s.first_task(labels={"triage.team": ["billing", "delivery", "returns", "stock"]}),
        "task 'shop'",
    ),
    "metric": (_other_metric, "task 'shop'"),
    "a row": (_other_row, "the val data of task 'shop'"),
    "the order of train": (_other_train_order, "the train data of task 'shop'"),
    "a test row": (_other_test_row, "the test data of task 'shop'"),
    "pool": (lambda s: setattr(s, "pool", fp.PromptPool([*POOL][:1])), "the order of the pool"),
    "model": (lambda s: setattr(s, "lm", Named("other")), "the model of node 'triage'"),
    "model of one node": (
        lambda s: setattr(s, "lm", {"answer": Named("other"), "*": Named("one")}),
        "the model of node 'answer'",
    ),
    "seed": (lambda s: setattr(s, "seed", 1), "the seed"),
    "frozen": (lambda s: setattr(s, "freeze", ("short",)), "the optimizer"),
    "trials": (lambda s: setattr(s, "trials", 9), "the budget and the trials"),
    "calls": (lambda s: setattr(s, "budget", fp.Budget(calls=601)), "the budget and the trials"),
    "tokens": (lambda s: setattr(s, "budget", fp.Budget(calls=600, tokens=10**7)), "the budget and the trials"),
    "dollars": (lambda s: setattr(s, "budget", fp.Budget(calls=600, usd=50.0)), "the budget and the trials"),
    "sampler": (lambda s: s.optimizer.update(sampler="random"), "the optimizer"),
    "objective": (lambda s: s.optimizer.update(objective="worst"), "the optimizer"),
    "prior": (lambda s: s.optimizer.update(prior=["Schedule()"]), "the optimizer"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_shows_in_its_part_and_in_the_fingerprint(setting: Setting, change: str) -> None:
    before = setting.parts()
    make, part = CHANGES[change]
    make(setting)
    after = setting.parts()
    assert after[part] != before.get(part)
    assert part in differences(before, after)
    assert digest(after) != digest(before)


@pytest.mark.parametrize(
    "change", [name for name, (_, part) in CHANGES.items() if "model" in part or "pool" in part or "program" in part]
)
def test_a_change_of_program_pool_or_model_leaves_the_data_alone(setting: Setting, change: str) -> None:
    before = setting.parts()
    CHANGES[change][0](setting)
    assert not [part for part in differences(before, setting.parts()) if "data" in part]


def test_the_same_things_made_again_are_the_same_study(
    setting: Setting, desk_tasks: list[fp.Task], desk_program: fp.Program
) -> None:
    again = Setting(type(desk_program)(), [replace(task) for task in desk_tasks])
    again.pool = fp.PromptPool(
        [fp.builders.LabelGlossary(words=4), fp.Fragment("short", "Be brief.", facet="constraint")]
    )
    again.lm = Named("one")
    assert again.parts() == setting.parts()


def test_a_metric_of_ones_own_is_known_by_name_and_version(setting: Setting) -> None:
    _other_metric_version(setting)
    second = setting.parts()
    setting.first_task(metric=fp.Metric(lambda example, pred: 0.5, fields=["team"], version="2", name="mine"))
    assert setting.parts() == second
    setting.first_task(metric=fp.Metric(lambda example, pred: 1.0, fields=["team"], version="3", name="mine"))
    assert setting.parts()["task 'shop'"] != second["task 'shop'"]


def test_a_judge_is_known_by_what_it_asks_and_by_its_model(setting: Setting) -> None:
    _judge(setting)
    before = setting.parts()
    _judge(setting)
    assert setting.parts() == before
    _judge(setting, signature="team, gold_team -> score: bool")
    assert setting.parts()["task 'shop'"] != before["task 'shop'"]
    _judge(setting, lm="another")
    assert setting.parts()["task 'shop'"] != before["task 'shop'"]


def test_another_version_of_a_library_is_another_study(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    before = setting.parts()
    known = versions()
    monkeypatch.setattr(provenance, "versions", lambda: {**known, "optuna": "0.0"})
    after = setting.parts()
    assert {part for part in after if after[part] != before[part]} == {"the versions of packages"}


def test_versions_are_those_of_what_results_depend_on() -> None:
    assert versions()["optuna"] == importlib.metadata.version("optuna")
    assert set(versions()) >= {"fusionprog", "dspy", "numpy", "scikit-learn", "scipy"}


def test_data_digests_name_the_splits_that_are_there(desk_tasks: list[fp.Task]) -> None:
    shop = desk_tasks[0]
    assert set(data_digests(shop)) == {"train", "val", "test"}
    assert set(data_digests(replace(shop, test=None))) == {"train", "val"}
    assert data_digests(shop)["train"] == data_digests(replace(shop, test=None))["train"]
