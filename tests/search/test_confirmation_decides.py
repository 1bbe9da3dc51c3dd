"""The final choice among finalists and the program as written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from fusionprog.evaluation.statistics import compare
from fusionprog.prompts.schedule import Schedule
from fusionprog.runtime.record import Comparison
from fusionprog.search.confirmation import Decision, Finalist, decide

Draw = np.random.Generator


def paired(before: Sequence[float], after: Sequence[float]) -> Comparison:
    return compare(list(before), list(after))


def gained(won: int, lost: int, n: int = 40) -> Comparison:
    """A comparison on ``n`` rows, of which some were won, some lost and half of the rest were right before."""
    rest = n - won - lost
    before = [0.0] * won + [1.0] * lost + [float(index % 2) for index in range(rest)]
    after = [1.0] * won + [0.0] * lost + [float(index % 2) for index in range(rest)]
    return paired(before, after)


def unchanged(tasks: Sequence[str], n: int = 40) -> dict[str, Comparison]:
    return {task: gained(0, 0, n) for task in tasks}


def finalist(name: str, tokens: float = 100.0, **gains: Comparison) -> Finalist:
    return Finalist(
        Schedule(at_node={"n": {name: 1.0}}), gains, unchanged(list(gains), next(iter(gains.values())).after.n), tokens
    )


def settle(*finalists: Finalist) -> Decision:
    return decide(finalists, unchanged(list(finalists[0].gains)))


def test_no_finalists_leave_the_program_as_written() -> None:
    same = unchanged(["a", "b"])
    assert decide([], same) == Decision(Schedule(), False, same, "nothing beat your program")


def test_nothing_passes_and_the_program_stays_as_written() -> None:
    decision = settle(finalist("x", a=gained(6, 5), b=gained(5, 5)), finalist("y", a=gained(0, 8), b=gained(1, 4)))
    assert (decision.schedule, decision.improved, decision.why) == (Schedule(), False, "nothing beat your program")
    assert decision.gains == unchanged(["a", "b"])
    assert [each.split(":")[0] for each in decision.refused] == [
        "mean gain +0.013 ± 0.058 on confirmation",
        "mean gain -0.138 ± 0.042 on confirmation",
    ]


def test_a_finalist_with_a_sure_gain_replaces_it() -> None:
    best = finalist("x", a=gained(14, 2), b=gained(12, 1))
    decision = settle(finalist("y", a=gained(8, 2), b=gained(8, 2)), best)
    assert decision.improved
    assert decision.schedule == best.schedule
    assert decision.gains == best.gains
    assert decision.why.startswith("mean gain +0.287 ± 0.06")
    assert "as written" not in decision.why


@pytest.mark.parametrize(
    ("won", "lost", "vouched", "improved"),
    [
        (2, 0, None, False),
        (2, 0, (0.24, 0.14), True),
        (2, 1, (0.24, 0.14), True),
        (1, 1, (0.24, 0.14), False),
        (1, 0, (0.0, 0.14), False),
        (0, 1, (0.24, 0.01), False),
    ],
)
def test_what_other_compiles_vouch_for_needs_few_rows_that_agree(
    won: int, lost: int, vouched: tuple[float, float] | None, improved: bool
) -> None:
    assert settle(replace(finalist("x", a=gained(won, lost, 8)), vouched=vouched)).improved == improved


def test_a_task_below_its_baseline_stays_as_written() -> None:
    decision = settle(finalist("x", a=gained(20, 0), b=gained(1, 4), c=gained(3, 3)))
    assert decision.improved
    assert decision.schedule.as_written == ("b",)
    assert decision.gains["b"] == unchanged(["b"])["b"]
    assert decision.gains["a"].gain == 0.5 and decision.gains["c"].gain == 0.0
    assert decision.why.endswith("; as written in b")


def test_a_gain_in_one_task_alone_is_kept_there_alone() -> None:
    decision = settle(finalist("x", a=gained(16, 0), b=gained(2, 12), c=gained(4, 9)))
    assert decision.improved
    assert decision.schedule.as_written == ("b", "c")
    assert decision.why == "proven in a alone; as written elsewhere"
    assert decision.gains["a"].gain == pytest.approx(0.4)
    assert decision.gains["b"] == decision.gains["c"] == unchanged(["b"])["b"]


def test_equal_gains_go_to_the_cheaper_prompt() -> None:
    dear, cheap = (finalist(name, tokens, a=gained(14, 2)) for name, tokens in (("dear", 300.0), ("cheap", 120.0)))
    assert settle(dear, cheap).schedule == settle(cheap, dear).schedule == cheap.schedule


def test_a_larger_gain_wins_over_a_cheaper_prompt() -> None:
    dear, cheap = finalist("dear", 300.0, a=gained(15, 2)), finalist("cheap", 120.0, a=gained(14, 2))
    assert settle(cheap, dear).schedule == dear.schedule


def test_a_less_certain_first_finalist_makes_room_for_the_second() -> None:
    """The best mean comes from a few rows of a wild metric; the next one is sure."""
    wild = paired([0.0] * 40, [8.0] + [0.0] * 39)
    sure = paired([0.0] * 40, [0.15, 0.17] * 20)
    decision = settle(finalist("wild", a=wild), finalist("sure", a=sure))
    assert decision.schedule == finalist("sure", a=sure).schedule


def test_more_finalists_ask_for_more_evidence() -> None:
    alone = finalist("x", a=gained(7, 1))
    others = [finalist(f"y{index}", a=gained(2, 2)) for index in range(8)]
    assert settle(alone).improved
    assert not settle(alone, *others).improved


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_gain_on_each_of_too_few_rows_could_be_chance(n: int) -> None:
    assert not settle(finalist("x", a=gained(n, 0, n))).improved


def test_a_gain_on_each_of_enough_rows_is_no_chance() -> None:
    assert settle(finalist("x", a=gained(10, 0, 10))).improved


def rate(
    tasks: int, n: int, finalists: int, seed: int, gain: float = 0.0, runs: int = 300, alike: bool = False
) -> float:
    """How often finalists that change some answers replace the program.

    Args:
        tasks: Number of tasks.
        n: Rows of each.
        finalists: Number of finalists.
        seed: For drawing.
        gain: Their true gain; the share of wrong answers that they put right for sure.
        runs: Compiles that are simulated.
        alike: Whether finalists change the same answers.
    """
    draw = np.random.default_rng(seed)
    replaced = 0
    for _ in range(runs):
        before = {f"t{task}": [float(draw.random() < 0.5) for _ in range(n)] for task in range(tasks)}
        made: list[Mapping[str, Comparison]] = []
        for _ in range(finalists):
            made.append({task: paired(scores, _redrawn(draw, scores, gain)) for task, scores in before.items()})
        if alike:
            made = made[:1] * finalists
        same = {task: paired(scores, scores) for task, scores in before.items()}
        tried = [Finalist(Schedule(at_node={"n": {str(i): 1.0}}), gains, same, 1.0) for i, gains in enumerate(made)]
        replaced += decide(tried, same).improved
    return replaced / runs


def _redrawn(draw: Draw, scores: Sequence[float], gain: float) -> list[float]:
    changed, luck, helped = (draw.random(len(scores)) for _ in range(3))
    return [
        1.0 if score == 0 and help_ < 2 * gain else float(again < 0.5) if change < 0.4 else score
        for score, change, again, help_ in zip(scores, changed, luck, helped, strict=True)
    ]


NOISE = 2 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize(
    ("tasks", "n", "finalists"),
    [(1, 20, 3), (2, 20, 3), (3, 20, 6), (3, 60, 3), (5, 40, 3), (1, 3, 6), (2, 10, 6)],
)
def test_finalists_that_are_no_better_rarely_replace_the_program(tasks: int, n: int, finalists: int) -> None:
    assert rate(tasks, n, finalists, seed=tasks * n + finalists) <= 0.05 + NOISE


def test_finalists_that_are_alike_rarely_replace_it_either() -> None:
    assert rate(3, 40, 3, seed=5, alike=True) <= 0.05 + NOISE


def test_a_true_gain_is_mostly_found() -> None:
    assert rate(3, 40, 3, seed=1, gain=0.15, runs=60) >= 0.8
