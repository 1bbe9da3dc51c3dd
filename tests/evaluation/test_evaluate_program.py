"""Evaluating a compiled program: with its own metric, one that is rebuilt, or one that is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import DataError, MetricError, ProgramError
from fusionprog.evaluation.metrics import Metric
from fusionprog.evaluation.program import evaluate_program, read_nodes

ROWS = [{"message": "late parcel", "team": "delivery"}, {"message": "invoice", "team": "billing"}]


def compiled(desk: Any, metric: Any, *, loaded: bool) -> Any:
    """A compiled program as far as an evaluation looks at it; one that was loaded knows its metric by description."""
    model = desk.model(lambda inputs: {"team": "delivery", "reply": "soon"})
    scorer = desk.scorer(desk.graph(), metric, {"triage": model, "answer": model})
    prompts = desk.prompts(scorer)
    return SimpleNamespace(
        tasks={"shop": SimpleNamespace(view=scorer.view, metric=None if loaded else scorer.metric)},
        record=SimpleNamespace(tasks={"shop": SimpleNamespace(metric=scorer.metric.description)}),
        variant=lambda task: scorer.view,
        models_in=lambda task: {"triage": model, "answer": model},
        rendered=lambda task, node: prompts.get(node),
        model=model,
    )


@pytest.mark.parametrize("loaded", [True, False])
def test_a_program_is_scored_with_its_own_metric(desk: Any, loaded: bool) -> None:
    program = compiled(desk, fp.metrics.exact_match("team"), loaded=loaded)

    result = evaluate_program(program, "shop", ROWS, None)

    assert [each.score for each in result.outcomes] == [1.0, 0.0]
    assert (result.task, result.score.mean, result.score.n, result.failed) == ("shop", 0.5, 2, {})
    assert len(program.model.asked) == 2


def test_a_metric_that_is_given_goes_first(desk: Any) -> None:
    program = compiled(desk, fp.metrics.exact_match("team"), loaded=True)

    result = evaluate_program(program, "shop", ROWS, lambda example, prediction: len(prediction.reply))

    assert [each.score for each in result.outcomes] == [4.0, 4.0]
    assert len(program.model.asked) == 4


def test_a_metric_that_is_its_authors_own_code_must_be_given_again(desk: Any) -> None:
    program = compiled(desk, Metric(lambda example, prediction: 1.0, name="own"), loaded=True)

    with pytest.raises(MetricError, match=r"task 'shop'.*--metric"):
        evaluate_program(program, "shop", ROWS, None)


@pytest.mark.parametrize("rows", [[], [{"message": "no gold"}], [{"team": "billing"}]])
def test_rows_that_do_not_fit_are_refused_before_any_call(desk: Any, rows: Any) -> None:
    program = compiled(desk, fp.metrics.exact_match("team"), loaded=False)

    with pytest.raises(DataError, match="task 'shop', data"):
        evaluate_program(program, "shop", rows, None)
    assert program.model.asked == []


def test_a_metric_that_reads_a_field_nobody_makes_is_refused(desk: Any) -> None:
    with pytest.raises(ProgramError, match="tema"):
        desk.scorer(desk.graph(), fp.metrics.exact_match("tema"), {})


def test_the_nodes_that_a_metric_reads_are_those_its_fields_need(desk: Any) -> None:
    view = desk.scorer(desk.graph(), fp.metrics.exact_match("team"), {}).view

    assert read_nodes(view.program, fp.metrics.exact_match("team")) == ("triage",)
    assert read_nodes(view.program, fp.metrics.exact_match("reply")) == ("triage", "answer")
    assert read_nodes(view.program, Metric(lambda example, prediction: 1.0)) == ("triage", "answer")
