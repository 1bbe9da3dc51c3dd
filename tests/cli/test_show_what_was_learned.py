"""What ``fusionprog show`` prints of what a search learned."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import fusionprog as fp
from fusionprog.cli.learned import break_even_lines, learned_parts
from fusionprog.runtime.break_even import BreakEven
from fusionprog.runtime.learned import Effect, Learned, Point
from fusionprog.testing import TextModel

Command = Callable[..., Any]


def printed(program: Any, node: str | None = None, full: bool = False) -> list[str]:
    console = Console(width=200, file=io.StringIO())
    for part in learned_parts(program, node, full):
        console.print(part, markup=False, soft_wrap=isinstance(part, str))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_show_has_all_parts_and_a_hint(command: Command, desk: Path) -> None:
    ran = command("show", desk / "desk.json")
    assert ran.code == 0
    lines = ran.out.splitlines()
    starts = [line.partition(":")[0].partition(" in units")[0] for line in lines]
    parts = [start for start in starts if start in ("effects at triage", "importance", "learning curve")]
    assert parts == ["effects at triage", "importance", "learning curve"]
    assert lines[-1].startswith("all items: --effects")
    assert "all items" not in command("show", desk / "desk.json", "--effects").out


def test_show_as_json_has_what_follows(command: Command, desk: Path) -> None:
    data = command("show", desk / "desk.json", "--json").data
    program = fp.load(desk / "desk.json")
    assert set(data["learned"]["effects"]) == set(data["interference"]["cosine"]) == {"shop", "bank"}
    assert (data["break_even"] is None) == (program.record.break_even is None)
    one = command("show", desk / "desk.json", "--json", "--task", "bank", "--node", "triage").data
    assert one["learned"]["effects"] == {"bank": data["learned"]["effects"]["bank"]}


@pytest.fixture
def program(desk: Path) -> Any:
    """The desk with made-up effects: of ten items, one helps both tasks, one helps the one and hurts the other."""
    loaded = fp.load(desk / "desk.json")
    items = [f"item-{place}" for place in range(10)]
    effects = {task: {"triage": {item: Effect(0.0, 0.05, 10) for item in items}} for task in loaded.tasks}
    for task, sign in (("shop", 1), ("bank", -1)):
        effects[task]["triage"]["item-4"] = Effect(0.25, 0.05, 200)
        effects[task]["triage"]["item-5"] = Effect(sign * 0.1, 0.05, 100)
    learned = Learned(
        "posterior",
        effects,
        {"triage": {"format": {"json": Effect(-0.02, 0.01, 30)}}},
        {"triage.hint.item-4": 0.75, "triage.format": 0.25},
        (Point(0, 10, 0.25), Point(4, 50, 0.5, 0.75), Point(0, 60, 0.25, fold=1), Point(2, 90, 0.25, 0.25, fold=1)),
    )
    loaded.record = replace(loaded.record, learned=learned)
    return loaded


def test_the_best_and_the_worst_items_are_shown_and_all_if_asked(program: Any) -> None:
    lines = printed(program)
    rows = [line.strip("│ ").split("│") for line in lines if line.startswith("│")]
    assert [cell.strip() for cell in rows[0]] == ["item-4", "400", "+.25 ± .10", "+.25 ± .10"]
    assert [row[0].strip() for row in rows] == [
        "item-4", "item-0", "item-1", "item-2", "item-3", "… 2 more", "item-7", "item-8", "item-9",
    ]  # fmt: skip
    full = printed(program, full=True)
    assert len([line for line in full if line.startswith("│")]) == 10
    assert "settings at triage: format json -.02 ± .02" in full
    assert not [line for line in lines if line.startswith("settings")]


def test_interference_is_in_words(program: Any) -> None:
    lines = printed(program)
    assert "interference: cosine of the tasks' effects shop–bank .72" in lines
    assert "  triage.item-5 helps shop and hurts bank" in lines
    assert "  1 help several tasks: triage.item-4" in lines
    assert "  8 do nothing that can be told: triage.item-0, triage.item-1, triage.item-2 and 5 more" in lines
    assert not [line for line in printed(program["shop"]) if "interference" in line or "bank" in line]


def test_importance_has_bars_and_the_curve_a_line_a_fold(program: Any) -> None:
    lines = printed(program)
    assert f"  triage.hint.item-4  75% {'█' * 20}" in lines
    assert f"  triage.format       25% {'█' * 7}" in lines
    assert "learning curve: ▁▅ .25 → .50 in 4 trials, 50 calls" in lines
    assert "     expected:  █ .75 → .75 by the model of the best it knows" in lines
    assert "learning curve: ▁▁ .25 → .25 in 2 trials, 90 calls" in lines


def test_with_many_tasks_the_ends_are_shown(program: Any) -> None:
    effects = {
        f"t{place}": {"triage": {"a": Effect(0.1 * place, 0.05, 10), "b": Effect(0.1, 0.05, 10)}} for place in range(7)
    }
    one = program.tasks["shop"]
    program.tasks = dict.fromkeys(effects, one)
    program.record = replace(program.record, learned=Learned("comparison", effects))
    lines = printed(program)
    assert "trials with against trials without" in lines[0]
    assert [cell.strip() for cell in lines[4].strip("│ ").split("│")] == [
        "a",
        "70",
        "+.30",
        "t6 +.60 ± .10",
        "t0 +.00 ± .10",
    ]
    (cosines,) = [line for line in lines if line.startswith("interference")]
    assert cosines.count("–") == 6


def test_parts_of_a_node_are_its_own(program: Any) -> None:
    lines = printed(program, node="triage")
    assert any(line.startswith("effects at triage") for line in lines)
    assert not any(line.startswith("effects at") for line in printed(program, node="answer"))
    assert not any("importance" in line for line in printed(program, node="answer"))


def test_without_a_search_nothing_is_said(program: Any) -> None:
    program.record = replace(program.record, learned=None)
    assert printed(program) == []


def test_break_even_is_a_sentence_for_each_sense() -> None:
    dearer = BreakEven("tokens", 2_000_000, 4_000, -200, 0.2, 0.03)
    assert break_even_lines(dearer) == [
        "break-even: the search took 4,000 calls, 2,000,000 tokens; a call scores +.20 ± .03, "
        "costs 200 tokens more than before",
        "  after 20,000 calls there are as many additional right answers as the search took calls; "
        "each costs 1,000 tokens",
    ]
    cheaper = break_even_lines(BreakEven("usd", 3.0, 4_000, 0.0015, 0.0, 0.03))
    assert cheaper[0].endswith("$3; a call scores +.00 ± .03, costs $0.0015 less than before")
    assert cheaper[1:] == ["  after 2,000 calls the search has paid for itself"]
    worse = break_even_lines(BreakEven("usd", 3.0, 4_000, -0.0015, -0.1, 0.03))
    assert len(worse) == 1 and re.search(r"scores -\.10 ± \.03, costs \$0\.0015 more", worse[0])


def test_a_node_without_items_shows_its_settings(program: Any) -> None:
    """Its effects are nowhere else."""
    learned = program.record.learned
    program.record = replace(program.record, learned=replace(learned, effects={}))
    assert "settings at triage: format json -.02 ± .02" in printed(program)


def test_a_format_is_no_program_as_written(command: Command, tmp_path: Path) -> None:
    def chance(messages: Any) -> str:
        last = messages[-1]["content"]
        number = int(last.partition("case ")[2].split()[0])
        as_json = "JSON object" in last.rpartition("Respond with")[2]
        right = number % 10 < (9 if as_json else 2)
        team = f"team {(number + (not right)) % 2}"
        return f'{{"team": "{team}"}}' if as_json else f"[[ ## team ## ]]\n{team}\n\n[[ ## completed ## ]]"

    class One(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.triage = fp.modules.Predict("message -> team")

        def forward(self, message: str) -> Any:
            return {"team": self.triage(message=message).team}

    rows = [{"message": f"case {place} here", "team": f"team {place % 2}"} for place in range(70)]
    task = fp.Task("shop", train=rows[:10], val=rows[10:], metric=fp.metrics.exact_match("team"))
    model = TextModel(chance, "openai/desk")
    budget = fp.Budget(calls=600)
    compiled = fp.compile(
        One(), [task], pool=fp.PromptPool([]), lm=model, formats=("chat", "json"), budget=budget, progress=False
    )
    assert compiled.schedule.settings("triage", "shop").format == "json"
    compiled.save(tmp_path / "desk.json")

    lines = command("show", tmp_path / "desk.json").out.splitlines()
    assert "shop · triage: format json" in lines
    assert any(line.startswith("settings at triage: format json +") for line in lines)
    data = command("show", tmp_path / "desk.json", "--json").data
    assert data["settings"]["shop"]["triage"]["format"] == "json"


def test_text_and_json_say_the_same_of_an_item(command: Command, desk: Path) -> None:
    data = command("show", desk / "desk.json", "--json").data
    for task, nodes in data["mixtures"].items():
        for node, mixture in nodes.items():
            known = data["learned"]["effects"].get(task, {}).get(node, {})
            for items in mixture["facets"].values():
                assert all(each["effect"] == known[each["item"]]["effect"] for each in items if each["item"] in known)
    other = command("show", desk / "desk.json", "--json", "--node", "triage").data["learned"]
    assert set(other["settings"]) <= {"triage"} and all(name.startswith("triage.") for name in other["importance"])
