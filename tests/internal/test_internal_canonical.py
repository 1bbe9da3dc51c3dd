"""Canonical JSON: one text for equal values, the same in every process, and no silent loss."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog._internal.canonical import canonical_json, digest, jsonable, seed_of


class Team(enum.Enum):
    CARDS = "cards"


class Word(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    LOW = 1


class Invoice(pydantic.BaseModel):
    number: int
    due: datetime.date


@dataclasses.dataclass
class Point:
    x: float


class Text(str):
    pass


class Plain:
    """Its text is its address."""


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
SCALARS = SCALARS.filter(lambda value: not isinstance(value, str) or value.isprintable())
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("abcé \n", max_size=4), inner))


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@settings(deadline=None, max_examples=60)
@given(JSON)
def test_equal_values_have_one_digest_whatever_the_order_of_their_keys(value: Any) -> None:
    assert digest(reordered(value)) == digest(value)


@settings(deadline=None, max_examples=60)
@given(JSON)
def test_canonical_json_loses_nothing(value: Any) -> None:
    text = canonical_json(value)

    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_values_that_only_look_alike_have_different_digests() -> None:
    values: list[Any] = ["", None, "null", 0, False, "0", 0.0, [], {}, [0], ["0"], {"0": 0}, {"0": "0"}, [[]], "[]"]

    assert len({digest(value) for value in values}) == len(values)


GOLDEN: dict[str, Any] = {
    "b": [1, 2.5, None, True],
    "a": {"ü": '"x"'},
    "d": datetime.date(2026, 1, 2),
    "e": decimal.Decimal("1.50"),
    "s": {"b", "a"},
}


def test_the_text_and_the_digests_of_earlier_versions_still_hold() -> None:
    assert (
        canonical_json(GOLDEN) == r'{"a":{"ü":"\"x\""},"b":[1,2.5,null,true],"d":"2026-01-02","e":"1.50","s":["a","b"]}'
    )
    assert digest(GOLDEN) == "5bdb2480c4c09b752ebac2fbaab7cfe2"
    assert digest("") == "dd8a9e496bd8c69c5c77db4c77572fb0"
    assert digest({"team": "a", "message": "hi"}) == "410e66a083fa90d1d67a7c4c8a097f2c"
    assert digest([1], size=4) == "fba4610a"
    assert (seed_of(0, "shop", "triage"), seed_of(1, "shop", "triage")) == (516283360, 2469794545)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Team.CARDS, "cards"),
        (Word.YES, "yes"),
        (Level.LOW, 1),
        (Text("t"), "t"),
        (("a", 1), ["a", 1]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        (Invoice(number=1, due=datetime.date(2026, 1, 2)), {"number": 1, "due": "2026-01-02"}),
        (Point(1.5), {"x": 1.5}),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (b"text", "text"),
        (fractions.Fraction(1, 3), "1/3"),
        (np.int64(3), 3),
        (np.float64(1.5), 1.5),
        (np.bool_(True), True),
        (np.str_("s"), "s"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({"deep": [np.int64(3), Team.CARDS]}, {"deep": [3, "cards"]}),
        ({Word.YES: 1, 2: 3, datetime.date(2026, 1, 2): 4}, {"yes": 1, "2": 3, "2026-01-02": 4}),
        (Invoice, f"{__name__}.Invoice"),
    ],
)
def test_values_of_other_types_become_plain_data(value: Any, expected: Any) -> None:
    plain = jsonable(value)

    assert plain == expected
    assert type(plain) is type(expected)


@pytest.mark.parametrize("value", [Plain(), [Plain()], {"k": Plain()}, lambda: 1])
def test_what_would_differ_between_processes_has_no_digest(value: Any) -> None:
    with pytest.raises(TypeError, match="the same in every process"):
        digest(value)


def test_what_would_differ_between_processes_can_be_shown() -> None:
    value = Plain()

    assert jsonable({"k": [value]}) == {"k": [str(value)]}


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], np.float64("nan"), b"\xff", "\ud800"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        digest(value)


def test_keys_that_would_become_one_are_refused() -> None:
    with pytest.raises(ValueError, match="two keys"):
        jsonable({1: "a", "1": "b"})


def test_another_process_makes_the_same_digest_of_a_set() -> None:
    words = {"delivery", "billing", "technical", "cards", "loans"}
    code = f"from fusionprog._internal.canonical import digest; print(digest({words!r}))"
    made = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    ]

    assert made == [digest(words)] * 2


@pytest.mark.parametrize("size", [4, 8, 32])
def test_a_digest_has_two_characters_a_byte(size: int) -> None:
    assert len(digest("x", size=size)) == 2 * size


def test_a_seed_fits_into_32_bits_and_depends_on_every_part() -> None:
    seeds = {seed_of(first, second) for first in range(20) for second in "ab"}

    assert len(seeds) == 40
    assert all(0 <= seed < 2**32 for seed in seeds)
