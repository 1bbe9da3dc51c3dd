"""What tests score single answers with."""

from __future__ import annotations

from fusionprog.evaluation.metric_calls import AnswerCalls, MetricCalls
from fusionprog.lm.client import LMClient
from fusionprog.runtime.executor import Executor


def no_calls() -> AnswerCalls:
    """Returns what answers the calls of a metric that makes none."""
    return MetricCalls(Executor(LMClient(None))).for_answer({}, {})
