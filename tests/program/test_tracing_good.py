"""Tracing: the graph that ``forward`` makes."""

from __future__ import annotations

import copy
import datetime
import functools
from collections.abc import Callable
from typing import Any, Literal

import pytest

import fusionprog as fp
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramInput
from fusionprog.program.module import active_tracer
from fusionprog.program.program import program_graph

Predict = fp.modules.Predict
ChainOfThought = fp.modules.ChainOfThought


class Shorten(fp.Signature):
    """Shorten."""

    text: str = fp.InputField()
    words: int = fp.InputField(default=10)
    summary: str = fp.OutputField()


class Traced(fp.Program):
    """One module, and a forward given from outside."""

    def __init__(self, body: Callable[..., Any]) -> None:
        super().__init__()
        self.write = Predict(Shorten)
        self.think = ChainOfThought("text -> summary")
        self._body = body

    def forward(self, text: str) -> Any:
        return self._body(self, text)


def traced(body: Callable[..., Any]) -> fp.ProgramGraph:
    return Traced(body).graph()


SUMMARY = FieldRef("write", "summary")


def test_the_support_desk(desk_program: fp.Program) -> None:
    graph = desk_program.graph()

    assert graph.name == "SupportDesk"
    assert list(graph.nodes) == ["triage", "answer"]
    assert graph.inputs == {"message": ProgramInput("message", str)}
    assert graph.nodes["triage"].sources == {"message": InputRef("message")}
    assert graph.nodes["answer"].sources == {"message": InputRef("message"), "team": FieldRef("triage", "team")}
    assert graph.outputs == {"team": FieldRef("triage", "team"), "reply": FieldRef("answer", "reply")}
    assert graph.order() == ("triage", "answer")
    assert graph.nodes["triage"].module is desk_program.triage  # type: ignore[attr-defined]


def test_a_program_is_compiled_as_its_graph(desk_program: fp.Program) -> None:
    assert program_graph(desk_program).nodes == desk_program.graph().nodes


def test_a_graph_is_made_afresh_each_time(desk_program: fp.Program) -> None:
    first, second = desk_program.graph(), desk_program.graph()

    assert first is not second
    assert (first.nodes, first.inputs, first.outputs) == (second.nodes, second.inputs, second.outputs)


# What forward may return


@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        (lambda self, text: self.write(text=text).summary, {"summary": SUMMARY}),
        (lambda self, text: self.write(text=text)["summary"], {"summary": SUMMARY}),
        (lambda self, text: self.write(text=text), {"summary": SUMMARY}),
        (lambda self, text: {"short": self.write(text=text).summary}, {"short": SUMMARY}),
        (lambda self, text: {**self.write(text=text), "text": text}, {"summary": SUMMARY, "text": InputRef("text")}),
        (lambda self, text: dict(self.write(text=text).items()), {"summary": SUMMARY}),
        (
            lambda self, text: self.think(text=text),
            {"reasoning": FieldRef("think", "reasoning"), "summary": FieldRef("think", "summary")},
        ),
        (lambda self, text: self.think(text=text).reasoning, {"reasoning": FieldRef("think", "reasoning")}),
        (lambda self, text: (self.write(text=text), text)[1], {"text": InputRef("text")}),
    ],
)
def test_forward_returns_a_field_a_mapping_or_a_prediction(body: Any, outputs: dict[str, Any]) -> None:
    assert traced(body).outputs == outputs


def test_a_prediction_says_what_it_has() -> None:
    def body(self: Any, text: Any) -> Any:
        made = self.think(text=text)
        assert list(made) == ["reasoning", "summary"]
        assert len(made) == 2
        assert "reasoning" in made
        assert "reply" not in made
        return made.get("summary")

    assert traced(body).outputs == {"summary": FieldRef("think", "summary")}


def test_symbolic_values_can_be_shown_and_copied() -> None:
    def body(self: Any, text: Any) -> Any:
        made = self.write(text=text)
        assert repr(text) == "<symbolic text>"
        assert repr(made.summary) == "<symbolic write.summary>"
        assert repr(made) == "<symbolic prediction of node 'write'>"
        assert not hasattr(text, "__wrapped__")
        assert not hasattr(made, "__wrapped__")
        return copy.copy(made)["summary"]

    assert traced(body).outputs == {"summary": SUMMARY}


def test_a_field_may_have_the_name_of_a_method() -> None:
    class Listing(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.list = Predict("text -> items: list[str], keys: str, get: str")
            self.pick = Predict("items: list[str] -> item")

        def forward(self, text: str) -> Any:
            made = self.list(text=text)
            return {"item": self.pick(items=made.items).item, "keys": made.keys, "get": made["get"]}

    graph = Listing().graph()

    assert graph.nodes["pick"].sources == {"items": FieldRef("list", "items")}
    assert graph.outputs["keys"] == FieldRef("list", "keys")


# Nodes and their names


def test_one_module_called_twice_is_two_nodes_that_share_it() -> None:
    def body(self: Any, text: Any) -> Any:
        first = self.write(text=text).summary
        return self.write(text=self.write(text=first).summary)

    graph = traced(body)

    assert list(graph.nodes) == ["write", "write_2", "write_3"]
    assert len({id(node.module) for node in graph.nodes.values()}) == 1
    assert graph.nodes["write_3"].sources == {"text": FieldRef("write_2", "summary")}
    assert graph.outputs == {"summary": FieldRef("write_3", "summary")}


def test_a_second_call_does_not_take_another_modules_name() -> None:
    class Two(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.write = Predict(Shorten)
            self.write_2 = Predict(Shorten)

        def forward(self, text: str) -> Any:
            once = self.write(text=text).summary
            twice = self.write(text=once).summary
            return self.write_2(text=twice).summary

    graph = Two().graph()

    assert list(graph.nodes) == ["write", "write_3", "write_2"]
    assert graph.nodes["write_2"].sources == {"text": FieldRef("write_3", "summary")}


def test_modules_in_lists_tuples_and_dicts() -> None:
    class Steps(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.steps: Any = [Predict(Shorten), (Predict(Shorten), Predict(Shorten))]
            self.by_name: Any = {"last": Predict(Shorten), "more": [Predict(Shorten)]}
            self.unused = Predict(Shorten)

        def forward(self, text: str) -> Any:
            first, (second, third) = self.steps
            for step in (first, second, third, self.by_name["last"], *self.by_name["more"]):
                text = step(text=text).summary
            return text

    assert list(Steps().graph().nodes) == ["steps.0", "steps.1.0", "steps.1.1", "by_name.last", "by_name.more.0"]


def test_a_module_with_two_names_has_the_first() -> None:
    class Shared(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.first = Predict(Shorten)
            self.second = self.first
            self.me = self

        def forward(self, text: str) -> Any:
            return self.second(text=text).summary

    assert list(Shared().graph().nodes) == ["first"]


def test_forward_may_branch_on_the_program_itself() -> None:
    class Optional(fp.Program):
        def __init__(self, search: bool) -> None:
            super().__init__()
            self.search = Predict("text -> passages: list[str]") if search else None
            self.write = Predict("text, passages: list[str] -> summary")
            self.rounds = 2

        def forward(self, text: str) -> Any:
            passages: Any = [] if self.search is None else self.search(text=text).passages
            if isinstance(self.search, Predict):
                assert self.rounds == 2
            self.kept = text
            if self.search is not None:
                assert type(self) is Optional
            return self.write(text=text, passages=passages).summary

    assert list(Optional(True).graph().nodes) == ["search", "write"]
    assert Optional(False).graph().nodes["write"].sources["passages"] == Constant([])


# Inputs and constants


def test_constants_are_inputs() -> None:
    graph = traced(lambda self, text: self.write(text="always", words=3).summary)

    assert graph.nodes["write"].sources == {"text": Constant("always"), "words": Constant(3)}
    assert graph.inputs == {"text": ProgramInput("text", str)}


def test_a_field_that_is_left_out_has_no_source() -> None:
    graph = traced(lambda self, text: self.write(text=text).summary)

    assert graph.nodes["write"].sources == {"text": InputRef("text")}


class ManyInputs(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.write = Predict("text, kind -> summary")

    def forward(  # type: ignore[no-untyped-def]
        self,
        text,
        day: datetime.date,
        hint: str | None = None,
        *,
        kind: Literal["short", "long"] = "short",
    ) -> Any:
        return self.write(text=text, kind=kind).summary


def test_parameters_with_their_types_and_defaults_are_the_inputs() -> None:
    graph = ManyInputs().graph()

    assert graph.inputs == {
        "text": ProgramInput("text", None, True, None),
        "day": ProgramInput("day", datetime.date, True, None),
        "hint": ProgramInput("hint", str | None, False, None),
        "kind": ProgramInput("kind", Literal["short", "long"], False, "short"),
    }
    assert list(graph.inputs) == ["text", "day", "hint", "kind"]


def test_a_decorated_forward_is_traced() -> None:
    def logged(forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return forward(*args, **kwargs)

        return wrapper

    class Logged(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.write = Predict(Shorten)

        @logged
        def forward(self, text: str) -> Any:
            return self.write(text=text).summary

    assert list(Logged().graph().nodes) == ["write"]


def test_a_forward_that_is_inherited_is_traced(desk_program: fp.Program) -> None:
    class Longer(type(desk_program)):  # type: ignore[misc]
        def forward(self, message: str) -> Any:
            made = super().forward(message=message)
            return {"team": made["team"]}

    assert list(Longer().graph().outputs) == ["team"]


def test_functions_are_nodes_with_or_without_their_defaults() -> None:
    class Searching(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.search = fp.modules.Function(lambda query, k=3: [query] * k, name="wiki", outputs={"p": list[str]})

        def forward(self, query: str, k: int = 5) -> Any:
            return {"some": self.search(query=query).p, "more": self.search(query=query, k=k).p}

    graph = Searching().graph()

    assert graph.nodes["search"].sources == {"query": InputRef("query")}
    assert graph.nodes["search_2"].sources == {"query": InputRef("query"), "k": InputRef("k")}
    assert not graph.nodes["search"].asks_model


# Nested programs


class Panel(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.judge = ChainOfThought("text, style -> verdict")
        self.sum_up = Predict("verdict -> summary")

    def forward(self, text: str, style: str = "strict") -> Any:
        verdict = self.judge(text=text, style=style).verdict
        return {"verdict": verdict, "summary": self.sum_up(verdict=verdict).summary}


class Inner(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.panel = Panel()

    def forward(self, text: str) -> Any:
        return self.panel(text=text)


class Outer(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.panels = {"second": Panel()}

    def forward(self, message: str, style: str) -> Any:
        first = self.inner(text=message)
        second = self.panels["second"](text=first.summary, style=style)
        return {"one": first["verdict"], "two": second.verdict}


def test_nested_programs_give_their_modules_paths() -> None:
    graph = Outer().graph()

    assert list(graph.nodes) == [
        "inner.panel.judge",
        "inner.panel.sum_up",
        "panels.second.judge",
        "panels.second.sum_up",
    ]
    assert graph.outputs == {
        "one": FieldRef("inner.panel.judge", "verdict"),
        "two": FieldRef("panels.second.judge", "verdict"),
    }
    assert list(graph.inputs) == ["message", "style"]


def test_a_nested_program_is_given_symbols_constants_and_defaults() -> None:
    nodes = Outer().graph().nodes

    assert nodes["inner.panel.judge"].sources == {"text": InputRef("message"), "style": Constant("strict")}
    assert nodes["panels.second.judge"].sources == {
        "text": FieldRef("inner.panel.sum_up", "summary"),
        "style": InputRef("style"),
    }


def test_a_nested_program_called_twice_makes_its_nodes_twice() -> None:
    class Twice(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.panel = Panel()

        def forward(self, text: str) -> Any:
            return self.panel(text=self.panel(text=text).summary)

    graph = Twice().graph()

    assert list(graph.nodes) == ["panel.judge", "panel.sum_up", "panel.judge_2", "panel.sum_up_2"]
    assert graph.nodes["panel.sum_up_2"].sources == {"verdict": FieldRef("panel.judge_2", "verdict")}


def test_a_nested_program_may_return_one_field_or_several() -> None:
    class Pair(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.write = Predict(Shorten)

        def forward(self, text: str) -> Any:
            return self.write(text=text).summary, text

    class User(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def forward(self, text: str) -> Any:
            summary, same = self.pair(text=text)
            return {"summary": summary, "text": same}

    assert User().graph().outputs == {"summary": FieldRef("pair.write", "summary"), "text": InputRef("text")}


def test_a_nested_program_may_branch_on_a_default_that_was_not_given() -> None:
    class Hinted(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.write = Predict(Shorten)

        def forward(self, text: str, hint: str | None = None) -> Any:
            if hint is None:
                hint = "no hint"
            return self.write(text=hint).summary

    class User(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.hinted = Hinted()

        def forward(self, text: str) -> Any:
            return self.hinted(text=text)

    assert User().graph().nodes["hinted.write"].sources == {"text": Constant("no hint")}


def test_tracing_leaves_nothing_behind(desk_program: fp.Program) -> None:
    desk_program.graph()
    with pytest.raises(fp.errors.TracingError):
        traced(lambda self, text: text + "!")

    assert active_tracer.get() is None
