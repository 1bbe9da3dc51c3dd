"""The evaluator: one measurement per prompt and row, and no score for a failure of the system."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import LMError, MetricError
from fusionprog.evaluation.evaluator import Evaluator, Outcome
from fusionprog.evaluation.results import EvaluationResult
from fusionprog.lm.client import LMClient
from fusionprog.program.data import Row, read_rows
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.store.store import Store

ROWS = read_rows(
    [{"message": "late parcel", "team": "delivery"}, {"message": "wrong invoice", "team": "billing"}], "rows"
)


def triage(inputs: dict[str, str]) -> Mapping[str, str]:
    if "team" in inputs:
        return {"reply": f"{inputs['team']} will answer"}
    return {"team": "delivery" if "parcel" in inputs["message"] else "delivery?"}


def evaluator(store: Store | None = None, memo: NodeMemo | None = None) -> Evaluator:
    return Evaluator(Executor(LMClient(store), memo))


def evaluate(desk: Any, metric: Any, model: Any, rows: tuple[Row, ...] = ROWS) -> list[Outcome]:
    scorer = desk.scorer(desk.graph(), metric, {"triage": model, "answer": model})
    return asyncio.run(evaluator().outcomes(scorer, desk.prompts(scorer), rows))


def test_outcomes_come_in_the_order_of_the_rows(desk: Any) -> None:
    first, second = evaluate(desk, fp.metrics.exact_match("team"), desk.model(triage))

    assert (first.example, first.score, first.status) == (ROWS[0].id, 1.0, "ok")
    assert (second.example, second.score, second.status) == (ROWS[1].id, 0.0, "ok")
    assert len(first.calls) == 1 and (first.tokens, first.usd) == (12, 0.5)


def test_only_what_the_metric_reads_is_run(desk: Any) -> None:
    model = desk.model(triage)
    scorer = desk.scorer(desk.graph(), fp.metrics.exact_match("triage.team"), {"triage": model, "answer": model})

    asyncio.run(evaluator().outcomes(scorer, desk.prompts(scorer), ROWS))

    assert (scorer.nodes, scorer.asking, scorer.calls_per_example) == (("triage",), ("triage",), 1)
    assert len(model.asked) == 2


def test_a_metric_of_ones_own_reads_all_outputs_and_every_field(desk: Any) -> None:
    def reads(example: Any, prediction: Any) -> float:
        assert prediction.reply == prediction["answer.reply"] == "delivery will answer"
        assert prediction["triage.team"] == prediction.team
        return float(example.team == prediction.team)

    (outcome,) = evaluate(desk, reads, desk.model(triage), ROWS[:1])

    assert outcome.score == 1.0
    assert len(outcome.calls) == 2 and outcome.tokens == 24


def test_an_equal_row_is_measured_once_even_when_asked_for_at_the_same_time(desk: Any) -> None:
    scored: list[str] = []

    def counting(example: Any, prediction: Any) -> float:
        scored.append(example.message)
        return 1.0

    model = desk.model(triage)
    scorer = desk.scorer(desk.graph(), counting, {"triage": model, "answer": model})
    prompts, made = desk.prompts(scorer), evaluator()

    async def work() -> None:
        first = await made.outcomes(scorer, prompts, [*ROWS, *ROWS, Row(dict(ROWS[0].columns))])
        again = await made.outcomes(scorer, desk.prompts(scorer), ROWS)
        assert first[:2] == first[2:4] == again
        assert first[4] is first[0]

    asyncio.run(work())
    assert scored == ["late parcel", "wrong invoice"]
    assert len(model.asked) == 4


def test_other_prompts_and_other_tasks_are_other_measurements(desk: Any) -> None:
    model = desk.model(triage)
    metric, models = fp.metrics.exact_match("team"), {"triage": model, "answer": model}
    shop, bank = (desk.scorer(desk.graph(), metric, models, name) for name in ("shop", "bank"))
    labelled = desk.scorer(desk.graph(), metric, models, labels={"triage.team": ["delivery", "billing"]})
    made = evaluator()

    async def work() -> None:
        for scorer in (shop, bank, labelled):
            await made.outcome(scorer, desk.prompts(scorer), ROWS[0])

    asyncio.run(work())
    assert len(model.asked) == 3


def test_an_unreadable_answer_scores_0_with_a_status_of_its_own(desk: Any) -> None:
    def garbled(inputs: dict[str, str]) -> Any:
        return triage(inputs) if "team" not in inputs else "no fields at all"

    def never(example: Any, prediction: Any) -> float:
        raise AssertionError("there is nothing to score")

    outcomes = evaluate(desk, never, desk.model(garbled))

    assert [(each.score, each.status) for each in outcomes] == [(0.0, "unreadable")] * 2
    assert "no fields at all" in outcomes[0].error
    assert len(outcomes[0].calls) == 2 and outcomes[0].tokens == 24 and outcomes[0].usd == 1.0
    result = EvaluationResult("shop", outcomes)
    assert result.failed == {"unreadable": 2}
    assert str(result) == "shop: 0.000 ± 0.000 (n=2, 2 unreadable)"


def test_a_result_carries_n_and_standard_error() -> None:
    result = EvaluationResult("shop", [Outcome("1", 1.0), Outcome("2", 0.0), Outcome("3", 1.0), Outcome("4", 1.0)])

    assert str(result) == "shop: 0.750 ± 0.250 (n=4)"


def test_a_failing_model_is_never_a_score_and_is_asked_again(desk: Any) -> None:
    down = True

    def flaky(inputs: dict[str, str]) -> Mapping[str, str]:
        if down:
            raise LMError("the line is dead")
        return triage(inputs)

    model = desk.model(flaky)
    scorer = desk.scorer(desk.graph(), fp.metrics.exact_match("team"), {"triage": model, "answer": model})
    prompts = desk.prompts(scorer)

    async def work() -> None:
        nonlocal down
        with Store() as store:
            made = evaluator(store, NodeMemo())
            results = await asyncio.gather(
                *(made.outcome(scorer, prompts, ROWS[0]) for _ in range(2)), return_exceptions=True
            )
            assert [str(each) for each in results] == ["the line is dead"] * 2
            assert len(model.asked) == 1
            down = False
            assert (await made.outcome(scorer, prompts, ROWS[0])).score == 1.0

    asyncio.run(work())


def test_dollars_are_unknown_where_one_price_is(desk: Any) -> None:
    dear, unpriced = desk.model(triage), desk.model(triage, "other", usd=None)
    scorer = desk.scorer(desk.graph(), fp.metrics.exact_match("reply"), {"triage": dear, "answer": unpriced})
    rows = read_rows([{"message": "x", "reply": "y"}], "rows")

    (outcome,) = asyncio.run(evaluator().outcomes(scorer, desk.prompts(scorer), rows))

    assert outcome.usd is None and outcome.tokens == 24


@pytest.mark.parametrize("result", [None, float("nan"), float("inf"), {"score": 1}, "1"])
def test_a_metric_without_a_score_is_named_with_task_and_row(desk: Any, result: Any) -> None:
    def bad(example: Any, prediction: Any) -> Any:
        return result

    with pytest.raises(MetricError) as caught:
        evaluate(desk, bad, desk.model(triage), ROWS[:1])

    assert f"task 'shop', row {ROWS[0].id}: the metric 'bad' returned no score" in str(caught.value)


def test_a_metric_that_raises_is_named_with_task_and_row(desk: Any) -> None:
    def bad(example: Any, prediction: Any) -> Any:
        return example.missing

    with pytest.raises(MetricError) as caught:
        evaluate(desk, bad, desk.model(triage), ROWS[1:])

    message = str(caught.value)
    assert f"task 'shop', row {ROWS[1].id}: the metric 'bad' raised AttributeError" in message
    assert "must return a number" in message


def test_a_metric_that_failed_is_asked_again(desk: Any) -> None:
    tries: list[int] = []

    def second_time(example: Any, prediction: Any) -> Any:
        tries.append(1)
        return 1.0 if len(tries) > 1 else None

    model = desk.model(triage)
    scorer = desk.scorer(desk.graph(), second_time, {"triage": model, "answer": model})
    prompts, made = desk.prompts(scorer), evaluator(memo=NodeMemo())

    async def work() -> None:
        with pytest.raises(MetricError):
            await made.outcome(scorer, prompts, ROWS[0])
        assert (await made.outcome(scorer, prompts, ROWS[0])).score == 1.0

    asyncio.run(work())
    assert len(model.asked) == 2  # the nodes' results are remembered


def test_a_trace_has_the_fields_of_the_nodes_that_are_asked_for(desk: Any) -> None:
    model = desk.model(triage)
    scorer = desk.scorer(desk.graph(), fp.metrics.exact_match("reply"), {"triage": model, "answer": model})

    async def work() -> Any:
        return await evaluator().trace(scorer, desk.prompts(scorer), ROWS[0], ["triage"])

    trace = asyncio.run(work())
    assert {str(ref): value for ref, value in trace.fields.items()} == {"triage.team": "delivery"}
    assert trace.inputs == {"message": "late parcel"}
