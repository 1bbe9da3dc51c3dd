"""What is left to find: what draws gain over the mean effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.search.effects.columns import Columns
from fusionprog.search.effects.regret import Regret
from fusionprog.search.effects.strategy import EffectsStrategy
from fusionprog.search.stopping import Progress, SmallRegret

COLUMNS = Columns({"n": ["a", "b", "c"], "m": ["a", "d"]}, {"t0": (), "t1": ()}, {})
COSTS = {"a": 0.01, "b": 0.05}


def left(mean: Any, draw: Any, times: int = 16) -> float:
    regret = Regret()
    for _ in range(times):
        regret.add(COLUMNS, np.asarray(mean), np.asarray(draw), COSTS)
    return regret.left


@given(st.integers(0, 10_000))
def test_regret_is_what_the_best_choice_has_over_the_known_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    mean, draw = random.normal(0, 0.1, (2, len(COLUMNS.names)))
    expected = 0.0
    for node, items in COLUMNS.nodes.items():
        for task in COLUMNS.embeddings:
            for item in items:
                names = [("everywhere", item), ("at_node", node, item), ("in_task", task, node, item)]
                places = [COLUMNS.index[name] for name in names]
                drawn, known = (float(each[places].sum()) - COSTS.get(item, 0.0) for each in (draw, mean))
                expected += max(0.0, drawn) - (drawn if known > 0 else 0.0)
    assert left(mean, draw) == pytest.approx(expected / 2)
    assert left(mean, draw) >= 0.0
    assert left(mean, mean) == 0.0


def test_a_few_draws_say_nothing() -> None:
    mean = np.zeros(len(COLUMNS.names))
    assert left(mean, mean, times=15) == float("inf")


def test_a_search_is_settled_when_all_is_known_and_not_before(planted: Any) -> None:
    pool = planted.Pool(
        planted.hints("good", "bad"),
        {"a": ()},
        lambda task, shown: 0.5 + 0.4 * ("good" in shown["n"]) - 0.4 * ("bad" in shown["n"]),
    )
    strategy = EffectsStrategy(pool.setting())
    rows = planted.rows_of(["a"], 4000)
    planted.learn(strategy, pool, 70, rows, 1)
    assert strategy.regret() > 0.005
    planted.learn(strategy, pool, 400, rows, 8)
    why = SmallRegret().reason(Progress(400, None, strategy.regret()))
    assert why is not None and why.startswith("nothing is left to find: knowing all effects would add 0.00")
