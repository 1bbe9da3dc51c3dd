"""Items beside each other: what is open is a local optimum of the sum of effects."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.prompts.items import Fragment, Item
from fusionprog.prompts.pairs import with_partners
from fusionprog.prompts.schedule import NodeSettings, Schedule

KEYS = tuple("abcde")


@st.composite
def landscapes(draw: st.DrawFn) -> tuple[Any, Any, dict[str, dict[str, float]]]:
    numbers = st.floats(-0.3, 0.3).map(lambda value: round(value, 3))
    effects = np.array(draw(st.lists(numbers, min_size=5, max_size=5)))
    costs = np.abs(np.array(draw(st.lists(numbers, min_size=5, max_size=5)))) / 10
    pairs: dict[str, dict[str, float]] = {}
    for one, other in draw(st.lists(st.sampled_from(list(itertools.combinations(KEYS, 2))), unique=True, max_size=6)):
        pairs.setdefault(one, {})[other] = draw(numbers)
    return effects, costs, pairs


def worth(chosen: Any, effects: Any, costs: Any, pairs: dict[str, dict[str, float]]) -> float:
    total = float(((effects - costs) * chosen).sum())
    return total + sum(  # type: ignore[no-any-return]
        effect * chosen[KEYS.index(one)] * chosen[KEYS.index(other)]
        for one, others in pairs.items()
        for other, effect in others.items()
    )


@given(landscapes())
def test_no_single_change_makes_it_better(landscape: tuple[Any, Any, dict[str, dict[str, float]]]) -> None:
    effects, costs, pairs = landscape
    beside = with_partners(KEYS, effects, costs, pairs)
    is_open = (beside > costs).astype(float)
    now = worth(is_open, effects, costs, pairs)
    assert now >= worth((effects > costs).astype(float), effects, costs, pairs) - 1e-9
    for place in range(len(KEYS)):
        changed = is_open.copy()
        changed[place] = 1.0 - changed[place]
        assert worth(changed, effects, costs, pairs) <= now + 1e-9
        gain = worth(np.maximum(is_open, changed), effects, costs, pairs)
        lost = worth(np.minimum(is_open, changed), effects, costs, pairs)
        assert beside[place] - costs[place] == pytest.approx(gain - lost, abs=1e-8)


def test_without_pairs_effects_are_as_they_are() -> None:
    effects = np.array([0.1, -0.2])
    assert with_partners(("a", "b"), effects, np.zeros(2), {"x": {"y": 1.0}}) is effects


def test_a_schedule_opens_what_works_together_and_shuts_what_does_not() -> None:
    items: dict[str, Item] = {key: Fragment(key, f"Text {key}.", facet="hint") for key in "abc"}
    settings = {"n": NodeSettings(3.0, {"hint": 1.0})}

    def opened(pairs: dict[str, dict[str, float]]) -> set[str]:
        schedule = Schedule(everywhere={"a": 0.1, "b": -0.02, "c": 0.05}, pairs={"n": pairs}, nodes=settings)
        offered = {key: f"Text {key}." for key in "abc"}
        mixture = schedule.mixture("n", "t", (), items, offered)
        return {each.id for each in mixture.chosen("hint")}

    assert opened({}) == {"a", "c"}
    assert opened({"a": {"b": 0.1}}) == {"a", "b", "c"}
    assert opened({"a": {"c": -0.2}}) == {"a"}
