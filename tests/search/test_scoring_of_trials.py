"""How trials are scored: rounds, weights that move, and what breaks constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from fusionprog.evaluation.evaluator import Outcome
from fusionprog.search.bench import Outcomes
from fusionprog.search.objective import Objective
from fusionprog.search.scoring import Scoring


def outcomes(*, tokens: Any = 10, usd: Any = None, **scores: Sequence[float]) -> Outcomes:
    return {
        task: [Outcome(f"{task} {i}", each, tokens=tokens, usd=usd) for i, each in enumerate(mine)]
        for task, mine in scores.items()
    }


def share(right: int, rows: int = 8) -> list[float]:
    return [float(place < right) for place in range(rows)]


def told(scoring: Scoring, trials: int, **right: int) -> list[bool]:
    return [scoring.add(outcomes(**{task: share(count) for task, count in right.items()})) for _ in range(trials)]


def begun(objective: Objective, rows: int = 8, **right: int) -> Scoring:
    scoring = Scoring(objective, seed=0)
    scoring.begin(outcomes(**{task: share(count, rows) for task, count in right.items()}))
    return scoring


def test_all_tasks_count_alike_in_the_first_round() -> None:
    scoring = begun(Objective("uncertainty"), a=7, b=1)
    assert scoring.weights == {"a": 1.0, "b": 1.0}
    assert told(scoring, 7, a=7, b=1) == [False] * 7
    assert scoring.weights == {"a": 1.0, "b": 1.0}
    assert told(scoring, 1, a=7, b=1) == [True]
    assert scoring.weights == pytest.approx({"a": 1.75, "b": 0.25})  # losses of 1/8 and 7/8


def test_a_round_has_enough_rows() -> None:
    scoring = Scoring(Objective("uncertainty"), seed=0)
    scoring.begin(outcomes(a=[1.0, 0.0], b=[0.0, 0.0]))
    moved = [scoring.add(outcomes(a=[1.0, 0.0], b=[0.0, 0.0])) for _ in range(16)]
    assert moved == [False] * 15 + [True]


def test_a_long_search_has_longer_rounds() -> None:
    scoring = Scoring(Objective("uncertainty"), seed=0)
    scoring.begin(outcomes(a=share(7), b=share(1)), trials=640)
    assert told(scoring, 20, a=7, b=1) == [False] * 19 + [True]


def test_a_solved_task_does_not_count_for_everything() -> None:
    scoring = begun(Objective("uncertainty"), a=8, b=4)
    told(scoring, 8, a=8, b=4)
    loss = 1 / (2 * 64)  # half a row of those in the round
    assert scoring.weights["a"] == pytest.approx(2 * (1 / loss) / (1 / loss + 1 / 0.5))


def test_scores_beyond_one_are_short_of_the_highest_that_was_seen() -> None:
    scoring = Scoring(Objective("uncertainty"), seed=0)
    marks = outcomes(a=[100.0, 80.0] * 4, b=[50.0, 70.0] * 4)
    scoring.begin(marks)
    for _ in range(8):
        scoring.add(marks)
    assert scoring.weights == pytest.approx({"a": 1.6, "b": 0.4})  # losses of 10 and 40


def test_tasks_on_another_scale_are_short_of_their_own_full_marks() -> None:
    scoring = Scoring(Objective("uncertainty"), seed=0)
    marks = outcomes(a=[100.0, 80.0] * 4, b=[1.0, 0.0] * 4)
    scoring.begin(marks)
    assert scoring.scales.startswith("scores in task 'a' go up to 100, in 'b' to 1")
    for _ in range(8):
        scoring.add(marks)
    assert scoring.weights == pytest.approx({"a": 2 * 0.5 / 10.5, "b": 2 * 10 / 10.5})  # losses of 10 and 1/2
    assert not begun(Objective(), a=7, b=1).scales


@pytest.mark.parametrize("name", ["tchebycheff", "rate_balance", "uncertainty", "dwa"])
def test_full_marks_that_are_seen_late_count_from_the_beginning(name: str) -> None:
    """The program as written was right on no row, so that nothing said that a right one is worth 100."""

    def after(scale: float) -> tuple[Mapping[str, float], float]:
        scoring = Scoring(Objective(name), seed=0)
        scoring.begin(outcomes(a=[0.0] * 8, b=[0.0] * 8))
        for right in (2, 4, 6):
            for _ in range(8):
                scaled = {task: [scale * each for each in share(count)] for task, count in (("a", right), ("b", 1))}
                moved = scoring.add(outcomes(**scaled))
            assert moved or right > 2 or scale == 1.0  # so what trials came to did
        return scoring.weights, scoring({"a": 0.75 * scale, "b": 0.125 * scale})

    (small, value), (large, scaled) = after(1.0), after(100.0)
    assert large == pytest.approx(small)
    assert scaled == pytest.approx(value if name == "tchebycheff" else 100 * value)


def test_what_a_trial_comes_to_moves_with_the_weights() -> None:
    scoring = begun(Objective("uncertainty"), a=6, b=2)
    means = {"a": 0.9, "b": 0.1}
    assert scoring(means) == pytest.approx(0.5)
    told(scoring, 8, a=6, b=2)
    assert scoring(means) == pytest.approx((1.5 * 0.9 + 0.5 * 0.1) / 2)


@pytest.mark.parametrize("name", ["mean", "worst", "cvar", "tchebycheff"])
def test_schemes_whose_values_know_no_weights_never_say_that_they_moved(name: str) -> None:
    scoring = begun(Objective(name), a=4, b=2)
    before = scoring({"a": 0.3, "b": 0.6})
    assert not any(told(scoring, 24, a=6, b=1))
    assert scoring({"a": 0.3, "b": 0.6}) == before


def test_tchebycheff_sees_losses_relative_to_the_program_as_written() -> None:
    scoring = begun(Objective("tchebycheff"), rows=400, a=0, b=300)
    assert scoring({"a": 0.5, "b": 0.75}) < scoring({"a": 0.4, "b": 0.9})  # b had made no progress


def test_few_rows_as_written_say_little_about_how_hard_a_task_is() -> None:
    """The losses are 1/4 and 3/4; eight more rows of 1/2 each make 5/12 and 7/12 of four."""
    scoring = begun(Objective("tchebycheff"), rows=4, a=3, b=1)
    assert scoring({"a": 1 - 5 / 12, "b": 0.99}) == pytest.approx(scoring({"a": 0.99, "b": 1 - 7 / 12}), abs=1e-3)


def test_random_weights_follow_the_seed() -> None:
    def weights(seed: int) -> Mapping[str, float]:
        scoring = Scoring(Objective("random"), seed=seed)
        scoring.begin(outcomes(a=share(4), b=share(4)))
        told(scoring, 8, a=4, b=4)
        return scoring.weights

    assert weights(0) == weights(0) != weights(1)


def test_what_breaks_a_constraint_comes_after_what_does_not() -> None:
    scoring = begun(Objective(floors={"a": 0.5}, most_tokens=100), a=4, b=4)
    fits = outcomes(a=share(4), b=share(2), tokens=100)
    below = outcomes(a=share(3), b=share(8), tokens=100)
    dear = outcomes(a=share(8), b=share(8), tokens=150)
    assert scoring.excess(fits) == 0
    assert scoring.excess(below) == pytest.approx(0.125)
    assert scoring.excess(dear) == pytest.approx(1.0)  # half too much in either task
    assert sorted([dear, below, fits], key=lambda each: scoring.order(each, 0.5)) == [fits, below, dear]
    assert scoring.order(fits, 0.6) < scoring.order(fits, 0.5) < scoring.order(below, 0.9)


def test_dollars_that_are_not_known_break_no_cap() -> None:
    scoring = begun(Objective(most_usd=0.01), a=4)
    assert scoring.excess(outcomes(a=share(4), usd=None)) == 0
    assert scoring.excess(outcomes(a=share(4), usd=0.02)) == pytest.approx(1.0)
