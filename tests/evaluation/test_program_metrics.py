"""Programs as metrics: a judge's calls are metered, stored and remembered as any node's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import LMConfigurationError, LMError, MetricError, ProgramError
from fusionprog.evaluation.evaluator import Evaluator, Outcome
from fusionprog.evaluation.metrics import judges_of, rebuild_metric
from fusionprog.lm.client import LMClient
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.program.data import read_rows
from fusionprog.runtime import render
from fusionprog.runtime.executor import Executor, NodeMemo
from fusionprog.store.store import Store

ROWS = read_rows([{"message": "late parcel", "team": "delivery"}, {"message": "invoice", "team": "billing"}], "rows")


def triage(inputs: dict[str, str]) -> Mapping[str, str]:
    return {"team": "delivery"}


def grade(inputs: dict[str, str]) -> Mapping[str, Any]:
    return {"score": float(inputs["team"] == inputs["gold_team"])}


def team_only() -> Any:
    graph = fp.ProgramGraph("Team")
    graph.add("triage", fp.modules.Predict("message -> team"))
    graph.connect("message", "triage.message")
    return graph


def evaluate(desk: Any, metric: Any, models: Any, **more: Any) -> list[Outcome]:
    scorer = desk.scorer(team_only(), metric, models)
    made = Evaluator(Executor(LMClient(more.get("store")), more.get("memo")))
    return asyncio.run(made.outcomes(scorer, desk.prompts(scorer), ROWS))


def test_a_judge_sees_the_answer_and_the_gold_and_its_calls_count(desk: Any) -> None:
    model, judge = desk.model(triage), desk.model(grade, "judge")
    metric = fp.metrics.judge("team, gold_team, message -> score: float", lm=judge)

    first, second = evaluate(desk, metric, {"triage": model})

    assert (first.score, second.score) == (1.0, 0.0)
    seen = {each["message"]: each["gold_team"] for each in judge.asked}  # in the order in which slots were free
    assert seen == {"late parcel": "delivery", "invoice": "billing"}
    assert len(first.calls) == 2
    assert (first.tokens, first.usd) == (12, 0.5)  # the program's own calls alone


def test_a_judge_without_a_model_runs_on_the_programs_own(desk: Any) -> None:
    def both(inputs: dict[str, str]) -> Mapping[str, Any]:
        return grade(inputs) if "gold_team" in inputs else triage(inputs)

    model = desk.model(both)
    metric = fp.metrics.judge("team, gold_team -> score: float")

    assert [each.score for each in evaluate(desk, metric, {"triage": model})] == [1.0, 0.0]
    assert len(model.asked) == 4


def test_a_judge_may_be_the_offline_reader(desk: Any) -> None:
    metric = fp.metrics.judge("team, gold_team -> score: float", lm="offline")

    outcomes = evaluate(desk, metric, {"triage": desk.model(triage)})

    assert [len(each.calls) for each in outcomes] == [2, 2]
    assert all(isinstance(each.score, float) for each in outcomes)


def test_a_judge_with_a_model_that_is_none_is_refused(desk: Any) -> None:
    with pytest.raises(LMConfigurationError, match="no language model"):
        desk.scorer(team_only(), fp.metrics.judge("team -> score: float", lm=3), {"triage": OfflineModel()})


def test_a_judges_calls_are_stored(desk: Any) -> None:
    with Store() as store:
        for turn in range(2):
            model, judge = desk.model(triage), desk.model(grade, "judge")
            metric = fp.metrics.judge("team, gold_team -> score: float", lm=judge)
            outcomes = evaluate(desk, metric, {"triage": model}, store=store)
            assert [each.score for each in outcomes] == [1.0, 0.0]
            assert len(judge.asked) == (2 if turn == 0 else 0)
            assert all(asyncio.run(store.find(key)) for each in outcomes for key in each.calls)


def test_two_judges_with_one_signature_and_two_models_are_two_judges(desk: Any) -> None:
    low, high = (desk.model(lambda _, value=value: {"score": value}, f"judge {value}") for value in (0.0, 1.0))
    metric = fp.metrics.weighted(
        [(fp.metrics.judge("team -> score: float", lm=low), 1), (fp.metrics.judge("team -> score: float", lm=high), 1)]
    )

    outcomes = evaluate(desk, metric, {"triage": desk.model(triage)}, memo=NodeMemo())

    assert [each.score for each in outcomes] == [0.5, 0.5]


def test_a_judge_in_weighted_is_metered_too(desk: Any) -> None:
    judge = desk.model(grade, "judge")
    metric = fp.metrics.weighted(
        [
            (fp.metrics.exact_match("team"), 3),
            (fp.metrics.judge("team, gold_team -> score: float", lm=judge), 1),
            (lambda example, prediction: 0.5, 4),
        ]
    )
    scorer = desk.scorer(team_only(), metric, {"triage": desk.model(triage)})

    outcomes = evaluate(desk, metric, {"triage": desk.model(triage)})

    assert [each.score for each in outcomes] == [0.75, 0.25]
    assert [len(each.calls) for each in outcomes] == [2, 2]
    assert scorer.calls_per_example == 2
    assert len(judges_of(metric)) == 1
    assert rebuild_metric(metric.description) is None


class Panel(fp.Program):
    """Two nodes and a function, of which the score needs two."""

    def __init__(self) -> None:
        super().__init__()
        self.grade = fp.modules.Predict("team, gold_team -> grade: str")
        self.scale = fp.modules.Function(lambda grade: len(grade) / 4, name="scale", outputs={"score": float})
        self.remark = fp.modules.Predict("team -> remark")

    def forward(self, team: str, gold_team: str) -> Any:
        """Grades, then scales; the remark is read by nobody."""
        graded = self.grade(team=team, gold_team=gold_team).grade
        return {"score": self.scale(grade=graded).score, "remark": self.remark(team=team).remark}


def test_a_program_as_metric_runs_only_what_its_score_needs(desk: Any) -> None:
    judge = desk.model(lambda inputs: {"grade": "A" * 4 if inputs["team"] == inputs["gold_team"] else "A"}, "judge")
    metric = Panel()
    scorer = desk.scorer(team_only(), metric, {"triage": judge})

    assert scorer.calls_per_example == 2
    outcomes = evaluate(
        desk, metric, {"triage": desk.model(lambda i: {"team": "delivery"} if len(i) == 1 else judge.answer(i))}
    )
    assert [each.score for each in outcomes] == [1.0, 0.25]
    assert [len(each.calls) for each in outcomes] == [2, 2]


def test_a_judge_is_rendered_once(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = fp.metrics.judge("team, gold_team -> score: float", lm=desk.model(grade, "judge"))
    scorer = desk.scorer(team_only(), metric, {"triage": desk.model(triage)})
    prompts, rendered, original = desk.prompts(scorer), list[str](), render._fill

    def noting(*given: Any) -> Any:
        made = original(*given)
        rendered.append(made.id)
        return made

    monkeypatch.setattr(render, "_fill", noting)

    asyncio.run(Evaluator(Executor(LMClient(None))).outcomes(scorer, prompts, ROWS))

    assert len(rendered) == 1


@pytest.mark.parametrize(
    ("answer", "score"), [("0.25", 0.25), ("score: 7 of 10", 7.0), ("True", None), ("-1", -1.0), ("good", None)]
)
def test_a_score_may_be_text_with_a_number_in_it(desk: Any, answer: str, score: float | None) -> None:
    metric = fp.metrics.judge("team -> score", lm=desk.model(lambda _: {"score": answer}, "judge"))
    if score is None:
        with pytest.raises(MetricError, match="'program judge' returned no score"):
            evaluate(desk, metric, {"triage": desk.model(triage)})
    else:
        assert evaluate(desk, metric, {"triage": desk.model(triage)})[0].score == score


def test_a_score_may_be_a_truth_value(desk: Any) -> None:
    metric = fp.metrics.judge("team -> fine: bool", score="fine", lm=desk.model(lambda _: {"fine": "True"}, "judge"))

    assert evaluate(desk, metric, {"triage": desk.model(triage)})[0].score == 1.0


def test_a_judge_whose_answer_cannot_be_read_gives_no_score(desk: Any) -> None:
    metric = fp.metrics.judge("team -> score: float", lm=desk.model(lambda _: "no idea", "judge"))

    with pytest.raises(MetricError, match=r"task 'shop', row \w+: the metric 'program judge' gave no score"):
        evaluate(desk, metric, {"triage": desk.model(triage)})


@pytest.mark.parametrize("text", ["no idea", "[[ ## score ## ]]\nbad\n\n[[ ## completed ## ]]"])
def test_what_an_answer_scores_that_a_judge_cannot_judge_can_be_said(desk: Any, text: str) -> None:
    for signature in ("team -> score", "team -> score: float"):
        metric = fp.metrics.judge(signature, lm=desk.model(lambda _: text, "judge"), unreadable=0.5)

        outcomes = evaluate(desk, metric, {"triage": desk.model(triage)})

        assert [(each.score, each.status, len(each.calls)) for each in outcomes] == [(0.5, "ok", 2)] * 2
        assert metric.description["unreadable"] == 0.5


def test_what_such_an_answer_scores_must_be_a_number() -> None:
    with pytest.raises(MetricError, match="returned no score"):
        fp.metrics.judge("team -> score: float", unreadable=float("nan"))


def test_a_judge_that_cannot_be_reached_gives_no_score(desk: Any) -> None:
    def dead(inputs: dict[str, str]) -> Any:
        raise LMError("the line is dead")

    metric = fp.metrics.judge("team -> score: float", lm=desk.model(dead, "judge"))

    with pytest.raises(LMError, match="the line is dead"):
        evaluate(desk, metric, {"triage": desk.model(triage)})


def test_a_judge_that_asks_for_what_is_not_there_names_it(desk: Any) -> None:
    metric = fp.metrics.judge("team, gold_mood -> score: float", lm=desk.model(grade, "judge"))

    with pytest.raises(MetricError, match=r"needs 'gold_mood'.*columns \['message', 'team'\]"):
        evaluate(desk, metric, {"triage": desk.model(triage)})


def test_a_judge_without_that_score_is_refused() -> None:
    with pytest.raises(ProgramError, match="score"):
        fp.metrics.judge("team -> grade: float")
