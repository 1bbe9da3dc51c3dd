"""Scoring programs with guarded edges: what ran, what it cost, and what it can cost at most."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import DataError
from fusionprog.evaluation.evaluator import Evaluator, Outcome
from fusionprog.evaluation.metrics import Metric
from fusionprog.lm.client import LMClient
from fusionprog.program.data import read_rows
from fusionprog.program.data_checks import check_rows
from fusionprog.program.graph import Constant, ProgramGraph
from fusionprog.program.task import bind
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.search.worst_case import worst_case

ROWS = read_rows([{"message": "good", "team": "a"}, {"message": "bad", "team": "b"}], "rows")


class Bounded:
    """A model whose answers have an end and a price."""

    name, persistent, free, usd_per_token, max_output_tokens = "bounded", True, True, (1.0, 2.0), 50
    identity: Mapping[str, Any] = {"model": "bounded"}

    async def complete(self, messages: Any) -> Any:
        raise AssertionError("nobody asks it")


def repairing() -> ProgramGraph:
    graph = fp.ProgramGraph("Repairing")
    graph.add("draft", fp.modules.Predict("message -> team"))
    graph.add("check", fp.modules.Predict("message, guess -> ok: bool"))
    for name in ("repair", "redo"):
        graph.add(name, fp.modules.Predict("message, wrong -> team"))
        graph.connect("message", f"{name}.message")
        graph.connect("draft.team", f"{name}.wrong")
    graph.connect("message", "draft.message")
    graph.connect("message", "check.message")
    graph.connect("draft.team", "check.guess")
    graph.output("team", graph.when("check.ok", "redo.team", "repair.team"))
    graph.output("ok", "check.ok")
    graph.output("first", "draft.team")
    return graph


def answer(inputs: dict[str, str]) -> Mapping[str, Any]:
    if "guess" in inputs:
        return {"ok": inputs["message"] == "good"}
    return {"team": "b" if "wrong" in inputs else "a"}


def outcomes(desk: Any, metric: Any, model: Any, memo: NodeMemo | None = None) -> list[Outcome]:
    scorer = desk.scorer(repairing(), metric, dict.fromkeys(repairing().nodes, model))
    evaluator = Evaluator(Executor(LMClient(None), memo))
    return asyncio.run(evaluator.outcomes(scorer, desk.prompts(scorer), ROWS))


def test_an_outcome_says_which_nodes_ran_and_holds_their_calls_alone(desk: Any) -> None:
    model = desk.model(answer)
    good, bad = outcomes(desk, fp.metrics.exact_match("team"), model)

    assert (good.ran, bad.ran) == (frozenset({"draft", "check", "redo"}), frozenset({"draft", "check", "repair"}))
    assert (good.score, bad.score) == (0.0, 1.0)
    assert len(good.calls) == len(bad.calls) == 3 and len(model.asked) == 6
    assert (good.tokens, good.usd) == (36, 1.5)


def test_where_nothing_is_guarded_an_outcome_does_not_say(desk: Any) -> None:
    scorer = desk.scorer(desk.graph(), fp.metrics.exact_match("team"), {"triage": desk.model(lambda _: {"team": "a"})})
    (made, _) = asyncio.run(Evaluator(Executor(LMClient(None))).outcomes(scorer, desk.prompts(scorer), ROWS))
    assert made.ran is None and scorer.uncertain == frozenset() and scorer.runs == (("triage",),)


def test_what_a_metric_does_not_read_is_not_run_for_it(desk: Any) -> None:
    seen: list[Any] = []

    def metric(example: Any, prediction: Any) -> float:
        seen.append(set(prediction.keys()))
        return 1.0

    model = desk.model(answer)
    outcomes(desk, Metric(metric, fields=["first"]), model)
    assert len(model.asked) == 2 and seen == [{"first", "draft.team"}] * 2

    seen.clear()
    outcomes(desk, Metric(metric, fields=["repair.team"]), model)  # wanted by name: no guard stands before it
    assert all("repair.team" in each and "team" not in each for each in seen)


def test_at_most_one_side_is_counted(desk: Any) -> None:
    graph = repairing()
    models = dict.fromkeys(graph.nodes, Bounded())
    scorer = desk.scorer(graph, fp.metrics.exact_match("team"), models)

    assert set(scorer.nodes) == set(graph.nodes)
    assert sorted(scorer.runs) == [("draft", "check", "redo"), ("draft", "check", "repair")]
    assert scorer.calls_per_example == 3
    assert scorer.uncertain == {"redo", "repair"}


def test_the_worst_case_is_that_of_the_dearer_side(desk: Any) -> None:
    graph = repairing()
    models = dict.fromkeys(graph.nodes, Bounded())
    scorer = desk.scorer(graph, fp.metrics.exact_match("team"), models)
    prompts = desk.prompts(scorer)

    def side(name: str) -> Any:
        one = ProgramGraph("One")
        for node in ("draft", "check", name):
            one.nodes[node] = graph.nodes[node]
        one.inputs = graph.inputs
        for output in ("draft.team", "check.ok", f"{name}.team"):
            one.output(output.replace(".", "_"), output)
        alone = desk.scorer(one, Metric(lambda example, prediction: 1.0), models)
        return worst_case(alone, {node: prompts[node] for node in alone.asking}, ROWS)

    costs = [side("redo"), side("repair")]
    made = worst_case(scorer, prompts, ROWS)
    assert made.calls == 6
    assert (made.tokens, made.usd) == (max(c.tokens for c in costs), max(c.usd for c in costs))


def test_a_judge_may_be_guarded_too(desk: Any) -> None:
    judge = fp.ProgramGraph("Judge")
    judge.add("easy", fp.modules.Predict("team, gold_team -> same: bool"))
    judge.add("hard", fp.modules.Predict("team, gold_team, strict -> score: float"), strict="yes")
    for node in ("easy", "hard"):
        for name in ("team", "gold_team"):
            judge.connect(name, f"{node}.{name}")
    judge.output("score", judge.when("easy.same", Constant(1.0), "hard.score"))
    grader = desk.model(
        lambda inputs: {"score": 0.25} if "strict" in inputs else {"same": inputs["team"] == inputs["gold_team"]}
    )
    metric = fp.metrics.ProgramMetric(judge, lm=grader)
    scorer = desk.scorer(desk.graph(), metric, {"triage": grader, "answer": grader})
    assert scorer.calls_per_example == 2 + 2

    good, bad = outcomes(desk, metric, desk.model(answer))
    assert (good.score, bad.score) == (0.25, 1.0)
    assert len(grader.asked) == 3


@pytest.mark.parametrize(("team", "fine"), [("a", True), ("c", True), ("none", True), ("d", False)])
def test_labels_of_a_guarded_output_are_those_of_either_side(team: str, fine: bool) -> None:
    graph = repairing()
    graph.output("label", graph.when("check.ok", "draft.team", graph.when("check.ok", Constant("none"), "redo.team")))
    labels = {"draft.team": ["a", "b"], "redo.team": ["b", "c"]}
    program = bind(graph, fp.Task("shop", metric=fp.metrics.exact_match("label"), labels=labels))
    rows = read_rows([{"message": "m", "label": team}], "rows")
    if fine:
        check_rows(program, rows, "rows", ["label"])
    else:
        with pytest.raises(DataError, match="'d' is no label"):
            check_rows(program, rows, "rows", ["label"])
