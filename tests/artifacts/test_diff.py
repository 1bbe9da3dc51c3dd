"""What differs between two artifacts is named, by part and by name; what does not differ is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts.diff import Difference, diff_artifacts
from fusionprog.artifacts.file import read_artifact
from fusionprog.artifacts.schema import Artifact
from fusionprog.errors import ArtifactError

Fresh = Callable[[], dict[str, Any]]
Diff = Callable[[Callable[[dict[str, Any]], object]], list[Difference]]


@pytest.fixture
def diff(fresh_data: Fresh, write: Callable[[Path, dict[str, Any]], Path], tmp_path: Path) -> Diff:
    """Compares the artifact with a changed one."""

    def compared(change: Callable[[dict[str, Any]], object]) -> list[Difference]:
        before, after = fresh_data(), fresh_data()
        change(after)
        one, other = (write(tmp_path / f"{n}.json", each) for n, each in (("one", before), ("other", after)))
        return diff_artifacts(read_artifact(one), read_artifact(other))

    return compared


def test_equal_files_have_no_differences(artifact: Path, tmp_path: Path) -> None:
    fp.load(artifact).save(tmp_path / "again.json")
    assert diff_artifacts(read_artifact(artifact), read_artifact(tmp_path / "again.json")) == []


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, str, Any, Any]]] = {
    "structure": (
        lambda d: d["program"]["nodes"][0]["sources"].update(message={"constant": "x"}),
        ("structure", "program.nodes.triage.sources.message.input", "message", None),
    ),
    "an output": (
        lambda d: d["program"]["outputs"].update(more="triage.team"),
        ("structure", "program.outputs.more", None, "triage.team"),
    ),
    "a field's description": (
        lambda d: d["program"]["nodes"][0]["module"]["signature"]["outputs"][2].update(description=["stars"]),
        ("structure", "program.nodes.triage.module.signature.outputs.score.description", [], ["stars"]),
    ),
    "a label set": (
        lambda d: d["tasks"]["shop"]["signatures"]["triage"]["outputs"][0]["type"]["enum"].append("other"),
        (
            "structure",
            "tasks.shop.signatures.triage.outputs.team.type",
            {"enum": ["delivery", "billing", 'it\'s "x"\n']},
            {"enum": ["delivery", "billing", 'it\'s "x"\n', "other"]},
        ),
    ),
    "a model": (lambda d: d["lm"]["short"].update(version=2), ("models", "lm.short.version", 1, 2)),
    "an item's text": (
        lambda d: next(each for each in d["pool"] if each["id"] == "rule2").update(text=["Be longer"]),
        ("texts", "pool.rule2.text", ["Be long"], ["Be longer"]),
    ),
    "a text in a task": (
        lambda d: d["tasks"]["bank-2.ö"]["texts"]["short"].update({"by-domain": ["new"]}),
        ("texts", "tasks.bank-2.ö.texts.short.by-domain", ["\u202eabc\ttab"], ["new"]),
    ),
    "a demonstration": (
        lambda d: d["tasks"]["shop"]["demos"]["triage"]["mine"][0].update(score=4),
        ("texts", "tasks.shop.demos.triage.mine", ..., ...),
    ),
    "a description": (
        lambda d: d["tasks"]["bank-2.ö"].update(description=["Messages to a bank."]),
        ("texts", "tasks.bank-2.ö.description", [], ["Messages to a bank."]),
    ),
    "a weight": (
        lambda d: d["mixtures"]["shop"]["triage"]["facets"]["role"][0].update(weight=0.125),
        ("weights", "mixtures.shop.triage.facets.role.role.weight", ..., 0.125),
    ),
    "a gate": (
        lambda d: d["mixtures"]["shop"]["triage"]["gates"].update(role=0.125),
        ("weights", "mixtures.shop.triage.gates.role", ..., 0.125),
    ),
    "the schedule": (
        lambda d: d["schedule"]["nodes"]["triage"].update(temperature=0.125),
        ("weights", "schedule.nodes.triage.temperature", ..., 0.125),
    ),
    "a score": (
        lambda d: d["scores"]["shop"]["confirmation"]["after"].update(mean=0.125),
        ("scores", "scores.shop.confirmation.after.mean", ..., 0.125),
    ),
    "the compile": (lambda d: d["compile"].update(seed=7), ("compile", "compile.seed", 0, 7)),
    "null for nothing": (
        lambda d: d["compile"]["optimizer"].update(more=None),
        ("compile", "compile.optimizer.more", None, None),
    ),
    "true for 1": (lambda d: d["lm"]["short"].update(version=True), ("models", "lm.short.version", 1, True)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_difference_is_named(name: str, diff: Diff) -> None:
    change, (part, path, before, after) = CHANGES[name]
    found = diff(change)[0]
    assert (found.part, found.path) == (part, path)
    assert before is ... or (found.before == before and type(found.before) is type(before))
    assert after is ... or (found.after == after and type(found.after) is type(after))


def test_a_type_that_differs_is_told_in_words(diff: Diff) -> None:
    outputs = "tasks.shop.signatures.triage.outputs"
    (found,) = diff(CHANGES["a label set"][0])
    assert (found.path, found.words) == (f"{outputs}.team.type", ("label 'other' is new",))
    (found,) = diff(lambda d: d["tasks"]["shop"]["signatures"]["triage"]["outputs"][0].update(type={"enum": 5}))
    assert (found.path, found.words) == (f"{outputs}.team.type", ()), "a type that is not sound has no words"


def test_one_difference_is_one(diff: Diff) -> None:
    several = ("structure", "a demonstration")
    for name, (change, _) in CHANGES.items():
        assert name in several or len(diff(change)) == 1, name


def test_an_item_that_is_put_in_does_not_shift_the_others(diff: Diff) -> None:
    new = {"kind": "fragment", "id": "new", "facet": "hint", "text": ["Look twice."]}
    (found,) = diff(lambda d: d["pool"].insert(0, new))
    assert (found.part, found.path, found.before) == ("texts", "pool.new", None)
    assert found.after["text"] == ["Look twice."]


def test_an_item_that_is_taken_out_does_not_shift_the_others(diff: Diff) -> None:
    def take_out(data: dict[str, Any]) -> None:
        data["pool"] = [each for each in data["pool"] if each["id"] != "rule2"]

    (found,) = diff(take_out)
    assert (found.path, found.after) == ("pool.rule2", None)
    assert found.before["text"] == ["Be long"]


def test_a_weight_that_is_put_in_does_not_shift_the_others(diff: Diff) -> None:
    entry = {"item": "rule2", "amount": 0, "weight": 0.25, "effect": 0.5}

    def put_in(data: dict[str, Any]) -> None:
        data["mixtures"]["shop"]["triage"]["facets"].setdefault("constraint", []).insert(0, entry)

    paths = {each.path for each in diff(put_in)}
    assert all(path.startswith("mixtures.shop.triage.facets.constraint") for path in paths)
    assert len(paths) == 1


def test_the_first_and_the_last_of_a_list_are_told_as_one(diff: Diff) -> None:
    def empty(data: dict[str, Any]) -> None:
        data["program"]["nodes"][4]["module"]["signature"]["inputs"] = []

    assert [each.path for each in diff(empty)] == [
        "program.nodes.short.module.signature.inputs.question",
        "program.nodes.short.module.signature.inputs.found",
    ]


def test_another_order_of_fields_is_told(diff: Diff) -> None:
    (found,) = diff(lambda d: d["program"]["nodes"][0]["module"]["signature"]["inputs"].reverse())
    assert found.path == "program.nodes.triage.module.signature.inputs (order)"
    assert found.before == ["message", "since", "limit", "urgency", "rest"]
    assert found.after == found.before[::-1]


def test_another_order_of_the_pool_is_no_difference(diff: Diff) -> None:
    assert diff(lambda d: d["pool"].reverse()) == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
    else:
        for key, each in inner:
            yield from leaves(each, (*path, key))


def test_no_changed_value_goes_unnoticed(fresh_data: Fresh) -> None:
    before = Artifact.model_validate(fresh_data())
    all_leaves = [place for place in leaves(fresh_data()) if place[0] not in ("$schema", "schema_version", "hash")]
    seen = 0
    for place in random.Random(0).sample(all_leaves, 250):
        data = fresh_data()
        *outer, last = place
        inside = data
        for key in outer:
            inside = inside[key]
        old = inside[last]
        inside[last] = not old if isinstance(old, bool) else old + 1 if isinstance(old, (int, float)) else f"{old} x"
        try:
            after = Artifact.model_validate(data)
        except ValueError:
            continue
        found = diff_artifacts(before, after)
        assert found, place
        assert found[0].path.startswith(str(place[0])), place
        assert {each.path for each in diff_artifacts(after, before)} == {each.path for each in found}
        seen += 1
    assert seen > 150


def test_a_difference_is_the_same_from_the_other_side(fresh_data: Fresh) -> None:
    one, other = fresh_data(), fresh_data()
    other["compile"]["seed"] = 7
    there, back = (
        diff_artifacts(Artifact.model_validate(left), Artifact.model_validate(right))
        for left, right in ((one, other), (other, one))
    )
    assert [(each.path, each.before, each.after) for each in there] == [
        (each.path, each.after, each.before) for each in back
    ]


def test_a_file_that_is_not_sound_is_not_compared(artifact: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(artifact.read_text(encoding="utf-8") + "x", encoding="utf-8")
    with pytest.raises(ArtifactError):
        diff_artifacts(read_artifact(artifact), read_artifact(other))
