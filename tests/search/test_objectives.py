"""Objectives as users write them: names, arguments, constraints, trade-offs, and their JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError
from fusionprog.search.objective import objective_of
from fusionprog.search.weighting import ConditionalValueAtRisk, RandomWeights, WorstTask, weighting_registry


@pytest.mark.parametrize("name", list(weighting_registry))
def test_a_name_stands_for_an_objective(name: str) -> None:
    assert objective_of(name) == fp.Objective(name)
    assert fp.Objective(name).as_json() == name


def test_the_default_is_the_mean_with_no_task_below_the_program_as_written() -> None:
    objective = fp.Objective()
    assert (objective.tasks, objective.below_baseline, objective.is_priced) == ("mean", False, False)
    assert objective.as_json() == "mean"
    assert objective_of(objective) is objective


@pytest.mark.parametrize(
    "objective",
    [
        fp.Objective("cvar", arguments={"share": 0.5}),
        fp.Objective(floors={"bank": 0.8, "air": 0.5}, below_baseline=True),
        fp.Objective("dwa", most_tokens=900, most_usd=0.01, pareto=("quality", "tokens", "latency")),
    ],
)
def test_an_objective_is_made_again_from_its_json(objective: fp.Objective) -> None:
    data: Any = json.loads(json.dumps(objective.as_json()))
    assert fp.Objective(**data) == objective
    assert fp.Objective(**data).as_json() == data


def test_only_what_differs_from_the_usual_is_in_its_json() -> None:
    assert fp.Objective("worst", floors={"bank": 0.8}).as_json() == {"tasks": "worst", "floors": {"bank": 0.8}}
    assert fp.Objective(most_tokens=900).as_json() == {"most_tokens": 900}


def test_arguments_are_those_of_the_scheme() -> None:
    assert fp.Objective("cvar", arguments={"share": 0.5}).weights(seed=3) == ConditionalValueAtRisk(0.5)
    assert fp.Objective("random").weights(seed=3) == RandomWeights(3)
    assert fp.Objective("worst").weights(seed=3) == WorstTask()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": "wurst"}, "no objective called 'wurst'. Did you mean 'worst'"),
        ({"tasks": "cvar", "arguments": {"shear": 0.5}}, "'cvar' has no argument 'shear'. Did you mean 'share'"),
        ({"tasks": "worst", "arguments": {"share": 0.5}}, "'worst' has no argument 'share'"),
        ({"tasks": "random", "arguments": {"seed": 1}}, "'random' has no argument 'seed'"),
        ({"tasks": "cvar", "arguments": {"share": 0}}, "share must be a number above 0: found 0"),
        ({"tasks": "cvar", "arguments": {"share": 1.5}}, "share must be at most 1: found 1.5"),
        ({"tasks": "tchebycheff", "arguments": {"smoothness": 2}}, "smoothness must be at most 1: found 2"),
        ({"most_tokens": 0}, "most_tokens must be a number above 0: found 0"),
        ({"most_usd": float("nan")}, "most_usd must be a number above 0: found nan"),
        ({"floors": {"bank": "high"}}, "floor of task 'bank' must be a number: found 'high'"),
        ({"pareto": ("quality", "token")}, "no axis called 'token'. Did you mean 'tokens'"),
        ({"pareto": ("tokens", "latency")}, "pareto needs quality and something to trade it for"),
        ({"pareto": ("quality",)}, "pareto needs quality and something to trade it for"),
        ({"pareto": ("quality", "tokens", "tokens")}, "pareto needs quality and something to trade it for, each once"),
        ({"pareto": "quality"}, "pareto is a text"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FusionProgError, match=message):
        fp.Objective(**arguments)


@pytest.mark.parametrize("given", [None, 3, {"tasks": "mean"}])
def test_what_is_no_objective_is_refused(given: Any) -> None:
    with pytest.raises(FusionProgError, match=r"neither a name nor a fusionprog\.Objective"):
        objective_of(given)
