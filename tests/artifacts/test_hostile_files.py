"""Whatever a file holds, loading it gives a program or an ``ArtifactError``: never anything else."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.artifacts.text import from_text
from fusionprog.errors import ArtifactError
from fusionprog.runtime.compiled import CompiledProgram

Write = Callable[[Path, dict[str, Any]], Path]
FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

WORDS = [
    "role",
    "triage",
    "panel.judge",
    "message",
    "team",
    "shop",
    "hint",
    "demos",
    "$ref",
    "#/$defs/Urgency",
    "offline",
]
NASTY = ["", " ", "../../etc/passwd", "<script>", "os.system", "__class__", "\x00", "\u2028", "a" * 1_000, "{x}", "$as"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*WORDS, *NASTY, 10**400, -1, 0, 1, 2])
    | st.text(max_size=6)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def load(path: Path) -> CompiledProgram | None:
    """Loads a file; ``None`` if it is refused as it should be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that another model was recorded
            return fp.load(path)
    except ArtifactError:
        return None


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def changed(data: dict[str, Any], place: tuple[Any, ...], how: str, value: Any) -> dict[str, Any]:
    *outer, last = place
    inside: Any = data
    for key in outer:
        inside = inside[key]
    if how == "replace":
        inside[last] = value
    elif how == "delete":
        del inside[last]
    elif how == "add":
        if isinstance(inside, list):
            inside.insert(last, value)
        else:
            inside[value if isinstance(value, str) else "more"] = inside[last]
    elif how == "wrap":
        inside[last] = [inside[last]]
    elif how == "repeat":
        inside[last] = inside[last] * 2 if isinstance(inside[last], (list, str)) else [inside[last], inside[last]]
    return data


@settings(max_examples=200, deadline=None, suppress_health_check=FIXTURES)
@given(content=st.dictionaries(st.text(max_size=8), values, max_size=4) | values)
def test_any_json_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError):
        fp.load(path)


@settings(max_examples=200, deadline=None, suppress_health_check=FIXTURES)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        fp.load(path)


@settings(max_examples=50, deadline=None, suppress_health_check=FIXTURES)
@given(
    part=st.sampled_from(["program", "lm", "pool", "tasks", "compile", "mixtures", "schedule", "scores", "embedding"]),
    where=st.floats(0, 1, exclude_max=True),
    how=st.sampled_from(["replace", "replace", "replace", "delete", "add", "wrap", "repeat"]),
    value=values,
)
def test_any_change_that_is_hashed_again_is_refused_or_sound(
    part: str,
    where: float,
    how: str,
    value: Any,
    fresh_data: Callable[[], dict[str, Any]],
    write: Write,
    tmp_path: Path,
) -> None:
    data = fresh_data()
    all_places = [place for place in places(data) if place[0] == part]
    place = all_places[int(where * len(all_places))]
    program = load(write(tmp_path / "changed.json", changed(data, place, how, value)))
    if program is not None:
        program.save(tmp_path / "first.json")
        again = load(tmp_path / "first.json")
        assert again is not None
        again.save(tmp_path / "second.json")
        assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def test_a_type_swap_is_refused_or_sound_at_every_place(
    fresh_data: Callable[[], dict[str, Any]], write: Write, tmp_path: Path
) -> None:
    """Every kind of place once: places that differ only in names and positions are of one kind."""
    seen: set[tuple[str, ...]] = set()
    refused = 0
    for place in places(fresh_data()):
        kind = tuple("#" if isinstance(key, int) else key for key in place)
        kind = tuple(key for key in kind if key not in ("shop", "bank-2.ö", "panel.judge", "panel.judge_2", "short"))
        if kind in seen or place[0] == "embedding" or len(kind) > 5:
            continue
        seen.add(kind)
        value: Any = (None, {"x": [1]}, [["x"]], 1e300)[len(seen) % 4]
        refused += load(write(tmp_path / "swapped.json", changed(fresh_data(), place, "replace", value))) is None
    assert len(seen) > 100
    assert refused > 100


def test_a_file_that_is_cut_off_is_refused_wherever_it_is_cut(artifact: Path, tmp_path: Path) -> None:
    content = artifact.read_bytes()
    draw = random.Random(0)
    signs = {
        sign: [index for index in range(len(content)) if content[index : index + 1] == sign]
        for sign in (b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b".", b"\n", b"\xc3", b"1", b"t", b"e")
    }
    cuts = {0, 1, len(content) // 2, len(content) - 2}
    for found in signs.values():
        for index in draw.sample(found, min(8, len(found))):
            cuts |= {index, index + 1}
    path = tmp_path / "cut.json"
    for cut in sorted(cuts - {len(content) - 1, len(content)}):
        path.write_bytes(content[:cut])
        with pytest.raises(ArtifactError, match=r"is no complete JSON file|cannot be read"):
            fp.load(path)


def says_the_same(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_a_flipped_byte_is_told(artifact: Path, tmp_path: Path) -> None:
    content = artifact.read_bytes()
    draw = random.Random(1)
    path = tmp_path / "flipped.json"
    told = 0
    for _ in range(150):
        at = draw.randrange(len(content))
        if content[at : at + 1].isspace():
            continue
        flipped = content[:at] + bytes([content[at] ^ (1 << draw.randrange(7))]) + content[at + 1 :]
        if says_the_same(flipped, content):  # 1e-05 and 1E-05
            continue
        path.write_bytes(flipped)
        with pytest.raises(ArtifactError):
            fp.load(path)
        told += 1
    assert told > 80


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":[', '[["x", "\\"[{", {"b": 1}, '])
@pytest.mark.parametrize("levels", [101, 1_000, 10_000, 200_000])
def test_depth_is_refused_before_it_costs_anything(opening: str, levels: int) -> None:
    with pytest.raises(ArtifactError, match="nested too deeply: expected at most 100 levels"):
        from_text(opening * levels, "the text")


def test_as_much_depth_as_is_allowed_is_read() -> None:
    assert from_text('{"a": ' + "[" * 99 + "]" * 99 + "}", "the text")["a"]
    with pytest.raises(ArtifactError, match="nested too deeply"):
        from_text('{"a": ' + "[" * 100 + "]" * 100 + "}", "the text")


def test_depth_is_refused_whatever_the_interpreter_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(ArtifactError, match="nested too deeply"):
            from_text("[" * 500_000 + "]" * 500_000, "the text")
    finally:
        sys.setrecursionlimit(before)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='[]{}",:\\ a1\n', max_size=60))
def test_strict_reading_agrees_with_json(content: str) -> None:
    """What is read is what ``json`` reads; what ``json`` refuses is refused."""
    try:
        expected = json.loads(content)
    except ValueError:
        expected = None
    try:
        found = from_text(content, "the text")
    except ArtifactError:
        assert not isinstance(expected, dict) or "twice" in refusal(content)
    else:
        assert found == expected


def refusal(content: str) -> str:
    with pytest.raises(ArtifactError) as caught:
        from_text(content, "the text")
    return str(caught.value)


def test_names_from_a_file_are_only_names(data: dict[str, Any], write: Write, tmp_path: Path) -> None:
    """Paths and markup in free texts are kept as they are: nothing is opened, and nothing is escaped."""
    text = "<script>alert(1)</script> ../../etc/passwd {0.__class__} %s $(reboot) `id`"
    data["program"]["name"] = text
    data["tasks"]["shop"]["domain"] = text
    data["tasks"]["shop"]["texts"]["triage"]["by-domain"] = [text]
    data["compile"]["reason"] = text
    loaded = fp.load(write(tmp_path / "names.json", data))
    assert text in loaded.prompt("shop", node="triage")[0]["content"]
    assert (loaded.graph.name, loaded.record.reason, loaded.tasks["shop"].view.domain) == (text, text, text)
    assert [path.name for path in tmp_path.iterdir()] == ["names.json"]
