"""Laws of the random faults."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.testing import Fault, Faults
from fusionprog.testing.scenario import Scenario

FAULTS = list(Fault)


@st.composite
def some_faults(draw: st.DrawFn) -> Faults:
    """Faults with arbitrary shares that sum up to at most 1."""
    parts = draw(st.lists(st.integers(0, 10), min_size=len(FAULTS), max_size=len(FAULTS)))
    whole = sum(parts) + draw(st.integers(1, 20))
    shares: Any = {fault.value: part / whole for fault, part in zip(FAULTS, parts, strict=True)}
    return Faults(
        seed=draw(st.integers(0, 3)),
        at_most=draw(st.sampled_from([0, 1, 2, 5])),
        jitter=draw(st.floats(0, 9)),
        **shares,
    )


def decide(scenario: Scenario, key: str, repeat: int) -> Fault | None:
    return scenario.decide(key, repeat, lambda: "").fault


@given(some_faults(), st.text(max_size=5))
def test_no_content_fails_more_often_in_a_row_than_allowed(faults: Faults, key: str) -> None:
    scenario, in_a_row = Scenario(faults), 0
    for repeat in range(30):
        in_a_row = in_a_row + 1 if decide(scenario, key, repeat) else 0
        assert faults.at_most is not None and in_a_row <= faults.at_most


@given(some_faults(), st.permutations([key for key in "abcde" for _ in range(4)]))
def test_what_a_content_gets_does_not_depend_on_the_others(faults: Faults, order: list[str]) -> None:
    scenario, asked = Scenario(faults), Counter[str]()
    together: dict[str, list[Fault | None]] = {key: [] for key in "abcde"}
    for key in order:
        together[key].append(decide(scenario, key, asked[key]))
        asked[key] += 1
    for key, got in together.items():
        alone = Scenario(faults)
        assert got == [decide(alone, key, repeat) for repeat in range(4)]


@given(some_faults(), st.text(max_size=5), st.integers(0, 5))
def test_waits_lie_between_latency_and_latency_plus_jitter(faults: Faults, key: str, repeat: int) -> None:
    _, wait = faults.draw(key, repeat)
    assert 0 <= wait <= faults.jitter
    assert faults.draw(key, repeat)[1] == wait


@pytest.mark.parametrize("fault", FAULTS)
def test_a_share_is_a_share(fault: Fault) -> None:
    share: Any = {fault.value: 0.25}
    drawn = Counter(Faults(**share).draw(f"content {place}", 0)[0] for place in range(2000))
    assert set(drawn) == {fault, None}
    assert 400 < drawn[fault] < 600


def test_all_shares_are_kept_at_once() -> None:
    shares: Any = dict.fromkeys([fault.value for fault in FAULTS], 1 / len(FAULTS))
    drawn = Counter(Faults(**shares).draw(f"content {place}", 0)[0] for place in range(4000))
    assert all(400 < drawn[fault] < 600 for fault in FAULTS)


def test_a_seed_is_another_draw() -> None:
    draws = [[Faults(seed=seed, cut=0.5).draw(f"{place}", 0)[0] for place in range(50)] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"latency": -1}, "latency"),
        ({"jitter": -0.1}, "jitter"),
        ({"token_latency": -0.1}, "token_latency"),
        ({"cut": 1.1}, "shares"),
        ({"cut": -0.1}, "shares"),
        ({"cut": 0.6, "hang": 0.6}, "cut=0.6"),
        ({"at_most": -1}, "at_most"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Faults(**wrong)
