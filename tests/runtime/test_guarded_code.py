"""Guards before and after a node whose code calls other nodes."""

from __future__ import annotations

import asyncio
from typing import Any

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import ProgramError
from fusionprog.lm.client import LMClient
from fusionprog.program.demand import largest_runs, smallest_runs, sure_nodes
from fusionprog.program.graph import Constant, ProgramGraph, ProgramInput
from fusionprog.program.task import bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, Trace
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.testing import TextModel


class Drafts(dspy.Module):  # type: ignore[misc, unused-ignore]
    """Drafts twice; asks the critic of long topics alone."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = dspy.Predict("topic -> text")
        self.critic = dspy.Predict("text -> verdict")

    def forward(self, topic: str) -> dspy.Prediction:
        """Returns the second draft, and whether it is any good."""
        for number in range(2):
            text = self.draft(topic=topic, config={"rollout_id": number}).text
        return dspy.Prediction(text=text, good=topic == "sea" or self.critic(text=text).verdict == "good")


def drafts(**more: Any) -> ProgramGraph:
    return fp.from_dspy(Drafts(), calls={"draft": 2}, **{"outputs": {"text": str, "good": bool}, **more})


def repairing() -> ProgramGraph:
    """A repair where the code is not content."""
    graph = drafts()
    graph.add("repair", fp.modules.Predict("wrong -> mended"))
    graph.connect("forward.text", "repair.wrong")
    graph.output("final", graph.when("forward.good", "forward.text", "repair.mended"))
    return graph


def asked_for() -> ProgramGraph:
    """The code runs only where it is asked for."""
    graph = drafts()
    graph.inputs["wanted"] = ProgramInput("wanted", bool)
    graph.output("final", graph.when("wanted", "forward.text", Constant("nothing")))
    return graph


def run(graph: ProgramGraph, seen: list[str], **inputs: Any) -> Trace:
    """One run on a model that answers every field with a word."""

    def answer(messages: Any) -> str:
        (field,) = (
            name for name in ("text", "verdict", "mended") if f"`[[ ## {name} ## ]]`" in messages[-1]["content"]
        )
        seen.append(field)
        return f"[[ ## {field} ## ]]\n{'bad' if field == 'verdict' else field}"

    program = bind(graph, fp.Task("shop", metric=fp.metrics.exact_match("final")))
    prompts = Renderer({}).prompts(Schedule(), TaskView("shop", "shop", program, ()))
    models = dict.fromkeys(prompts, TextModel(answer))

    async def one() -> Trace:
        nodes = graph.needed(graph.outputs.values())
        return await Executor(LMClient(None)).run(program, prompts, models, inputs, nodes)

    return asyncio.run(one())


@pytest.mark.parametrize(("topic", "asked"), [("sea", ["text"] * 2), ("x", ["text", "text", "verdict", "mended"])])
def test_what_code_made_decides_a_guard(topic: str, asked: list[str]) -> None:
    seen: list[str] = []
    trace = run(repairing(), seen, topic=topic)
    assert seen == asked
    assert trace.ran == {"draft", "critic", "forward"} | ({"repair"} if topic == "x" else set())
    final = trace.prediction(repairing().outputs).final
    assert final == ("text" if topic == "sea" else "mended")


@pytest.mark.parametrize("wanted", [True, False])
def test_code_behind_a_guard_runs_where_it_is_chosen(wanted: bool) -> None:
    seen: list[str] = []
    trace = run(asked_for(), seen, topic="sea", wanted=wanted)
    assert seen == ["text"] * 2 * wanted
    assert trace.ran == ({"draft", "critic", "forward"} if wanted else set())
    assert trace.prediction(asked_for().outputs).final == ("text" if wanted else "nothing")


def test_a_run_may_have_a_node_as_often_as_code_may_call_it() -> None:
    graph = repairing()
    code = ("critic", "draft", "draft", "forward")
    assert largest_runs(graph, graph.outputs.values()) == ((*code, "repair"),)
    assert smallest_runs(graph, graph.outputs.values()) == (frozenset(["forward"]),)
    assert sure_nodes(graph, graph.outputs.values()) == {*code}

    graph = asked_for()
    assert largest_runs(graph, graph.outputs.values()) == (code,)
    assert sure_nodes(graph, graph.outputs.values()) == set()
    assert largest_runs(drafts(), drafts().outputs.values()) == (code,)


def test_a_condition_of_code_must_be_declared_as_bool() -> None:
    graph = drafts(outputs=None)
    graph.output("final", graph.when("forward.verdict", "forward.text", Constant("nothing")))
    with pytest.raises(ProgramError, match=r"the condition forward\.verdict is no truth value"):
        graph.validate()
