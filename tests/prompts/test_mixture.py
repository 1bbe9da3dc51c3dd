"""Mixtures by example."""

from __future__ import annotations

import pytest

from fusionprog.prompts.items import FACETS, Content, DemoSet, Facet, Fragment, Item
from fusionprog.prompts.mixture import CAPS, Mixture, mix, smallest_prefix, softmax

ALL_OPEN: dict[Facet, float] = dict.fromkeys(FACETS, 1.0)


def mixed(
    items: list[Item],
    effects: dict[str, float],
    *,
    temperature: float = 1.0,
    gates: dict[Facet, float] | None = None,
    costs: dict[str, float] | None = None,
) -> Mixture:
    """The mixture of items that are all on offer."""
    offered: dict[str, Content] = {
        item.id: item.demos if isinstance(item, DemoSet) else f"say {item.id}" for item in items
    }
    by_id = {item.id: item for item in items}
    return mix(by_id, offered, effects, costs or {}, temperature, ALL_OPEN if gates is None else gates)


def hints(*ids: str, **links: tuple[str, ...]) -> list[Item]:
    """Hints; ``links`` gives one of them requirements."""
    return [Fragment(each, "t", facet="hint", requires=links.get(each, ())) for each in ids]


def used(mixture: Mixture) -> list[str]:
    """The items in the prompt, facet by facet."""
    return [each.id for facet in FACETS for each in mixture.chosen(facet)]


def demo_set(key: str, count: int, *, pinned: bool = False) -> DemoSet:
    """A set of so many demonstrations."""
    return DemoSet(key, [{"question": key, "answer": str(row)} for row in range(count)], node="n", pinned=pinned)


def test_the_caps_are_those_of_the_design() -> None:
    assert dict(CAPS) == {"role": 1, "instruction": 3, "pattern": 1, "hint": 3, "constraint": 4, "demos": 16}


def test_softmax_of_nothing_is_nothing_and_of_large_values_is_finite() -> None:
    assert softmax([], 1.0) == []
    assert softmax([1e6, 0.0], 1e-9) == [1.0, 0.0]
    assert softmax([3.0, 3.0], 1e-9) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("weights", "count"), [([], 0), ([1.0], 1), ([0.9, 0.1], 1), ([0.89, 0.11], 2), ([0.3, 0.3, 0.3, 0.1], 3)]
)
def test_smallest_prefix(weights: list[float], count: int) -> None:
    assert smallest_prefix(weights) == count


@pytest.mark.parametrize(
    ("facet", "gate", "count"),
    [
        ("hint", 1 / 3, 1),
        ("hint", 2 / 3, 2),
        ("hint", 0.666667, 2),  # as an artifact has it
        ("hint", 0.67, 3),
        ("constraint", 0.25, 1),
        ("constraint", 0.3, 2),
        ("role", 0.01, 1),
        ("instruction", 0.0, 0),
    ],
)
def test_a_gate_lets_its_share_of_the_cap_through(facet: Facet, gate: float, count: int) -> None:
    items: list[Item] = [Fragment(f"item-{index}", "t", facet=facet) for index in range(6)]
    mixture = mixed(items, {item.id: 1.0 for item in items}, temperature=100.0, gates={facet: gate})
    assert used(mixture) == [f"item-{index}" for index in range(count)]


def test_equal_effects_are_taken_in_the_order_of_their_ids() -> None:
    mixture = mixed(hints("d", "b", "a", "c"), dict.fromkeys("abcd", 0.5), gates={"hint": 1 / 3})
    assert used(mixture) == ["a"]
    assert {each.weight for each in mixture.facets["hint"]} == {0.25}


def test_an_effect_equal_to_its_cost_keeps_the_gate_closed() -> None:
    mixture = mixed(hints("a", "b"), {"a": 0.02, "b": 0.02}, costs={"a": 0.02, "b": 0.01})
    assert used(mixture) == ["b"]


def test_a_pinned_item_stays_at_the_worst_effect_beside_a_conflict_and_without_its_requirement() -> None:
    items: list[Item] = [
        Fragment("house", "t", facet="hint", pinned=True, requires=["gone"], conflicts=["rival"]),
        Fragment("rival", "t", facet="role"),
    ]
    assert used(mixed(items, {"house": -1.0, "rival": 1.0})) == ["house"]


def test_a_requirement_that_is_shut_or_not_there_keeps_an_item_out() -> None:
    items = hints("a", "b", a=("b",), b=("c",))
    assert used(mixed(items, {"a": 1.0, "b": 0.5})) == []
    assert used(mixed([*items, *hints("c")], {"a": 1.0, "b": 0.5, "c": 0.25}, temperature=100.0)) == ["a", "b", "c"]


def test_a_requirement_must_be_in_the_prompt_and_not_only_open() -> None:
    items: list[Item] = [Fragment("follow", "t", facet="instruction", requires=["rare"]), *hints("top", "rare")]
    effects = {"follow": 1.0, "top": 1.0, "rare": 0.01}
    cold = mixed(items, effects, temperature=0.01)
    assert used(cold) == ["top"]
    assert [each.open for each in cold.facets["instruction"]] == [False]
    assert used(mixed(items, effects, temperature=100.0)) == ["follow", "top", "rare"]


def test_an_item_may_require_demonstrations() -> None:
    items: list[Item] = [Fragment("follow", "t", facet="instruction", requires=["shots"]), demo_set("shots", 2)]
    effects = {"follow": 1.0, "shots": 0.5}
    assert used(mixed(items, effects)) == ["follow", "shots"]
    assert used(mixed(items, effects, gates={"instruction": 1.0})) == []


def test_of_two_that_conflict_the_heavier_stays_whoever_says_so() -> None:
    for speaker in ("long", "short"):
        items: list[Item] = [
            Fragment(key, "t", facet="constraint", conflicts=["long", "short"] if key == speaker else [])
            for key in ("long", "short")
        ]
        assert used(mixed(items, {"long": 0.4, "short": 0.5})) == ["short"]
        assert used(mixed(items, {"long": 0.6, "short": 0.5})) == ["long"]


def test_an_item_without_its_requirement_pushes_nothing_out() -> None:
    items: list[Item] = [
        Fragment("heavy", "t", facet="hint", requires=["gone"], conflicts=["light"]),
        Fragment("light", "t", facet="hint"),
    ]
    assert used(mixed(items, {"heavy": 1.0, "light": 0.5})) == ["light"]


def test_an_item_may_require_a_pinned_one_whatever_its_effect() -> None:
    items: list[Item] = [
        Fragment("house", "t", facet="hint", pinned=True),
        Fragment("more", "t", facet="hint", requires=["house"]),
    ]
    assert used(mixed(items, {"house": -1.0, "more": 0.5})) == ["more", "house"]


def test_an_item_whose_requirement_lacks_its_own_pushes_nothing_out() -> None:
    items: list[Item] = [
        Fragment("heavy", "t", facet="hint", requires=["middle"], conflicts=["light"]),
        Fragment("middle", "t", facet="hint", requires=["gone"]),
        Fragment("light", "t", facet="hint"),
    ]
    assert used(mixed(items, {"heavy": 1.0, "middle": 0.75, "light": 0.5})) == ["light"]


def test_an_item_whose_requirement_loses_a_conflict_takes_no_room() -> None:
    items: list[Item] = [
        Fragment("winner", "t", facet="role", conflicts=["loser"]),
        Fragment("loser", "t", facet="role"),
        Fragment("heavy", "t", facet="pattern", requires=["loser"]),
        Fragment("light", "t", facet="pattern"),
        Fragment("follow", "t", facet="constraint", requires=["light"]),
    ]
    effects = {"winner": 1.0, "loser": 0.75, "heavy": 0.75, "light": 0.5, "follow": 0.5}
    assert used(mixed(items, effects)) == ["winner", "light", "follow"]


def test_demonstrations_are_shared_out_by_weight() -> None:
    items: list[Item] = [demo_set("few", 2), demo_set("many", 30), demo_set("more", 30)]
    effects = {"few": 0.5, "many": 0.5, "more": 0.5}
    mixture = mixed(items, effects)
    assert {each.id: each.amount for each in mixture.chosen("demos")} == {"few": 2, "many": 7, "more": 7}
    quarter = mixed(items, effects, gates={"demos": 0.25})
    assert {each.id: each.amount for each in quarter.chosen("demos")} == {"few": 2, "many": 1, "more": 1}


def test_near_temperature_zero_the_best_demonstrations_fill_the_room() -> None:
    mixture = mixed([demo_set("best", 30), demo_set("good", 30)], {"best": 0.6, "good": 0.5}, temperature=0.01)
    assert {each.id: each.amount for each in mixture.chosen("demos")} == {"best": 16}


def test_a_pinned_set_shows_all_its_demonstrations_at_a_closed_gate() -> None:
    mixture = mixed([demo_set("house", 3, pinned=True), demo_set("other", 3)], {"other": 1.0}, gates={})
    assert {each.id: each.amount for each in mixture.chosen("demos")} == {"house": 3}


def test_an_empty_pool_makes_an_empty_mixture() -> None:
    mixture = mixed([], {})
    assert mixture.facets == {facet: () for facet in FACETS}
    assert mixture.gates == ALL_OPEN


def test_a_facet_that_is_not_named_chooses_nothing() -> None:
    assert Mixture({}, {}).chosen("hint") == ()
