"""What was learned, in the artifact: read back as it was, about this program's tasks alone, and checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.artifacts.learned_codec import decode_learned, learned_spec
from fusionprog.artifacts.rounding import rounded
from fusionprog.errors import ArtifactError, CallError
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.learned import Effect, Learned, Point, Shared, SharedEffect

Write = Callable[[Path, dict[str, Any]], Path]

names = st.sampled_from(["a", "b", "ü"])
floats = st.floats(-1e6, 1e6).map(rounded)
counts = st.integers(0, 10**9)
effects = st.builds(Effect, floats, floats.map(abs), counts)
nested = st.dictionaries(names, st.dictionaries(names, st.dictionaries(names, effects)))
along = st.lists(floats.map(abs), max_size=2).map(tuple)
shared = st.builds(SharedEffect, floats, floats.map(abs), along, along).filter(
    lambda each: len(each.along) == len(each.along_se)
)
learned = st.builds(
    Learned,
    method=st.sampled_from(["posterior", "comparison"]),
    effects=nested,
    settings=nested,
    importance=st.dictionaries(names, st.floats(0, 1).map(rounded)),
    curve=st.lists(st.builds(Point, counts, counts, floats, st.none() | floats, counts), max_size=64).map(tuple),
    shared=st.none()
    | st.builds(
        Shared, floats.map(abs), st.dictionaries(names, st.dictionaries(names, shared, max_size=2), max_size=2)
    ),
    sources=st.dictionaries(names, st.floats(0, 1).map(rounded)),
)


@given(learned)
def test_what_was_learned_is_read_back(value: Learned) -> None:
    spec = learned_spec(value, "abü")
    assert decode_learned(spec, "abü", "abü", "abü", 2) == value
    again = type(spec).model_validate(json.loads(spec.model_dump_json(exclude_defaults=True)))
    assert again == spec


def test_a_compile_leaves_what_it_learned(compiled: CompiledProgram, artifact: Path) -> None:
    assert compiled.record.learned is not None and compiled.record.learned.curve
    loaded = fp.load(artifact)
    assert loaded.record.learned == compiled.record.learned
    one, other = compiled.record.break_even, loaded.record.break_even
    assert one is not None and other is not None
    assert asdict(other) == {
        name: value if name == "unit" else pytest.approx(value, abs=1e-5) for name, value in asdict(one).items()
    }


def told(compiled: CompiledProgram) -> CompiledProgram:
    """The program with an effect in every task."""
    program = compiled._copy(compiled.tasks, compiled.models)
    effect = {"triage": {"role": Effect(0.25, 0.125, 40)}}
    program.record = replace(compiled.record, learned=Learned("posterior", dict.fromkeys(compiled.tasks, effect)))
    return program


def test_what_was_learned_of_one_task_stays_out_of_the_file_of_another(
    compiled: CompiledProgram, tmp_path: Path
) -> None:
    program = told(compiled)
    program["shop"].save(tmp_path / "shop.json")
    found = fp.load(tmp_path / "shop.json").record.learned
    assert found is not None and set(found.effects) == {"shop"}
    assert set(program["shop"].interference().cosine) == {"shop"}
    assert set(program.interference().cosine) == set(compiled.tasks)


def test_a_program_without_it_has_no_interference(compiled: CompiledProgram, tmp_path: Path) -> None:
    program = compiled._copy(compiled.tasks, compiled.models)
    program.record = replace(compiled.record, learned=None)
    program.save(tmp_path / "none.json")
    assert "learned" not in json.loads((tmp_path / "none.json").read_text(encoding="utf-8"))
    assert fp.load(tmp_path / "none.json").record.learned is None
    with pytest.raises(CallError, match="nothing was learned about items"):
        program.interference()


EFFECT = {"effect": 0.1, "se": 0.1, "n": 1}
WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a task": (lambda d: d.update(effects={"shp": {"triage": {"role": EFFECT}}}), "'shp'.*no task"),
    "a node": (lambda d: d.update(effects={"shop": {"triag": {"role": EFFECT}}}), "'triag'.*no node"),
    "an item": (lambda d: d.update(effects={"shop": {"triage": {"rle": EFFECT}}}), "'rle'.*no item"),
    "a node of settings": (lambda d: d.update(settings={"x": {}}), "'x'.*no node"),
    "a method": (lambda d: d.update(method="guess"), "not sound"),
    "an error below 0": (
        lambda d: d.update(effects={"shop": {"triage": {"role": {**EFFECT, "se": -1.0}}}}),
        "not sound",
    ),
    "a count below 0": (lambda d: d.update(effects={"shop": {"triage": {"role": {**EFFECT, "n": -1}}}}), "not sound"),
    "an unknown field": (lambda d: d.update(effects={"shop": {"triage": {"role": {**EFFECT, "p": 1}}}}), "not sound"),
    "a share above 1": (lambda d: d.update(importance={"a": 2.0}), "not sound"),
    "too many shares": (lambda d: d.update(importance={str(n): 0.01 for n in range(65)}), "not sound"),
    "a long curve": (lambda d: d.update(curve=[{"trials": 0, "calls": 0, "score": 0.0}] * 65), "not sound"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_about_something_else_is_refused(name: str, data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    change, message = WRONG[name]
    change(data["learned"])
    with pytest.raises(ArtifactError, match=message):
        fp.load(write(tmp_path / "wrong.json", data))
