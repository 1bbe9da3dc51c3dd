"""A small desk whose models answer from a script."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.evaluation.evaluator import TaskScorer
from fusionprog.evaluation.metrics import as_metric
from fusionprog.evaluation.program import make_scorer
from fusionprog.lm.model import Completion, LanguageModel, Messages
from fusionprog.program.graph import ProgramGraph
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.render import RenderedPrompt, Renderer, TaskView

_FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]\n(.*?)(?=\n\n|$)", re.DOTALL)


class Scripted:
    """Reads the inputs of a prompt in chat format and answers with what ``answer`` makes of them."""

    persistent = True
    free = False
    usd_per_token = None
    max_output_tokens = None

    def __init__(
        self,
        answer: Callable[[dict[str, str]], Mapping[str, Any] | str],
        name: str = "scripted",
        usd: float | None = 0.5,
    ) -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}
        self.answer = answer
        self.usd = usd
        self.asked: list[dict[str, str]] = []

    async def complete(self, messages: Messages) -> Completion:
        inputs = dict(_FIELD.findall(messages[-1]["content"]))
        self.asked.append(inputs)
        await asyncio.sleep(0)
        made = self.answer(inputs)
        if not isinstance(made, str):
            made = "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in made.items())
        return Completion(made, 10, 2, self.usd)


class Desk:
    """What a test needs to score a graph."""

    model = Scripted

    def scorer(
        self, graph: ProgramGraph, metric: Any, models: Mapping[str, LanguageModel], name: str = "shop", **more: Any
    ) -> TaskScorer:
        """Returns how a task with this metric is scored."""
        program = bind(graph, fp.Task(name, metric=metric, **more))
        return make_scorer(TaskView(name, name, program, ()), as_metric(metric), dict(models))

    def prompts(self, scorer: TaskScorer) -> dict[str, RenderedPrompt]:
        """Returns the prompts of the program as written."""
        return Renderer({}).prompts(Schedule(), scorer.view)

    def graph(self) -> ProgramGraph:
        """Returns two nodes: triage feeds answer."""
        graph = fp.ProgramGraph("Desk")
        graph.add("triage", fp.modules.Predict("message -> team"))
        graph.add("answer", fp.modules.Predict("message, team -> reply"))
        graph.connect("message", "triage.message")
        graph.connect("message", "answer.message")
        graph.connect("triage.team", "answer.team")
        graph.output("team", "triage.team")
        graph.output("reply", "answer.reply")
        return graph


@pytest.fixture
def desk() -> Desk:
    return Desk()
