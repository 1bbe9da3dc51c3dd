"""What is kept of findings: the strongest and the used, rounded; what folds found together; with and without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.runtime.learned import Effect
from fusionprog.search.findings import LEAST_ITEMS, MOST_IMPORTANT, MOST_ITEMS, Findings, Table, combined, kept
from fusionprog.search.marginals import Marginals


def table(means: Sequence[float], ses: Sequence[float], counts: Sequence[int] | None = None) -> Table:
    return Table(np.array(means), np.array(ses), np.array(counts or [10] * len(means)))


def findings(tables: Mapping[tuple[str, str], Table], **more: object) -> Findings:
    sizes = {node: len(each.mean) for (_, node), each in tables.items()}
    items = {node: [f"i{place:03}" for place in range(size)] for node, size in sizes.items()}
    settings = {"settings": {}, "importance": {}, **more}
    return Findings("posterior", items, tables, **settings)  # type: ignore[arg-type]


# What is kept.


def test_all_items_of_a_small_pool_are_kept_where_they_are_on_offer() -> None:
    found = findings({("t", "n"): table([0.1, -0.2], [0.05, 0.05]), ("u", "n"): table([0.1, 0.3], [math.inf, 0.1])})
    assert kept(found, [], {}).effects == {
        "t": {"n": {"i000": Effect(0.1, 0.05, 10), "i001": Effect(-0.2, 0.05, 10)}},
        "u": {"n": {"i001": Effect(0.3, 0.1, 10)}},
    }


def test_of_a_large_pool_the_used_and_the_strongest_are_kept_in_all_tasks() -> None:
    means = [0.001 * place for place in range(200)]
    found = findings({("t", "n"): table(means, [0.1] * 200), ("u", "n"): table([-0.05] * 200, [0.1] * 200)})
    effects = kept(found, [], {("u", "n"): {"i003", "i007"}}).effects
    strongest = [f"i{place:03}" for place in range(200 - MOST_ITEMS + 2, 200)]
    assert list(effects["t"]["n"]) == list(effects["u"]["n"]) == ["i003", "i007", *strongest]


def test_strength_counts_errors() -> None:
    means, ses = [0.2] * MOST_ITEMS + [0.1], [0.1] * MOST_ITEMS + [0.01]
    assert f"i{MOST_ITEMS:03}" in kept(findings({("t", "n"): table(means, ses)}), [], {}).effects["t"]["n"]


@pytest.mark.parametrize(("tasks", "nodes", "each"), [(10, 5, 64), (50, 20, 20), (100, 20, 10), (100, 40, 8)])
def test_many_tasks_and_nodes_leave_fewer_items_each(tasks: int, nodes: int, each: int) -> None:
    one = table(np.linspace(-1, 1, 100).tolist(), [0.1] * 100)
    found = findings({(f"t{task}", f"n{node}"): one for task in range(tasks) for node in range(nodes)})
    effects = kept(found, [], {}).effects
    assert {len(mine) for nodes_of in effects.values() for mine in nodes_of.values()} == {each}
    assert each >= LEAST_ITEMS


def test_importance_is_of_the_largest_and_rounded() -> None:
    shares = {f"p{place:03}": (place + 1) / 5050 for place in range(100)}
    learned = kept(findings({}, importance=shares), [], {})
    assert list(learned.importance) == [f"p{place:03}" for place in range(99, 99 - MOST_IMPORTANT, -1)]
    assert all(value == round(value, 5) for value in learned.importance.values())


# Folds together.


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=2, max_size=3))
def test_folds_are_averaged_by_their_precision(effects: list[tuple[float, float]]) -> None:
    found = combined([findings({("t", "n"): table([mean], [se], [3])}) for mean, se in effects])
    (pooled,) = found.effects.values()
    weights = [1 / se**2 for _, se in effects]
    expected = sum(weight * mean for weight, (mean, _) in zip(weights, effects, strict=True)) / sum(weights)
    assert pooled.mean[0] == pytest.approx(expected)
    assert pooled.se[0] == pytest.approx(sum(weights) ** -0.5)
    assert pooled.se[0] < min(se for _, se in effects)
    assert pooled.n[0] == 3 * len(effects)


def test_what_one_fold_knows_nothing_of_is_what_the_other_knows() -> None:
    one = findings({("t", "n"): table([0.0, 0.0], [math.inf, math.inf], [0, 0])}, importance={"a": 1.0})
    other = findings({("t", "n"): table([0.2, 0.0], [0.1, math.inf], [5, 0])}, importance={"a": 0.5, "b": 0.5})
    found = combined([one, other])
    (pooled,) = found.effects.values()
    assert pooled.mean.tolist() == pytest.approx([0.2, 0.0]) and pooled.se.tolist() == pytest.approx([0.1, math.inf])
    assert found.importance == {"a": 0.75, "b": 0.25}


def test_settings_of_folds_are_averaged_too() -> None:
    one, other = (findings({}, settings={"n": {"format": {"json": Effect(mean, 0.1, 10)}}}) for mean in (0.1, 0.3))
    assert combined([one, other]).settings == {"n": {"format": {"json": Effect(0.2, round(0.1 / 2**0.5, 5), 20)}}}
    assert combined([one]) is one


# With and without.

trial = st.tuples(st.sets(st.sampled_from("ab")), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3))


@given(st.lists(trial, min_size=1, max_size=12))
def test_with_and_without_is_the_difference_of_two_samples(trials: list[tuple[set[str], list[float]]]) -> None:
    marginals = Marginals({"n": ["a", "b"]})
    for items, scores in trials:
        marginals.add("t", {"n": items | {"pinned"}}, scores)
    found = marginals.tables({("t", "n"): {"a", "b"}})["t", "n"]
    for place, item in enumerate("ab"):
        with_it = [sum(scores) / len(scores) for items, scores in trials if item in items]
        without = [sum(scores) / len(scores) for items, scores in trials if item not in items]
        assert found.n[place] == sum(len(scores) for items, scores in trials if item in items)
        if len(with_it) < 2 or len(without) < 2:
            assert found.se[place] == math.inf
            continue
        around = sum((each - np.mean(side)) ** 2 for side in (with_it, without) for each in side)
        variance = max(1e-4, around / (len(trials) - 2))
        assert found.mean[place] == pytest.approx(np.mean(with_it) - np.mean(without))
        assert found.se[place] == pytest.approx((variance * (1 / len(with_it) + 1 / len(without))) ** 0.5)


def test_an_item_that_is_not_on_offer_has_no_effect() -> None:
    marginals = Marginals({"n": ["a", "b"]})
    for number in range(6):
        marginals.add("t", {"n": {"a"} if number % 2 else {"b"}, "other": set()}, [number % 2])
    tables = marginals.tables({("t", "n"): {"a"}, ("t", "other"): set()})
    assert set(tables) == {("t", "n")}
    assert np.isfinite(tables["t", "n"].se).tolist() == [True, False]
    assert tables["t", "n"].mean[0] == 1.0
