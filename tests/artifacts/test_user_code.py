"""Loading beside the user's own code says exactly what differs, field by field, and brings what the code has."""

from __future__ import annotations

import copy
import datetime
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import dspy
import pydantic
import pytest

import fusionprog as fp
from fusionprog.errors import ArtifactMismatchError, DataError, ProgramError

Assemble = Callable[..., fp.CompiledProgram]


class Order(pydantic.BaseModel):
    number: int
    state: Literal["open", "sent"] = "open"


def find(query: str) -> list[str]:
    return [query]


class Triage(fp.Signature):
    """Decide which team should handle it."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: str = fp.OutputField()
    orders: list[Order] = fp.OutputField()


class Answer(fp.Signature):
    """Answer."""

    team: str = fp.InputField()
    found: list[str] = fp.InputField()
    day: datetime.date = fp.OutputField()


def graph(triage: Any = Triage, answer: Any = Answer, module: Any = fp.modules.Predict) -> fp.ProgramGraph:
    made = fp.ProgramGraph("Desk")
    made.add("triage", module(triage))
    made.add("find", fp.modules.Function(find, outputs={"found": list[str]}))
    made.add("answer", fp.modules.Predict(answer))
    made.connect("message", "triage.message")
    made.connect("message", "find.query")
    made.connect("triage.team", "answer.team")
    made.connect("find.found", "answer.found")
    made.output("team", "triage.team")
    made.output("day", "answer.day")
    return made


def task(name: str = "shop", labels: Any = ("billing", "delivery"), **more: Any) -> fp.Task:
    return fp.Task(name, labels={"triage.team": list(labels)}, metric=fp.metrics.exact_match("team"), **more)


def changed(base: Any, instructions: str | None = None, **fields: Any) -> Any:
    """A signature with other fields; ``None`` takes one away."""
    kept = {name: (field.annotation, copy.deepcopy(field)) for name, field in base.fields.items() if name not in fields}
    new = {name: field for name, field in fields.items() if field is not None}
    inputs = {
        name: each
        for name, each in {**kept, **new}.items()
        if each[1].json_schema_extra["__dspy_field_type"] == "input"
    }
    outputs = {name: each for name, each in {**kept, **new}.items() if name not in inputs}
    return fp.Signature({**inputs, **outputs}, instructions or base.instructions)


@pytest.fixture(scope="module")
def desk(assemble: Assemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("desk") / "desk.json"
    assemble(graph(), [task(), task("bank", ["cards", "loans"])]).save(path)
    return path


def test_the_code_that_it_was_compiled_from_fits(desk: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fp.load(desk, program=graph(), tasks=[task(), task("bank", ["cards", "loans"])])
        fp.load(desk, tasks=[task()])


def test_everything_fits_the_code_that_it_was_compiled_from(everything: ModuleType, artifact: Path) -> None:
    loaded = fp.load(artifact, program=everything.program(), tasks=everything.tasks())
    signature = loaded.graph.nodes["triage"].signature
    assert signature.fields["urgency"].annotation is everything.Urgency


def test_classes_and_functions_of_the_code_are_used(desk: Path) -> None:
    loaded = fp.load(desk, program=graph())
    assert loaded.graph.nodes["triage"].signature.output_fields["orders"].annotation == list[Order]
    module = loaded.graph.nodes["find"].module
    assert isinstance(module, fp.modules.Function) and module.function is find
    other = fp.load(desk, program=graph(), functions={"find": len}).graph.nodes["find"].module
    assert isinstance(other, fp.modules.Function) and other.function is len


def other_order() -> Any:
    class Order(pydantic.BaseModel):
        number: float
        state: Literal["open", "sent", "lost"] = "open"

    return Order


PROGRAMS: dict[str, tuple[Callable[[], fp.ProgramGraph], list[str]]] = {
    "another type": (
        lambda: graph(answer=changed(Answer, day=(str, fp.OutputField()))),
        ["answer.day was date, is str"],
    ),
    "labels": (
        lambda: graph(changed(Triage, team=(Literal["a", "b"], fp.OutputField()))),
        ["triage.team was str, is 'a' or 'b'"],
    ),
    "a new field and one that is gone": (
        lambda: graph(changed(Triage, orders=None, urgent=(bool, fp.OutputField()))),
        ["triage.orders is gone (an output)", "triage.urgent is new (an output)"],
    ),
    "a model": (
        lambda: graph(changed(Triage, orders=(list.__class_getitem__(other_order()), fp.OutputField()))),
        ["triage.orders: Order.number was int, is float", "triage.orders: Order.state label 'lost' is new"],
    ),
    "a module": (
        lambda: graph(module=fp.modules.ChainOfThought),
        ["node triage was Predict, is ChainOfThought"],
    ),
    "a default": (
        lambda: graph(changed(Triage, message=(str, fp.InputField(desc="what the customer wrote", default="-")))),
        ["triage.message had no default, has the default '-'"],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_another_program_is_told_field_by_field(name: str, desk: Path) -> None:
    make, lines = PROGRAMS[name]
    with pytest.raises(ArtifactMismatchError, match=r"desk\.json' was compiled from other code") as caught:
        fp.load(desk, program=make(), tasks=[task()])
    assert list(caught.value.differences) == lines
    assert all(line in str(caught.value) for line in lines)
    assert pickle.loads(pickle.dumps(caught.value)).differences == caught.value.differences


def test_nodes_inputs_edges_and_outputs_are_told(desk: Path) -> None:
    other = fp.ProgramGraph("Desk")
    other.add("triage", fp.modules.Predict(Triage))
    other.add("rank", fp.modules.Predict("team -> order"))
    other.connect("text", "triage.message")
    other.connect("triage.team", "rank.team")
    other.output("team", "rank.order")
    with pytest.raises(ArtifactMismatchError) as caught:
        fp.load(desk, program=other)
    assert list(caught.value.differences) == [
        "input message is gone",
        "input text is new",
        "triage.message was fed by message, is fed by text",
        "node find is gone",
        "node answer is gone",
        "node rank is new",
        "output team was triage.team, is rank.order",
        "output day is gone",
    ]


TASKS: dict[str, tuple[fp.Task, list[str]]] = {
    "labels": (
        task(labels=["billing", "returns"]),
        ["task shop, triage.team: label 'returns' is new", "task shop, triage.team: label 'delivery' is gone"],
    ),
    "a new task": (task("hotel"), ["task hotel is new"]),
    "no labels": (
        fp.Task("shop", metric=fp.metrics.exact_match("team")),
        ["task shop, triage.team was 'billing' or 'delivery', is str"],
    ),
    "other outputs": (task(outputs=["team"]), ["task shop, output day is gone"]),
    "an unknown node": (
        fp.Task("shop", labels={"rank.team": ["a", "b"]}, metric=fp.metrics.exact_match("team")),
        [
            "task shop does not fit the program: task 'shop', labels: there is no node 'rank'. "
            "Known are 'answer', 'find', 'triage'"
        ],
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_another_task_is_told_field_by_field(name: str, desk: Path) -> None:
    changed_task, lines = TASKS[name]
    with pytest.raises(ArtifactMismatchError) as caught:
        fp.load(desk, tasks=[changed_task])
    assert list(caught.value.differences) == lines


def test_other_texts_are_warned_of_and_the_artifact_keeps_its_own(desk: Path) -> None:
    said = changed(Triage, "Choose.", message=(str, fp.InputField(desc="a text")))
    with pytest.warns(UserWarning, match=r"triage: other instructions; triage\.message: another description") as caught:
        loaded = fp.load(desk, program=graph(said))
    assert caught[0].filename == __file__
    assert loaded.graph.nodes["triage"].signature.instructions == Triage.instructions


def test_another_name_and_more_calls_are_warned_of(assemble: Assemble, tmp_path: Path) -> None:
    class Agent(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.think = dspy.Predict("question -> answer")

        def forward(self, question: str) -> Any:
            return self.think(question=question)

    quiz = fp.Task("quiz", metric=fp.metrics.exact_match("answer"))
    assemble(fp.from_dspy(Agent(), outputs={"answer": str}, calls=2), [quiz]).save(tmp_path / "agent.json")
    other = type("Other", (Agent,), {})()
    said = (
        r"the program was named 'Agent', is named 'Other'; .*node think was called at most 2 times, is called at most 3"
    )
    with pytest.warns(UserWarning, match=said):
        fp.load(tmp_path / "agent.json", module=other, program=fp.from_dspy(other, outputs={"answer": str}, calls=3))


def test_classes_in_types_are_compared_in_the_same_words(desk: Path) -> None:
    with pytest.raises(ArtifactMismatchError, match=r"Order in types is not the class that was saved") as caught:
        fp.load(desk, types={"Order": other_order()})
    assert list(caught.value.differences) == ["Order.number was int, is float", "Order.state label 'lost' is new"]


def test_what_is_no_program_and_no_task_is_refused(desk: Path) -> None:
    with pytest.raises(ProgramError, match="found the class Desk"):
        fp.load(desk, program=type("Desk", (fp.Program,), {}))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="tasks is no list"):
        fp.load(desk, tasks=task())  # type: ignore[arg-type]
