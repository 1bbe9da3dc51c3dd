"""What a compile shows while it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionprog.lm.budget import Budget
from fusionprog.runtime.record import CompileRecord
from fusionprog.search import display
from fusionprog.search.display import Display, duration, short, spending
from fusionprog.search.events import Finished, Note, PhaseStarted, Spent, StepDone

RECORD = CompileRecord({}, False, "", 0, {}, {}, 0, {}, {}, {}, "")
BUDGET = Budget(calls=4000, usd=2.0)
SPENT = Spent(calls=1204, stored=310, usd=0.42, budget=BUDGET)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(display, "time", made)
    yield made


def step(number: int, spent: Spent = SPENT, phase: str = "search") -> StepDone:
    return StepDone(phase, number, {"shop": 0.71, "bank": 0.64}, {"shop": 0.83, "bank": 0.79}, spent)


def test_the_line_of_a_trial(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Display(live=False)
    shown(PhaseStarted("search", 62))
    clock.now += 180
    shown(step(31))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "search …",
        "trial 31 · shop .71→.83 · bank .64→.79 · 1,204/4,000 calls (310 from the store) · $0.42/$2 · 3m left",
    ]


def test_other_phases_name_their_steps_and_say_nothing_of_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Display(live=False)
    shown(PhaseStarted("screening"))
    clock.now += 6
    shown(StepDone("screening", 2, {}, {}, Spent(90, 0, 0.0, Budget())))
    assert capsys.readouterr().err.splitlines() == ["screening …", "screening 2 · 90 calls"]


def test_without_a_terminal_a_line_comes_every_five_seconds_and_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Display(live=False)
    shown(PhaseStarted("search", 100))
    for number in range(1, 101):
        clock.now += 0.125
        shown(step(number))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ·")[0] for line in lines] == ["search …", "trial 41", "trial 82", "trial 100"]
    assert not lines[-1].endswith("left")


def test_lines_are_plain_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with Display() as shown:
        shown(Note("val n=60"))
        shown(PhaseStarted("search", 1))
        shown(step(1))
        shown(Finished(RECORD))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[:2] == ["note: val n=60", "search …"]
    assert "\x1b" not in captured.err and "\r" not in captured.err


def test_a_long_note_is_one_line_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = "item 'house-terms' is offered nowhere: its domains are retail, the tasks' are banking, travel, " * 3
    Display()(Note(text.strip()))
    assert capsys.readouterr().err == f"note: {text.strip()}\n"


def test_brackets_in_a_note_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Display()(Note("found [bold]['message'][/]"))
    assert capsys.readouterr().err == "note: found [bold]['message'][/]\n"


def test_a_terminal_gets_one_line_that_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with Display() as shown:
        assert shown._is_live
        shown(PhaseStarted("search", 2))
        shown(step(1))
        shown(step(2))
        live = shown._live
        assert live is not None and live.is_started
        live.refresh()
        assert "trial 2 · shop .71→.83" in capsys.readouterr().err
        shown(Finished(RECORD))
        assert shown._live is None and not live.is_started
    assert "\x1b[?25h" in capsys.readouterr().err  # the cursor is back


def test_leaving_the_block_ends_the_line_also_after_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with pytest.raises(KeyError), Display(live=True) as shown:
        shown(PhaseStarted("search", 2))
        live = shown._live
        raise KeyError
    assert live is not None and not live.is_started
    capsys.readouterr()


@pytest.mark.parametrize(
    ("score", "text"),
    [(0.0, ".00"), (0.714, ".71"), (0.999, "1.00"), (1.0, "1.00"), (12.5, "12.50"), (10.3, "10.30"), (-0.5, "-.50")],
)
def test_scores_are_short(score: float, text: str) -> None:
    assert short(score) == text


@given(st.floats(-1000, 1000))
def test_a_short_score_reads_back_as_the_score(score: float) -> None:
    text = short(score)
    assert abs(float(text) - score) <= 0.0051
    assert text != "-.00"
    assert re.fullmatch(r"-?\d*\.\d\d", text)


@pytest.mark.parametrize(
    ("spent", "text"),
    [
        (Spent(1204, 310, 0.42, BUDGET), "1,204/4,000 calls (310 from the store) · $0.42/$2"),
        (Spent(12, 0, 0.0, Budget()), "12 calls"),
        (Spent(12, 0, 0.0, Budget(usd=0.5)), "12 calls · $0.00/$0.5"),
        (Spent(12, 0, 0.031, Budget(calls=50)), "12/50 calls · $0.03"),
    ],
)
def test_spending_is_one_phrase(spent: Spent, text: str) -> None:
    assert spending(spent) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1s"), (0.4, "1s"), (42, "42s"), (180, "3m"), (3000, "50m"), (5400, "1.5h")]
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_where_nobody_knows_where_it_began_no_arrow_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Display(live=False)
    shown(PhaseStarted("search", 1))
    shown(StepDone("search", 1, {}, {"shop": 0.5}, Spent(90, 0, 0.0, Budget())))
    assert capsys.readouterr().err.splitlines() == ["search …", "trial 1 · shop .50 · 90 calls"]
