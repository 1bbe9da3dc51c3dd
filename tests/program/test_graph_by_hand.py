"""ProgramGraph by hand: adding, connecting, naming outputs, and what validate finds."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramInput
from fusionprog.program.program import program_graph

Refused = Callable[..., FusionProgError]
Predict = fp.modules.Predict


class Triage(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField()
    team: Literal["billing", "delivery"] = fp.OutputField()


class Reply(fp.Signature):
    """Answer the customer."""

    message: str = fp.InputField()
    team: str = fp.InputField()
    tone: str = fp.InputField(default="friendly")
    reply: str = fp.OutputField()


class Count(fp.Signature):
    """Count."""

    number: int = fp.InputField()
    day: datetime.date = fp.InputField(default=datetime.date(2026, 1, 1))
    total: float = fp.OutputField()


TRIAGE, ANSWER = Predict(Triage), fp.modules.ChainOfThought(Reply)

Step = Callable[[fp.ProgramGraph], Any]
ADD: list[Step] = [
    lambda graph: graph.add("triage", TRIAGE),
    lambda graph: graph.add("answer", ANSWER),
]
CONNECT: list[Step] = [
    lambda graph: graph.connect("message", "triage.message"),
    lambda graph: graph.connect("message", "answer.message"),
    lambda graph: graph.connect("triage.team", "answer.team"),
    lambda graph: graph.output("team", "triage.team"),
    lambda graph: graph.output("reply", "answer.reply"),
]


class Desk(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.triage = TRIAGE
        self.answer = ANSWER

    def forward(self, message: str) -> Any:
        team = self.triage(message=message).team
        return {"team": team, "reply": self.answer(message=message, team=team).reply}


def built(steps: Sequence[Step]) -> fp.ProgramGraph:
    graph = fp.ProgramGraph("Desk")
    for step in steps:
        step(graph)
    return graph


@pytest.fixture
def desk() -> fp.ProgramGraph:
    return built([*ADD, *CONNECT])


def content(graph: fp.ProgramGraph) -> Any:
    return graph.name, graph.inputs, graph.nodes, graph.outputs


# Building


def test_a_graph_by_hand_equals_the_traced_one(desk: fp.ProgramGraph) -> None:
    assert content(desk) == content(Desk().graph())
    assert program_graph(desk) is desk


@pytest.mark.parametrize("added", [ADD, ADD[::-1]])
def test_the_order_of_the_steps_does_not_matter(added: Sequence[Step], desk: fp.ProgramGraph) -> None:
    for connected in itertools.permutations(CONNECT):
        graph = built([*added, *connected])
        graph.validate()

        assert content(graph) == content(desk)
        assert graph.order() == ("triage", "answer")


def test_a_source_may_be_connected_before_its_node_is_there(desk: fp.ProgramGraph) -> None:
    graph = built([ADD[1], *CONNECT[1:3], ADD[0], CONNECT[0], *CONNECT[3:]])
    graph.validate()

    assert content(graph) == content(desk)


def test_what_each_node_reads(desk: fp.ProgramGraph) -> None:
    assert desk.nodes["triage"].sources == {"message": InputRef("message")}
    assert desk.nodes["answer"].sources == {"message": InputRef("message"), "team": FieldRef("triage", "team")}
    assert desk.nodes["answer"].signature is Reply
    assert desk.inputs == {"message": ProgramInput("message", str)}


def test_inputs_may_be_declared_with_their_types() -> None:
    graph = fp.ProgramGraph("Desk", inputs={"message": str, "team": Literal["billing"], "unused": None})
    graph.add("answer", ANSWER)
    graph.connect("message", "answer.message")
    graph.connect("team", "answer.team")
    graph.validate()

    assert graph.inputs["team"] == ProgramInput("team", Literal["billing"])
    assert list(graph.inputs) == ["message", "team", "unused"]


def test_constants_are_given_when_a_node_is_added() -> None:
    graph = fp.ProgramGraph()

    assert graph.add("answer", ANSWER, team="billing", tone="short") == "answer"
    assert graph.nodes["answer"].sources == {"team": Constant("billing"), "tone": Constant("short")}


def test_a_constant_has_its_fields_type() -> None:
    graph = fp.ProgramGraph()
    graph.add("count", Predict(Count), day="2026-02-03", number=1)

    assert graph.nodes["count"].sources["day"] == Constant(datetime.date(2026, 2, 3))


def test_whether_a_node_asks_a_model(desk: fp.ProgramGraph) -> None:
    desk.add("search", fp.modules.Function(lambda q: q, name="f", outputs={"p": str}))

    assert [node.asks_model for node in desk.nodes.values()] == [True, True, False]


def test_without_output_the_last_nodes_fields_are_the_outputs() -> None:
    graph = built([*ADD, *CONNECT[:3]])

    assert graph.outputs == {"reply": FieldRef("answer", "reply")}


def test_a_node_whose_reasoning_alone_is_read_is_no_last_node() -> None:
    graph = fp.ProgramGraph()
    graph.add("think", fp.modules.ChainOfThought("message -> plan"))
    graph.add("answer", Predict("plan -> reply"))
    graph.connect("message", "think.message")
    graph.connect("think.reasoning", "answer.plan")
    graph.validate()

    assert graph.outputs == {"reply": FieldRef("answer", "reply")}


def test_two_last_nodes_with_one_field_name_must_be_told_apart(refused: Refused) -> None:
    graph = fp.ProgramGraph()
    for name in ("one", "two"):
        graph.add(name, Predict("message -> reply"))
        graph.connect("message", f"{name}.message")

    refused(ProgramError, graph.validate, "one.reply and two.reply", "'reply'", "graph.output('reply', 'two.reply')")


def test_an_input_may_be_an_output(desk: fp.ProgramGraph) -> None:
    desk.output("asked", "message")
    desk.validate()

    assert desk.outputs["asked"] == InputRef("message")
    assert desk.resolve("asked") == InputRef("message")


def test_references_are_written_as_they_are_read() -> None:
    assert FieldRef.parse("panel.judge.score") == FieldRef("panel.judge", "score")
    assert str(FieldRef("panel.judge", "score")) == "panel.judge.score"
    assert str(InputRef("message")) == "message"
    assert str(Constant("a")) == "'a'"


# Questions


def test_the_digraph_says_who_feeds_whom(desk: fp.ProgramGraph) -> None:
    graph = desk.digraph()

    assert list(graph.nodes) == ["triage", "answer"]
    assert list(graph.edges(data="fields")) == [("triage", "answer", [("team", "team")])]


def test_an_edge_lists_all_the_fields_it_carries(desk: fp.ProgramGraph) -> None:
    desk.connect("triage.team", "answer.tone")

    assert list(desk.digraph().edges(data="fields")) == [("triage", "answer", [("team", "team"), ("team", "tone")])]


def test_nodes_come_after_what_they_read_and_else_by_name() -> None:
    graph = chain({"b": ["z"], "a": [], "z": [], "c": ["a", "b"]})

    assert graph.order() == ("a", "z", "b", "c")


def test_only_what_is_needed_runs(desk: fp.ProgramGraph) -> None:
    assert desk.needed([FieldRef("triage", "team")]) == ("triage",)
    assert desk.needed([FieldRef("answer", "reply")]) == ("triage", "answer")
    assert desk.needed([FieldRef("answer", "reasoning"), FieldRef("triage", "team")]) == ("triage", "answer")
    assert desk.needed([InputRef("message")]) == ()
    assert desk.needed([]) == ()


def test_needed_refuses_a_node_that_is_not_there(desk: fp.ProgramGraph, refused: Refused) -> None:
    refused(ProgramError, lambda: desk.needed([FieldRef("triag", "team")]), "'triag.team'", "Did you mean 'triage'?")


def test_resolve_finds_public_outputs_and_every_field(desk: fp.ProgramGraph) -> None:
    assert desk.resolve("team") == FieldRef("triage", "team")
    assert desk.resolve("answer.reply") == FieldRef("answer", "reply")
    assert desk.resolve("answer.reasoning") == FieldRef("answer", "reasoning")


def test_a_public_name_comes_before_a_field(desk: fp.ProgramGraph) -> None:
    desk.output("score", "answer.reply")

    assert desk.resolve("score") == FieldRef("answer", "reply")


@pytest.mark.parametrize("name", ["taem", "triage.taem", "triag.team", "triage", "message", "", "triage.reasoning"])
def test_resolve_refuses_what_no_node_makes(name: str, desk: fp.ProgramGraph, refused: Refused) -> None:
    refused(ProgramError, lambda: desk.resolve(name), f"no node makes {name!r}", "Known are", "'triage.team'")


def chain(reads: dict[str, list[str]]) -> fp.ProgramGraph:
    """A graph whose nodes read one field of each of others, and one input."""
    graph = fp.ProgramGraph()
    for name, sources in reads.items():
        module = Predict(f"{', '.join(['start', *(f'from_{each}' for each in sources)])} -> made")
        graph.add(name, module)
        graph.connect("start", f"{name}.start")
        for each in sources:
            graph.connect(f"{each}.made", f"{name}.from_{each}")
    return graph


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    names = draw(st.permutations("abcde"))
    reads = {
        name: sorted(draw(st.sets(st.sampled_from(names[:index]), max_size=3))) if index else []
        for index, name in enumerate(names)
    }
    return {name: reads[name] for name in draw(st.permutations(names))}


@settings(deadline=None, max_examples=20)
@given(acyclic())
def test_order_and_needed_hold_for_any_graph(reads: dict[str, list[str]]) -> None:
    graph = chain(reads)
    for name in reads:
        graph.output(name, f"{name}.made")
    graph.validate()
    order = graph.order()

    assert sorted(order) == sorted(reads)
    assert all(order.index(source) < order.index(name) for name, sources in reads.items() for source in sources)
    for name in reads:
        needed = graph.needed([FieldRef(name, "made")])
        assert set(needed) == {name} | nx.ancestors(graph.digraph(), name)
        assert list(needed) == [each for each in order if each in needed]


# What is refused


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_cycle_is_shown(cycle: list[str], refused: Refused) -> None:
    reads = {name: [cycle[index - 1]] for index, name in enumerate(cycle)}
    graph = chain({**reads, "outside": []})
    graph.output("made", "outside.made")

    for question in (graph.validate, graph.order, lambda: graph.needed([FieldRef("outside", "made")])):
        found = refused(ProgramError, question, "the graph has a cycle", "Remove one connection")
        names = found.found.split(" → ")
        assert names[0] == names[-1]
        assert sorted(names[:-1]) == cycle
        assert all(before in reads[after] for before, after in itertools.pairwise(names))


def test_two_nodes_of_one_name_are_refused(desk: fp.ProgramGraph, refused: Refused) -> None:
    refused(ProgramError, lambda: desk.add("triage", TRIAGE), "two nodes are named 'triage'", "a name of its own")


@pytest.mark.parametrize("name", ["", "a b", "1a", ".a", "a.", "a..b", "größe", "a-b", 5])
def test_a_name_that_is_no_path_is_refused(name: Any, refused: Refused) -> None:
    refused(ProgramError, lambda: fp.ProgramGraph().add(name, TRIAGE), f"{name!r} is no node name", "underscores")


@pytest.mark.parametrize("name", ["a", "_a1", "panel.judge", "steps.0"])
def test_names_that_are_paths(name: str) -> None:
    assert fp.ProgramGraph().add(name, TRIAGE) == name


@pytest.mark.parametrize("module", [None, Triage, Predict, Desk(), "Predict"])
def test_what_is_no_module_is_refused(module: Any, refused: Refused) -> None:
    refused(ProgramError, lambda: fp.ProgramGraph().add("a", module), "node 'a' has no module", "Predict(signature)")


@pytest.mark.parametrize(
    ("source", "target", "parts"),
    [
        ("message", "triag.message", ["there is no node 'triag'", "Did you mean 'triage'?"]),
        ("message", "triage.mesage", ["node 'triage' has no input field 'mesage'", "Did you mean 'message'?"]),
        ("message", "triage.team", ["node 'triage' has no input field 'team'"]),
        ("message", "triage", ["'triage' names no field of a node", "'node.field'"]),
        ("message", "triage.", ["'triage.' names no field"]),
        ("other", "triage.message", ["triage.message is connected twice", "message and other", "Keep one"]),
        ("", "answer.tone", ["a source has no name"]),
        (".team", "answer.tone", ["'.team' names no field"]),
    ],
)
def test_a_connection_that_cannot_be_made(
    source: str, target: str, parts: list[str], desk: fp.ProgramGraph, refused: Refused
) -> None:
    refused(ProgramError, lambda: desk.connect(source, target), *parts)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("triage.taem", ["answer.tone reads 'triage.taem', which no node makes", "Did you mean 'triage.team'?"]),
        ("triag.team", ["answer.tone reads 'triag.team', which no node makes"]),
        ("triage.reasoning", ["'triage.reasoning', which no node makes"]),
    ],
)
def test_a_source_that_no_node_makes(source: str, parts: list[str], desk: fp.ProgramGraph, refused: Refused) -> None:
    desk.connect(source, "answer.tone")

    refused(ProgramError, desk.validate, *parts, "'answer.reasoning'")


@pytest.mark.parametrize("source", ["triage.taem", "nowhere.team", "mesage", "triage"])
def test_an_output_that_no_node_makes(source: str, desk: fp.ProgramGraph, refused: Refused) -> None:
    desk.output("shown", source)

    refused(ProgramError, desk.validate, f"output 'shown' shows {source!r}, which no node makes", "Known are")


def test_two_outputs_of_one_name_are_refused(desk: fp.ProgramGraph, refused: Refused) -> None:
    refused(ProgramError, lambda: desk.output("team", "answer.reply"), "two outputs are named 'team'", "its own")


@pytest.mark.parametrize("name", ["", "triage.team", 5])
def test_an_output_has_a_name_without_dots(name: Any, desk: fp.ProgramGraph, refused: Refused) -> None:
    refused(ProgramError, lambda: desk.output(name, "answer.reply"), f"{name!r} is no name of an output")


def test_a_type_that_does_not_fit_an_edge(refused: Refused) -> None:
    graph = built([*ADD, *CONNECT])
    graph.add("count", Predict(Count))
    graph.connect("triage.team", "count.number")

    refused(
        ProgramError,
        graph.validate,
        "triage.team does not fit count.number",
        "expected int, found Literal['billing', 'delivery']",
        "fusionprog.modules.Function between them",
    )


def test_an_input_of_another_type_than_its_field(refused: Refused) -> None:
    graph = fp.ProgramGraph(inputs={"message": list[str]})
    graph.add("triage", TRIAGE)
    graph.connect("message", "triage.message")

    refused(ProgramError, graph.validate, "message does not fit triage.message", "expected str, found list[str]")


def test_an_input_whose_type_nothing_can_be_checked_against(refused: Refused) -> None:
    graph = fp.ProgramGraph(inputs={"message": nx.Graph})
    graph.add("triage", TRIAGE)
    graph.connect("message", "triage.message")

    refused(ProgramError, graph.validate, "the type Graph", "Use such a type")


def test_a_field_that_nothing_feeds(refused: Refused) -> None:
    graph = fp.ProgramGraph()
    graph.add("answer", ANSWER, team="billing")

    refused(ProgramError, graph.validate, "nothing feeds answer.message", "Pass message= where 'answer' is called")


def test_a_field_with_a_default_need_not_be_fed(desk: fp.ProgramGraph) -> None:
    desk.validate()

    assert "tone" not in desk.nodes["answer"].sources


def test_a_graph_without_nodes(refused: Refused) -> None:
    refused(ProgramError, fp.ProgramGraph("Desk").validate, "program 'Desk' has no nodes", "Call a module")


@pytest.mark.parametrize(
    ("constants", "parts"),
    [
        ({"number": "many"}, ["the constant of count.number has the wrong type", "expected int, found 'many'"]),
        ({"numbr": 1}, ["node 'count' has no input field 'numbr'", "Did you mean 'number'?"]),
    ],
)
def test_a_constant_that_does_not_fit(constants: dict[str, Any], parts: list[str], refused: Refused) -> None:
    refused(ProgramError, lambda: fp.ProgramGraph().add("count", Predict(Count), **constants), *parts)


def test_a_constant_that_cannot_be_kept(refused: Refused) -> None:
    module = Predict(fp.Signature({"x": (Any, fp.InputField()), "y": (str, fp.OutputField())}, "x"))

    refused(
        ProgramError,
        lambda: fp.ProgramGraph().add("a", module, x=object()),
        "the constant of a.x cannot be kept in JSON",
        "Use plain data",
    )


# As a task sees it


def test_a_tasks_signatures_take_the_place_of_the_declared_ones(desk: fp.ProgramGraph, refused: Refused) -> None:
    numbered = fp.Signature("message -> team: int")

    desk.validate({"triage": fp.Signature("message -> team: str")}, "task 'bank'")
    refused(
        ProgramError,
        lambda: desk.validate({"triage": numbered}, "task 'bank'"),
        "task 'bank': triage.team does not fit answer.team",
        "expected str, found int",
    )


def test_a_constant_must_fit_a_tasks_signature_too(refused: Refused) -> None:
    graph = fp.ProgramGraph()
    graph.add("answer", ANSWER, team="billing", message="hi")
    closed = fp.Signature("message, team: Literal['cards'], tone -> reply")

    refused(
        ProgramError,
        lambda: graph.validate({"answer": closed}, "task 'bank'"),
        "task 'bank': the constant of answer.team has the wrong type",
        "Literal['cards']",
        "'billing'",
    )


@pytest.mark.parametrize("program", [None, "Desk", 5])
def test_what_is_no_program_is_refused(program: Any, refused: Refused) -> None:
    refused(
        ProgramError, lambda: program_graph(program), "no program to compile", "ProgramGraph", type(program).__name__
    )


def test_a_class_in_place_of_a_program_is_refused_with_advice(refused: Refused) -> None:
    refused(ProgramError, lambda: program_graph(Desk), "no program to compile", "the class Desk", "Write Desk()")  # type: ignore[arg-type]


def test_a_graph_that_is_not_sound_is_no_program(refused: Refused) -> None:
    refused(ProgramError, lambda: program_graph(fp.ProgramGraph("Desk")), "has no nodes")
