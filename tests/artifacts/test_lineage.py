"""An artifact says what it was made from; nothing can be its own ancestor."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts.lineage_codec import decode_lineage, lineage_spec
from fusionprog.errors import ArtifactError
from fusionprog.prompts.embedders import embedder_of
from fusionprog.runtime.lineage import Lineage, Parent

Write = Callable[[Path, dict[str, Any]], Path]
A, B, C = "a" * 32, "b" * 32, "c" * 32


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"hash": name, "program": "Desk", "kind": "compile", **more}


def test_the_hash_is_that_of_the_file_saved_loaded_or_of_a_task_alone(
    compiled: fp.CompiledProgram, artifact: Path, data: dict[str, Any]
) -> None:
    loaded = fp.load(artifact)
    assert compiled.content_hash == loaded.content_hash == data["hash"]
    assert loaded.with_models(loaded.models).content_hash == data["hash"]
    assert loaded["shop"].content_hash != data["hash"]


def test_a_program_without_parents_has_no_word_on_it(compiled: fp.CompiledProgram, data: dict[str, Any]) -> None:
    assert compiled.record.lineage == Lineage()
    assert "lineage" not in data


def test_a_lineage_is_kept(compiled: fp.CompiledProgram, tmp_path: Path) -> None:
    child = compiled.with_lineage(Lineage.of("adapt", [(compiled, "task hotel")]))
    again = child.with_lineage(Lineage.of("merge", [(child, "one"), (compiled, "base")]))
    parent = Parent(compiled.content_hash, "Everything", "adapt", "task hotel")
    assert again.record.lineage.further == {child.content_hash: (parent,)}
    again.save(tmp_path / "again.json")
    loaded = fp.load(tmp_path / "again.json")
    assert loaded.record.lineage == again.record.lineage
    loaded.save(tmp_path / "twice.json")
    assert (tmp_path / "twice.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert compiled.record.lineage == Lineage(), "the parent never changes"


def test_priors_are_the_parents_of_a_compile(assemble: Callable[..., fp.CompiledProgram], tmp_path: Path) -> None:
    rows = [{"text": f"{word} {n}", "label": word} for n in range(8) for word in ("yes", "no")]
    task = fp.Task(
        "t", labels={"it.label": ["yes", "no"]}, train=rows[:4], val=rows, metric=fp.metrics.exact_match("label")
    )
    graph = fp.ProgramGraph("Desk")
    graph.add("it", fp.modules.Predict("text: str -> label: str"))
    graph.connect("text", "it.text")
    graph.output("label", "it.label")
    first = assemble(graph, [task])
    first.save(tmp_path / "first.json")
    second = fp.compile(
        graph,
        [task],
        pool=fp.PromptPool(),
        lm="offline",
        trials=1,
        budget=fp.Budget(calls=130),
        prior=[tmp_path / "first.json", first],
        embedder=embedder_of(first.embedder),
        progress=False,
    )
    assert second.record.lineage == Lineage((Parent(first.content_hash, "Desk", "compile", "prior"),))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a circle": ({"parents": [entry(A)], "further": {A: [entry(B)], B: [entry(A)]}}, "lineage goes in a circle"),
    "a parent of itself": ({"parents": [entry(A)], "further": {A: [entry(A)]}}, "its own ancestor"),
    "no ancestor": ({"parents": [entry(A)], "further": {B: [entry(C)]}}, "which is no ancestor"),
    "no hash": ({"parents": [entry("../../etc/passwd")]}, "not sound"),
    "another kind": ({"parents": [entry(A, kind="import")]}, "not sound"),
    "more": ({"parents": [entry(A, path="x")]}, "not sound"),
    "a long word": ({"parents": [entry(A, change="x" * 201)]}, "not sound"),
    "nobody": ({"parents": []}, "not sound"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_lineage_that_cannot_be_is_refused(name: str, data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    lineage, message = WRONG[name]
    with pytest.raises(ArtifactError, match=message):
        fp.load(write(tmp_path / "wrong.json", {**data, "lineage": lineage}))


def test_a_program_is_not_its_own_parent() -> None:
    """No file can say so, since the hash is of what it says; what reads it does not rely on that."""
    spec = lineage_spec(Lineage((Parent(A, "Desk", "compile"),), {A: (Parent(B, "Desk", "merge"),)}))
    with pytest.raises(ArtifactError, match="the program itself"):
        decode_lineage(spec, B)


def test_a_long_chain_is_read_at_once(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    names = [f"{n:032x}" for n in range(1_000)]
    further = {child: [entry(parent)] for child, parent in itertools.pairwise(names)}
    data["lineage"] = {"parents": [entry(names[0])], "further": further}
    loaded = fp.load(write(tmp_path / "long.json", data))
    assert loaded.record.lineage.distances()[names[-1]] == len(names)
