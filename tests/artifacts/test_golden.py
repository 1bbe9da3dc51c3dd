"""Artifacts of every schema version so far load, send the same messages, and are written with the same bytes."""

from __future__ import annotations

import json
import runpy
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.artifacts.schema import SCHEMA_VERSION, json_schema

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.json"))


def sent(program: fp.CompiledProgram) -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {
        task: {
            node: [dict(each) for each in program.prompt(task, node=node)]
            for node in program.variant(task).prompting_nodes
        }
        for task in program.tasks
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_artifact_loads_and_sends_the_same_bytes(path: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "running on another model")  # the offline reader may have become another one
        program = fp.load(path)
        program.save(tmp_path / "again.json")
        again = fp.load(tmp_path / "again.json")
    expected = path.with_suffix(".messages").read_text(encoding="utf-8")
    for each in (program, again):
        assert json.dumps(sent(each), indent=1, ensure_ascii=False) + "\n" == expected
    assert again.content_hash == program.content_hash
    if json.loads(path.read_text(encoding="utf-8"))["schema_version"] == SCHEMA_VERSION:
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_there_is_one_of_every_version() -> None:
    versions = {json.loads(path.read_text(encoding="utf-8"))["schema_version"] for path in FILES}
    assert versions == set(range(1, SCHEMA_VERSION + 1)), "add one: see golden/make_golden.py"


def test_every_part_of_the_schema_is_in_one_of_them() -> None:
    schema = json_schema()
    wanted = {f"{name}.{part}" for name, each in definitions(schema) for part in each.get("properties", {})}
    seen: set[str] = set()
    for path in FILES:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] == SCHEMA_VERSION:
            seen |= set(parts(data, schema, schema))
    assert wanted - seen == set(), "add a golden file with these parts: see golden/make_golden.py"


def definitions(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Artifact", schema
    yield from schema["$defs"].items()


def parts(value: Any, described: dict[str, Any], schema: dict[str, Any], name: str = "Artifact") -> Iterator[str]:
    """Yields the parts of the schema's objects that a value has."""
    if "$ref" in described:
        name = described["$ref"].rpartition("/")[2]
        described = schema["$defs"][name]
    for option in described.get("anyOf", described.get("oneOf", [])):
        chosen = schema["$defs"][option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        if fits(value, chosen):
            yield from parts(value, option, schema, name)
    if isinstance(value, dict) and "properties" in described:
        for key, inner in value.items():
            yield f"{name}.{key}"
            yield from parts(inner, described["properties"][key], schema, name)
    elif isinstance(value, dict) and isinstance(described.get("additionalProperties"), dict):
        for inner in value.values():
            yield from parts(inner, described["additionalProperties"], schema, name)
    elif isinstance(value, list) and isinstance(described.get("items"), dict):
        for inner in value:
            yield from parts(inner, described["items"], schema, name)


def fits(value: Any, described: dict[str, Any]) -> bool:
    if "properties" not in described:
        return isinstance(value, list) == (described.get("type") == "array")
    kind = described["properties"].get("kind", {}).get("const")
    named = isinstance(value, dict) and set(value) <= set(described["properties"])
    return named and set(described.get("required", [])) <= set(value) and kind in (None, value.get("kind"))


def test_golden_files_are_never_written_over(tmp_path: Path) -> None:
    for path in (*FILES, FOLDER / "make_golden.py"):
        shutil.copy(path, tmp_path)
    before = {path.name: path.read_bytes() for path in FILES}
    make = runpy.run_path(str(tmp_path / "make_golden.py"))["main"]
    with pytest.raises(SystemExit, match="golden files stay as they are"):
        make(FILES[0].stem.rpartition("-")[0])
    make("new")
    assert {path.name: (tmp_path / path.name).read_bytes() for path in FILES} == before
    made = {path.name for path in tmp_path.iterdir()} - before.keys() - {"make_golden.py"}
    assert made == {"new-desk.json", "new-desk.messages", "new-dspy.json", "new-dspy.messages"}
