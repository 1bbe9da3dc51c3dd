"""Tasks as they are declared, and a program as one task sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import pytest

import fusionprog as fp
from fusionprog.errors import DataError, FusionProgError, ProgramError
from fusionprog.program.graph import FieldRef, InputRef, ProgramGraph
from fusionprog.program.signature import output_types
from fusionprog.program.task import Task, TaskProgram, bind, check_tasks

Refused = Callable[..., FusionProgError]
METRIC = fp.metrics.exact_match("team")
ROWS = [{"message": "hi", "team": "cards"}]


def task(**more: Any) -> Task:
    return Task(**{"name": "bank", "train": ROWS, "val": ROWS, "metric": METRIC, **more})


@pytest.fixture
def graph(desk_program: fp.Program) -> ProgramGraph:
    return desk_program.graph()


# Declaring


def test_a_domain_is_the_name_where_none_is_given() -> None:
    assert task().domain == "bank"
    assert task(domain="banking").domain == "banking"


def test_a_task_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        task().name = "other"  # type: ignore[misc]


def test_a_task_does_not_show_its_rows() -> None:
    secret = [{"message": "my secret", "team": "cards"}]

    assert "secret" not in repr(task(train=secret, val=secret, test=secret))


def test_two_tasks_are_never_equal() -> None:
    assert task() != task()
    assert len({task(), task()}) == 2


@pytest.mark.parametrize("name", ["bank", "web-shop", "v1.2", "größe", "_x"])
def test_names_of_tasks(name: str) -> None:
    assert task(name=name).name == name


@pytest.mark.parametrize("name", ["", "two words", "-x", "a/b", None, 5])
def test_a_name_that_is_none_is_refused(name: Any, refused: Refused) -> None:
    refused(DataError, lambda: task(name=name), f"{name!r} is no task name", "letters, digits", "Rename")


def test_a_task_without_a_metric_is_refused(refused: Refused) -> None:
    refused(DataError, lambda: task(metric=None), "task 'bank' has no metric", "fusionprog.metrics.exact_match")


@pytest.mark.parametrize("part", ["labels", "signatures"])
def test_labels_and_signatures_are_mappings(part: str, refused: Refused) -> None:
    refused(DataError, lambda: task(**{part: ["cards"]}), f"task 'bank': {part} is no mapping", "a dict", "list")


def test_outputs_are_a_list(refused: Refused) -> None:
    refused(DataError, lambda: task(outputs="team"), "task 'bank': outputs is one text", "outputs=['team']")


def test_two_tasks_of_one_name_are_refused(refused: Refused) -> None:
    check_tasks([task(), task(name="shop")])

    refused(
        DataError,
        lambda: check_tasks([task(), task(name="shop"), task()]),
        "two tasks are named 'bank'",
        "a name of its own",
    )


@pytest.mark.parametrize(
    ("tasks", "part"),
    [
        ([], "there are no tasks"),
        ((), "there are no tasks"),
        (None, "found NoneType"),
        ([task(), "shop"], "found str"),
        (task(), "found Task"),
        ({"bank": task()}, "found dict"),
    ],
)
def test_what_is_no_list_of_tasks_is_refused(tasks: Any, part: str, refused: Refused) -> None:
    refused(DataError, lambda: check_tasks(tasks), part, "tasks=[fusionprog.Task(...), ...]")


# Binding


def test_without_labels_a_task_sees_the_program_as_it_is(graph: ProgramGraph) -> None:
    program = bind(graph, task())

    assert program.task == "bank"
    assert program.graph is graph
    assert program.signatures == {name: node.signature for name, node in graph.nodes.items()}
    assert program.outputs == graph.outputs


def test_labels_close_a_field_in_this_task_only(graph: ProgramGraph) -> None:
    bank = bind(graph, task(labels={"triage.team": ["cards", "fraud"]}))
    shop = bind(graph, task(name="shop", labels={"triage.team": ["delivery"]}))

    assert output_types(bank.signatures["triage"])["team"] == Literal["cards", "fraud"]
    assert output_types(shop.signatures["triage"])["team"] == Literal["delivery"]
    assert output_types(graph.nodes["triage"].signature)["team"] is str
    assert bank.signatures["answer"] is graph.nodes["answer"].signature


def test_a_signature_of_ones_own_for_a_node(graph: ProgramGraph) -> None:
    mine = fp.Signature("message -> team: Literal['cards', 'loans']", "Decide for the bank.")
    program = bind(graph, task(signatures={"triage": mine}))

    assert program.signatures["triage"] is mine
    assert program.prompted("triage") is mine


def test_labels_of_a_path(refused: Refused) -> None:
    graph = fp.ProgramGraph()
    graph.add("panel.judge", fp.modules.Predict("message -> team"))
    graph.connect("message", "panel.judge.message")

    program = bind(graph, task(labels={"panel.judge.team": ["cards"]}))

    assert output_types(program.signatures["panel.judge"])["team"] == Literal["cards"]


def test_what_a_node_asks_is_made_once(graph: ProgramGraph) -> None:
    program = bind(graph, task(labels={"triage.team": ["cards"]}))
    asked = program.prompted("answer")

    assert asked is not None
    assert list(asked.output_fields) == ["reasoning", "reply"]
    assert program.prompted("answer") is asked


def test_outputs_narrow_what_a_call_returns(graph: ProgramGraph) -> None:
    program = bind(graph, task(outputs=["team", "answer.reasoning"]))

    assert program.outputs == {
        "team": FieldRef("triage", "team"),
        "answer.reasoning": FieldRef("answer", "reasoning"),
    }


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({"labels": {"triag.team": ["a"]}}, ["labels: there is no node 'triag'", "Did you mean 'triage'?"]),
        ({"labels": {"triage.taem": ["a"]}}, ["node 'triage'", "'taem', which is no output field", "'team'"]),
        ({"labels": {"answer.reasoning": ["a"]}}, ["node 'answer'", "'reasoning', which is no output field"]),
        ({"labels": {"team": ["a"]}}, ["labels: 'team' names no field of a node", "'node.field'", "'triage.team'"]),
        ({"labels": {5: ["a"]}}, ["labels: 5 names no field of a node"]),
        ({"labels": {"triage.team": []}}, ["node 'triage', field 'team'", "a list of at least one label"]),
        ({"labels": {"triage.team": "cards"}}, ["field 'team'", "a list of at least one label"]),
        ({"labels": {"triage.team": ["a", "b", "a"]}}, ["field 'team': labels are repeated", "found a"]),
        ({"signatures": {"triag": fp.Signature("a -> b")}}, ["signatures: there is no node 'triag'", "'triage'"]),
        (
            {"signatures": {"triage": fp.Signature("message -> label")}},
            ["node 'triage': the replacing signature changes field names", "Keep the names"],
        ),
        ({"signatures": {"triage": "message -> team"}}, []),
        (
            {"signatures": {"triage": fp.Signature("message -> team: int")}},
            ["triage.team does not fit answer.team", "expected str, found int"],
        ),
        ({"outputs": ["taem"]}, ["outputs: no node makes 'taem'", "Did you mean 'team'?"]),
        ({"outputs": ["triage.reply"]}, ["outputs: no node makes 'triage.reply'"]),
    ],
)
def test_a_task_that_does_not_fit_the_program(
    more: dict[str, Any], parts: list[str], graph: ProgramGraph, refused: Refused
) -> None:
    if parts:
        refused(ProgramError, lambda: bind(graph, task(**more)), "task 'bank'", *parts)
    else:
        assert list(bind(graph, task(**more)).signatures["triage"].fields) == ["message", "team"]


# What a row says about a node


class Rewriting(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.find = fp.modules.Function(lambda text: [text], name="wiki", outputs={"passages": list[str]})
        self.draft = fp.modules.ChainOfThought("text, passages: list[str], tone, words: int -> summary")
        self.check = fp.modules.Predict("summary, text -> verdict, score: float")

    def forward(self, text: str, words: int = 10) -> Any:
        passages = self.find(text=text).passages
        summary = self.draft(text=text, passages=passages, tone="calm", words=words).summary
        checked = self.check(summary=summary, text=text)
        return {"short": summary, "verdict": checked.verdict, "text": checked.score, "asked": text}


@pytest.fixture
def rewriting() -> TaskProgram:
    return bind(Rewriting().graph(), task())


COLUMNS = {"text": "a long text", "short": "a text", "verdict": "good", "score": 5, "passages": ["p"], "asked": "?"}


def test_gold_columns_are_the_public_outputs_that_are_no_inputs(rewriting: TaskProgram) -> None:
    assert rewriting.outputs["asked"] == InputRef("text")
    assert rewriting.public_fields == {"short": FieldRef("draft", "summary"), "verdict": FieldRef("check", "verdict")}


@pytest.mark.parametrize(
    ("node", "row"),
    [
        ("find", {"text": "a long text"}),
        ("draft", {"text": "a long text", "tone": "calm", "summary": "a text"}),
        ("check", {"summary": "a text", "text": "a long text", "verdict": "good"}),
    ],
)
def test_a_row_shows_inputs_constants_and_gold(node: str, row: dict[str, Any], rewriting: TaskProgram) -> None:
    assert rewriting.node_row(node, COLUMNS) == row


def test_a_row_shows_nothing_that_is_no_column(rewriting: TaskProgram) -> None:
    assert rewriting.node_row("draft", {"words": 3}) == {"tone": "calm", "words": 3}
    assert rewriting.node_row("check", {}) == {}


def test_gold_reasoning_is_shown_where_it_is_public(desk_program: fp.Program) -> None:
    graph = desk_program.graph()
    graph.output("why", "answer.reasoning")

    assert bind(graph, task()).node_row("answer", {"why": "because", "message": "hi", "team": "cards"}) == {
        "message": "hi",
        "team": "cards",
        "reasoning": "because",
    }
