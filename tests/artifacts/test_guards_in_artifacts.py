"""Guarded sources in a file: what is saved comes back, what is not sound is refused, other files stay as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.artifacts.diff import diff_artifacts
from fusionprog.artifacts.file import read_artifact
from fusionprog.artifacts.graph_codec import encode_graph
from fusionprog.artifacts.schema import json_schema
from fusionprog.errors import ArtifactError, ProgramError
from fusionprog.program.graph import Constant, FieldRef, InputRef, When
from fusionprog.runtime.compiled import CompiledProgram

Assemble = Callable[..., CompiledProgram]
Write = Callable[[Path, dict[str, Any]], Path]
ROW = {"text": "nine", "total": 9.0}
TASK = fp.Task("only", metric=fp.metrics.exact_match("total"), train=[ROW], val=[ROW])


class Repair(fp.Program):
    """A guarded output, and a guarded input with a constant and a condition made of two."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = fp.modules.Predict("text -> total: float")
        self.check = fp.modules.Predict("text, total: float -> ok: bool")
        self.repair = fp.modules.Predict("text, guess: float, note: Optional[str] -> total: float")

    def forward(self, text: str, careful: bool = False) -> Any:
        """Repairs what does not pass the check."""
        total = self.draft(text=text).total
        ok = self.check(text=text, total=total).ok
        note = fp.when(fp.when(careful, ok, False), "look twice", None)
        return {"total": fp.when(ok, total, lambda: self.repair(text=text, guess=total, note=note).total), "ok": ok}


@pytest.fixture
def program(assemble: Assemble) -> CompiledProgram:
    return assemble(Repair(), [TASK])


@pytest.fixture
def data(program: CompiledProgram, tmp_path: Path) -> dict[str, Any]:
    program.save(tmp_path / "repair.json")
    made: dict[str, Any] = json.loads((tmp_path / "repair.json").read_text("utf-8"))
    return made


def test_a_guarded_program_comes_back(program: CompiledProgram, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    program.save(first)
    loaded = fp.load(first)
    loaded.save(second)

    assert first.read_bytes() == second.read_bytes()
    assert loaded.graph.guarded and loaded.graph.guards == program.graph.guards
    assert loaded.graph.outputs == program.graph.outputs == loaded.tasks["only"].view.program.outputs
    assert loaded.graph.nodes["repair"].sources["note"] == When(
        When(InputRef("careful"), FieldRef("check", "ok"), Constant(False)), Constant("look twice"), Constant(None)
    )
    assert repr(loaded(text="nine")) == repr(program(text="nine"))


def test_the_file_says_when_then_and_otherwise(data: dict[str, Any]) -> None:
    total = {"when": {"field": "check.ok"}, "then": {"field": "draft.total"}, "otherwise": {"field": "repair.total"}}
    assert data["program"]["outputs"] == {"total": total, "ok": "check.ok"}
    assert data["tasks"]["only"]["outputs"] == data["program"]["outputs"]
    assert data["program"]["nodes"][2]["sources"]["note"]["then"] == {"constant": "look twice"}
    jsonschema.Draft202012Validator(json_schema()).validate(data)


def test_a_difference_in_a_guard_is_told_where_it_is(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    one = read_artifact(tmp_path / "repair.json")
    data["program"]["nodes"][2]["sources"]["note"]["when"]["otherwise"] = {"constant": True}
    other = read_artifact(write(tmp_path / "other.json", data))

    (found,) = diff_artifacts(one, other)
    assert (found.part, found.path) == ("structure", "program.nodes.repair.sources.note.when.otherwise.constant")
    assert (found.before, found.after) == (False, True)


def test_a_constant_that_would_come_back_as_something_else_is_refused() -> None:
    graph = Repair().graph()
    graph.output("more", graph.when("check.ok", Constant((1, 2)), "draft.total"))
    with pytest.raises(ProgramError, match="the constant of output 'more' would come back"):
        encode_graph(graph)


# Hostile files


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"field": "draft.total"}
    for _ in range(depth):
        made = {"when": {"field": "check.ok"}, "then": {"constant": 1.0}, "otherwise": made}
    return made


def source(**parts: Any) -> dict[str, Any]:
    return {"when": {"field": "check.ok"}, "then": {"constant": "x"}, "otherwise": {"constant": "y"}, **parts}


WRONG: dict[str, tuple[Any, str]] = {
    "an unknown node": (source(then={"field": "nobody.note"}), "nobody.note"),
    "an unknown condition": (source(when={"field": "check.okay"}), "check.okay"),
    "an unknown input": (source(otherwise={"input": "nothing"}), "nothing"),
    "an unknown input as condition": (source(when={"input": "nothing"}), "nothing"),
    "a condition that is no truth value": (source(when={"input": "text"}), "the condition text is no truth value"),
    "a constant as condition": (source(when={"constant": True}), "program.nodes"),
    "a text as condition": (source(when="check.ok"), "program.nodes"),
    "a constant of another type": (source(then={"constant": [1]}), "the constant of repair.note"),
    "a side of another type": (source(then={"field": "draft.total"}), "draft.total does not fit"),
    "no condition": ({"then": {"constant": "x"}, "otherwise": {"constant": "y"}}, "program.nodes"),
    "no other side": ({"when": {"field": "check.ok"}, "then": {"constant": "x"}}, "program.nodes"),
    "one side more": (source(elsewhere={"constant": "x"}), "program.nodes"),
    "a field beside it": (source(field="draft.total"), "program.nodes"),
    "a cycle": (source(then={"field": "repair.total"}), "repair"),
    "a list": ([source()], "program.nodes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_guard_that_is_not_sound_is_refused(name: str, data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    spec, said = WRONG[name]
    data["program"]["nodes"][2]["sources"]["note"] = spec
    with pytest.raises(ArtifactError, match=said):
        fp.load(write(tmp_path / "wrong.json", data))


def test_a_cycle_through_a_condition_is_refused(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["program"]["nodes"][1]["sources"]["total"] = nested(1)
    with pytest.raises(ArtifactError, match="cycle"):
        fp.load(write(tmp_path / "wrong.json", data))


@pytest.mark.parametrize(("depth", "fine"), [(50, True), (51, False), (90, False)])
def test_guards_inside_each_other_have_an_end(
    depth: int, fine: bool, data: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    data["program"]["outputs"]["total"] = data["tasks"]["only"]["outputs"]["total"] = nested(depth)
    path = write(tmp_path / "deep.json", data)
    if fine:
        assert fp.load(path).graph.guards["total"].depth == depth
    else:
        with pytest.raises(ArtifactError):
            fp.load(path)


def test_very_many_guards_are_refused(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    wide: dict[str, Any] = {"constant": 1.0}
    for _ in range(12):
        wide = {"when": {"field": "check.ok"}, "then": wide, "otherwise": wide}
    data["program"]["outputs"]["total"] = wide
    with pytest.raises(ArtifactError, match="1,000 sources"):
        fp.load(write(tmp_path / "wide.json", data))


def test_a_task_may_not_guard_an_output_in_another_way(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["tasks"]["only"]["outputs"]["total"] = nested(2)
    with pytest.raises(ArtifactError, match="'total' is guarded in another way"):
        fp.load(write(tmp_path / "wrong.json", data))


refs = st.sampled_from([{"field": "check.ok"}, {"field": "draft.total"}, {"input": "careful"}, {"input": "x"}, "a", 1])
specs = st.recursive(
    refs | st.builds(lambda value: {"constant": value}, st.none() | st.booleans() | st.text(max_size=2)),
    lambda inner: st.builds(lambda *parts: dict(zip(("when", "then", "otherwise"), parts, strict=True)), *[inner] * 3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spec=specs, place=st.sampled_from(["input", "output"]))
def test_any_guard_is_refused_or_sound(
    spec: Any, place: str, program: CompiledProgram, write: Write, tmp_path: Path
) -> None:
    program.save(tmp_path / "repair.json")
    data = json.loads((tmp_path / "repair.json").read_text("utf-8"))
    if place == "input":
        data["program"]["nodes"][2]["sources"]["note"] = spec
    else:
        data["program"]["outputs"]["more"] = spec
    try:
        loaded = fp.load(write(tmp_path / "drawn.json", data))
    except ArtifactError:
        return
    assert loaded(text="nine").ok in (True, False)
