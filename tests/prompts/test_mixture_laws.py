"""Mixtures as laws: what holds for every pool, every effect and every gate."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fusionprog.prompts.items import FACETS, TEXT_FACETS, Content, DemoSet, Facet, Fragment, Item
from fusionprog.prompts.mixture import CAPS, MASS, Mixture, Weighted, mix

LAW = settings(deadline=None, max_examples=50, derandomize=True)
ALL_OPEN: dict[Facet, float] = dict.fromkeys(FACETS, 1.0)


@dataclass(frozen=True)
class Case:
    """All that a mixture is made of."""

    items: Mapping[str, Item]
    effects: Mapping[str, float]
    costs: Mapping[str, float]
    temperature: float
    gates: Mapping[Facet, float]

    @property
    def offered(self) -> dict[str, Content]:
        return {key: content(item) for key, item in self.items.items()}

    @property
    def pinned(self) -> set[str]:
        return {key for key, item in self.items.items() if item.pinned}

    def mix(self) -> Mixture:
        return mix(self.items, self.offered, self.effects, self.costs, self.temperature, self.gates)

    def helps(self, key: str) -> bool:
        return self.effects.get(key, 0.0) > self.costs.get(key, 0.0)

    def spread(self) -> float:
        values = [self.effects.get(key, 0.0) for key in self.items]
        mean = sum(values) / len(values)
        return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)) or 1.0


def content(item: Item) -> Content:
    """What an item offers here."""
    return item.demos if isinstance(item, DemoSet) else f"say {item.id}"


def every(mixture: Mixture) -> list[Weighted]:
    """All items of a mixture."""
    return [each for mine in mixture.facets.values() for each in mine]


def used(mixture: Mixture) -> set[str]:
    """The items that are in the prompt."""
    return {each.id for facet in FACETS for each in mixture.chosen(facet)}


_EFFECTS = st.integers(-3, 8).map(lambda tenths: tenths / 10)
_GATES = st.one_of(st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), st.integers(1, 99).map(lambda percent: percent / 100))


@st.composite
def cases(draw: st.DrawFn, linked: bool = True, pins: bool = True, texts_only: bool = False) -> Case:
    """Pools of up to ten items with effects that often tie, and any gates, costs and temperature."""
    keys = [f"item-{index}" for index in draw(st.permutations(range(draw(st.integers(0, 10)))))]
    names = st.lists(st.sampled_from(keys), max_size=2, unique=True) if keys and linked else st.just([])
    facets = draw(st.lists(st.sampled_from(TEXT_FACETS if texts_only else FACETS), min_size=1, max_size=3))
    items: dict[str, Item] = {}
    for key in keys:
        facet = draw(st.sampled_from(facets))
        pinned = pins and draw(st.integers(0, 5)) == 0
        if facet == "demos":
            rows = [{"question": key, "answer": str(row)} for row in range(draw(st.integers(1, 6)))]
            items[key] = DemoSet(key, rows, node="n", pinned=pinned)
        else:
            text = content(Fragment(key, "t", facet=facet))
            assert isinstance(text, str)
            items[key] = Fragment(key, text, facet=facet, pinned=pinned, requires=draw(names), conflicts=draw(names))
    gates = {facet: draw(_GATES) for facet in facets if draw(st.integers(0, 7))}
    effects = {key: draw(_EFFECTS) for key in keys if draw(st.booleans()) or linked}
    costs = {key: draw(st.sampled_from([0.0, 0.125, -0.125])) for key in keys if draw(st.booleans())}
    return Case(items, effects, costs, draw(st.floats(0.02, 5.0)), gates)


@LAW
@given(cases())
def test_weights_are_on_the_simplex_of_the_open_items(case: Case) -> None:
    for mine in case.mix().facets.values():
        opened = [each for each in mine if each.open]
        assert all(0.0 <= each.weight <= 1.0 for each in mine)
        assert all(each.weight == 0.0 for each in mine if not each.open)
        if opened:
            assert abs(sum(each.weight for each in opened) - 1.0) <= 1e-4 * len(opened)


@LAW
@given(cases())
def test_every_item_stands_once_under_its_facet_heaviest_first_and_ties_by_id(case: Case) -> None:
    mixture = case.mix()
    assert sorted(each.id for each in every(mixture)) == sorted(case.items)
    for facet, mine in mixture.facets.items():
        assert {case.items[each.id].facet for each in mine} <= {facet}
        assert [each.id for each in mine] == sorted(
            (each.id for each in mine), key=lambda key: (-case.effects.get(key, 0.0), key)
        )
        weights = [each.weight for each in mine if each.open]
        assert weights == sorted(weights, reverse=True)


@LAW
@given(cases())
def test_a_gate_of_zero_closes_a_facet_but_for_pinned_items(case: Case) -> None:
    shut = replace(case, gates={})
    assert used(shut.mix()) == case.pinned
    for facet in FACETS:
        mixture = replace(case, gates={**case.gates, facet: 0.0}).mix()
        for each in mixture.facets[facet]:
            assert each.open == (each.amount > 0) == case.items[each.id].pinned


@LAW
@given(cases())
def test_no_facet_takes_more_than_its_gate_lets_through(case: Case) -> None:
    for facet, mine in case.mix().facets.items():
        room = math.ceil(case.gates.get(facet, 0.0) * CAPS[facet])
        assert sum(each.amount for each in mine if each.id not in case.pinned) <= room


@LAW
@given(cases())
def test_an_item_is_used_once_or_as_often_as_it_has_demonstrations(case: Case) -> None:
    for each in every(case.mix()):
        made = case.offered[each.id]
        assert 0 <= each.amount <= (1 if isinstance(made, str) else len(made))


@LAW
@given(cases())
def test_pinned_items_are_always_in_and_whole(case: Case) -> None:
    for each in every(case.mix()):
        if each.id in case.pinned:
            made = case.offered[each.id]
            assert each.open
            assert each.amount == (1 if isinstance(made, str) else len(made))


@LAW
@given(cases())
def test_an_item_is_open_only_where_its_effect_is_worth_its_cost(case: Case) -> None:
    for each in every(case.mix()):
        assert each.open <= (case.helps(each.id) or each.id in case.pinned)
        assert (each.amount > 0) <= each.open


@LAW
@given(cases())
def test_requirements_and_conflicts_hold_among_the_items_that_are_used(case: Case) -> None:
    chosen = used(case.mix())
    for key in chosen - case.pinned:
        item = case.items[key]
        assert set(item.requires) <= chosen
        assert not (set(item.conflicts) - {key}) & chosen
    for key in chosen & case.pinned:
        assert (set(case.items[key].conflicts) - {key}) & chosen <= case.pinned


@LAW
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_pool_changes_nothing(case: Case, draw: random.Random) -> None:
    keys = list(case.items)
    draw.shuffle(keys)
    shuffled = replace(
        case,
        items={key: case.items[key] for key in keys},
        effects=dict(sorted(case.effects.items(), reverse=True)),
        gates={facet: case.gates[facet] for facet in reversed(FACETS) if facet in case.gates},
    )
    assert shuffled.mix() == case.mix()


@LAW
@given(cases(linked=False))
def test_without_links_exactly_the_helpful_items_of_open_facets_are_open(case: Case) -> None:
    for facet, mine in case.mix().facets.items():
        for each in mine:
            helps = case.helps(each.id) and case.gates.get(facet, 0.0) > 0.0
            assert each.open == (helps or each.id in case.pinned)


@LAW
@given(cases(linked=False, pins=False, texts_only=True))
def test_texts_are_the_smallest_prefix_that_reaches_the_mass(case: Case) -> None:
    assume(case.items)
    spread = case.spread()
    for facet, mine in case.mix().facets.items():
        opened = [each for each in mine if each.open]
        raw = [math.exp((each.effect - opened[0].effect) / spread / case.temperature) for each in opened]
        weights = [each / sum(raw) for each in raw]
        reached = [sum(weights[: count + 1]) for count in range(len(weights))]
        assume(all(abs(each - MASS) > 1e-6 for each in reached))
        prefix = next((count for count, each in enumerate(reached, start=1) if each >= MASS), 0)
        room = math.ceil(case.gates.get(facet, 0.0) * CAPS[facet])
        assert [each.id for each in mine if each.amount] == [each.id for each in opened[: min(prefix, room)]]
        for each, weight in zip(opened, weights, strict=True):
            assert abs(each.weight - weight) <= 1e-4


@LAW
@given(cases(linked=False, pins=False, texts_only=True))
def test_near_temperature_zero_the_best_item_stands_alone(case: Case) -> None:
    cold = replace(case, temperature=1e-6, gates=ALL_OPEN, effects=_distinct(case)).mix()
    for mine in cold.facets.values():
        opened = [each for each in mine if each.open]
        assert [each.id for each in mine if each.amount] == [each.id for each in opened[:1]]
        assert [each.weight for each in opened] == [1.0, *[0.0] * (len(opened) - 1)][: len(opened)]


@LAW
@given(cases(linked=False, pins=False, texts_only=True))
def test_at_a_high_temperature_all_open_items_weigh_alike(case: Case) -> None:
    hot = replace(case, temperature=1e9, gates=ALL_OPEN).mix()
    for facet, mine in hot.facets.items():
        opened = [each for each in mine if each.open]
        assert {each.weight for each in opened} <= {round(1 / len(opened), 4) if opened else 0.0}
        assert [each.id for each in mine if each.amount] == [each.id for each in opened[: CAPS[facet]]]


@LAW
@given(cases(), st.sampled_from([0.25, 2.0, 8.0]))
def test_only_effects_in_units_of_their_spread_count(case: Case, factor: float) -> None:
    assume(len(set(case.effects.get(key, 0.0) for key in case.items)) > 1)
    scaled = replace(
        case,
        effects={key: factor * value for key, value in case.effects.items()},
        costs={key: factor * value for key, value in case.costs.items()},
    )
    before, after = every(case.mix()), every(scaled.mix())
    assert [(each.id, each.weight, each.amount) for each in before] == [
        (each.id, each.weight, each.amount) for each in after
    ]


@LAW
@given(cases(linked=False))
def test_an_item_that_is_not_offered_is_nowhere(case: Case) -> None:
    assume(case.items)
    gone = next(iter(case.items))
    offered = {key: each for key, each in case.offered.items() if key != gone}
    mixture = mix(case.items, offered, case.effects, case.costs, case.temperature, case.gates)
    assert sorted(each.id for each in every(mixture)) == sorted(offered)


def _distinct(case: Case) -> dict[str, float]:
    """The effects moved apart, so that none ties."""
    return {key: case.effects.get(key, 0.0) + index / 1000 for index, key in enumerate(sorted(case.items))}
