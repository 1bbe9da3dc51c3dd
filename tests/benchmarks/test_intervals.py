"""What the benchmark of intervals takes for true, and how it counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from search.intervals import LANDSCAPES, STRONG, Said, quality, said_of, true_effect
from search.landscape import Landscape

PLAIN = replace(STRONG, shared=0.02, own=0.01, distraction=0.0)


def test_where_effects_add_up_a_fragment_does_the_same_to_all_prompts() -> None:
    landscape = Landscape(PLAIN, 3)
    task, (node,) = next(iter(landscape.cards)), landscape.nodes
    one, other, *_ = landscape.fragments
    alone = landscape.chance(task, node, frozenset({one})) - landscape.chance(task, node, frozenset())
    for shown in ({frozenset[str](): 1}, {frozenset({other}): 3, frozenset({one, other}): 1}):
        assert true_effect(landscape, task, node, one, shown) == pytest.approx(alone)


def test_prompts_count_by_how_many_there_are() -> None:
    landscape = Landscape(replace(PLAIN, pairs=28, pair=0.1), 3)
    task, (node,) = next(iter(landscape.cards)), landscape.nodes
    one, other, *_ = landscape.fragments
    bare, both = ({frozenset[str](): 1}, {frozenset({other}): 1})
    apart = [true_effect(landscape, task, node, one, each) for each in (bare, both)]
    assert apart[0] != pytest.approx(apart[1])
    mixed = true_effect(landscape, task, node, one, {frozenset[str](): 3, frozenset({other}): 1})
    assert mixed == pytest.approx((3 * apart[0] + apart[1]) / 4)


def test_an_interval_is_twice_the_standard_error_to_both_sides() -> None:
    found = quality([Said(0.1, 0.1, 0.01), Said(0.1, 0.13, 0.01), Said(0.0, -0.01, 0.01), Said(0.0, 0.0, 0.03)])
    assert (found.effects, found.held) == (4, 0.75)
    assert found.bias == pytest.approx(0.005)
    assert found.error == pytest.approx(((0.03**2 + 0.01**2) / 4) ** 0.5)
    assert found.se == pytest.approx(0.015)


def test_all_effects_of_a_compile_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LANDSCAPES, "small", replace(STRONG, tasks=2, items=4))
    said = said_of("small", 60, 0)
    assert len(said) == 2 * 4
    assert all(each.se > 0 for each in said)
