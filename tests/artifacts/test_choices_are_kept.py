"""What there is to choose and what is picked, to the artifact and back; files that pick what there is not."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pydantic
import pytest
from click.testing import CliRunner

import fusionprog as fp
from fusionprog.artifacts.diff import diff_artifacts
from fusionprog.artifacts.file import read_artifact
from fusionprog.artifacts.schema import json_schema
from fusionprog.cli.main import cli
from fusionprog.errors import ArtifactError
from fusionprog.lm.offline_model import OfflineModel
from fusionprog.program.variants import options_of
from fusionprog.prompts.schedule import NodeSettings
from fusionprog.testing import TextModel

Write = Callable[[Path, dict[str, Any]], Path]


class Found(pydantic.BaseModel):
    title: str
    day: datetime.date | None = None


def old(query: str, since: datetime.date) -> Found:
    return Found(title=f"old {query} {since}", day=since)


def new(query: str, since: datetime.date) -> Found:
    return Found(title=f"new {query} {since}", day=since)


class Draft(fp.Signature):
    """Write a draft."""

    query: str = fp.InputField()
    found: Found = fp.InputField()
    text: str = fp.OutputField()


class Mend(fp.Signature):
    """Mend the draft."""

    text: str = fp.InputField()
    tone: str = fp.InputField()
    better: str = fp.OutputField()


class Choosing(fp.Program):
    """Something to choose of every kind."""

    def __init__(self) -> None:
        super().__init__()
        outputs = {"found": Found}
        self.look = fp.modules.Choose(
            fp.modules.Function(old, outputs=outputs), fp.modules.Function(new, outputs=outputs)
        )
        self.draft = fp.modules.Choose(fp.modules.Predict(Draft), fp.modules.ChainOfThought(Draft))
        self.mend = fp.modules.Optional(
            fp.modules.Choose(fp.modules.Predict(Mend), fp.modules.ChainOfThought(Mend)), passthrough={"better": "text"}
        )

    def forward(self, query: str) -> Any:
        since = fp.Choice(datetime.date(2026, 1, 2), datetime.date(2025, 3, 4))
        found = self.look(query=query, since=since).found
        text = self.draft(query=query, found=found).text
        again = self.mend(text=text, tone=fp.Choice("kind", "dry")).better
        return {"better": again}


TASKS = [
    fp.Task(name, val=[{"query": "x", "better": "y"}], metric=fp.metrics.exact_match("better")) for name in ("a", "b")
]
NEW = "Function(name='new', version='1', cache=True)"
FUNCTIONS = {"old": old, "new": new}
PICKED = {
    "look": {"module": NEW, "arg.since": '"2025-03-04"'},
    "draft": {"module": "ChainOfThought", "lm": "another"},
    "mend": {"node": "off", "module": "ChainOfThought"},
}


def model(name: str) -> TextModel:
    def text(messages: Any) -> str:
        asked = messages[-1]["content"].rpartition("Respond with")[2]
        names = [each for each in re.findall(r"\[\[ ## (\w+) ## \]\]", asked) if each != "completed"]
        return "\n\n".join(f"[[ ## {each} ## ]]\n{name}" for each in names)

    return TextModel(text, name)


@pytest.fixture
def program(assemble: Callable[..., fp.CompiledProgram]) -> fp.CompiledProgram:
    made = assemble(Choosing(), TASKS)
    nodes = {node: NodeSettings(choices=choices) for node, choices in PICKED.items()}
    return fp.CompiledProgram(
        graph=made.graph,
        items={},
        schedule=replace(made.schedule, nodes=nodes, as_written=("b",)),
        tasks=made.tasks,
        embedder=made.embedder,
        basis=made.basis,
        record=replace(made.record, notes=("mean gain +0.250 ± 0.060 on confirmation",)),
        models={"draft": model("another"), "mend": model("one")},
        models_as_written={"draft": model("one"), "mend": model("one")},
    )


@pytest.fixture
def saved(program: fp.CompiledProgram, tmp_path: Path) -> Path:
    program.save(tmp_path / "program.json")
    return tmp_path / "program.json"


@pytest.fixture
def content(saved: Path) -> Any:
    return json.loads(saved.read_text())


def test_what_there_is_to_choose_and_what_is_picked_come_back(program: fp.CompiledProgram, saved: Path) -> None:
    loaded = fp.load(saved, functions=FUNCTIONS)
    assert {node: dict(each.choices) for node, each in loaded.schedule.nodes.items()} == PICKED
    assert {name: options_of(node) for name, node in loaded.graph.nodes.items()} == {
        name: options_of(node) for name, node in program.graph.nodes.items()
    }
    loaded.save(saved.with_name("again.json"))
    assert saved.with_name("again.json").read_bytes() == saved.read_bytes()
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(saved.read_text()))


def test_a_loaded_program_runs_what_is_picked_and_as_written_what_is_not(saved: Path) -> None:
    loaded = fp.load(saved, functions=FUNCTIONS, types={"Found": Found})
    another, one = model("another"), model("one")
    loaded.models, loaded.models_as_written = {"draft": another, "mend": one}, {"draft": one}
    picked, written = loaded("a", query="q"), loaded("b", query="q")
    assert picked["look.found"].title == "new q 2025-03-04" and written["look.found"].title == "old q 2026-01-02"
    assert (picked["draft.reasoning"], picked.better) == ("another", "another"), "the node that is off passes on"
    assert (written.better, "draft.reasoning" in written) == ("one", False)
    assert another.counts["ok"] == 1 and one.counts["ok"] == 2


def test_a_node_that_is_off_has_no_prompt(program: fp.CompiledProgram) -> None:
    assert "reasoning" in program.prompt("a", node="draft")[-1]["content"]
    assert "mend" in {node for node in program.tasks["a"].mixtures}
    with pytest.raises(fp.errors.CallError, match="node 'mend' is switched off"):
        program.prompt("a", node="mend")
    assert program.prompt("b", node="mend")


def test_show_says_what_is_picked(saved: Path) -> None:
    told = CliRunner().invoke(cli, ["show", str(saved)], catch_exceptions=False).output
    assert "a · draft: lm another, module ChainOfThought" in told
    assert "a · mend: module ChainOfThought, node off" in told
    assert f"look: module {NEW}" in " ".join(told.split())
    data = json.loads(CliRunner().invoke(cli, ["show", str(saved), "--json"], catch_exceptions=False).output)
    assert data["choices"] == PICKED


def test_a_difference_is_told_where_it_is(saved: Path, content: Any, write: Write) -> None:
    content["schedule"]["nodes"]["mend"]["choices"]["node"] = "on"
    (found,) = diff_artifacts(read_artifact(saved), read_artifact(write(saved.with_name("other.json"), content)))
    assert (found.part, found.path, found.before, found.after) == (
        "weights",
        "schedule.nodes.mend.choices.node",
        "off",
        "on",
    )


def _node(content: Any, name: str) -> Any:
    return next(each for each in content["program"]["nodes"] if each["name"] == name)


def _picks(name: str, /, **choices: Any) -> Callable[[Any], Any]:
    return lambda content: content["schedule"]["nodes"][name]["choices"].update(choices)


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no such choice": (_picks("draft", node="off"), "names 'node', which is no choice at node 'draft'"),
    "no such option": (_picks("draft", module="Predikt"), "'Predikt', which is no option of 'module' at node 'draft'"),
    "no such constant": (
        lambda content: content["schedule"]["nodes"]["look"]["choices"].update({"arg.since": '"2020-01-01"'}),
        "which is no option of 'arg.since'",
    ),
    "a model where none is asked": (_picks("look", lm="one"), "names 'lm', which is no choice at node 'look'"),
    "an option that is no text": (_picks("mend", node=False), "should be a valid string"),
    "both a signature and modules": (
        lambda content: _node(content, "draft")["module"].update(
            signature=_node(content, "draft")["module"]["modules"][0]["signature"]
        ),
        "needs either a signature, or the modules",
    ),
    "neither": (lambda content: _node(content, "draft")["module"].pop("modules"), "needs either a signature"),
    "one module": (lambda content: _node(content, "draft")["module"]["modules"].pop(), "expected 2 to 100 modules"),
    "modules in what is made of none": (
        lambda content: _node(content, "draft")["module"].update(name="Predict"),
        "the module of node 'draft' cannot be built",
    ),
    "modules with other fields": (
        lambda content: _node(content, "draft")["module"]["modules"][1]["signature"]["outputs"][0].update(name="txt"),
        "other outputs",
    ),
    "an unknown module inside": (
        lambda content: _node(content, "draft")["module"]["modules"][0].update(name="os.system"),
        "no module called 'os.system'",
    ),
    "a passthrough of nothing": (
        lambda content: _node(content, "mend")["module"]["arguments"]["passthrough"].update(better="txt"),
        "cannot pass 'txt' on as 'better'",
    ),
    "a passthrough that is none": (
        lambda content: _node(content, "mend")["module"]["arguments"].update(passthrough="text"),
        "does not know what its outputs are",
    ),
    "no passthrough": (lambda content: _node(content, "mend")["module"].pop("arguments"), "cannot be built"),
    "a choice in a choice": (
        lambda content: _node(content, "mend")["module"]["modules"][0]["modules"].__setitem__(
            0, dict(_node(content, "draft")["module"])
        ),
        "something to choose already",
    ),
    "constants of another type": (
        lambda content: _node(content, "look")["sources"]["since"].update(others=["some day"]),
        "the constant of look.since has the wrong type",
    ),
    "a constant twice": (
        lambda content: _node(content, "look")["sources"]["since"].update(others=["2026-01-02"]),
        "offers a value twice",
    ),
    "too many constants": (
        lambda content: _node(content, "mend")["sources"]["tone"].update(others=[str(each) for each in range(200)]),
        "is not sound",
    ),
    "too many modules": (
        lambda content: _node(content, "draft")["module"].update(
            modules=_node(content, "draft")["module"]["modules"] * 60
        ),
        "at most 100 items",
    ),
    "a model as written of no node": (
        lambda content: content["lm_as_written"].update(look={"model": "offline"}),
        "the models as written are of other nodes",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_together_is_refused(name: str, saved: Path, content: Any, write: Write) -> None:
    change, message = CHANGES[name]
    change(content)
    with pytest.raises(ArtifactError) as caught:
        fp.load(write(saved.with_name("changed.json"), content), functions=FUNCTIONS)
    assert message in str(caught.value)


def test_programs_without_choices_are_written_as_before(data: dict[str, Any]) -> None:
    text = json.dumps(data)
    assert not any(f'"{key}"' in text for key in ("choices", "others", "modules", "lm_as_written"))


def test_another_model_takes_the_place_of_all(saved: Path) -> None:
    with pytest.warns(UserWarning, match="running on another model"):
        loaded = fp.load(saved, functions=FUNCTIONS, lm="offline")
    assert loaded.models_as_written == {}
    assert {type(each) for each in loaded.models.values()} == {OfflineModel}
