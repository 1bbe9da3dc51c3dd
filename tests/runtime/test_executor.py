"""The executor: order, branches, memo, and what an unreadable answer leaves behind."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, LMError, LMOutputError, ProgramError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import Completion, LanguageModel, Messages
from fusionprog.program.graph import FieldRef, InputRef, ProgramGraph, ProgramInput
from fusionprog.program.task import TaskProgram, bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, NodeMemo, Trace
from fusionprog.runtime.render import Renderer, TaskView
from fusionprog.store.store import Store


class Scripted:
    """Answers with a function of the last message."""

    persistent = True
    free = False
    usd_per_token = None
    max_output_tokens = None

    def __init__(self, answer: Callable[[str], Any], name: str = "scripted") -> None:
        self.name = name
        self.identity: Mapping[str, Any] = {"model": name}
        self.answer = answer
        self.asked: list[str] = []

    async def complete(self, messages: Messages) -> Completion:
        self.asked.append(messages[-1]["content"])
        made = self.answer(messages[-1]["content"])
        return Completion(await made if asyncio.iscoroutine(made) else made, 10, 2, 0.5)


def say(**fields: str) -> str:
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items())


def always(text: str) -> Callable[[str], str]:
    return lambda _: text


def task_of(graph: ProgramGraph, name: str = "shop", **more: Any) -> TaskProgram:
    return bind(graph, fp.Task(name, metric=fp.metrics.exact_match("x"), **more))


def run(
    program: TaskProgram,
    model: LanguageModel,
    executor: Executor | None = None,
    nodes: tuple[str, ...] = (),
    **inputs: Any,
) -> Any:
    """Returns the coroutine of one run of all nodes, or of ``nodes``."""
    view = TaskView(program.task, program.task, program, ())
    prompts = Renderer({}).prompts(Schedule(), view)
    made = executor or Executor(LMClient(None))
    return made.run(program, prompts, dict.fromkeys(prompts, model), inputs, nodes or program.graph.order())


def chain() -> ProgramGraph:
    graph = fp.ProgramGraph("Chain")
    graph.add("first", fp.modules.Predict("text -> middle"))
    graph.add("second", fp.modules.Predict("middle -> end"))
    graph.connect("text", "first.text")
    graph.connect("first.middle", "second.middle")
    return graph


def function_graph(function: Callable[..., Any], **more: Any) -> ProgramGraph:
    graph = fp.ProgramGraph("Calc")
    graph.add("calc", fp.modules.Function(function, name="calc", inputs={"x": Any}, outputs={"y": Any}, **more))
    graph.connect("x", "calc.x")
    return graph


def test_a_node_runs_after_those_it_reads() -> None:
    def answer(prompt: str) -> str:
        return say(end="done") if "## middle ##" in prompt.split("Respond")[0] else say(middle="half way")

    model = Scripted(answer)
    trace: Trace = asyncio.run(run(task_of(chain()), model, text="go"))

    assert "go" in model.asked[0] and "half way" in model.asked[1]
    assert trace.fields == {FieldRef("first", "middle"): "half way", FieldRef("second", "end"): "done"}
    assert trace.error is None and len(trace.calls) == 2
    assert trace.value(InputRef("text")) == "go" and trace.value(FieldRef("second", "end")) == "done"


def test_a_prediction_shows_outputs_and_every_field() -> None:
    trace = Trace({"text": "go"}, {FieldRef("panel.first", "middle"): 1})
    prediction = trace.prediction(
        {"m": FieldRef("panel.first", "middle"), "t": InputRef("text"), "n": FieldRef("x", "y")}
    )

    assert prediction.m == 1 and prediction.t == "go" and prediction["panel.first.middle"] == 1
    assert "n" not in prediction


def test_only_the_nodes_that_are_asked_for_run() -> None:
    model = Scripted(lambda _: say(middle="half way"))

    trace = asyncio.run(run(task_of(chain()), model, nodes=("first",), text="go"))

    assert list(trace.fields) == [FieldRef("first", "middle")]


def test_branches_run_side_by_side() -> None:
    graph = fp.ProgramGraph("Fan")
    for name in ("left", "middle", "right"):
        graph.add(name, fp.modules.Predict("text -> out"))
        graph.connect("text", f"{name}.text")
        graph.output(name, f"{name}.out")

    async def work() -> Trace:
        waiting, everyone = 0, asyncio.Event()

        async def meet() -> str:
            nonlocal waiting
            waiting += 1
            if waiting == 3:
                everyone.set()
            await asyncio.wait_for(everyone.wait(), 20)  # passes only when all three are here
            return say(out="met")

        trace: Trace = await run(task_of(graph), Scripted(lambda _: meet()), text="go")
        return trace

    assert set(asyncio.run(work()).fields.values()) == {"met"}


def test_inputs_that_are_left_out_take_their_default() -> None:
    graph = function_graph(lambda x: ("got", x))
    graph.inputs["x"] = ProgramInput("x", str, required=False, default="fallback")
    program = task_of(graph)

    assert asyncio.run(run(program, Scripted(str))).fields == {FieldRef("calc", "y"): ("got", "fallback")}
    assert asyncio.run(run(program, Scripted(str), x="given")).fields == {FieldRef("calc", "y"): ("got", "given")}


def test_constants_are_inputs_like_others() -> None:
    graph = fp.ProgramGraph("Constant")
    graph.add("ask", fp.modules.Predict("text, tone -> out"), tone="friendly")
    graph.connect("text", "ask.text")
    model = Scripted(lambda _: say(out="x"))

    asyncio.run(run(task_of(graph), model, text="go"))

    assert "friendly" in model.asked[0]


def test_an_unreadable_answer_ends_the_run_and_keeps_its_calls() -> None:
    model = Scripted(lambda prompt: "neither here nor there")

    trace = asyncio.run(run(task_of(chain()), model, text="go"))

    assert isinstance(trace.error, LMOutputError) and "neither here" in str(trace.error)
    assert trace.fields == {} and len(model.asked) == 1
    assert [call.text for call in trace.calls.values()] == ["neither here nor there"]


def test_a_branch_that_can_be_read_is_kept_beside_one_that_cannot() -> None:
    graph = fp.ProgramGraph("Fan")
    for name in ("bad", "good"):
        graph.add(name, fp.modules.Predict(f"text -> {name}"))
        graph.connect("text", f"{name}.text")
    graph.add("after", fp.modules.Predict("good -> end"))
    graph.connect("good.good", "after.good")
    model = Scripted(lambda prompt: say(good="yes") if "`[[ ## good ## ]]`" in prompt else "garbled")

    trace = asyncio.run(run(task_of(graph), model, text="go"))

    assert isinstance(trace.error, LMOutputError)
    assert trace.fields == {FieldRef("good", "good"): "yes"}
    assert len(trace.calls) == 2 and len(model.asked) == 2


def test_failures_of_models_and_functions_are_raised() -> None:
    def dead(prompt: str) -> str:
        raise LMError("the line is dead")

    def broken(x: Any) -> Any:
        raise ValueError("broken")

    with pytest.raises(LMError, match="the line is dead"):
        asyncio.run(run(task_of(chain()), Scripted(dead), text="go"))
    with pytest.raises(ProgramError, match="broken"):
        asyncio.run(run(task_of(function_graph(broken)), Scripted(str), x=1))


def test_an_unchanged_node_is_not_run_again() -> None:
    def answer(prompt: str) -> str:
        return say(middle="half way", end="done")

    async def work() -> None:
        model, executor, task = Scripted(answer), Executor(LMClient(None), NodeMemo()), task_of(chain())
        first = await run(task, model, executor, text="go")
        again = await run(task, model, executor, text="go")
        assert len(model.asked) == 2
        assert (again.fields, again.calls) == (first.fields, first.calls)
        await run(task, model, executor, text="other")  # the first node gives the same middle
        assert len(model.asked) == 3

    asyncio.run(work())


def test_without_a_memo_everything_is_run_again() -> None:
    async def work() -> None:
        model, executor = Scripted(lambda _: say(middle="m", end="e")), Executor(LMClient(None))
        for _ in range(2):
            await run(task_of(chain()), model, executor, text="go")
        assert len(model.asked) == 4

    asyncio.run(work())


def test_those_who_ask_at_the_same_time_share_one_run() -> None:
    async def work() -> None:
        model, executor = Scripted(lambda _: say(middle="m", end="e")), Executor(LMClient(None), NodeMemo())
        program = task_of(chain())
        traces = await asyncio.gather(*(run(program, model, executor, text="go") for _ in range(5)))
        assert len(model.asked) == 2
        assert all(trace.fields == traces[0].fields for trace in traces)

    asyncio.run(work())


def test_another_model_is_another_result() -> None:
    async def work() -> None:
        executor = Executor(LMClient(None), NodeMemo())
        for name in ("one", "two"):
            model = Scripted(always(say(middle=name, end=name)), name)
            trace = await run(task_of(chain()), model, executor, text="go")
            assert trace.fields[FieldRef("second", "end")] == name

    asyncio.run(work())


def test_models_that_are_gone_do_not_answer_for_new_ones() -> None:
    async def work() -> None:
        executor, program = Executor(LMClient(None), NodeMemo()), task_of(chain())
        for number in range(30):
            model = Scripted(always(say(middle=str(number), end=str(number))))
            trace = await run(program, model, executor, text="go")
            assert trace.fields[FieldRef("second", "end")] == str(number)
            del model

    asyncio.run(work())


def test_failures_are_not_remembered() -> None:
    async def work() -> None:
        answers = iter(["dead", say(middle="m"), say(end="e")])

        def answer(prompt: str) -> str:
            made = next(answers)
            if made == "dead":
                raise LMError("the line is dead")
            return made

        executor, model = Executor(LMClient(None), NodeMemo()), Scripted(answer)
        with pytest.raises(LMError):
            await run(task_of(chain()), model, executor, text="go")
        trace = await run(task_of(chain()), model, executor, text="go")
        assert trace.fields[FieldRef("second", "end")] == "e"

    asyncio.run(work())


def test_unreadable_answers_are_remembered_with_their_calls() -> None:
    async def work() -> None:
        executor, model, task = Executor(LMClient(None), NodeMemo()), Scripted(lambda _: "garbled"), task_of(chain())
        first = await run(task, model, executor, text="go")
        again = await run(task, model, executor, text="go")
        assert len(model.asked) == 1
        assert again.calls == first.calls and again.error is first.error is not None

    asyncio.run(work())


@pytest.mark.parametrize(("cache", "runs"), [(True, 1), (False, 3)])
def test_a_function_runs_again_only_if_it_says_so(cache: bool, runs: int) -> None:
    seen: list[Any] = []

    def noting(x: Any) -> Any:
        seen.append(x)
        return x

    async def work() -> None:
        program = task_of(function_graph(noting, cache=cache))
        executor = Executor(LMClient(None), NodeMemo())
        for _ in range(3):
            trace = await run(program, Scripted(str), executor, x={"b": 1, "a": [datetime.date(2026, 1, 1)]})
            assert trace.error is None

    asyncio.run(work())
    assert len(seen) == runs


def test_two_functions_of_one_name_are_two() -> None:
    async def work() -> None:
        executor = Executor(LMClient(None), NodeMemo())
        results = []
        for factor in (2, 3):
            graph = function_graph(lambda x, factor=factor: x * factor)
            trace = await run(task_of(graph), Scripted(str), executor, x=5)
            results.append(trace.fields[FieldRef("calc", "y")])
        assert results == [10, 15]

    asyncio.run(work())


def test_a_function_with_other_inputs_runs_again() -> None:
    async def work() -> None:
        executor, program = Executor(LMClient(None), NodeMemo()), task_of(function_graph(lambda x: repr(x)))
        values = [1, 1.0, True, "1", None, [1], {"1": 1}]
        traces = [await run(program, Scripted(str), executor, x=value) for value in values]
        assert [trace.fields[FieldRef("calc", "y")] for trace in traces] == [repr(value) for value in values]

    asyncio.run(work())


def test_one_who_stops_waiting_does_not_stop_the_others() -> None:
    async def work() -> None:
        executor, program = Executor(LMClient(None), NodeMemo()), task_of(chain())
        go = asyncio.Event()

        async def wait() -> str:
            await go.wait()
            return say(middle="m", end="e")

        model = Scripted(lambda _: wait())
        first, second = (asyncio.ensure_future(run(program, model, executor, text="go")) for _ in range(2))
        for _ in range(5):
            await asyncio.sleep(0)
        first.cancel()
        go.set()
        trace = await second
        assert trace.fields[FieldRef("second", "end")] == "e"
        assert len(model.asked) == 3  # the first node's call is made again by the one who waited for it

    asyncio.run(work())


class Twice(fp.modules.Predict):
    """Asks twice, as samples 0 and 1, and joins the answers."""

    async def run(self, inputs: Mapping[str, Any], ask: fp.modules.Ask) -> dict[str, Any]:
        answers = [await ask(inputs, sample=sample) for sample in range(2)]
        return {"middle": " and ".join(answer["middle"] for answer in answers)}


def test_samples_of_one_node_are_calls_of_their_own() -> None:
    graph = fp.ProgramGraph("Samples")
    graph.add("first", Twice("text -> middle"))
    graph.connect("text", "first.text")

    async def work() -> None:
        with Store() as store:
            count = iter(range(9))
            model = Scripted(lambda _: say(middle=str(next(count))))
            for _ in range(2):
                trace = await run(task_of(graph), model, Executor(LMClient(store)), text="go")
                assert trace.fields == {FieldRef("first", "middle"): "0 and 1"}
                assert len(trace.calls) == 2
            assert len(model.asked) == 2

    asyncio.run(work())


def test_a_missing_input_is_not_silently_empty() -> None:
    with pytest.raises((FusionProgError, KeyError)):
        asyncio.run(run(task_of(chain()), Scripted(lambda _: say(middle="m", end="e"))))
