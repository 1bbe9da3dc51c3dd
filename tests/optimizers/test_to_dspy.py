"""Compiled programs as ``dspy.Module``s."""

from __future__ import annotations

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog.artifacts.program_codec import encode_program
from fusionprog.errors import CallError, LMOutputError, MetricError


def examples(rows: list[dict[str, str]]) -> list[dspy.Example]:
    return [dspy.Example(**row).with_inputs("message") for row in rows]


def scored(module: Any, rows: list[dict[str, str]], metric: Any, **more: Any) -> float:
    evaluate = dspy.Evaluate(devset=examples(rows), metric=metric, display_progress=False, max_errors=len(rows), **more)
    return float(evaluate(module).score)


@pytest.mark.parametrize("threads", [1, 8])
def test_dspy_scores_it_as_the_program_does(kit: Any, improved: Any, threads: int) -> None:
    metric = fp.metrics.exact_match("team")
    for task in ("shop", "bank"):
        rows = kit.rows(task, "new", 40)
        expected = improved.program.evaluate(task, data=rows).score.mean
        assert 0 < expected < 1
        assert scored(improved.program.to_dspy(task), rows, metric, num_threads=threads) == round(100 * expected, 2)


def test_it_sends_the_compiled_prompts_to_the_programs_own_model(kit: Any) -> None:
    model = kit.Scripted()
    program = kit.compile(model).program
    model.seen.clear()
    with dspy.context(lm=dspy.LM("openai/never-asked")):
        said = program.to_dspy("shop")(message="Please see to case-shop-new-1.")
    assert (said.team, said["answer.reply"]) == ("delivery", said.reply)
    assert kit.GOOD in model.seen[0] and len(model.seen) == 2


def test_it_is_awaited_copied_and_has_no_predictors(kit: Any, improved: Any) -> None:
    module = improved.program.to_dspy("shop")

    class Outer(dspy.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.desk = module

    assert Outer().named_predictors() == []
    question = {"message": "Please see to case-shop-new-1."}
    for each in (copy.deepcopy(module), module.deepcopy(), Outer().deepcopy().desk):
        assert each is not module and each.program is improved.program
        assert asyncio.run(each.acall(**question)).team == module(**question).team == "delivery"
    with pytest.raises(CallError, match="'text'"):
        module(text="x")
    with pytest.raises(CallError, match="several tasks"):
        improved.program.to_dspy()
    assert improved.program["bank"].to_dspy().task == "bank"


class Mumbling:
    """Answers of some cases cannot be read, at one node or the other."""

    @staticmethod
    def of(kit: Any, *cases: tuple[str, int]) -> Any:
        class Model(kit.Scripted):
            async def complete(self, messages: Any) -> Any:
                answer = await super().complete(messages)
                asked = messages[-1]["content"].rpartition("Respond with")[2]
                for field, case in cases:
                    if f"-{case}." in messages[-1]["content"] and field in asked:
                        return type(answer)("mumble", answer.input_tokens, 1, 0.0)
                return answer

        return Model()


@pytest.mark.parametrize("reads", ["team", "reply"])
def test_unreadable_answers_score_what_evaluate_gives_them(kit: Any, reads: str) -> None:
    """Case 1 fails where the team is asked for, case 4 where the reply is; a metric of the team does not see that."""
    model = Mumbling.of(kit, ("team", 1), ("reply", 4))
    program = kit.compile(tasks=[kit.task(metric=fp.metrics.exact_match(reads))]).program
    program = program.with_models(dict.fromkeys(program.models, model))
    rows = kit.rows("shop", "new", 20)
    found = program.evaluate(data=rows)
    assert found.failed == {"unreadable": 1 if reads == "team" else 2}
    assert scored(program.to_dspy(), rows, fp.metrics.exact_match(reads)) == round(100 * found.score.mean, 2)


def test_an_output_that_could_not_be_read_is_an_error_where_it_is_read(kit: Any) -> None:
    program = kit.compile(tasks=[kit.task()], trials=2).program
    program = program.with_models(dict.fromkeys(program.models, Mumbling.of(kit, ("reply", 4))))
    said = program.to_dspy()(message="Please see to case-shop-new-4.")
    assert said.team in kit.TEAMS["shop"] and said.get("nothing") is None
    with pytest.raises(LMOutputError):
        said.reply  # noqa: B018
    for read in (said.__getitem__, said.get):
        with pytest.raises(LMOutputError):
            read("reply")

    def all_of_it(example: Any, prediction: Any) -> float:
        return float(prediction.team == example.team)

    whole = program.to_dspy(metric=all_of_it)  # which may read anything
    with pytest.raises(LMOutputError):
        whole(message="Please see to case-shop-new-4.")
    found = program.evaluate(data=kit.rows("shop", "new", 6), metric=all_of_it)
    assert found.failed == {"unreadable": 1}
    assert scored(whole, kit.rows("shop", "new", 6), all_of_it) == round(100 * found.score.mean, 2)


def is_first(team: str) -> bool:
    return team == "billing"


class Guarded(fp.Program):
    """A reply, which no metric reads, only for the first team."""

    def __init__(self, kit: Any) -> None:
        super().__init__()
        self.triage = fp.modules.Predict(kit.Triage)
        self.first = fp.modules.Function(is_first, outputs={"yes": bool})
        self.answer = fp.modules.Predict("message, team -> reply")

    def forward(self, message: str) -> Any:
        """Triage, and an answer for the first team."""
        team = self.triage(message=message).team
        reply = fp.when(self.first(team=team).yes, lambda: self.answer(message=message, team=team).reply, "Later.")
        return {"team": team, "reply": reply}


def test_what_is_guarded_runs_where_it_is_needed_and_once(kit: Any) -> None:
    program = kit.compile(program=Guarded(kit), tasks=[kit.task()], pool=kit.pool(), trials=2).program
    model = kit.Scripted()
    module = program.with_models(dict.fromkeys(program.models, model)).to_dspy()
    for number in range(6):
        said, asked = module(message=f"Please see to case-shop-new-{number}."), len(model.seen)
        assert asked == (2 if said.team == "billing" else 1)
        assert (said.reply == "Later.") == ("answer.reply" not in said) == (said.team != "billing")
        model.seen.clear()


def test_of_a_loaded_program_the_metric_is_known_or_given(kit: Any, tmp_path: Path) -> None:
    def mine(example: Any, prediction: Any) -> float:
        return float(prediction.team == example.team)

    task = kit.task(metric=fp.Metric(mine, fields=["team"]))
    kit.compile(tasks=[task], trials=2).program.save(tmp_path / "desk.json")
    loaded = fp.load(tmp_path / "desk.json", lm=Mumbling.of(kit, ("reply", 4)))
    question = {"message": "Please see to case-shop-new-4."}
    with pytest.raises(LMOutputError):
        loaded.to_dspy()(**question)
    assert loaded.to_dspy(metric=task.metric)(**question).team


def test_metrics_are_called_as_dspy_calls_them() -> None:
    example, answer = dspy.Example(team="a", reply="b"), dspy.Prediction(team="a", reply="c")
    parts = [(fp.metrics.exact_match("team"), 3), (fp.metrics.exact_match("reply"), 1)]
    assert fp.metrics.weighted(parts)(example, answer, None) == 0.75

    async def slow(example: Any, prediction: Any) -> bool:
        await asyncio.sleep(0)
        return bool(prediction.reply == "c")

    assert fp.Metric(slow)(example, answer) == 1.0
    with pytest.raises(MetricError, match=r"compiled\.evaluate"):
        fp.metrics.judge("reply -> score: float")(example, answer)


def test_a_copy_by_pickle_is_what_the_artifact_keeps(kit: Any, improved: Any) -> None:
    copied = pickle.loads(pickle.dumps(improved.program))
    assert copied.prompt("shop", node="triage") == improved.program.prompt("shop", node="triage")
    assert encode_program(copied) == encode_program(improved.program)
