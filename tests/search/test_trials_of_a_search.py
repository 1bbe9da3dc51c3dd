"""Trials on a bench: their rows, their budget, what is remembered of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.lm.budget import Budget, Cost, Ledger
from fusionprog.program.data import Row
from fusionprog.prompts.schedule import NodeSettings, Schedule
from fusionprog.search.bench import Outcomes
from fusionprog.search.objective import Objective
from fusionprog.search.racing import PairedTest, projected
from fusionprog.search.scoring import Scoring
from fusionprog.search.stopping import NoStopping, Patience, SmallRegret
from fusionprog.search.trials import Trials


def rows_of(**counts: int) -> dict[str, list[Row]]:
    return {task: [Row({"text": f"{task} {place}"}) for place in range(count)] for task, count in counts.items()}


class Wanted:
    """Proposes a new item in every trial; a strategy as far as trials know it."""

    screens = False

    def __init__(self, moves_on: bool = True, items: int = 10**6) -> None:
        self.moves_on = moves_on
        self.asked: list[int] = []
        self.observed: list[Outcomes] = []
        self._items = items

    def schedule(self, number: int, params: Mapping[str, Any]) -> Schedule:
        self.asked.append(number)
        return schedule(number % self._items)

    def observe(self, schedule: Schedule, outcomes: Outcomes) -> None:
        self.observed.append(outcomes)

    def regret(self) -> float | None:
        return None

    def ranked(self, tried: Sequence[Schedule], values: Sequence[float]) -> list[Schedule]:
        assert list(values) == sorted(values, reverse=True)
        return list(tried)


class Counting:
    """A bench on which a call costs a call, and a schedule scores what its one item is worth."""

    def __init__(self, calls: int | None = None, worth: Any = lambda item: item / 1000) -> None:
        self.ledger = Ledger(Budget(calls=calls))
        self.ended_by: str | None = None
        self.measured: list[dict[str, list[str]]] = []
        self._worth = worth
        self._booked: set[tuple[str, str]] = set()

    def candidate(self, schedule: Schedule, task: str) -> str:
        return repr(schedule.everywhere)

    def worst_case(self, schedules: Sequence[Schedule], rows: Mapping[str, Sequence[Row]]) -> Cost:
        return Cost(sum(map(len, rows.values())))

    async def measure(self, schedule: Schedule, rows: Mapping[str, Sequence[Row]]) -> Outcomes:
        self.measured.append({task: [row.id for row in mine] for task, mine in rows.items()})
        (item,) = schedule.everywhere
        return {
            task: [Outcome(row.id, self._worth(int(item)), tokens=1) for row in mine] for task, mine in rows.items()
        }

    async def measure_all(
        self, schedules: Sequence[Schedule], rows: Mapping[str, Sequence[Row]], *, keep: Any = None
    ) -> list[Outcomes]:
        self.ended_by = None
        (schedule,) = schedules
        done: dict[str, list[Outcome]] = {task: [] for task in rows}
        for place in range(max(map(len, rows.values()))):
            piece = {task: mine[place : place + 1] for task, mine in rows.items()}
            if self.ledger.short_of(self.worst_case(schedules, piece), keep=keep) is not None:
                self.ended_by = "calls"
                break
            part = await self.measure(schedule, piece)
            self.charge(schedule, part)
            for task, mine in part.items():
                done[task] += mine
        return [done]

    def charge(self, schedule: Schedule, outcomes: Outcomes) -> None:
        """Books each call once, whatever has been booked in pieces."""
        (item,) = schedule.everywhere
        self._booked |= {(item, each.example) for mine in outcomes.values() for each in mine}
        self.ledger.calls = len(self._booked)


def schedule(item: int) -> Schedule:
    return Schedule(everywhere={str(item): 1.0}, nodes={"n": NodeSettings()})


class Search:
    """Trials, with a log of which were finished."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], size: int, **settings: Any) -> None:
        self.strategy = settings.pop("strategy", None) or Wanted()
        self.bench = settings.pop("bench", None) or Counting()
        self.finished: list[int] = []
        bench: Any = self.bench
        strategy: Any = self.strategy
        self.trials = Trials(
            bench,
            strategy,
            settings.pop("scoring", None) or Scoring(Objective(), seed=0),
            rows,
            size,
            settings.pop("baseline", dict.fromkeys(rows, 0.0)),
            racing=PairedTest(),
            stopping=settings.pop("stopping", SmallRegret()),
            keep=settings.pop("keep", Cost),
            time_left=settings.pop("time_left", lambda: 1e9),
            finished=lambda trial, shown: self.finished.append(trial.number),
        )

    def run(self, number: int) -> str | None:
        """Begins a trial alone, does it and tells it."""
        work = self.trials.begin(number, {}, alone=True)
        assert work is not None
        return self.tell(number) if asyncio.run(_done(work)) else None

    def tell(self, number: int) -> str | None:
        trial: Any = SimpleNamespace(number=number, value=self.trials.value(number))
        return self.trials.told(trial)


async def _done(work: Any) -> Any:
    return await work


# Rows.


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_trials_move_on_through_all_rows_and_begin_again(size: int, a: int, b: int, trials: int) -> None:
    rows = rows_of(a=a, b=b)
    search = Search(rows, size)
    for number in range(trials):
        search.run(number)
    for task, count in (("a", a), ("b", b)):
        taken = [each[task] for each in search.bench.measured]
        assert all(len(mine) == len(set(mine)) == min(size, count) for mine in taken)
        ids = [row.id for row in rows[task]]
        if size <= count:
            ordered = [row for mine in taken for row in mine]
            assert ordered == [ids[place % count] for place in range(trials * size)]


def test_where_trials_do_not_move_on_they_have_the_same_rows() -> None:
    search = Search(rows_of(a=9), 2, strategy=Wanted(moves_on=False))
    for number in range(3):
        search.run(number)
    assert search.bench.measured == [search.bench.measured[0]] * 3


def run_under_way(search: Search, trials: int, window: int = 3) -> list[float]:
    """Runs trials in a window and tells them in order; returns what they came to when they were told."""
    under_way: list[int] = []
    values = []
    for number in range(trials):
        if len(under_way) == window:
            values.append(search.trials.value(under_way[0]))
            search.tell(under_way.pop(0))
        work = search.trials.begin(number, {}, alone=False)
        assert work is not None and asyncio.run(_done(work))
        under_way.append(number)
    return values


def by_task(**worth: float) -> Any:
    """A bench on which tasks differ in what they score."""

    class Differing(Counting):
        async def measure(self, schedule: Schedule, rows: Mapping[str, Sequence[Row]]) -> Outcomes:
            await super().measure(schedule, rows)
            (item,) = schedule.everywhere
            return {
                task: [Outcome(row.id, worth[task] * (1 if int(item) % 2 else 0.9), tokens=1) for row in mine]
                for task, mine in rows.items()
            }

    return Differing()


def test_tasks_that_weigh_more_get_more_of_the_rows_and_all_trials_as_many() -> None:
    rows = rows_of(a=50, b=50)
    scoring = Scoring(Objective("uncertainty"), seed=0)
    search = Search(rows, 4, bench=by_task(a=0.9, b=0.5), scoring=scoring)
    run_under_way(search, 24)
    counts = [{task: len(mine) for task, mine in each.items()} for each in search.bench.measured]
    assert counts[:10] == [{"a": 4, "b": 4}] * 10  # a round of eight, and the window that was under way
    assert all(sum(each.values()) == 8 and each["b"] >= 1 for each in counts)
    assert all(each["a"] > each["b"] for each in counts[11:])
    for task in rows:
        taken = [row for each in search.bench.measured for row in each[task]]
        assert taken == [rows[task][place % 50].id for place in range(len(taken))]


def test_the_same_rows_stay_the_same_whatever_tasks_weigh() -> None:
    scoring = Scoring(Objective("uncertainty"), seed=0)
    search = Search(rows_of(a=50, b=50), 4, bench=by_task(a=0.9, b=0.5), scoring=scoring, strategy=Wanted(False))
    run_under_way(search, 24)
    assert search.bench.measured == [search.bench.measured[0]] * 24
    assert scoring.weights["a"] > 1.5


def test_what_was_told_is_valued_again_when_the_weights_move() -> None:
    scoring = Scoring(Objective("uncertainty"), seed=0)
    baseline = {"a": 0.5, "b": 0.5}
    search = Search(
        rows_of(a=50, b=50), 4, bench=by_task(a=0.9, b=0.5), scoring=scoring, strategy=Wanted(False), baseline=baseline
    )
    for number in range(7):
        search.run(number)
    assert search.trials.moved() is None
    assert search.trials.best[0].value == pytest.approx(0.7)
    search.run(7)
    moved = search.trials.moved()
    assert moved is not None and search.trials.moved() is None  # said once
    high, low = scoring({"a": 0.9, "b": 0.5}), scoring({"a": 0.81, "b": 0.45})
    assert high > 0.75
    assert moved == {number: high if number % 2 else low for number in range(8)}
    assert [each.value for each in search.trials.best] == [high] * 4 + [low] * 4
    assert search.trials.shown == {"a": 0.9, "b": 0.5}


def test_a_trial_is_valued_when_it_is_told_and_not_when_it_is_done() -> None:
    """At any speed of the model: trials 8 to 10 are done under the first weights, and told under the next."""
    scoring = Scoring(Objective("uncertainty"), seed=0)
    search = Search(rows_of(a=50, b=50), 4, bench=by_task(a=0.9, b=0.5), scoring=scoring, strategy=Wanted(False))
    values = run_under_way(search, 14)
    assert values[:8] == pytest.approx([0.63, 0.7] * 4)
    assert all(value > 0.7 for value in values[9::2])


# Budget.


def test_a_trial_that_waits_for_room_is_the_same_one_and_is_asked_for_once() -> None:
    search = Search(rows_of(a=20), 4, bench=Counting(calls=8))
    first, second = (search.trials.begin(number, {}, alone=False) for number in range(2))
    assert search.trials.begin(2, {}, alone=False) is None  # both have set their worst case aside
    assert search.trials.begin(2, {}, alone=False) is None
    for number, work in enumerate((first, second)):
        assert asyncio.run(_done(work))
        search.tell(number)
    assert search.strategy.asked == [0, 1, 2]
    assert search.trials.begin(2, {}, alone=False) is None  # no room now either: the calls are spent
    assert search.strategy.asked == [0, 1, 2]


def test_a_trial_that_fits_not_even_alone_is_measured_in_pieces_and_ends_the_search() -> None:
    search = Search(rows_of(a=20), 4, bench=Counting(calls=6))
    assert search.run(0) is None
    work = search.trials.begin(1, {}, alone=True)
    assert work is not None and search.trials.begin(2, {}, alone=False) is None  # nothing begins beside it
    assert not asyncio.run(_done(work))
    assert search.trials.ended_by == "the budget's calls are used up"
    assert search.bench.ledger.calls == 6
    assert search.finished == [0] and len(search.strategy.observed) == 1


def test_a_trial_that_turns_out_to_fit_in_pieces_is_told() -> None:
    """At worst it does not fit; its rows one by one do."""

    class Cautious(Counting):
        def worst_case(self, schedules: Any, rows: Any) -> Cost:
            count = sum(map(len, rows.values()))
            return Cost(count if count == 1 else 3 * count)

    search = Search(rows_of(a=20), 4, bench=Cautious(calls=9))
    assert search.run(0) is None
    assert (search.finished, search.bench.ledger.calls) == ([0], 4)
    assert search.trials.begin(1, {}, alone=False) is None


def test_what_must_be_left_for_later_is_not_spent() -> None:
    search = Search(rows_of(a=20), 4, bench=Counting(calls=10), keep=lambda: Cost(5))
    search.run(0)
    assert search.trials.begin(1, {}, alone=False) is None
    search.run(1)
    assert search.bench.ledger.calls == 5


def test_the_search_ends_when_time_does() -> None:
    left = iter([1e9, -1.0])
    search = Search(rows_of(a=20), 4, time_left=lambda: next(left))
    assert search.run(0) == "the budget's seconds are used up"


# What is remembered.


def test_the_best_schedules_come_first_and_ties_go_to_the_earlier_trial() -> None:
    search = Search(rows_of(a=20), 4, bench=Counting(worth=lambda item: [0.2, 0.5, 0.5, 0.9][item]))
    for number in range(4):
        search.run(number)
    assert search.trials.told_so_far == 4
    assert search.trials.ranked() == [schedule(item) for item in (3, 1, 2, 0)]


def test_what_is_below_the_program_as_written_is_no_candidate_on_the_same_rows() -> None:
    for moves_on, items in ((False, [3, 2]), (True, [3, 2, 1, 0])):
        bench = Counting(worth=lambda item: item / 10)
        search = Search(rows_of(a=20), 4, strategy=Wanted(moves_on), bench=bench, baseline={"a": 0.2})
        for number in range(4):
            search.run(number)
        assert search.trials.ranked() == [schedule(item) for item in items]


def test_equal_prompts_are_remembered_once_and_only_the_best_schedules_are() -> None:
    search = Search(rows_of(a=20), 4, strategy=Wanted(items=5))
    for number in range(12):
        search.run(number)
    assert [each.number for each in search.trials.best] == [4, 3, 2, 1, 0]
    many = Search(rows_of(a=20), 4)
    for number in range(200):
        many.run(number)
    assert [each.number for each in many.trials.best] == list(range(199, 135, -1))


@pytest.mark.parametrize("moves_on", [True, False])
def test_what_is_shown_is_the_best_so_far_or_the_last_trials_together(moves_on: bool) -> None:
    worth = [0.2, 0.8, 0.5]
    search = Search(rows_of(a=20), 4, strategy=Wanted(moves_on), bench=Counting(worth=lambda item: worth[item]))
    shown = []
    for number in range(3):
        search.run(number)
        shown.append(search.trials.shown["a"])
    assert shown == pytest.approx([0.2, 0.5, 0.5] if moves_on else [0.2, 0.8, 0.8])


# Stopping.


def test_patience_counts_trials_since_the_best_one_and_those_of_other_rows_not_at_all() -> None:
    for moves_on, ended in ((True, 60), (False, 35)):
        bench = Counting(worth=lambda item: 0.9 if item == 2 else 0.5)
        search = Search(rows_of(a=4), 2, bench=bench, strategy=Wanted(moves_on), stopping=Patience())
        reasons = [search.run(number) for number in range(60)]
        assert next((place for place, reason in enumerate(reasons, 1) if reason), 60) == ended


def test_a_small_regret_ends_a_search_unless_nothing_may_stop_it() -> None:
    class Certain(Wanted):
        def regret(self) -> float:
            return 0.001

    reasons = [
        Search(rows_of(a=4), 2, strategy=Certain(), stopping=rule).run(0) for rule in (SmallRegret(), NoStopping())
    ]
    assert reasons == ["nothing is left to find: knowing all effects would add 0.0010 to the score", None]


# Racing.


def outcomes_of(**scores: Sequence[float]) -> Any:
    return {
        task: [Outcome(f"{task}{place}", score) for place, score in enumerate(mine)] for task, mine in scores.items()
    }


def test_a_trial_is_behind_where_it_loses_on_the_same_rows_and_not_where_rows_are_few_or_it_wins_some() -> None:
    leader = outcomes_of(a=[1.0] * 8 + [0.0] * 8, b=[1.0, 0.0] * 8)
    race = PairedTest()
    assert race.is_behind(outcomes_of(a=[0.0] * 8, b=[0.0] * 8), leader)
    assert race.first(rows_of(a=15)) is not None and race.first(rows_of(a=6, b=6)) is None
    assert not race.is_behind(outcomes_of(a=[1.0, 0.0] * 4, b=[1.0] * 8), leader)
    assert not race.is_behind(outcomes_of(a=[1.0] * 8, b=[1.0, 0.0] * 4), leader)


def test_what_is_stopped_counts_as_much_less_than_the_leader_as_it_has_lost() -> None:
    """Though its mean so far is above the leader's on all rows."""
    leader = outcomes_of(a=[1.0] * 8 + [0.0] * 8)
    stopped = outcomes_of(a=[1.0] * 5 + [0.0] * 3)
    assert projected(stopped, leader) == {"a": pytest.approx(0.5 - 3 / 8)}


@given(st.integers(14, 30))
def test_the_first_rows_are_half_of_every_tasks_in_their_order(size: int) -> None:
    rows = rows_of(a=size, b=1)
    first = PairedTest().first(rows)
    assert first == {"a": rows["a"][: (size + 1) // 2], "b": rows["b"]}
