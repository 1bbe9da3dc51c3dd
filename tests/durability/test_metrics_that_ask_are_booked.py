"""Metrics that ask models by themselves, in whole compiles: inside of every limit, kept, and the same at any speed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import MetricError
from fusionprog.lm.model import approximate_tokens
from fusionprog.testing import TextModel
from tests.durability import desk
from tests.durability.answers import answer

READ, WRITTEN = 2e-6, 8e-6  # dollars per token
Prompt = Sequence[Mapping[str, str]]
GRADER = dspy.Predict("message, team, wanted -> score: float")  # made once, as judges should be
_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]\n(.*?)(?=\n\n|$)", re.DOTALL)


class Meter:
    """Two models, one of them the metric's, and what both were asked."""

    def __init__(self) -> None:
        self.spent = {"calls": 0, "tokens": 0, "usd": 0.0}
        self.desk = self.model(answer, "desk")
        self.judge = self.model(graded, "judge")

    def model(self, text: Callable[[list[dict[str, str]]], str], name: str) -> TextModel:
        return TextModel(
            lambda messages: self.counted(messages, text(messages)),
            name,
            latency=0.001,
            usd_per_token=(READ, WRITTEN),
            max_output_tokens=60,
        )

    def counted(self, messages: Prompt, text: str) -> str:
        read, said = sum(approximate_tokens(each["content"]) for each in messages), approximate_tokens(text)
        self.spent["calls"] += 1
        self.spent["tokens"] += read + said
        self.spent["usd"] += read * READ + said * WRITTEN
        return text


def graded(messages: Prompt) -> str:
    given = dict(_FIELD.findall(messages[-1]["content"]))
    return f"[[ ## score ## ]]\n{float(given['team'] == given['wanted'])}\n\n[[ ## completed ## ]]"


def grade(example: Any, prediction: Any, trace: Any = None) -> float:
    return float(GRADER(message=example.message, team=prediction.team, wanted=example.team).score)


def task(name: str, metric: Any) -> fp.Task:
    return fp.Task(
        name,
        domain=name,
        description=f"Messages to a {name}.",
        labels={"triage.team": list(desk.TEAMS[name]), "rush.urgency": list(desk.URGENCIES)},
        train=desk.rows(name, "train", 12),
        val=desk.rows(name, "val", 40),
        metric=metric,
    )


def compiled(meter: Meter, budget: fp.Budget, **how: Any) -> fp.CompiledProgram:
    metric = fp.Metric(grade, fields=["team"], calls=1, lm=meter.judge)
    tasks = [task(name, metric) for name in ("shop", "bank")]
    return fp.compile(desk.Desk(), tasks, pool=desk.pool, lm=meter.desk, budget=budget, progress=False, **how)


@pytest.mark.parametrize("budget", [fp.Budget(calls=500), fp.Budget(tokens=300_000), fp.Budget(usd=0.6)], ids=str)
def test_no_limit_is_passed_and_the_artifact_is_the_same_at_any_concurrency(tmp_path: Path, budget: fp.Budget) -> None:
    files = []
    for concurrency in (1, 32):
        meter = Meter()
        program = compiled(meter, budget, concurrency=concurrency, trials=12)
        for limit, spent in meter.spent.items():
            assert spent <= (getattr(budget, limit) or spent)
            assert program.record.spent[limit] == pytest.approx(spent, abs=1e-6)
        assert len(meter.judge.requests) > 20
        assert program.record.improved
        program.save(tmp_path / f"{concurrency}.json")
        files.append((tmp_path / f"{concurrency}.json").read_bytes())
    assert files[0] == files[1]


def test_nothing_is_asked_again(tmp_path: Path) -> None:
    storage, asked = str(tmp_path / "desk.db"), []
    for _ in range(2):
        meter = Meter()
        compiled(meter, fp.Budget(calls=400), trials=8, storage=storage)
        asked.append(meter.spent["calls"])
    assert asked[0] > 100 and asked[1] == 0


def test_a_metric_that_does_not_say_that_it_asks_ends_the_compile() -> None:
    meter = Meter()

    def careless(example: Any, prediction: Any) -> float:
        try:
            return grade(example, prediction)
        except Exception:
            return 0.0

    lm = dspy.LM("openai/desk-model", api_base="http://127.0.0.1:9", api_key="k", cache=False)
    words = r"task 'shop', row \w+: the metric 'careless' asks a model, .*calls=1"
    with dspy.context(lm=lm), pytest.raises(MetricError, match=words):
        fp.compile(desk.Desk(), [task("shop", careless)], pool=desk.pool, lm=meter.desk, progress=False, concurrency=1)
    assert meter.spent["calls"] <= 20
