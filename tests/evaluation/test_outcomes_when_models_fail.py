"""What an example comes to where a model fails: its own status, or no outcome at all; and metrics that take long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import LMServerError, LMUnavailableError
from fusionprog.evaluation.evaluator import Evaluator, Outcome
from fusionprog.lm.client import LMClient
from fusionprog.lm.limits import Limits
from fusionprog.lm.model import Completion, Finish, Messages
from fusionprog.program.data import Row
from fusionprog.runtime.executor import Executor, NodeMemo

ROWS = [Row({"message": f"message {number}", "team": "delivery"}) for number in range(4)]
TEAM = "[[ ## team ## ]]\ndelivery\n\n[[ ## completed ## ]]"


class Ending:
    """Answers, or fails as often as it is told; its answers end as they are told."""

    name = "ending"
    identity: Mapping[str, Any] = MappingProxyType({"model": "ending"})
    persistent = True
    free = False
    usd_per_token = (0.0, 0.0)
    max_output_tokens = 100

    def __init__(self, finish: Finish = "stop", failures: int = 0, failing: str = "message") -> None:
        self.finish, self.failures, self.failing = finish, failures, failing
        self.asked = 0

    async def complete(self, messages: Messages) -> Completion:
        self.asked += 1
        if self.failures and self.failing in messages[-1]["content"]:
            self.failures -= 1
            raise LMServerError("down")
        return Completion(TEAM, 10, 5, 0.0, self.finish)


def outcomes(desk: Any, model: Ending, metric: Any = None) -> list[Outcome]:
    scorer = desk.scorer(desk.graph(), metric or fp.metrics.exact_match("team"), {"triage": model, "answer": model})
    client = LMClient(None, limits={"ending": Limits(retries=1, backoff=0.0)})
    evaluator = Evaluator(Executor(client, NodeMemo()))
    return asyncio.run(evaluator.outcomes(scorer, desk.prompts(scorer), ROWS))


@pytest.mark.parametrize(
    ("finish", "status", "words"),
    [("length", "truncated", "max_tokens"), ("refused", "refused", "filter"), ("context", "too_long", "window")],
)
def test_an_answer_that_did_not_end_by_itself_scores_0_with_its_own_status(
    desk: Any, finish: Finish, status: str, words: str
) -> None:
    model = Ending(finish)
    found = outcomes(desk, model)
    assert [(each.score, each.status) for each in found] == [(0.0, status)] * len(ROWS)
    assert all(words in each.error and each.calls for each in found)
    assert model.asked == len(ROWS)


def test_rows_that_a_failure_leaves_unmeasured_are_measured_when_the_others_are(desk: Any) -> None:
    model = Ending(failures=4, failing="message 2")  # two rounds of two attempts
    assert [each.score for each in outcomes(desk, model)] == [1.0] * len(ROWS)
    assert model.asked == len(ROWS) + 4


def test_rows_that_stay_unmeasured_are_an_error_and_never_a_score(desk: Any) -> None:
    model = Ending(failures=100, failing="message 2")
    with pytest.raises(LMUnavailableError, match=r"task 'shop': 1 of 4 examples could not be measured.*continues"):
        outcomes(desk, model)
    assert model.asked == len(ROWS) - 1 + 6  # three rounds of two attempts


def test_a_metric_that_takes_long_is_called_in_threads_from_its_second_call_on(desk: Any) -> None:
    threads: list[str] = []

    def slow(example: Any, prediction: Any) -> float:
        threads.append(threading.current_thread().name)
        time.sleep(0.01)
        return 1.0

    assert [each.score for each in outcomes(desk, Ending(), fp.Metric(slow, fields=["team"]))] == [1.0] * len(ROWS)
    assert threads[0] == threading.current_thread().name
    assert threads[0] not in threads[1:]


def test_a_metric_whose_own_model_cannot_answer_now_leaves_the_row_to_be_measured_again(desk: Any) -> None:
    left = {"failures": 2}

    def asks(example: Any, prediction: Any) -> float:
        if example.message == "message 1" and left["failures"]:
            left["failures"] -= 1
            raise LMServerError("the judge is down")
        return 1.0

    async def awaits(example: Any, prediction: Any) -> float:
        return asks(example, prediction)

    for metric in (asks, awaits):
        left["failures"] = 2
        assert [each.score for each in outcomes(desk, Ending(), fp.Metric(metric, fields=["team"]))] == [1.0] * 4
        assert left["failures"] == 0
