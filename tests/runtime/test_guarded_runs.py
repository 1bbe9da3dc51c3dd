"""Guarded edges while a program runs: the same values as if everything ran, and only what is demanded does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import LMOutputError
from fusionprog.lm.client import LMClient
from fusionprog.lm.model import Completion, Messages
from fusionprog.program.demand import due, largest_runs, smallest_runs, sure_nodes
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, Reference, Source, When
from fusionprog.program.task import TaskProgram, bind
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.executor import Executor, NodeMemo, Trace
from fusionprog.runtime.render import Renderer, TaskView

INPUTS = {"x": 3, "yes": True, "no": False}


def step(one: int, other: int) -> dict[str, Any]:
    made = (7 * one + 3 * other + 1) % 64
    return {"value": made, "flag": made % 3 == 0}


def add_step(graph: ProgramGraph, name: str, function: Callable[..., Any] = step) -> None:
    graph.add(name, fp.modules.Function(function, name="step", outputs={"value": int, "flag": bool}))


def run(graph: ProgramGraph, executor: Executor | None = None, wanted: Sequence[Reference] | None = None) -> Trace:
    program = bind(graph, fp.Task("only", metric=fp.metrics.exact_match("out")))
    made = executor or Executor(LMClient(None))
    nodes = graph.needed(graph.outputs.values() if wanted is None else wanted)
    return asyncio.run(made.run(program, {}, {}, INPUTS, nodes, wanted))


# Laws


def eagerly(graph: ProgramGraph) -> dict[FieldRef, Any]:
    """Every field of every node, each computed whether anyone needs it or not."""
    fields: dict[FieldRef, Any] = {}
    for name in graph.order():
        inputs = {field: value_of(source, fields) for field, source in graph.nodes[name].sources.items()}
        fields |= {FieldRef(name, field): value for field, value in step(**inputs).items()}
    return fields


def value_of(source: Source, fields: Mapping[FieldRef, Any]) -> Any:
    if isinstance(source, When):
        return value_of(source.then if value_of(source.condition, fields) else source.otherwise, fields)
    if isinstance(source, Constant):
        return source.value
    return INPUTS[source.name] if isinstance(source, InputRef) else fields[source]


def demanded(graph: ProgramGraph, source: Source, fields: Mapping[FieldRef, Any]) -> set[str]:
    """The nodes that a source needs, by the definition of a guard."""
    if isinstance(source, When):
        side = source.then if value_of(source.condition, fields) else source.otherwise
        return demanded(graph, source.condition, fields) | demanded(graph, side, fields)
    if not isinstance(source, FieldRef):
        return set()
    read = graph.nodes[source.node].sources.values()
    return {source.node}.union(*(demanded(graph, each, fields) for each in read))


@st.composite
def guarded_graphs(draw: st.DrawFn) -> ProgramGraph:
    names = list("abcdef")[: draw(st.integers(1, 6))]

    def source(before: Sequence[str], kind: str, deep: int) -> Any:
        plain: list[FieldRef | InputRef] = [FieldRef(name, kind) for name in before]
        plain += [InputRef("x")] if kind == "value" else [InputRef("yes"), InputRef("no")]
        if deep and draw(st.booleans()):
            condition = source(before, "flag", deep - 1)
            if not isinstance(condition, Constant):
                sides = (source(before, kind, deep - 1) for _ in range(2))
                return When(condition, *sides)
        return draw(st.sampled_from([*plain, Constant(5 if kind == "value" else True)]))

    graph = fp.ProgramGraph("Drawn", {"x": int, "yes": bool, "no": bool})
    for index, name in enumerate(names):
        add_step(graph, name)
        for field in ("one", "other"):
            graph.link(source(names[:index], "value", 2), name, field)
    for index in range(draw(st.integers(1, 3))):
        made = source(names, "value", 3)
        graph.link_output(f"out{index}", InputRef("x") if isinstance(made, Constant) else made)
    graph.validate()
    return graph


@settings(deadline=None, max_examples=100)
@given(guarded_graphs())
def test_what_is_run_is_what_is_demanded_and_the_values_are_those_of_running_everything(graph: ProgramGraph) -> None:
    everything = eagerly(graph)
    wanted = list(graph.outputs.values())
    expected = set().union(*(demanded(graph, each, everything) for each in wanted))

    trace = run(graph)

    assert {ref.node for ref in trace.fields} == expected
    assert trace.ran == (expected if graph.guarded else None)
    assert trace.fields == {ref: value for ref, value in everything.items() if ref.node in expected}
    shown = trace.prediction(graph.outputs)
    assert {name: shown[name] for name in graph.outputs} == {
        name: value_of(source, everything) for name, source in graph.outputs.items()
    }


@settings(deadline=None, max_examples=100)
@given(guarded_graphs())
def test_a_run_lies_within_one_of_the_largest_and_has_what_is_sure(graph: ProgramGraph) -> None:
    wanted = list(graph.outputs.values())
    ran = {ref.node for ref in run(graph).fields}
    runs = largest_runs(graph, wanted)

    assert any(ran <= set(each) for each in runs)
    assert sure_nodes(graph, wanted) <= ran
    assert set().union(*runs) <= set(graph.needed(wanted))
    assert not any(set(one) < set(other) for one in runs for other in runs)
    least = smallest_runs(graph, wanted)
    assert any(each <= ran for each in least)
    assert not any(one < other for one in least for other in least)


# Single cases


def repair_graph(**functions: Callable[..., Any]) -> ProgramGraph:
    """``out`` is the draft's value where the check's flag is true, else what the repair makes of it."""
    graph = fp.ProgramGraph("Repair")
    for name in ("draft", "check", "repair"):
        add_step(graph, name, functions.get(name, step))
    graph.connect("x", "draft.one")
    graph.connect("x", "draft.other")
    for name in ("check", "repair"):
        graph.connect("draft.value", f"{name}.one")
        graph.connect("x", f"{name}.other")
    graph.output("out", graph.when("check.flag", "draft.value", "repair.value"))
    return graph


def flagged(flag: bool) -> Callable[..., Any]:
    def check(one: int, other: int) -> dict[str, Any]:
        return {"value": 0, "flag": flag}

    return check


@pytest.mark.parametrize(("flag", "nodes"), [(True, {"draft", "check"}), (False, {"draft", "check", "repair"})])
def test_a_node_that_was_not_run_is_not_in_the_prediction(flag: bool, nodes: set[str]) -> None:
    graph = repair_graph(check=flagged(flag))
    trace = run(graph)
    prediction = trace.prediction(graph.outputs)

    assert trace.ran == nodes
    assert prediction.out == prediction["draft.value" if flag else "repair.value"]
    assert ("repair.value" in prediction) is not flag
    if flag:
        with pytest.raises(KeyError, match=r"repair\.value"):
            prediction["repair.value"]


def test_what_is_wanted_without_a_guard_runs_in_any_case() -> None:
    graph = repair_graph(check=flagged(True))
    trace = run(graph, wanted=[FieldRef("repair", "value")])

    assert trace.ran == {"draft", "repair"}
    assert "out" not in trace.prediction(graph.outputs)  # nobody has asked the condition


def test_a_condition_may_be_an_input_and_its_default() -> None:
    class Careful(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.slow = fp.modules.Function(step, name="step", outputs={"value": int, "flag": bool})

        def forward(self, x: int, yes: bool = False) -> Any:
            return {"out": fp.when(yes, lambda: self.slow(one=x, other=x).value, x)}

    graph = Careful().graph()
    program = bind(graph, fp.Task("only", metric=fp.metrics.exact_match("out")))
    executor = Executor(LMClient(None))
    for inputs, ran in (({"x": 3}, set()), ({"x": 3, "yes": True}, {"slow"})):
        assert asyncio.run(executor.run(program, {}, {}, inputs, graph.order())).ran == ran


def test_sides_that_need_nothing_of_each_other_run_side_by_side() -> None:
    everyone, meeting = 0, asyncio.Event()

    async def meet(one: int, other: int) -> dict[str, Any]:
        nonlocal everyone
        everyone += 1
        if everyone == 2:
            meeting.set()
        await asyncio.wait_for(meeting.wait(), 20)  # passes only when both are here
        return step(one, other)

    graph = fp.ProgramGraph("Fan", {"yes": bool})
    for name in ("left", "right"):
        add_step(graph, name, meet)
        for field in ("one", "other"):
            graph.connect("x", f"{name}.{field}")
        graph.output(name, graph.when("yes", f"{name}.value", "x"))

    assert run(graph).ran == {"left", "right"}


def test_equal_inputs_are_not_run_again_on_either_side() -> None:
    asked: list[int] = []

    def noted(one: int, other: int) -> dict[str, Any]:
        asked.append(one)
        return step(one, other)

    graph = repair_graph(check=flagged(False), repair=noted)
    executor = Executor(LMClient(None), NodeMemo())
    one, other = run(graph, executor), run(graph, executor)

    assert one.fields == other.fields and one.ran == other.ran and len(asked) == 1


def test_a_field_that_a_node_leaves_out_ends_the_run() -> None:
    class Forgetful(fp.modules.Function):
        async def run(self, inputs: Mapping[str, Any], ask: Any) -> dict[str, Any]:
            return {}

    graph = fp.ProgramGraph("Repair")
    graph.add("check", Forgetful(step, name="step", outputs={"flag": bool}))
    for field in ("one", "other"):
        graph.connect("x", f"check.{field}")
    graph.output("out", graph.when("check.flag", "x", "x"))

    with pytest.raises(KeyError):
        run(graph)


def test_what_is_due_comes_in_the_order_of_names() -> None:
    graph = repair_graph()
    wanted = list(graph.outputs.values())
    known = {FieldRef("draft", "value"): 1, FieldRef("check", "flag"): False}

    assert due(graph, wanted, set(), {}, INPUTS) == ["draft"]
    assert due(graph, wanted, {"draft"}, known, INPUTS) == ["check"]
    assert due(graph, wanted, {"draft", "check"}, known, INPUTS) == ["repair"]
    assert due(graph, wanted, {"draft", "check", "repair"}, known, INPUTS) == []


# Model calls


class Speaker:
    """Says the fields that the end of a prompt asks for, and counts."""

    persistent = True
    free = False
    usd_per_token = None
    max_output_tokens = None
    name = "speaker"

    def __init__(self, **says: str) -> None:
        self.identity: Mapping[str, Any] = {"model": "speaker", **says}
        self.says = says
        self.asked: list[str] = []

    async def complete(self, messages: Messages) -> Completion:
        last = messages[-1]["content"].rpartition("Respond with")[2]
        fields = [name for name in self.says if f"`[[ ## {name} ## ]]`" in last]
        self.asked.append(*fields)
        return Completion("\n\n".join(f"[[ ## {name} ## ]]\n{self.says[name]}" for name in fields), 10, 2, 0.5)


def asking() -> TaskProgram:
    graph = fp.ProgramGraph("Repair")
    graph.add("draft", fp.modules.Predict("text -> first"))
    graph.add("check", fp.modules.Predict("first -> ok: bool"))
    graph.add("repair", fp.modules.Predict("text, first -> better"))
    for source, target in (("text", "draft.text"), ("text", "repair.text")):
        graph.connect(source, target)
    for target in ("check.first", "repair.first"):
        graph.connect("draft.first", target)
    graph.output("answer", graph.when("check.ok", "draft.first", "repair.better"))
    graph.validate()
    return bind(graph, fp.Task("only", metric=fp.metrics.exact_match("answer")))


def ask(program: TaskProgram, model: Any) -> Trace:
    prompts = Renderer({}).prompts(Schedule(), TaskView("only", "only", program, ()))
    made = Executor(LMClient(None)).run(
        program, prompts, dict.fromkeys(prompts, model), {"text": "go"}, program.graph.order()
    )
    return asyncio.run(made)


@pytest.mark.parametrize(("ok", "asked"), [("True", ["first", "ok"]), ("False", ["first", "ok", "better"])])
def test_the_side_that_is_not_taken_asks_no_model(ok: str, asked: list[str]) -> None:
    model = Speaker(first="one", ok=ok, better="two")
    trace = ask(asking(), model)

    assert model.asked == asked and len(trace.calls) == len(asked)
    assert trace.prediction(asking().outputs).answer == ("one" if ok == "True" else "two")


def test_a_condition_that_cannot_be_read_ends_the_run() -> None:
    model = Speaker(first="one", ok="perhaps", better="two")
    trace = ask(asking(), model)

    assert isinstance(trace.error, LMOutputError) and model.asked == ["first", "ok"]
    assert trace.ran == {"draft", "check"} and len(trace.calls) == 2
    assert "answer" not in trace.prediction(asking().outputs)
