"""The contracts of screening, narrowing and stopping, for every entry of their registries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import FusionProgError
from fusionprog.lm.budget import Cost
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.search.decisions import Decisions
from fusionprog.search.narrowing import narrow, narrowing_registry
from fusionprog.search.objective import Objective
from fusionprog.search.scoring import Scoring
from fusionprog.search.screening import SequentialHalving, SuccessiveRejects, screen, screening_registry
from fusionprog.search.space import Space
from fusionprog.search.stopping import Progress, stopping_registry

ROWS = {"a": [Row({"text": f"a {index}"}) for index in range(40)]}

PROGRESS = st.builds(
    Progress,
    st.integers(1, 500),
    st.none() | st.integers(0, 500),
    st.none() | st.just(float("inf")) | st.floats(0, 1),
)


# Screening.


@pytest.mark.parametrize("name", list(screening_registry))
@given(st.integers(1, 80), st.integers(0, 3000), st.integers(1, 60))
def test_rounds_keep_to_what_is_left_and_drop_items_till_few_are_left(
    name: str, items: int, more: int, longest: int
) -> None:
    screening, left = screening_registry.get(name)(), items + 1 + more
    rounds = list(screening.rounds(items, left, longest))
    assert bool(rounds) == screening.spends
    alive, spent = items, 0
    for rows, kept in rounds:
        assert rows >= 1 and 2 <= kept <= max(2, alive - 1)
        spent += rows * (alive + 1)
        alive = min(alive, kept)
    assert spent <= left
    assert sum(rows for rows, _ in rounds) <= longest


@pytest.mark.parametrize("name", [each for each in screening_registry if each != "none"])
@pytest.mark.parametrize("planted", [3, 11])
def test_a_planted_item_is_found_among_useless_ones(planted_bench: Any, name: str, planted: int) -> None:
    items = {f"i{index}": fp.Fragment(f"i{index}", f"Text {index}.", facet="hint") for index in range(12)}
    space = Space(items={"n": dict(items)}, directions={})
    good = ("n", f"i{planted}")
    bench = planted_bench(lambda opened, task, row: float(good in opened), ["a"])
    how: Any = {"keep": Cost, "stepped": lambda step: None}
    found = asyncio.run(screen(bench, space, ROWS, 150, screening=screening_registry.get(name)(), **how))
    assert max(found.effects, key=lambda arm: found.effects[arm]) == good and bench.calls <= 150
    assert found.rows[good] == max(found.rows.values()) > min(found.rows.values())


def test_successive_rejects_drop_one_item_at_a_time_where_halving_drops_half() -> None:
    assert [kept for _, kept in SequentialHalving().rounds(16, 4000, 1000)] == [8, 4, 2]
    rejects = list(SuccessiveRejects().rounds(16, 4000, 1000))
    assert [kept for _, kept in rejects] == list(range(15, 1, -1))
    known = [sum(rows for rows, _ in rejects[: place + 1]) * size for place, size in enumerate(range(16, 2, -1))]
    assert max(known) - min(known) < 16  # rows times items that are left, up to whole rows


# Narrowing.


@pytest.mark.parametrize("name", list(narrowing_registry))
def test_finalists_are_the_best_of_what_narrowing_measures_else_the_first(planted_bench: Any, name: str) -> None:
    class Silent:
        def observe(self, schedule: Schedule, outcomes: Any) -> None:
            pass

        def forecast(self, schedule: Schedule) -> None:
            pass

    def opening(item: str) -> Schedule:
        return Schedule(at_node={"n": {item: 1.0}}, nodes={"n": NodeSettings(gates={"hint": 1.0})})

    def run() -> tuple[list[Schedule], int]:
        bench = planted_bench(lambda opened, task, row: float(("n", "good") in opened), ["a"])
        scoring = Scoring(Objective(), seed=0)
        scoring.begin(asyncio.run(bench.measure(Schedule(), ROWS)))
        bench.measured.clear()
        ranked = [Schedule(), opening("bad"), opening("good"), opening("late")]
        silent: Any = Silent()
        how: Any = {"contenders": 2, "finalists": 1}
        return asyncio.run(narrow(bench, scoring, silent, ranked, ROWS, narrowing=narrowing, **how)), bench.calls

    narrowing = narrowing_registry.get(name)()
    assert run() == run() == (([opening("good")], 80) if narrowing.measures else ([opening("bad")], 0))


# Stopping.


@pytest.mark.parametrize("name", list(stopping_registry))
@given(PROGRESS)
def test_an_end_has_a_reason_and_what_cannot_be_said_ends_nothing(name: str, progress: Progress) -> None:
    reason = stopping_registry.get(name)().reason(progress)
    ends = {
        "none": False,
        "regret": progress.regret is not None and progress.regret < 0.005,
        "patience": progress.since_best is not None and progress.since_best >= 32,
    }
    assert reason if ends[name] else reason is None


# Their names.


@pytest.mark.parametrize("role", ["screening", "racing", "narrowing", "stopping"])
def test_unknown_names_are_refused(role: str) -> None:
    with pytest.raises(FusionProgError, match=f"no {role} called 'nonee'. Did you mean 'none'"):
        fp.optimizers.Fusion(**{role: "nonee"})


def test_the_usual_decisions_are_not_said_and_the_others_are() -> None:
    assert fp.optimizers.Fusion().arguments() == {"sampler": "effects", "objective": "mean"}
    assert Decisions(racing="none", stopping="patience").as_json() == {"racing": "none", "stopping": "patience"}


def test_an_objective_that_must_be_measured_needs_narrowing() -> None:
    with pytest.raises(FusionProgError, match=r"must be measured.*narrowing='none'"):
        fp.optimizers.Fusion(objective=Objective(floors={"a": 0.5}), narrowing="none")
