"""``fusionprog.when`` inside ``forward``, and ``ProgramGraph.when`` by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import networkx as nx
import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError, TracingError
from fusionprog.program.demand import largest_runs, smallest_runs, sure_nodes
from fusionprog.program.graph import Constant, FieldRef, InputRef, ProgramGraph, When
from fusionprog.program.task import bind
from fusionprog.program.types import checked_constant

Refused = Callable[..., FusionProgError]
Predict = fp.modules.Predict


class Repairing(fp.Program):
    """Returns what ``body`` makes of the program, its input and a draft, a check and a choice of it."""

    def __init__(self, body: Callable[..., Any]) -> None:
        super().__init__()
        self.draft = Predict("text -> total: float, note: Optional[str]")
        self.check = Predict("total: float -> ok: bool, why: str")
        self.repair = Predict("text, guess: float -> total: float, note: str")
        self._body = body

    def forward(self, text: str, careful: bool = False) -> Any:
        draft = self.draft(text=text)
        return self._body(self, text, draft, self.check(total=draft.total))


def traced(body: Callable[..., Any]) -> ProgramGraph:
    return Repairing(body).graph()


def repaired(self: Repairing, text: Any, draft: Any) -> Any:
    return self.repair(text=text, guess=draft.total)


GUARD = When(FieldRef("check", "ok"), FieldRef("draft", "total"), FieldRef("repair", "total"))


# What forward may write


BODIES: dict[str, Callable[..., Any]] = {
    "a lambda": lambda self, text, draft, check: fp.when(
        check.ok, draft.total, lambda: repaired(self, text, draft).total
    ),
    "a call before": lambda self, text, draft, check: fp.when(check.ok, draft.total, repaired(self, text, draft).total),
    "lambdas on both sides": lambda self, text, draft, check: fp.when(
        check.ok, lambda: draft.total, lambda: repaired(self, text, draft)["total"]
    ),
    "names": lambda self, text, draft, check: fp.when(
        condition=check.ok, then=draft.total, otherwise=functools.partial(repaired, self, text, draft)().total
    ),
    "a dict": lambda self, text, draft, check: {
        "total": fp.when(check.ok, draft.total, lambda: repaired(self, text, draft).total)
    },
}


@pytest.mark.parametrize("name", BODIES)
def test_a_value_may_be_one_of_two(name: str) -> None:
    graph = traced(BODIES[name])

    assert graph.outputs == {"total": GUARD}
    assert graph.guards == {"total": GUARD} and graph.guarded
    assert str(graph.outputs["total"]) == "draft.total if check.ok else repair.total"
    assert graph.order() == ("draft", "check", "repair")


def test_a_guarded_value_may_feed_a_node_and_others_stay_as_they_were() -> None:
    class Sending(Repairing):
        def __init__(self) -> None:
            super().__init__(bool)
            self.send = Predict("total: float, note: Optional[str] -> done: bool")

        def forward(self, text: str, careful: bool = False) -> Any:
            draft = self.draft(text=text)
            check = self.check(total=draft.total)
            total = fp.when(check.ok, draft.total, lambda: repaired(self, text, draft).total)
            return self.send(total=total, note=fp.when(careful, draft.note, None)).done

    graph = Sending().graph()

    assert graph.nodes["send"].sources == {
        "total": GUARD,
        "note": When(InputRef("careful"), FieldRef("draft", "note"), Constant(None)),
    }
    assert list(graph.guards) == ["send.total", "send.note"]
    assert not traced(lambda self, text, draft, check: draft.total).guarded


def test_conditions_combine() -> None:
    def body(self: Repairing, text: Any, draft: Any, check: Any) -> Any:
        both = fp.when(check.ok, fp.when(check.ok, True, False), False)
        neither = fp.when(both, False, True)
        return {"total": fp.when(neither, 0.0, lambda: fp.when(both, draft.total, 1.5))}

    source = traced(body).outputs["total"]
    assert isinstance(source, When) and source.depth == 4
    assert str(source).startswith("0.0 if (False if (")


def test_a_module_called_on_both_sides_is_two_nodes() -> None:
    graph = traced(
        lambda self, text, draft, check: fp.when(
            check.ok,
            lambda: self.repair(text="keep", guess=draft.total).total,
            lambda: self.repair(text=text, guess=draft.total).total,
        )
    )

    assert str(graph.outputs["total"]) == "repair.total if check.ok else repair_2.total"
    assert graph.nodes["repair"].module is graph.nodes["repair_2"].module
    assert largest_runs(graph, graph.outputs.values()) == (("draft", "check", "repair"), ("draft", "check", "repair_2"))


def test_a_nested_program_may_return_one_and_be_given_one() -> None:
    class Outer(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Repairing(BODIES["a dict"])
            self.tell = Predict("total: float -> told")

        def forward(self, text: str, flag: bool) -> Any:
            return self.tell(total=self.inner(text=fp.when(flag, text, "nothing")).total).told

    graph = Outer().graph()
    assert str(graph.nodes["tell"].sources["total"]) == "inner.draft.total if inner.check.ok else inner.repair.total"
    assert str(graph.nodes["inner.draft"].sources["text"]) == "text if flag else 'nothing'"


def test_the_text_of_one_says_what_it_is() -> None:
    seen: list[str] = []

    def body(self: Repairing, text: Any, draft: Any, check: Any) -> Any:
        value = fp.when(check.ok, draft.total, 0.5)
        seen.append(repr(value))
        return {"total": value}

    traced(body)
    assert seen == ["<symbolic draft.total if check.ok else 0.5>"]


# What it refuses


@pytest.mark.parametrize(
    ("body", "kind", "parts"),
    [
        (lambda s, t, d, c: fp.when(True, d.total, 0.0), TracingError, ["condition of when() is True", "Python's own"]),
        (lambda s, t, d, c: fp.when(None, d.total, 0.0), TracingError, ["condition of when() is None"]),
        (lambda s, t, d, c: fp.when(c, d.total, 0.0), TracingError, ["the condition of when()", "whole prediction"]),
        (lambda s, t, d, c: fp.when([c.ok], d.total, 0.0), TracingError, ["the condition of when()", "made of symbol"]),
        (lambda s, t, d, c: {"x": fp.when(t, d.total, 0.0)}, ProgramError, ["the condition text", "bool, found str"]),
        (lambda s, t, d, c: {"x": fp.when(c.why, d.total, 0.0)}, ProgramError, ["condition check.why", "found str"]),
        (lambda s, t, d, c: {"x": fp.when(d.note, d.total, 0.0)}, ProgramError, ["condition draft.note", "Optional"]),
        (
            lambda s, t, d, c: {"x": fp.when(fp.when(c.ok, c.ok, c.why), 1, 2)},
            ProgramError,
            ["output 'x': the condition check.why"],
        ),
        (lambda s, t, d, c: fp.when(c.ok, d, 0.0), TracingError, ["'then' of when()", "whole prediction"]),
        (lambda s, t, d, c: fp.when(c.ok, d.total, lambda: d), TracingError, ["'otherwise' of when()", "Write .field"]),
        (lambda s, t, d, c: fp.when(c.ok, d.total, lambda: None), TracingError, ["'otherwise'", "returns None"]),
        (lambda s, t, d, c: fp.when(c.ok, d.total, lambda x: x), TracingError, ["'otherwise'", "without arguments"]),
        (lambda s, t, d, c: fp.when(c.ok, s.repair, 0.0), TracingError, ["'then' of when()", "Predict", "not called"]),
        (lambda s, t, d, c: fp.when(c.ok, [d.total], 0.0), TracingError, ["'then' of when()", "made of symbolic"]),
        (lambda s, t, d, c: {"x": fp.when(c.ok, d.total, {1, object()})}, ProgramError, ["output 'x'", "JSON"]),
        (lambda s, t, d, c: fp.when(c.ok, d.total, t), TracingError, ["no name in common", "Name the output"]),
        (lambda s, t, d, c: fp.when(c.ok, d.total, 0.0), TracingError, ["no name in common"]),
        (
            lambda s, t, d, c: s.repair(text=t, guess=fp.when(c.ok, d.total, d.note)),
            ProgramError,
            ["draft.note does not fit repair.guess"],
        ),
        (
            lambda s, t, d, c: s.repair(text=t, guess=fp.when(c.ok, d.total, "much")),
            ProgramError,
            ["constant of repair.guess", "expected float, found 'much'"],
        ),
        (
            lambda s, t, d, c: 1 if c.ok else 2,
            TracingError,
            ["branches on the symbolic value check.ok", "fusionprog.when"],
        ),
        (
            lambda s, t, d, c: 1 if fp.when(c.ok, c.ok, False) else 2,
            TracingError,
            ["branches on the symbolic value check.ok if check.ok else False"],
        ),
        (lambda s, t, d, c: {"x": fp.when(c.ok, d.total, lambda: 1 / 0)}, TracingError, ["ZeroDivisionError"]),
    ],
)
def test_a_wrong_one_is_refused_while_tracing(
    body: Callable[..., Any], kind: Any, parts: list[str], refused: Refused
) -> None:
    refused(kind, lambda: traced(body), *parts)


def test_the_type_of_a_condition_must_be_known(refused: Refused) -> None:
    class Untyped(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.write = Predict("text -> out")

        def forward(self, text: str, flag) -> Any:  # type: ignore[no-untyped-def]
            return {"out": fp.when(flag, text, lambda: self.write(text=text).out)}

    refused(ProgramError, Untyped().graph, "the condition flag is no truth value", "Declare it as bool")


def test_a_task_may_not_take_a_condition_its_type(refused: Refused) -> None:
    graph = traced(BODIES["a dict"])
    labels = {"check.ok": ["yes", "no"]}
    task = fp.Task("shop", metric=fp.metrics.exact_match("total"), labels=labels)
    refused(ProgramError, lambda: bind(graph, task), "task 'shop'", "the condition check.ok")


def test_outside_of_forward_it_is_refused(refused: Refused) -> None:
    refused(ProgramError, lambda: fp.when(True, 1, 2), "outside of a program's forward()", "ProgramGraph.when")


def test_asking_for_identity_names_the_way_out(refused: Refused) -> None:
    class Asking(Repairing):
        def forward(self, text: str, careful: bool = False) -> Any:
            return self.draft(text="a" if careful is True else text)

    refused(TracingError, Asking(bool).graph, "careful is True", "fusionprog.when")


# By hand


def by_hand() -> ProgramGraph:
    graph = fp.ProgramGraph("Repair")
    graph.add("draft", Predict("text -> total: float"))
    graph.add("check", Predict("total: float -> ok: bool"))
    graph.add("repair", Predict("text, guess: float -> total: float"))
    graph.add("send", Predict("total: Union[float, str] -> done"))
    graph.connect("text", "draft.text")
    graph.connect("text", "repair.text")
    graph.connect("draft.total", "check.total")
    graph.connect("draft.total", "repair.guess")
    graph.connect(graph.when("check.ok", "draft.total", "repair.total"), "send.total")
    return graph


def test_a_graph_by_hand_has_guarded_sources() -> None:
    graph = by_hand()
    graph.validate()

    assert graph.nodes["send"].sources["total"] == GUARD
    assert list(graph.outputs) == ["done"]  # what only a guarded source reads feeds a node, too
    assert graph.needed([FieldRef("send", "done")]) == ("draft", "check", "repair", "send")
    assert largest_runs(graph, [FieldRef("send", "done")]) == (("draft", "check", "repair", "send"),)
    assert sure_nodes(graph, [FieldRef("send", "done")]) == {"draft", "check", "send"}
    found: Any = graph.digraph().edges(data="guarded")
    edges = {(one, other): guarded for one, other, guarded in found}
    assert edges == {
        ("draft", "check"): False,
        ("draft", "repair"): False,
        ("draft", "send"): True,
        ("check", "send"): False,
        ("repair", "send"): True,
    }


def test_sides_of_other_types_fit_where_both_do(refused: Refused) -> None:
    for constant, fine in (("none", True), ([1], False)):
        graph = by_hand()
        graph.add("tell", Predict("total: Union[float, str] -> told"))
        source = graph.when("check.ok", "repair.total", Constant(constant))
        if fine:
            graph.connect(source, "tell.total")
            graph.output("told", "tell.told")
            graph.validate()
        else:
            refused(ProgramError, functools.partial(graph.connect, source, "tell.total"), "the constant of tell.total")


def test_inputs_and_constants_take_the_types_of_their_places() -> None:
    graph = by_hand()
    graph.add("tell", Predict("total: float -> told"))
    graph.connect(graph.when("flag", "amount", Constant(2)), "tell.total")

    assert graph.inputs["flag"].annotation is bool and graph.inputs["amount"].annotation is float
    assert graph.nodes["tell"].sources["total"] == When(InputRef("flag"), InputRef("amount"), Constant(2.0))
    assert checked_constant(2, float, "it") == 2.0


@pytest.mark.parametrize("side", ["condition", "then", "otherwise"])
def test_a_cycle_through_any_part_is_refused(side: str, refused: Refused) -> None:
    graph = fp.ProgramGraph("Round")
    graph.add("a", Predict("flag: bool -> made: bool"))
    parts = {"condition": "yes", "then": "yes", "otherwise": "yes", side: "a.made"}
    graph.connect(graph.when(**parts), "a.flag")
    graph.output("made", "a.made")

    assert not nx.is_directed_acyclic_graph(graph.digraph())
    refused(ProgramError, graph.validate, "the graph has a cycle", "a → a")


@pytest.mark.parametrize("side", ["condition", "then", "otherwise"])
@pytest.mark.parametrize("place", ["input", "output"])
def test_what_no_node_makes_is_refused_in_any_part(side: str, place: str, refused: Refused) -> None:
    graph = by_hand()
    graph.add("tell", Predict("flag: bool -> told"))
    source = graph.when(**{"condition": "check.ok", "then": "check.ok", "otherwise": "check.ok", side: "chekc.ok"})
    if place == "input":
        graph.connect(source, "tell.flag")
        refused(ProgramError, graph.validate, "tell.flag reads 'chekc.ok'", "Did you mean 'check.ok'?")
    else:
        graph.connect("check.ok", "tell.flag")
        graph.output("out", source)
        refused(ProgramError, graph.validate, "output 'out' shows 'chekc.ok'", "Did you mean 'check.ok'?")
        refused(ProgramError, lambda: graph.needed([source]), "no node makes 'chekc.ok'", "Did you mean 'check'?")


@pytest.mark.parametrize("wrong", ["", None, 3, ["a"], Constant(True)])
def test_what_is_no_source_is_refused(wrong: Any, refused: Refused) -> None:
    kind = ProgramError
    error = refused(kind, lambda: ProgramGraph.when(wrong, "a", "b"), "source")
    assert "ProgramGraph.when" in str(error)


def test_guards_inside_each_other_have_an_end(refused: Refused) -> None:
    deep = ProgramGraph.when("flag", "a", "b")
    for _ in range(49):
        deep = ProgramGraph.when("flag", "a", deep)
    assert deep.depth == 50 and len(str(deep)) < 2_000
    refused(ProgramError, lambda: ProgramGraph.when("flag", "a", deep), "at most 50 inside each other", "Function")
    wide = ProgramGraph.when("flag", "a", "b")
    with pytest.raises(ProgramError, match="1,000 sources"):
        for _ in range(40):
            wide = ProgramGraph.when("flag", wide, wide)


# The most that one run may run


def many(count: int, shared: bool) -> ProgramGraph:
    """Nodes ``a0, b0, a1, b1 …``: of each pair one runs, chosen by one condition or by one for every pair."""
    graph = fp.ProgramGraph("Many")
    for index in range(count):
        for name in "ab":
            graph.add(f"{name}{index}", Predict("text -> out"))
            graph.connect("text", f"{name}{index}.text")
        flag = "flag" if shared else f"flag{index}"
        graph.inputs[flag] = fp.ProgramGraph("", {flag: bool}).inputs[flag]
        graph.output(f"out{index}", graph.when(flag, f"a{index}.out", f"b{index}.out"))
    graph.validate()
    return graph


def test_one_condition_chooses_alike_wherever_it_is_asked() -> None:
    graph = many(12, shared=True)
    runs = largest_runs(graph, graph.outputs.values())
    assert sorted(sorted(each)[0][0] for each in runs) == ["a", "b"] and {len(each) for each in runs} == {12}


def test_conditions_of_their_own_choose_freely_and_too_many_of_them_count_as_everything() -> None:
    three = many(3, shared=False)
    runs = largest_runs(three, three.outputs.values())
    assert len(runs) == 8 and {len(each) for each in runs} == {3}
    assert sorted(map(sorted, smallest_runs(three, three.outputs.values()))) == sorted(map(sorted, runs))
    twelve = many(12, shared=False)
    assert largest_runs(twelve, twelve.outputs.values()) == (twelve.order(),)
    assert smallest_runs(twelve, twelve.outputs.values()) == (frozenset(),)


# What rows say about guarded outputs


def invoices(**fields: Any) -> Any:
    def body(self: Repairing, text: Any, draft: Any, check: Any) -> Any:
        total = fp.when(check.ok, draft.total, lambda: repaired(self, text, draft).total)
        return {"total": total, **({"ok": check.ok} if fields.get("public") else {})}

    return bind(traced(body), fp.Task("shop", metric=fp.metrics.exact_match("total")))


def test_gold_of_a_guarded_output_is_what_either_side_should_make() -> None:
    program = invoices()
    row = {"text": "t", "total": 3.0}
    assert program.node_row("draft", row) == {"text": "t", "total": 3.0}
    assert program.node_row("repair", row) == {"text": "t", "total": 3.0}
    assert program.node_row("check", row) == {}  # what the draft makes may be wrong


def test_a_row_that_tells_the_condition_shows_the_side_that_it_chooses() -> None:
    program = invoices(public=True)
    good, bad = ({"text": "t", "total": 3.0, "ok": ok} for ok in (True, False))
    assert program.node_row("draft", good) == {"text": "t", "total": 3.0}
    assert program.node_row("check", good) == {"total": 3.0, "ok": True}
    assert program.node_row("repair", good) == {"text": "t", "guess": 3.0}  # it does not run: no output is shown
    assert program.node_row("draft", bad) == {"text": "t"}
    assert program.node_row("check", bad) == {"ok": False}
    assert program.node_row("repair", bad) == {"text": "t", "total": 3.0}


def test_gold_types_are_those_of_either_side() -> None:
    class Label(fp.Signature):
        """Label it."""

        text: str = fp.InputField()
        team: Literal["a", "b"] = fp.OutputField()

    graph = fp.ProgramGraph("Label", {"flag": bool})
    graph.add("one", Predict(Label))
    graph.connect("text", "one.text")
    graph.output("team", graph.when("flag", "one.team", Constant("none")))
    program = bind(graph, fp.Task("shop", metric=fp.metrics.exact_match("team")))
    assert program.gold_types == {"team": (Literal["a", "b"], Literal["none"])}
