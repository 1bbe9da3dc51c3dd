"""Files that are not sound are refused, each with an error that says what is wrong with it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts import text
from fusionprog.artifacts.file import read_artifact
from fusionprog.errors import ArtifactError, ArtifactHashError, ArtifactVersionError

Write = Callable[[Path, dict[str, Any]], Path]


def refused(path: Path) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        fp.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 3_000
    return caught.value


RAW: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "is no complete JSON file"),
    "blanks": (b" \n\t ", "is no complete JSON file"),
    "no JSON": (b"nothing", "is no complete JSON file"),
    "two values": (b"{} {}", "is no complete JSON file.*Extra data"),
    "a comma too many": (b'{"a": 1,}', "is no complete JSON file"),
    "a comment": (b'{"a": 1} // note', "is no complete JSON file"),
    "another quote": (b"{'a': 1}", "is no complete JSON file"),
    "a line break in a text": (b'{"a": "b\nc"}', "is no complete JSON file"),
    "a list": (b"[]", "is no artifact: expected a JSON object, found list"),
    "a number": (b"1", "is no artifact: expected a JSON object, found int"),
    "null": (b"null", "is no artifact"),
    "an empty object": (b"{}", "is no artifact: expected a schema_version, found None"),
    "a key twice": (b'{"schema_version": 1, "schema_version": 1}', "the key 'schema_version' occurs twice"),
    "an inner key twice": (b'{"a": [{"b": 1, "c": 2, "b": 1}]}', "the key 'b' occurs twice"),
    "a key twice, once escaped": (b'{"b": 1, "\\u0062": 2}', "the key 'b' occurs twice"),
    "NaN": (b'{"schema_version": NaN}', "NaN is no number"),
    "Infinity": (b'{"schema_version": Infinity}', "Infinity is no number"),
    "-Infinity": (b'{"schema_version": -Infinity}', "-Infinity is no number"),
    "1e400": (b'{"schema_version": 1e400}', "1e400 is no number"),
    "-1e400": (b'{"schema_version": 1, "hash": -1e400}', "-1e400 is no number"),
    "a huge number": (b'{"schema_version": 1' + b"0" * 5_000 + b"}", "more than 2,500 digits"),
    "half a surrogate pair": (b'{"schema_version": 1, "hash": "\\ud800"}', "is no artifact|was changed"),
    "half a surrogate pair inside": (b'{"schema_version": 1, "a": "\\ud800"}', "JSON cannot hold"),
    "a byte order mark": (b'\xef\xbb\xbf{"schema_version": 1}', "is no complete JSON file"),
    "UTF-16": ('{"schema_version": 1}'.encode("utf-16"), "cannot be read"),
    "Latin-1": ('{"schema_version": "ü"}'.encode("latin-1"), "cannot be read"),
    "a zero byte": (b'{"schema_version": 1}\x00', "is no complete JSON file"),
    "deep lists": (b"[" * 10_000 + b"]" * 10_000, "nested too deeply"),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
    "deep lists without an end": (b"[" * 10_000, "nested too deeply"),
    "deep after a text with brackets": (b'["\\"]]]]\\\\", ' + b"[" * 10_000, "nested too deeply"),
    "deep behind an unclosed text": (b'{"a": "' + b"[" * 10_000, "is no complete JSON file"),
    "a text that is never closed": (b'{"a": "' + b'\\"' * 100_000, "is no complete JSON file"),
    "a text that ends in a backslash": (b'{"a": "' + b"\\\\" * 100_000 + b"\\", "is no complete JSON file"),
    "a version that is no number": (b'{"schema_version": "1"}', "is no artifact: expected a schema_version, found '1'"),
    "a version that is true": (b'{"schema_version": true}', "is no artifact"),
    "a version that is 1.0": (b'{"schema_version": 1.0}', "is no artifact"),
    "version 0": (b'{"schema_version": 0}', "is no artifact"),
    "version -1": (b'{"schema_version": -1}', "is no artifact"),
    "no hash": (b'{"schema_version": 1}', "was changed after it was written"),
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_artifact_is_refused(name: str, tmp_path: Path) -> None:
    content, message = RAW[name]
    path = tmp_path / "file.json"
    path.write_bytes(content)
    assert re.search(message, str(refused(path)))


def test_brackets_in_texts_are_no_depth(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["tasks"]["shop"]["description"] = ['"[{' * 1_000, "\\" * 999, '\\"[' * 500]
    loaded = fp.load(write(tmp_path / "brackets.json", data))
    assert loaded.tasks["shop"].description.count("[") == 1_500


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path)


def test_a_path_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        fp.load("a\x00b.json")


def test_a_file_that_may_not_be_read_is_refused(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ArtifactError, match="Permission denied"):
        fp.load(artifact)


def test_a_file_that_is_too_large_is_not_read_whole(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionprog.artifacts.document.MAX_BYTES", 1_000)
    with pytest.raises(ArtifactError, match="is too large: expected at most 1,000 bytes"):
        fp.load(artifact)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
def test_a_file_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionprog.artifacts.document.MAX_BYTES", 1_000_000)
    with pytest.raises(ArtifactError, match="is too large"):
        fp.load("/dev/zero")


def test_a_newer_version_is_told_before_anything_else(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    newer = {**data, "schema_version": 2, "new_field": [1], "hash": "made by another"}
    path = tmp_path / "newer.json"
    path.write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(
        ArtifactVersionError, match=r"newer fusionprog: expected schema version 1 or older, found 2\. Up"
    ):
        fp.load(path)


def test_a_change_by_hand_is_told(artifact: Path, tmp_path: Path) -> None:
    changed = artifact.read_text(encoding="utf-8").replace("Dringlichkeit", "Wichtigkeit")
    path = tmp_path / "edited.json"
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(ArtifactHashError, match=r"was changed after it was written.*change the pool and compile again"):
        fp.load(path)


@pytest.mark.parametrize("stored", [None, 1, "", "0" * 32, ["x"], "x" * 10_000])
def test_another_hash_is_refused(stored: Any, data: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "hash.json"
    path.write_text(text.to_text({**data, "hash": stored}), encoding="utf-8")
    assert isinstance(refused(path), ArtifactHashError)


def test_line_ends_and_layout_do_not_matter(artifact: Path, data: dict[str, Any], tmp_path: Path) -> None:
    content = artifact.read_bytes()
    for number, other in enumerate(
        [content.replace(b"\n", b"\r\n"), json.dumps(data).encode(), json.dumps(data, indent=8).encode()]
    ):
        path = tmp_path / f"{number}.json"
        path.write_bytes(other)
        fp.load(path).save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == content


def node(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in data["program"]["nodes"] if each["name"] == name)
    return found


def item(data: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in data["pool"] if each["id"] == name)
    return found


def signature(data: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = node(data, "triage")["module"]["signature"]
    return made


def mixture(data: dict[str, Any], facet: str = "hint") -> list[Any]:
    made: list[Any] = data["mixtures"]["shop"]["triage"]["facets"][facet]
    return made


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, tuple[Change, str]] = {
    "another $schema": (lambda d: d.update({"$schema": "other.json"}), "Input should be 'fusionprog-artifact-1.json'"),
    "no program": (lambda d: d.pop("program"), "Field required .* at 'program'"),
    "an unknown part": (lambda d: d.update(more=1), "Extra inputs are not permitted .* at 'more'"),
    "no nodes": (lambda d: d["program"].update(nodes=[]), "at least 1 item .* at 'program.nodes'"),
    "no outputs": (lambda d: d["program"].update(outputs={}), "at least 1 item .* at 'program.outputs'"),
    "no tasks": (lambda d: d.update(tasks={}), "at least 1 item .* at 'tasks'"),
    "too many nodes": (lambda d: d["program"].update(nodes=[node(d, "short")] * 1_001), "at most 1000 items"),
    "a node twice": (lambda d: d["program"]["nodes"].append(node(d, "short")), "two nodes are named 'short'"),
    "a path for a node": (lambda d: node(d, "short").update(name="../../etc/passwd"), "is no node name"),
    "HTML for a node": (lambda d: node(d, "short").update(name="<script>"), "'<script>' is no node name"),
    "an input twice": (lambda d: d["program"]["inputs"].append({"name": "message"}), "two inputs .* named 'message'"),
    "an unknown module": (
        lambda d: node(d, "triage")["module"].update(name="Predct"),
        "node 'triage': there is no module called 'Predct'. Did you mean 'Predict'",
    ),
    "a module by its path": (
        lambda d: node(d, "triage")["module"].update(name="os.system"),
        "there is no module called 'os.system'",
    ),
    "unknown arguments": (
        lambda d: node(d, "triage")["module"].update(arguments={"shell": "rm"}),
        "the module of node 'triage' cannot be built.*shell",
    ),
    "the signature as an argument": (
        lambda d: node(d, "triage")["module"].update(arguments={"signature": "a -> b"}),
        "the module of node 'triage' cannot be built",
    ),
    "a function in the file": (
        lambda d: node(d, "find")["module"]["arguments"].update(function="os.system"),
        "the module of node 'find' cannot be built",
    ),
    "a function without a name": (
        lambda d: node(d, "find")["module"].update(arguments={}),
        "the module of node 'find' cannot be built.*needs a name",
    ),
    "a module of a later node": (
        lambda d: node(d, "panel.judge_2").update(module={"same_as": "short.x"}),
        "shares the module of 'short.x', which comes later or never",
    ),
    "a module of itself": (
        lambda d: node(d, "panel.judge_2").update(module={"same_as": "panel.judge_2"}),
        "which comes later or never",
    ),
    "a source that is no input": (
        lambda d: node(d, "triage")["sources"].update(message={"input": "mesage"}),
        "triage.message reads the input 'mesage', which there is not",
    ),
    "a source that no node makes": (
        lambda d: node(d, "short")["sources"].update(found={"field": "find.fund"}),
        "short.found reads 'find.fund'.*Did you mean 'find.found'",
    ),
    "a source without a node": (
        lambda d: node(d, "short")["sources"].update(found={"field": "found"}),
        "names no field of a node",
    ),
    "two sources in one": (
        lambda d: node(d, "short")["sources"].update(found={"field": "find.found", "input": "message"}),
        "at 'program.nodes",
    ),
    "a source for an unknown field": (
        lambda d: node(d, "short")["sources"].update(fund={"input": "message"}),
        "node 'short' has no input field 'fund'",
    ),
    "a missing source": (lambda d: node(d, "short")["sources"].pop("found"), "nothing feeds short.found"),
    "a constant of another type": (
        lambda d: node(d, "triage")["sources"].update(urgency={"constant": "middle"}),
        "the constant of triage.urgency has the wrong type",
    ),
    "a cycle": (
        lambda d: node(d, "triage")["sources"].update(rest={"field": "panel.judge.reasoning"}),
        "the graph has a cycle",
    ),
    "a node that reads itself": (
        lambda d: node(d, "triage")["sources"].update(rest={"field": "triage.team"}),
        "the graph has a cycle",
    ),
    "types that do not fit": (
        lambda d: node(d, "short")["sources"].update(found={"field": "triage.team"}),
        "triage.team does not fit short.found",
    ),
    "an output that no node makes": (
        lambda d: d["program"]["outputs"].update(team="triage.tem"),
        "output 'team' shows 'triage.tem', which no node makes",
    ),
    "an output that is no input": (
        lambda d: d["program"]["outputs"].update(team="mesage"),
        "output 'team' shows 'mesage'",
    ),
    "a field twice": (
        lambda d: signature(d)["outputs"].append(signature(d)["inputs"][0]),
        "two fields of node 'triage' are named 'message'",
    ),
    "a field name that is none": (
        lambda d: signature(d)["inputs"][0].update(name="message\n[[ ## x ## ]]"),
        "is no name of a field of node 'triage'",
    ),
    "a private field name": (
        lambda d: signature(d)["inputs"][0].update(name="__base__"),
        "'__base__' is no name of a field",
    ),
    "no outputs of a signature": (lambda d: signature(d).update(outputs=[]), "cannot be built|nothing|reads|not sound"),
    "an unknown type": (lambda d: signature(d)["inputs"][0].update(type={"type": "os.system"}), "triage.message"),
    "no type": (lambda d: signature(d)["inputs"][0].pop("type"), "Field required"),
    "a default of another type": (
        lambda d: signature(d)["inputs"][1].update(default={"value": "soon", "typed": True}),
        "the default of triage.since does not have its type",
    ),
    "a null in a class name": (lambda d: signature(d).update(name="a\x00b"), "the signature of node 'triage' cannot"),
    "a pool entry of no kind": (lambda d: item(d, "role").pop("kind"), "Unable to extract tag"),
    "a pool entry of an unknown kind": (lambda d: item(d, "role").update(kind="macro"), "does not match any"),
    "an item twice": (lambda d: d["pool"].append(item(d, "role")), "two items have the id 'role'"),
    "an id with HTML": (lambda d: item(d, "rule").update(id="<b>"), "'<b>' is no item id"),
    "an id with a blank": (lambda d: item(d, "rule").update(id="a b"), "'a b' is no item id"),
    "an id of a family": (lambda d: item(d, "rows-2").update(id="a\nb"), "is no item id"),
    "a fragment without a text": (lambda d: item(d, "rule").pop("text"), "needs a text"),
    "a fragment with no text": (lambda d: item(d, "rule").update(text=[""]), "has no text"),
    "a fragment that edits fields": (
        lambda d: item(d, "rule").update(text=["[[ ## team ## ]]"]),
        "changes a field name or a format rule",
    ),
    "a facet that is none": (lambda d: item(d, "rule").update(facet="tone"), "Input should be 'role', 'instruction'"),
    "an item for an unknown node": (lambda d: item(d, "rule").update(nodes=["jugde"]), "unknown node 'jugde'"),
    "an item that requires none": (lambda d: item(d, "rule").update(requires=["rle"]), "unknown item 'rle'"),
    "an empty demonstration set": (lambda d: item(d, "mine").update(demos=[]), "demonstration set 'mine' is empty"),
    "a path for a task": (
        lambda d: (
            [d[part].update({"../x": d[part].pop("shop")}) for part in ("tasks", "mixtures", "scores")]
            + [d["embedding"]["tasks"].update({"../x": d["embedding"]["tasks"].pop("shop")})]
        ),
        "'../x' is no task name",
    ),
    "no mixtures of a task": (lambda d: d["mixtures"].pop("shop"), "the mixtures are of other tasks"),
    "mixtures of no task": (lambda d: d["mixtures"].update(x={}), "the mixtures are of other tasks"),
    "no scores of a task": (lambda d: d["scores"].pop("shop"), "the scores are of other tasks"),
    "no embedding of a task": (lambda d: d["embedding"]["tasks"].pop("shop"), "the embeddings are of other tasks"),
    "no mixture of a node": (
        lambda d: d["mixtures"]["shop"].pop("triage"),
        "mixtures of task 'shop' are of other nodes",
    ),
    "a mixture of a function": (
        lambda d: d["mixtures"]["shop"].update(find={"gates": {}, "facets": {}}),
        "mixtures of task 'shop' are of other nodes",
    ),
    "an unknown item in a mixture": (lambda d: mixture(d)[0].update(item="x"), "names 'x' twice, or it is no hint"),
    "an item of another facet": (lambda d: mixture(d)[0].update(item="role"), "names 'role' twice, or it is no hint"),
    "an item twice in a mixture": (lambda d: mixture(d).append(mixture(d)[0]), "twice"),
    "an unknown facet in a mixture": (
        lambda d: d["mixtures"]["shop"]["triage"]["facets"].update(tone=[]),
        "at 'mixtures.shop.triage.facets.tone",
    ),
    "more of a text than there is": (
        lambda d: mixture(d)[0].update(amount=2),
        "more of '.*' is used than there is: expected at most 1, found 2",
    ),
    "more demonstrations than there are": (
        lambda d: mixture(d, "demos")[0].update(amount=1_000_000_000),
        "is used than there is: expected at most",
    ),
    "less than none": (lambda d: mixture(d)[0].update(amount=-1), "greater than or equal to 0"),
    "a weight above 1": (lambda d: mixture(d)[0].update(weight=1.5), "less than or equal to 1"),
    "a gate above 1": (lambda d: d["mixtures"]["shop"]["triage"]["gates"].update(hint=2), "less than or equal to 1"),
    "a text that is missing": (
        lambda d: d["tasks"]["shop"]["texts"]["triage"].pop("by-domain"),
        "'by-domain' is used, but what it says is not there",
    ),
    "demonstrations that are missing": (
        lambda d: d["tasks"]["shop"]["demos"]["triage"].pop("mine"),
        "'mine' is used, but what it says is not there",
    ),
    "a text that nothing uses": (
        lambda d: d["tasks"]["shop"]["texts"]["triage"].update({"rows-2": ["x"]}),
        "'rows-2' is there, but no mixture uses it so",
    ),
    "a text for demonstrations": (
        lambda d: d["tasks"]["shop"]["texts"]["triage"].update({"mine": ["x"]}),
        "'mine' is there, but no mixture uses it so",
    ),
    "a text that edits fields": (
        lambda d: d["tasks"]["shop"]["texts"]["triage"].update({"by-domain": ["[[ ## completed ## ]]"]}),
        "a text cannot be used.*by-domain.*changes a field name or a format rule",
    ),
    "an empty text": (
        lambda d: d["tasks"]["shop"]["texts"]["triage"].update({"by-domain": []}),
        "by-domain.*has no text",
    ),
    "a demonstration with an unknown field": (
        lambda d: d["tasks"]["shop"]["demos"]["triage"]["mine"][0].update(tema="x"),
        "a demonstration has the field 'tema', which the node has not",
    ),
    "a signature of no node": (
        lambda d: d["tasks"]["shop"]["signatures"].update(trage=signature(d)),
        "task 'shop' changes the signature of 'trage', which is no node",
    ),
    "a signature that does not fit": (
        lambda d: d["tasks"]["shop"]["signatures"]["triage"]["inputs"].append(
            {"name": "more", "type": {"type": "string"}}
        ),
        "task 'shop'.*nothing feeds triage.more",
    ),
    "an output of a task that no node makes": (
        lambda d: d["tasks"]["shop"]["outputs"].update(team="triage.tem"),
        "task 'shop' does not fit the graph.*'triage.tem'",
    ),
    "an output of a task that is no input": (
        lambda d: d["tasks"]["shop"]["outputs"].update(team="mesage"),
        "an output shows the input 'mesage', which there is not",
    ),
    "no outputs of a task": (lambda d: d["tasks"]["shop"].update(outputs={}), "at least 1 item"),
    "an unknown way to fuse": (lambda d: d["schedule"].update(fusion="vote"), "Input should be 'compose'"),
    "an unknown format": (lambda d: d["schedule"]["nodes"]["triage"].update(format="yaml"), "'chat', 'json' or 'xml'"),
    "temperature 0": (lambda d: d["schedule"]["nodes"]["triage"].update(temperature=0), "greater than 0"),
    "settings of no node": (
        lambda d: d["schedule"]["nodes"].update(trage=d["schedule"]["nodes"]["triage"]),
        "the schedule names 'trage', which is no node that asks a model, or offers a choice. Did you mean 'triage'",
    ),
    "effects at no node": (lambda d: d["schedule"].update(at_node={"x": {}}), "names 'x', which is no node"),
    "effects of no item": (lambda d: d["schedule"].update(everywhere={"x": 1.0}), "names 'x', which is no item"),
    "costs of no item": (lambda d: d["schedule"].update(costs={"x": 1.0}), "names 'x', which is no item"),
    "effects at a node of no item": (
        lambda d: d["schedule"].update(at_node={"triage": {"x": 1.0}}),
        "names 'x', which is no item",
    ),
    "effects in no task": (lambda d: d["schedule"].update(in_task={"x": {}}), "names 'x', which is no task"),
    "effects in a task of no item": (
        lambda d: d["schedule"].update(in_task={"shop": {"triage": {"x": 1.0}}}),
        "names 'x', which is no item",
    ),
    "a schedule of no node": (lambda d: d["schedule"].update(by_node={"x": {"fusion": "compose"}}), "'x', which is no"),
    "a schedule of no task": (lambda d: d["schedule"].update(by_task={"x": {"fusion": "compose"}}), "'x', which is no"),
    "a schedule of an item there is not": (
        lambda d: d["schedule"].update(by_task={"shop": {"fusion": "compose", "costs": {"x": 0.1}}}),
        "'x', which is no item",
    ),
    "schedules in schedules without end": (
        lambda d: [d["schedule"].update(by_node={"triage": {**d["schedule"], "fusion": "compose"}}) for _ in range(20)],
        "too deep in each other",
    ),
    "a pair of no node": (lambda d: d["schedule"].update(pairs={"x": {}}), "names 'x', which is no node"),
    "a pair of no item": (
        lambda d: d["schedule"].update(pairs={"triage": {"x": {"role": 0.1}}}),
        "names 'x', which is no item",
    ),
    "a pair with no item": (
        lambda d: d["schedule"].update(pairs={"triage": {"role": {"x": 0.1}}}),
        "names 'x', which is no item",
    ),
    "as written in no task": (lambda d: d["schedule"].update(as_written=["x"]), "names 'x', which is no task"),
    "a direction that does not fit": (
        lambda d: d["schedule"].update(directions={"triage": {"role": [1.0] * 9}}),
        "direction of 'role' at node 'triage' does not fit the embedding: expected at most 1 numbers, found 9",
    ),
    "no model of a node": (lambda d: d["lm"].pop("triage"), "the models are of other nodes"),
    "a model of a function": (lambda d: d["lm"].update(find=d["lm"]["triage"]), "the models are of other nodes"),
    "a model without a name": (lambda d: d["lm"].update(triage={"model": 5}), "the model of node 'triage' has no name"),
    "parameters that are none": (
        lambda d: d["lm"].update(triage={"model": "a/b", "type": "chat", "parameters": 5}),
        "the model of node 'triage' cannot be made",
    ),
    "an engine that is none": (
        lambda d: d["lm"].update(triage={"model": "a/b", "type": "chat", "parameters": {}, "engine": "os.system"}),
        "the model of node 'triage' cannot be made",
    ),
    "components that do not fit": (
        lambda d: d["embedding"]["components"].append([1.0]),
        "the embedding's basis does not fit together",
    ),
    "ragged components": (
        lambda d: d["embedding"]["components"][0].pop(),
        "the embedding's basis does not fit together",
    ),
    "a place that does not fit": (
        lambda d: d["embedding"]["tasks"]["shop"].append(1.0),
        "task 'shop': its embedding does not fit the basis",
    ),
    "a scale of 0": (lambda d: d["embedding"].update(scale=[0.0]), "greater than 0"),
    "a text for a number": (lambda d: d["compile"].update(seed="0"), "valid integer .* at 'compile.seed'"),
    "a truth value for a number": (lambda d: d["compile"].update(trials=True), "at 'compile.trials'"),
    "a number for a truth value": (lambda d: d["compile"].update(improved=1), "valid boolean .* at 'compile.improved'"),
    "a fraction for a whole number": (lambda d: d["compile"].update(seed=1.5), "valid integer .* at 'compile.seed'"),
    "a truth value for a weight": (lambda d: mixture(d)[0].update(weight=True), "at 'mixtures.shop.triage"),
    "a number for a text": (lambda d: d["compile"].update(reason=1), "valid string .* at 'compile.reason'"),
    "a text for lines": (lambda d: d["tasks"]["shop"].update(description="x"), "valid list"),
    "a number that no float holds": (lambda d: d["compile"]["spent"].update(calls=10**400), "at 'compile.spent.calls'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_together_is_refused(name: str, data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    change, message = CHANGES[name]
    change(data)
    assert re.search(message, str(refused(write(tmp_path / "changed.json", data))))


def objects(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all objects in the data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [place for key, each in inner for place in objects(each, (*path, key))]
    return [path, *below] if isinstance(value, dict) else below


def test_an_unknown_field_is_refused_at_every_place_that_has_fields(
    data: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    free = {"type", "rest", "untyped", "arguments", "demos", "metric", "optimizer", "embedder", "lm", "texts", "phases"}
    free |= {"sizes", "data", "versions", "constant", "value", "outputs", "cost", "spent"}
    checked = 0
    for place in objects(data):
        if free & set(place):
            continue
        changed = json.loads(json.dumps(data))
        inside = changed
        for key in place:
            inside = inside[key]
        inside["unexpected field"] = 1
        refused(write(tmp_path / "more.json", changed))
        checked += 1
    assert checked > 50


def test_the_reader_tells_where_in_the_file_it_is(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["scores"]["shop"]["confirmation"]["before"]["mean"] = "high"
    with pytest.raises(ArtifactError, match=r"at 'scores\.shop\.confirmation\.before\.mean'"):
        read_artifact(write(tmp_path / "wrong.json", data))


def test_errors_are_short_whatever_the_file_holds(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["program"]["outputs"]["team"] = "x" * 1_000_000 + ".y"
    refused(write(tmp_path / "long.json", data))
    data["unknown " * 100_000] = 1
    refused(write(tmp_path / "longer.json", data))


def test_a_name_cannot_write_to_the_terminal(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["\x1b[2J"] = 1
    assert "\x1b" not in str(refused(write(tmp_path / "escape.json", data)))


def test_so_many_classes_are_not_built(
    data: dict[str, Any], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "many.json", data)
    for name, limit in (("_MAX_VIEWS", 9), ("_MAX_FIELDS", 20)):
        with monkeypatch.context() as patched:
            patched.setattr(f"fusionprog.artifacts.program_codec.{name}", limit)
            assert "the program is too large: expected at most" in str(refused(path))
    fp.load(path)


def test_more_values_than_can_be_are_refused_before_they_are_read() -> None:
    with pytest.raises(ArtifactError, match="the text is too large: expected at most 5,000,000 values"):
        text.from_text('{"a": [' + "{}," * 5_000_000 + "{}]}", "the text")


def test_many_errors_are_counted_and_not_listed(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["compile"]["versions"] = {f"package {number}": number for number in range(20_000)}
    assert "found 20,000 things that do not belong there" in str(refused(write(tmp_path / "many.json", data)))
    data["compile"]["versions"] = {}
    data["compile"]["notes"] = list(range(20_000))
    assert "valid string (string_type) at 'compile.notes.0'" in str(refused(write(tmp_path / "many.json", data)))


def test_nothing_is_left_behind(artifact: Path, data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    data["tasks"].pop("shop")
    path = write(tmp_path / "x.json", data)
    before = os.listdir(tmp_path)
    refused(path)
    fp.load(artifact)
    assert os.listdir(tmp_path) == before
