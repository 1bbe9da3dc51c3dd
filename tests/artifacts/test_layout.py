"""How an artifact looks in git: a line a line, numbers last, nothing moves that did not change; whole or not at all."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.artifacts.rounding import rounded
from fusionprog.artifacts.text import content_hash, from_lines, from_text, to_lines, to_text
from fusionprog.errors import ArtifactError
from fusionprog.prompts.items import Facet, Item
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.runtime.compiled import CompiledProgram, CompiledTask
from fusionprog.runtime.record import Score

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
def test_the_layout_is_json_and_is_read_back(data: dict[str, Any]) -> None:
    written = to_text(data)
    assert from_text(written, "the text") == data
    assert json.loads(written) == data
    assert to_text(from_text(written, "the text")) == written
    assert written.endswith("\n") and not written.endswith("\n\n")


@given(st.text())
def test_a_text_is_cut_at_line_feeds_alone(text: str) -> None:
    lines = to_lines(text)
    assert from_lines(lines) == text
    assert not any("\n" in line for line in lines)
    assert (lines == []) == (text == "")


def test_short_values_stand_on_one_line_and_texts_on_one_each() -> None:
    data = {
        "short": {"a": 1, "b": "x"},
        "lines": ["one", "two"],
        "one line": ["one"],
        "numbers": [0.5] * 200,
        "long": {"key": "x" * 120},
        "nested": {"a": [], "b": {}, "c": [[1, 2], ["x"]]},
    }
    assert to_text(data).split("\n")[:17] == [
        "{",
        ' "short": {"a": 1, "b": "x"},',
        ' "lines": [',
        '  "one",',
        '  "two"',
        " ],",
        ' "one line": ["one"],',
        ' "numbers": [' + ", ".join(["0.5"] * 200) + "],",
        ' "long": {',
        f'  "key": "{"x" * 120}"',
        " },",
        ' "nested": {',
        '  "a": [],',
        '  "b": {},',
        '  "c": [',
        "   [1, 2],",
        '   ["x"]',
    ]


def test_a_line_of_a_prompt_is_a_line_of_the_file(artifact: Path) -> None:
    lines = artifact.read_text(encoding="utf-8").split("\n")
    assert '      "Wie schlimm ist es?",' in lines
    assert '      "Antworte kurz."' in lines
    assert any(line.strip() == '"- delivery: late, parcel",' for line in lines)


def test_characters_that_nobody_sees_are_escaped(artifact: Path) -> None:
    content = artifact.read_text(encoding="utf-8")
    assert not [sign for sign in content if not sign.isprintable() and sign != "\n"]
    assert "\\u2028" in content and "\\u202e" in content and "\\u0085" in content and "\\u007f" in content
    assert "\U0001f600" in content and "bänke" in content
    assert content.splitlines() == content[:-1].split("\n")


def test_numbers_that_a_compile_moves_come_last(artifact: Path) -> None:
    data = json.loads(artifact.read_text(encoding="utf-8"))
    assert list(data) == [
        "$schema",
        "schema_version",
        "program",
        "lm",
        "pool",
        "tasks",
        "compile",
        "mixtures",
        "schedule",
        "scores",
        "learned",
        "embedding",
        "hash",
    ]


def test_a_compile_that_moves_only_numbers_changes_only_the_end(
    compiled: CompiledProgram, tmp_path: Path, artifact: Path
) -> None:
    program = compiled._copy(compiled.tasks, compiled.models)
    nodes = {
        node: dataclasses.replace(each, temperature=each.temperature / 2)
        for node, each in compiled.schedule.nodes.items()
    }
    at_node = {
        node: {item: effect + 0.125 for item, effect in mine.items()}
        for node, mine in compiled.schedule.at_node.items()
    }
    program.schedule = dataclasses.replace(compiled.schedule, nodes=nodes, at_node=at_node)
    tasks = {}
    for name, each in compiled.record.tasks.items():
        assert each.confirmation is not None
        moved = dataclasses.replace(each.confirmation, after=Score(0.123, 0.01, 8))
        tasks[name] = dataclasses.replace(each, confirmation=moved)
    program.record = dataclasses.replace(compiled.record, tasks=tasks, spent={"calls": 1.5}, fingerprint="0" * 32)
    program.save(tmp_path / "moved.json")
    before, after = (path.read_text(encoding="utf-8").split("\n") for path in (artifact, tmp_path / "moved.json"))
    first = next(index for index, (one, other) in enumerate(zip(before, after, strict=False)) if one != other)
    assert before[first].startswith('  "spent"')
    assert first > before.index(' "compile": {') > before.index(' "tasks": {')
    changed = [
        line
        for line in difflib.ndiff(before, after)
        if line[0] in "+-" and "fingerprint" not in line and '"hash"' not in line
    ]
    assert changed
    assert not [line for line in changed if not any(sign.isdigit() for sign in line)]


def test_numbers_are_rounded_and_without_a_negative_zero() -> None:
    assert rounded({"a": (0.1 + 0.2, -1e-9, 1), "b": [True, None, "x", 2 / 3]}) == {
        "a": [0.3, 0.0, 1],
        "b": [True, None, "x", 0.666667],
    }
    assert str(rounded(-1e-9)) == "0.0"
    assert type(rounded(1)) is int and rounded(True) is True


def test_every_number_in_the_file_is_rounded(assemble: Callable[..., CompiledProgram], tmp_path: Path) -> None:
    items = [fp.Fragment("a", "Say it.", facet="hint"), fp.Fragment("b", "Say more.", facet="hint")]
    third = 1 / 3
    schedule = Schedule(
        everywhere={"a": third},
        at_node={"ask": {"a": third}},
        in_task={"one": {"ask": {"a": third}}},
        costs={"a": third - 1},
        directions={"ask": {"a": (third,)}},
        pairs={"ask": {"a": {"b": third}}},
        nodes={"ask": NodeSettings(1e-9, {"hint": third})},
    )
    own = Schedule(everywhere={"b": third}, nodes=schedule.nodes)
    schedule = dataclasses.replace(schedule, by_task={"two": Schedule(by_node={"ask": own})})
    graph = fp.ProgramGraph("asked")
    graph.add("ask", fp.modules.Predict("question -> answer"))
    graph.connect("question", "ask.question")
    row = {"question": "q", "answer": "a"}
    tasks = [fp.Task(n, description=n, metric=fp.metrics.exact_match("answer"), val=[row]) for n in ("one", "two")]
    program = assemble(graph, tasks, items, schedule=schedule)
    program.record = dataclasses.replace(program.record, spent={"usd": 0.1 + 0.2})
    program.save(tmp_path / "a.json")

    def check(value: Any) -> int:
        if isinstance(value, float):
            assert value == round(value, 6)
            assert str(value) != "-0.0"
            return 1
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return sum(map(check, inner))

    assert check(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))) > 20
    loaded = fp.load(tmp_path / "a.json")
    assert loaded.schedule.nodes["ask"].temperature == 1e-6
    assert loaded.schedule.everywhere["a"] == pytest.approx(third, abs=1e-6)
    assert loaded.schedule.pairs["ask"]["a"]["b"] == pytest.approx(third, abs=1e-6)
    for task in ("one", "two"):
        assert loaded.prompt(task, node="ask") == program.prompt(task, node="ask")
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_closed_items_take_no_room(compiled: CompiledProgram, data: dict[str, Any]) -> None:
    mixture = compiled.tasks["shop"].mixtures["panel.judge"]
    closed = {each.id for items in mixture.facets.values() for each in items if not each.open}
    assert closed
    written = data["mixtures"]["shop"]["panel.judge"]["facets"]
    assert not closed & {each["item"] for items in written.values() for each in items}


def test_what_is_told_about_one_task_stays_out_of_the_file_of_another(
    compiled: CompiledProgram, tmp_path: Path
) -> None:
    program = compiled["shop"]
    program.schedule = dataclasses.replace(
        compiled.schedule,
        as_written=("shop", "bank-2.ö"),
        in_task={"shop": {"triage": {"role": 0.5}}, "bank-2.ö": {"triage": {"role": 0.25}}},
    )
    program.save(tmp_path / "shop.json")
    schedule = fp.load(tmp_path / "shop.json").schedule
    assert schedule.as_written == ("shop",)
    assert schedule.in_task == {"shop": {"triage": {"role": 0.5}}}


def test_the_hash_is_of_everything_but_itself(data: dict[str, Any]) -> None:
    assert content_hash(data) == data["hash"]
    assert content_hash({**data, "hash": "x"}) == data["hash"]
    assert content_hash({**data, "more": 1}) != data["hash"]
    assert content_hash({key: data[key] for key in reversed(data)}) == data["hash"]


def test_a_save_that_fails_leaves_the_file_that_is_there(
    compiled: CompiledProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.json"
    path.write_text("what was there", encoding="utf-8")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(ArtifactError, match=r"cannot be written: found .*No space left"):
            compiled.save(path)
    assert path.read_text(encoding="utf-8") == "what was there"
    assert list(tmp_path.iterdir()) == [path]
    compiled.save(path)
    assert fp.load(path).graph.name == "Everything"


def test_a_program_that_cannot_be_kept_leaves_the_file_that_is_there(compiled: CompiledProgram, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    compiled.save(path)
    content = path.read_bytes()
    program = compiled._copy(compiled.tasks, compiled.models)
    for record, message in [
        (dataclasses.replace(compiled.record, reason=cast(Any, 5)), "cannot be kept in a file.*at 'reason'"),
        (dataclasses.replace(compiled.record, spent={"usd": float("nan")}), "finite number"),
        (dataclasses.replace(compiled.record, optimizer={"a": float("inf")}), "JSON cannot hold"),
        (dataclasses.replace(compiled.record, reason="\ud800"), "JSON cannot hold.*surrogates not allowed"),
        (dataclasses.replace(compiled.record, seed=10**3_000), "more than 2,500 digits"),
        (dataclasses.replace(compiled.record, optimizer={"a": deep(100)}), "nested too deeply"),
    ]:
        program.record = record
        with pytest.raises(ArtifactError, match=message):
            program.save(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_folder_that_is_not_there_is_told(compiled: CompiledProgram, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none.*a\.json' cannot be written"):
        compiled.save(tmp_path / "none" / "a.json")
    with pytest.raises(ArtifactError, match="cannot be written"):
        compiled.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_item_of_an_unknown_kind_is_told(compiled: CompiledProgram, tmp_path: Path) -> None:
    class Odd(Item):
        id = "odd"
        facet: Facet = "hint"
        key_text = ""

    program = compiled._copy(compiled.tasks, compiled.models)
    program.items = {**compiled.items, "odd": Odd()}
    with pytest.raises(ArtifactError, match="the item 'odd' cannot be kept in a file"):
        program.save(tmp_path / "odd.json")


def test_contents_that_are_on_offer_but_not_used_are_not_written(compiled: CompiledProgram, tmp_path: Path) -> None:
    part = compiled.tasks["shop"]
    offered = {node: {**mine, "rows-2": "not used"} for node, mine in part.view.offered.items()}
    view = dataclasses.replace(part.view, offered=offered)
    program = compiled._copy({"shop": CompiledTask(view, part.description, part.mixtures)}, compiled.models)
    program.save(tmp_path / "offered.json")
    assert "not used" not in (tmp_path / "offered.json").read_text(encoding="utf-8")
    assert fp.load(tmp_path / "offered.json").prompt("shop", node="triage") == compiled.prompt("shop", node="triage")
