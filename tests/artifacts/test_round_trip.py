"""What is saved comes back: the same outputs, the same messages, the same bytes."""

from __future__ import annotations

import datetime
import enum
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Union

import pydantic
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import ArtifactError, CallError, ProgramError
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.record import FrontPoint

Assemble = Callable[..., CompiledProgram]
ROW = {"question": "q", "answer": "a"}
TASK = fp.Task("only", metric=fp.metrics.exact_match("answer"), train=[ROW], val=[ROW])

# Every end of a line that splitlines knows, blanks where they are easily lost, and characters that nobody sees.
AWKWARD = (
    "a\r\nb\rc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k\n\n  l\t \n\x00\x7f\ufeff\u202e\U0001f600 \\ \" ' {x} ${x}"
)


class Color(enum.Enum):
    RED = "red"


class Money(pydantic.BaseModel):
    amount: Decimal = Decimal("1.10")
    when: datetime.date = pydantic.Field(default=datetime.date(2026, 1, 2), alias="on")


def saved_twice(program: CompiledProgram, folder: Path, **options: Any) -> CompiledProgram:
    """Saves, loads and saves again; the two files must be the same, and so must all messages."""
    first, second = folder / "first.json", folder / "second.json"
    program.save(first)
    loaded = fp.load(first, **options)
    loaded.save(second)
    assert first.read_bytes() == second.read_bytes()
    assert messages(loaded) == messages(program)
    return loaded


def messages(program: CompiledProgram) -> dict[str, Any]:
    return {
        f"{task}.{node}": program.prompt(task, node=node)
        for task, part in program.tasks.items()
        for node in part.mixtures
    }


def asked(signature: Any, assemble: Assemble, *items: Any, **task: Any) -> CompiledProgram:
    """A program of one node, put together."""
    graph = fp.ProgramGraph("asked")
    module = fp.modules.Predict(signature)
    graph.add("ask", module)
    for name in module.signature.input_fields:
        graph.connect(name, f"ask.{name}")
    options: dict[str, Any] = {"metric": lambda example, prediction: 1.0, "train": [ROW], "val": [ROW], **task}
    return assemble(graph, [fp.Task("only", **options)], items)


def test_effects_along_fewer_directions_than_tasks_lie_in_come_back(assemble: Assemble, tmp_path: Path) -> None:
    graph = fp.ProgramGraph("asked")
    graph.add("ask", fp.modules.Predict("question -> answer"))
    graph.connect("question", "ask.question")
    metric = fp.metrics.exact_match("answer")
    tasks = [fp.Task(name, description=f"About {name}.", metric=metric, val=[ROW]) for name in ("one", "two", "six")]
    along = {"ask": {"a": (0.2,)}}
    program = assemble(graph, tasks, [fp.Fragment("a", "Say it.", facet="hint")], schedule=Schedule(directions=along))

    assert program.basis.size == 2
    assert saved_twice(program, tmp_path).schedule.directions == along


def test_weights_refusals_and_the_front_come_back_and_are_left_out_where_there_are_none(
    assemble: Assemble, tmp_path: Path
) -> None:
    program = asked("question -> answer", assemble)
    program.save(tmp_path / "plain.json")
    assert not {"weights", "refused", "front"} & json.loads((tmp_path / "plain.json").read_text())["compile"].keys()
    front = (
        FrontPoint("ab", 0.5, 0.25, 120.5, 0.125, 5.0, True),
        FrontPoint("as written", 0.25, 0.5, 9.0, None, 5.0, False),
    )
    program.record = replace(program.record, weights={"only": 1e-9}, refused=("one", "two"), front=front)
    record = saved_twice(program, tmp_path).record
    assert (record.weights, record.refused, record.front) == ({"only": 0.0}, ("one", "two"), front)


def test_a_compiled_program_comes_back(
    compiled: CompiledProgram, everything: ModuleType, tmp_path: Path, artifact: Path
) -> None:
    loaded = saved_twice(compiled, tmp_path, functions={"wiki": everything.search})
    assert (tmp_path / "first.json").read_bytes() == artifact.read_bytes()
    for task in ("shop", "bank-2.ö"):
        for message in ("the parcel is late", "the invoice\u2028is wrong", ""):
            ours, theirs = (each(task, message=message, untyped=[1]) for each in (compiled, loaded))
            assert repr(theirs) == repr(ours)
    assert list(loaded.tasks) == list(compiled.tasks)
    assert loaded("shop", message="x", untyped=1)["find.found"] == ["x", "x"]


@pytest.mark.parametrize("form", ["chat", "json", "xml"])
def test_every_prompt_format_comes_back(form: str, everything: ModuleType, assemble: Assemble, tmp_path: Path) -> None:
    program = assemble(everything.program(), everything.tasks(), list(everything.pool()), form=form)
    loaded = saved_twice(program, tmp_path, functions={"wiki": everything.search})
    ours, theirs = (each("shop", message="where is it?", untyped=None) for each in (program, loaded))
    assert repr(theirs) == repr(ours)
    assert {each.frame.format.name for each in loaded._prompts_of(loaded.tasks["shop"]).values()} == {form}


def test_the_messages_are_not_empty(compiled: CompiledProgram) -> None:
    said = messages(compiled)
    assert "Dringlichkeit" in said["bank-2.ö.panel.judge"][0]["content"]
    assert "There are 8 rows" in said["shop.short"][0]["content"]
    assert len(said["shop.triage"]) > 3


def test_what_a_compiled_program_knows_comes_back(compiled: CompiledProgram, artifact: Path) -> None:
    loaded = fp.load(artifact)
    assert loaded.graph.name == "Everything"
    assert loaded.graph.order() == compiled.graph.order()
    assert loaded.graph.nodes["panel.judge"].module is loaded.graph.nodes["panel.judge_2"].module
    assert loaded.graph.inputs["size"].default == 1 and type(loaded.graph.inputs["size"].default) is int
    assert loaded.graph.inputs["when"].default == datetime.datetime(2026, 1, 1, 12, 30)
    assert loaded.graph.inputs["untyped"].annotation is None and loaded.graph.inputs["untyped"].required
    assert list(loaded.items) == list(compiled.items)
    assert [each.facet for each in loaded.items.values()] == [each.facet for each in compiled.items.values()]
    assert loaded.tasks["bank-2.ö"].view.domain == "bänke"
    assert loaded.tasks["shop"].description == "Messages\nto a shop\u2028."
    assert loaded.record.fingerprint == compiled.record.fingerprint
    assert loaded.record.versions == compiled.record.versions
    one, other = loaded.record.tasks["shop"].confirmation, compiled.record.tasks["shop"].confirmation
    assert one is not None and other is not None and one.after.n == other.after.n
    assert loaded.record.spent.keys() == compiled.record.spent.keys()
    assert loaded.basis.components.shape == compiled.basis.components.shape
    assert loaded.embedder == compiled.embedder


def test_a_family_of_the_users_own_is_kept_without_its_code(artifact: Path, everything: ModuleType) -> None:
    loaded = fp.load(artifact)
    family = loaded.items["rows-2"]
    assert not isinstance(family, everything.RowCount)
    assert (family.facet, family.nodes, family.pinned) == ("hint", ("short",), False)
    assert loaded.items["everything-rows-x"].pinned
    assert family.key_text == "everything-rows"


def test_the_users_own_classes_are_given_back(artifact: Path, everything: ModuleType) -> None:
    def verdict(**options: Any) -> Any:
        loaded = fp.load(artifact, functions={"wiki": everything.search}, **options)
        return loaded("shop", message="x", untyped=1).verdict

    own = verdict(types={"Urgency": everything.Urgency, "Invoice": everything.Invoice, "Unknown": int})
    assert own is everything.Urgency.LOW
    assert type(verdict()) is not everything.Urgency
    assert verdict().value == "low"


def test_what_a_program_with_the_users_classes_saves_is_the_same(
    artifact: Path, everything: ModuleType, tmp_path: Path
) -> None:
    fp.load(artifact, types={"Urgency": everything.Urgency, "Invoice": everything.Invoice}).save(
        tmp_path / "again.json"
    )
    assert (tmp_path / "again.json").read_bytes() == artifact.read_bytes()


def test_a_function_that_is_not_bound_fails_only_when_it_is_called(artifact: Path) -> None:
    loaded = fp.load(artifact, functions={"another": print})
    assert loaded("bank-2.ö", message="the parcel", untyped=1).team == "delivery"
    with pytest.raises(ProgramError, match=r"'wiki' is not bound.*functions=\{'wiki': your_function\}"):
        loaded("shop", message="the parcel", untyped=1)


def test_one_task_of_a_program_is_a_program(compiled: CompiledProgram, tmp_path: Path) -> None:
    loaded = saved_twice(compiled["shop"], tmp_path)
    assert list(loaded.tasks) == ["shop"]
    with pytest.raises(CallError, match=r"'bank-2.ö' is no task of Everything"):
        loaded("bank-2.ö", message="x", untyped=1)


def test_a_program_of_one_task_has_no_components_and_comes_back(assemble: Assemble, tmp_path: Path) -> None:
    loaded = saved_twice(asked("question -> answer", assemble), tmp_path)
    assert loaded.basis.components.shape == (0, 32)
    assert loaded(question="Where?").answer == "Where?"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(instructions=AWKWARD, description=AWKWARD, fragment=AWKWARD, value=AWKWARD)
@example(instructions="", description="", fragment="x", value="")
@example(instructions=" ", description="\n", fragment="\u2028x", value="\n\n")
@example(instructions="${question}", description="${answer}", fragment="${team}", value="${question}")
@example(instructions="one\n  two", description="one\n  two", fragment="one\n  two", value="one\n  two")
@given(
    instructions=st.text(max_size=40),
    description=st.text(max_size=40),
    fragment=st.text(min_size=1, max_size=40),
    value=st.text(max_size=40),
)
def test_texts_come_back_character_by_character(
    assemble: Assemble, tmp_path: Path, instructions: str, description: str, fragment: str, value: str
) -> None:
    signature = fp.Signature(
        {"question": (str, fp.InputField(desc=description)), "answer": (str, fp.OutputField(desc=description))},
        instructions,
    )
    items: list[Any] = [fp.DemoSet("demos", node="ask", demos=[{"question": value, "answer": instructions}])]
    if fragment.strip() and "##" not in fragment:
        items.append(fp.Fragment("fragment", fragment, facet="hint"))
        items.append(fp.Fragment("by-domain", facet="constraint", texts={"only": fragment, value: fragment}))
    program = asked(signature, assemble, *items, description=value)
    loaded = saved_twice(program, tmp_path)
    assert loaded.graph.nodes["ask"].signature.instructions == program.graph.nodes["ask"].signature.instructions
    assert loaded.tasks["only"].description == value
    for key, item in program.items.items():
        assert loaded.items[key].key_text == item.key_text


@pytest.mark.parametrize("docstring", [None, "", "  \n ", "\n  one\n    two\n", "tab\tbed\n\ttwice"])
@pytest.mark.parametrize("module", [fp.modules.Predict, fp.modules.ChainOfThought])
def test_instructions_come_back_whatever_the_docstring_is(
    docstring: str | None, module: Any, assemble: Assemble, tmp_path: Path
) -> None:
    body: dict[str, Any] = {
        "__annotations__": {"question": str, "answer": str},
        "question": fp.InputField(),
        "answer": fp.OutputField(),
        "__module__": __name__,
    }
    if docstring is not None:
        body["__doc__"] = docstring
    signature = type(fp.Signature)("Ask", (fp.Signature,), body)
    graph = fp.ProgramGraph("asked")
    graph.add("ask", module(signature))
    graph.connect("question", "ask.question")
    saved_twice(assemble(graph, [TASK]), tmp_path)


FIELDS: list[tuple[Any, dict[str, Any], Any]] = [
    (str, {}, "text"),
    (str, {"default": "a\u2028b"}, "x"),
    (str, {"default": None}, "x"),
    (float, {"default": 1}, 2),
    (int, {"ge": 1, "le": 9, "default": 3}, 4),
    (Annotated[int, pydantic.Field(ge=1)], {}, 4),
    (list[Annotated[int, pydantic.Field(ge=1)]], {"default": [1]}, [4]),
    (bool, {"default": False}, True),
    (Decimal, {"default": Decimal("2.50")}, "3.10"),
    (datetime.date, {"default": datetime.date(2026, 3, 4)}, "2026-05-06"),
    (datetime.datetime, {"default": datetime.datetime(2026, 3, 4, 5, 6, 7)}, datetime.datetime(2026, 1, 1, 1, 1, 1)),
    (Union[datetime.date, None], {"default": None}, None),  # noqa: UP007 (the older form of the next one)
    (datetime.date | None, {"default": datetime.date(2026, 3, 4)}, None),
    (Color, {"default": Color.RED}, "red"),
    (Color | None, {"default": Color.RED}, None),
    (list[Color], {"default": [Color.RED]}, ["red"]),
    (dict[str, Color], {"default": {"a": Color.RED}}, {"b": "red"}),
    (tuple[int, ...], {"default": (1, 2)}, (3,)),
    (set[str], {"default": {"a"}}, ["b"]),
    (Literal["a", "b"], {"default": "b"}, "a"),
    (list[Literal["a", 1]], {"default_factory": list}, ["a", 1]),
    (dict[str, Any], {"default_factory": dict}, {"a": {"b": [None]}}),
    (Money, {"default": Money()}, {"amount": "3"}),
    (Money | None, {"default": None}, {"on": "2025-01-01"}),
    (Any, {"default": {"a": [1, "x", None, 1.5]}}, object),
]


@pytest.mark.parametrize(("annotation", "options", "value"), FIELDS, ids=lambda each: str(each)[:40])
def test_fields_of_every_type_come_back_with_their_defaults(
    annotation: Any, options: dict[str, Any], value: Any, assemble: Assemble, tmp_path: Path
) -> None:
    signature = fp.Signature(
        {
            "question": (str, fp.InputField()),
            "given": (annotation, fp.InputField(**options)),
            "answer": (annotation, fp.OutputField(**options)),
        },
        "Answer.",
    )
    program = asked(signature, assemble)
    loaded = saved_twice(program, tmp_path)
    value = "anything" if value is object else value
    assert loaded.prompt(node="ask", given=value) == program.prompt(node="ask", given=value)
    ours, theirs = (each.graph.nodes["ask"].signature.input_fields["given"] for each in (program, loaded))
    assert ours.is_required() == theirs.is_required()
    if not ours.is_required():
        kept, default = (each.get_default(call_default_factory=True) for each in (theirs, ours))
        assert repr(kept) == repr(default)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "a\u2028b"),
        (float, 2),
        (Any, {"a": [1, {"b": None, "c": [True, 1.5]}]}),
        (dict[str, list[int]], {"a": [1], "$as": []}),
        (datetime.date, datetime.date(2026, 3, 4)),
        (datetime.datetime | None, datetime.datetime(2026, 3, 4, 5)),
        (Decimal, Decimal("1.50")),
        (Color, Color.RED),
        (list[Color], [Color.RED]),
        (Money, Money(amount=Decimal(3))),
        (dict[int, Decimal], {1: Decimal("0.10")}),
    ],
    ids=lambda each: str(each)[:40],
)
def test_constants_come_back_with_their_types(annotation: Any, value: Any, assemble: Assemble, tmp_path: Path) -> None:
    graph = fp.ProgramGraph("constants")
    seen: list[Any] = []

    def keep(given: Any, question: str) -> str:
        seen.append(given)
        return question

    function = fp.modules.Function(
        keep, name="keep", inputs={"given": annotation, "question": str}, outputs={"kept": str}
    )
    graph.add("keep", function, given=value)
    signature = fp.Signature(
        {"given": (annotation, fp.InputField()), "kept": (str, fp.InputField()), "answer": (str, fp.OutputField())}, "x"
    )
    graph.add("ask", fp.modules.Predict(signature), given=value)
    graph.connect("question", "keep.question")
    graph.connect("keep.kept", "ask.kept")
    program = assemble(graph, [TASK])
    loaded = saved_twice(program, tmp_path, functions={"keep": keep})
    for each in (program, loaded):
        each(question="x")
    assert jsonish(seen[0]) == jsonish(seen[1])
    assert type(seen[0]).__name__ == type(seen[1]).__name__


def jsonish(value: Any) -> Any:
    return pydantic.TypeAdapter(Any).dump_python(value, mode="json")


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (None, datetime.date(2026, 1, 1)),
        (Any, datetime.date(2026, 1, 1)),
        (str, datetime.date(2026, 1, 1)),
        (str | datetime.date, datetime.date(2026, 1, 1)),
        (Any, {1: "a"}),
        (float, float("inf")),
        (Any, (1, 2)),
    ],
    ids=str,
)
def test_defaults_that_would_come_back_as_something_else_are_refused(
    annotation: Any, default: Any, assemble: Assemble, tmp_path: Path
) -> None:
    graph = fp.ProgramGraph("asked")
    graph.add("ask", fp.modules.Predict("question -> answer"))
    graph.connect("question", "ask.question")
    graph.inputs["given"] = type(graph.inputs["question"])("given", annotation, False, default)
    with pytest.raises(ProgramError, match="the default of input given would come back from a file as something else"):
        assemble(graph, [TASK]).save(tmp_path / "refused.json")
    assert list(tmp_path.iterdir()) == []


def test_a_default_factory_that_only_code_can_run_is_refused(assemble: Assemble, tmp_path: Path) -> None:
    signature = fp.Signature(
        {"question": (str, fp.InputField(default_factory=lambda: "x")), "answer": (str, fp.OutputField())}, "x"
    )
    with pytest.raises(ProgramError, match=r"ask\.question: a saved program cannot hold this default_factory"):
        asked(signature, assemble).save(tmp_path / "refused.json")


def test_a_type_that_json_cannot_hold_is_refused(assemble: Assemble, tmp_path: Path) -> None:
    program = asked(
        fp.Signature({"question": (complex, fp.InputField()), "answer": (str, fp.OutputField())}, "x"), assemble
    )
    with pytest.raises(ProgramError, match=r"ask\.question: a saved program cannot hold this type"):
        program.save(tmp_path / "refused.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["description", "field", "demo"])
def test_half_a_surrogate_pair_is_refused_with_a_clear_error(place: str, assemble: Assemble, tmp_path: Path) -> None:
    text = {each: "\ud83d" if each == place else "x" for each in ("description", "field", "demo")}
    signature = fp.Signature(
        {"question": (str, fp.InputField(desc=text["field"])), "answer": (str, fp.OutputField())}, "Answer."
    )
    demos = fp.DemoSet("demos", node="ask", demos=[{"question": "q", "answer": text["demo"]}])
    with pytest.raises((ArtifactError, ProgramError), match=r"surrogate|unicode|utf-8"):
        asked(signature, assemble, demos, description=text["description"]).save(tmp_path / "refused.json")
    assert list(tmp_path.iterdir()) == []


@fp.modules.register_module("TestTwice")
class Twice(fp.modules.Predict):
    """A module of the user's own: it asks twice and keeps the last answer."""

    def __init__(self, signature: Any, times: int = 2) -> None:
        super().__init__(signature)
        self.times = times

    def arguments(self) -> dict[str, Any]:
        return {"times": self.times}


@fp.modules.register_module("TestCounted")
class Counted(fp.modules.Function):
    """A function of a kind of the user's own."""


def node_of(module: Any) -> fp.ProgramGraph:
    graph = fp.ProgramGraph("own")
    graph.add("own", module)
    for name in module.signature.input_fields:
        graph.connect(name, f"own.{name}")
    return graph


def test_registered_modules_of_the_users_own_come_back(assemble: Assemble, tmp_path: Path) -> None:
    loaded = saved_twice(assemble(node_of(Twice("question -> answer", times=3)), [TASK]), tmp_path)
    module = loaded.graph.nodes["own"].module
    assert isinstance(module, Twice) and module.times == 3

    function = Counted(lambda question: "x", name="count", inputs={"question": str}, outputs={"answer": str})
    loaded = saved_twice(assemble(node_of(function), [TASK]), tmp_path, functions={"count": lambda question: "y"})
    assert isinstance(loaded.graph.nodes["own"].module, Counted)
    assert loaded(question="q").answer == "y"


def test_a_module_that_is_not_registered_is_told(assemble: Assemble, tmp_path: Path) -> None:
    class Thrice(Twice):
        pass

    with pytest.raises(
        ProgramError, match=r"node 'own' has no name .*found Thrice\. Write @.*register_module\('Thrice'\)"
    ):
        assemble(node_of(Thrice("question -> answer")), [TASK]).save(tmp_path / "refused.json")


def test_arguments_that_json_cannot_hold_are_told(assemble: Assemble, tmp_path: Path) -> None:
    module = Twice("question -> answer")
    module.times = object()  # type: ignore[assignment]
    with pytest.raises(ProgramError, match="the arguments of node 'own' cannot be kept in JSON"):
        assemble(node_of(module), [TASK]).save(tmp_path / "refused.json")


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")
def test_fields_may_have_names_that_pydantic_warns_of(assemble: Assemble, tmp_path: Path) -> None:
    program = assemble(node_of(fp.modules.ChainOfThought("json, copy -> schema")), [TASK])
    program.save(tmp_path / "names.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = fp.load(tmp_path / "names.json")
    assert loaded(json="a", copy="b")["own.schema"]
