"""The effects strategy on a pool with a few good, many useless and some harmful items, over several tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from fusionprog.lm.budget import Cost
from fusionprog.prompts.schedule import Schedule
from fusionprog.search.objective import Objective
from fusionprog.search.racing import PairedTest
from fusionprog.search.scoring import Scoring
from fusionprog.search.stopping import SmallRegret
from fusionprog.search.strategies import strategy_registry
from fusionprog.search.study import run_study
from fusionprog.search.trials import Trials

GOOD = {"good0": 0.2, "good1": 0.15, "good2": 0.15}
OWN = {"own0": 0.2, "own1": 0.2}  # good in half of the tasks, harmful in the others
HARMFUL = {f"harmful{place}": -0.15 for place in range(4)}
USELESS = [f"useless{place}" for place in range(16)]
TASKS = 6


def chance(task: str, shown: Mapping[str, frozenset[str]]) -> float:
    even = int(task[1:]) % 2 == 0
    score = 0.3
    for name in sorted(shown["n"]):
        score += GOOD.get(name, 0.0) + HARMFUL.get(name, 0.0)
        score += OWN.get(name, 0.0) * (1 if even == (name == "own0") else -1)
    return min(1.0, max(0.0, score))


def nothing_helps(task: str, shown: Mapping[str, frozenset[str]]) -> float:
    return 0.4


def search(planted: Any, sampler: str, trials: int, seed: int, truth: Any = chance, size: int = 2) -> tuple[Any, Any]:
    """Runs trials; returns the pool, and the candidates in their order."""
    pool = planted.Pool(planted.hints(*GOOD, *OWN, *HARMFUL, *USELESS), planted.tasks_at(TASKS), truth, seed=seed)
    strategy = strategy_registry.get(sampler)(pool.setting(seed=seed, trials=trials))
    rows = planted.rows_of(pool.tasks, 60)
    before = asyncio.run(pool.measure(Schedule(), {task: mine[:size] for task, mine in rows.items()}))
    strategy.observe(Schedule(), before)
    runner = Trials(
        pool,
        strategy,
        Scoring(Objective(), seed),
        rows,
        size,
        {task: 0.0 for task in rows},
        racing=PairedTest(),
        stopping=SmallRegret(),
        keep=Cost,
        time_left=lambda: 1e9,
        finished=lambda trial, shown: None,
    )
    asyncio.run(run_study(strategy=strategy, starts=strategy.starts({}), trials=trials, window=4, runner=runner))
    return pool, runner.ranked()


@pytest.fixture(scope="module")
def found(planted: Any) -> Any:
    """Sampler, trials and seed → the pool and the candidates, each searched for once."""
    return cache(lambda sampler, trials, seed: search(planted, sampler, trials, seed))


@pytest.mark.parametrize("seed", [0, 1])
def test_good_items_are_found_with_fewer_calls_than_random_draws_need(found: Any, seed: int) -> None:
    """Half the calls, and yet better; with what random draws find, all good items are not yet open."""
    effects, random = found("effects", 60, seed), found("random", 120, seed)
    assert effects[0].calls < 0.6 * random[0].calls
    assert effects[0].worth(effects[1][0]) > random[0].worth(random[1][0]) + 0.05
    assert effects[0].worth(effects[1][0]) > 0.75  # of .30 at the start, and .98 at best


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_returned_opens_the_good_items_and_leaves_the_others_closed(found: Any, seed: int) -> None:
    pool, candidates = found("effects", 90, seed)
    first, strict, *_ = candidates  # that of which most is expected, and the most certain one
    for candidate in (first, strict):
        opened = {task: pool.opened(candidate, task)["n"] for task in pool.tasks}
        assert candidate is strict or all(GOOD.keys() <= mine for mine in opened.values())
        assert not any(HARMFUL.keys() & mine for mine in opened.values())
    assert sum(len(mine & set(USELESS)) for mine in opened.values()) <= 0.2 * len(USELESS) * TASKS


def test_what_helps_one_kind_of_task_is_opened_in_those_tasks(planted: Any) -> None:
    pool, candidates = search(planted, "effects", 120, 0)
    wrong = 0
    for place, task in enumerate(pool.tasks):
        opened = pool.opened(candidates[0], task)["n"]
        wrong += ("own0" in opened) != (place % 2 == 0)
        wrong += ("own1" in opened) != (place % 2 == 1)
    assert wrong <= 2


def test_of_useless_items_few_are_opened(planted: Any) -> None:
    """Nothing helps: where it must be certain, at most a tenth of the items is taken for good by chance."""
    shares = []
    for seed in range(4):
        pool, candidates = search(planted, "effects", 30, seed, nothing_helps)
        opened = [len(pool.opened(candidates[1], task)["n"]) for task in pool.tasks]
        shares.append(sum(opened) / len(opened) / len(pool.items))
    assert sum(shares) / len(shares) < 0.1
