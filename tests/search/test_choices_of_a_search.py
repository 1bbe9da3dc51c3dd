"""What a search may choose at every node, what options must gain, and what parameters mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusionprog as fp
from fusionprog.cli.summary import dry_run_lines
from fusionprog.prompts.items import Fragment
from fusionprog.prompts.schedule import FORMATS, NodeSettings, Schedule
from fusionprog.search.choices import dearest_schedule
from fusionprog.search.effects.columns import Columns, Shown
from fusionprog.search.effects.schedules import best_settings
from fusionprog.search.preflight import Job, preflight
from fusionprog.search.space import Space
from fusionprog.testing import TextModel

ROWS = [{"text": f"message {index}", "end": "x"} for index in range(40)]
CHEAP = TextModel(lambda messages: "", "cheap", usd_per_token=(1e-6, 1e-6), max_output_tokens=10)
DEAR = TextModel(lambda messages: "", "dear", usd_per_token=(1e-5, 1e-5), max_output_tokens=10)
UNKNOWN = TextModel(lambda messages: "", "unknown", usd_per_token=None)


def look(text: str, k: int) -> str:
    return text * k


def job(lm: Any = CHEAP, freeze: tuple[str, ...] = (), **more: Any) -> Job:
    graph = fp.ProgramGraph("Program")
    graph.add("look", fp.modules.Function(look, outputs={"found": str}), k=fp.Choice(3, 5))
    graph.add("draft", fp.modules.Choose(fp.modules.Predict("found -> out"), fp.modules.ChainOfThought("found -> out")))
    graph.add("mend", fp.modules.Optional(fp.modules.Predict("out -> end"), passthrough={"end": "out"}))
    graph.connect("text", "look.text")
    graph.connect("look.found", "draft.found")
    graph.connect("draft.out", "mend.out")
    task = fp.Task("t", train=ROWS[:5], val=ROWS[5:], metric=fp.metrics.exact_match("end"))
    settings: dict[str, Any] = {"pool": fp.PromptPool(), "budget": fp.Budget(calls=2_000), "trials": 8, "seed": 0}
    return preflight(graph, [task], lm=lm, freeze=freeze, **{**settings, **more})


def test_every_choice_is_on_offer_with_what_options_must_gain() -> None:
    choices = job([CHEAP, DEAR]).choices
    assert {node: {choice: list(mine) for choice, mine in each.items()} for node, each in choices.items()} == {
        "look": {"arg.k": ["3", "5"]},
        "draft": {"module": ["Predict", "ChainOfThought"], "lm": ["cheap", "dear"]},
        "mend": {"node": ["on", "off"], "lm": ["cheap", "dear"]},
    }
    assert all(next(iter(mine.values())) == 0 for each in choices.values() for mine in each.values())
    assert choices["look"]["arg.k"]["5"] == 0
    assert choices["draft"]["module"]["ChainOfThought"] > 0 > choices["mend"]["node"]["off"]
    assert choices["draft"]["lm"]["dear"] > 0


def test_a_model_without_a_price_costs_its_tokens_alone() -> None:
    assert job([UNKNOWN, TextModel(lambda messages: "", "other", usd_per_token=None)]).choices["mend"]["lm"] == {
        "unknown": 0.0,
        "other": 0.0,
    }


def test_frozen_nodes_have_nothing_to_choose() -> None:
    made = job([CHEAP, DEAR], freeze=("draft", "look"))
    assert list(made.choices) == ["mend"] and list(made.offered) == ["mend"]
    assert made.searched == ("mend",)


def test_the_plan_and_the_price_are_those_of_all_that_may_run() -> None:
    assert job().estimate.usd is not None
    both, cheap = job([CHEAP, DEAR]).estimate, job(CHEAP).estimate
    assert both.usd == pytest.approx(10 * (cheap.usd or 0.0))
    assert {model.name for model in job([CHEAP, DEAR]).asked} == {"cheap", "dear"}


def test_a_budget_in_dollars_needs_the_price_of_every_model_on_offer() -> None:
    with pytest.raises(fp.errors.BudgetError, match="none for unknown"):
        job([CHEAP, UNKNOWN], budget=fp.Budget(usd=10.0))


def test_the_dearest_models_are_known_for_what_must_be_left() -> None:
    assert dearest_schedule(job([CHEAP, DEAR]).offered).picks("t") == {"draft": {"lm": "dear"}, "mend": {"lm": "dear"}}
    assert dearest_schedule({}) == Schedule()


def test_a_dry_run_says_what_is_chosen() -> None:
    lines = dry_run_lines(job([CHEAP, DEAR]))
    assert "chosen: look.arg.k, draft.module, draft.lm, mend.node, mend.lm" in lines
    assert any(line.endswith("on cheap, dear") for line in lines)


SPACE = Space(
    items={"draft": {"hint": Fragment("hint", "Mind.", facet="hint")}},
    directions={},
    choices={"draft": {"module": {"Predict": 0.0, "ChainOfThought": 0.1}}, "look": {"arg.k": {"3": 0.0, "5": 0.0}}},
)


def test_options_are_categorical_parameters_and_begin_as_written() -> None:
    assert {name: getattr(each, "choices", None) for name, each in SPACE.option_distributions.items()} == {
        "draft.format": FORMATS,
        "draft.module": ("Predict", "ChainOfThought"),
        "look.arg.k": ("3", "5"),
    }
    start = SPACE.start({}, wide=True)
    assert set(start) == set(SPACE.distributions)
    picked = {**start, "draft.module": "ChainOfThought", "draft.format": "json", "look.arg.k": "5"}
    schedule = SPACE.schedule(picked)
    assert schedule.picks("t") == {"draft": {"module": "ChainOfThought"}, "look": {"arg.k": "5"}}
    assert schedule.nodes["draft"].format == "json"
    assert SPACE.schedule(start).picks("t") == {"draft": {"module": "Predict"}, "look": {"arg.k": "3"}}


@pytest.mark.parametrize(("effect", "picked"), [(0.05, "Predict"), (0.15, "ChainOfThought"), (0.1, "Predict")])
def test_an_option_is_picked_where_it_gains_more_than_it_costs(effect: float, picked: str) -> None:
    columns = Columns({"draft": ["hint"]}, {"t": (0.0,)}, SPACE.options)
    effects = np.zeros(len(columns.names))
    effects[columns.index["choice", "draft", "module", "ChainOfThought"]] = effect
    settings = best_settings(columns, effects, "draft")
    assert (settings.choices["module"], settings.format) == (picked, "chat")
    assert best_settings(columns, effects, "look") == NodeSettings(choices={"arg.k": "3"})


def test_an_outcome_shows_the_options_that_run_and_no_others() -> None:
    columns = Columns({"draft": []}, {"t": (0.0,)}, SPACE.options)
    atoms = columns.atoms({"look": Shown(frozenset(), {"arg.k": "5"}), "draft": Shown(frozenset(), {})})
    row = columns.row("t", atoms)
    shown = {name for name, place in columns.index.items() if row[place]}
    assert shown == {("level",), ("task", "t"), ("choice", "look", "arg.k", "5")}


def test_a_schedule_leaves_tasks_as_written_without_picks() -> None:
    schedule = Schedule(nodes={"n": NodeSettings(choices={"node": "off"})}, as_written=("t",))
    assert (schedule.picks("t"), schedule.picks("u")) == ({}, {"n": {"node": "off"}})
