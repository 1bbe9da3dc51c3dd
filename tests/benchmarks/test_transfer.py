"""The transfer benchmark: what is held out, what controls take away, and what its tables say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import search.data_benches  # noqa: F401
from fusionprog.runtime.compiled import CompiledProgram
from transfer.changed import as_written, turned_round, uniform, without_embedding, without_families
from transfer.held_out import HeldOut, held_out
from transfer.programs import Sources, misled, useless
from transfer.report import grouped, paired, tables
from transfer.run import main
from transfer.scoring import Scorer
from transfer.sides import STARTS, ZERO_SHOT, Terms

CALLS = 60


@pytest.fixture(scope="module")
def held() -> HeldOut:
    (found,) = held_out("landscape", None, seed=3, left_out=1)
    return found


@pytest.fixture(scope="module")
def sources(held: HeldOut) -> Sources:
    return Sources(held, CALLS, seed=0)


def shown_items(program: CompiledProgram, task: str) -> set[str]:
    return {line.item for line in program.rendered(task, "decide").composition.lines if line.item}


def test_every_domain_is_held_out_once(tmp_path: Path) -> None:
    for domain, labels in {"alarm": 2, "music": 3, "news": 1, "weather": 2}.items():
        folder = tmp_path / "hwu64" / domain
        folder.mkdir(parents=True)
        rows = [{"text": f"{domain} {number}", "intent": f"{domain} {number % labels}"} for number in range(6)]
        for split in ("train", "val", "test"):
            (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))

    found = {each.name: {task.name for task in each.bench.tasks} for each in held_out("hwu64", tmp_path, 0, left_out=6)}

    assert found == {"alarm": {"music", "weather"}, "music": {"alarm", "weather"}, "weather": {"alarm", "music"}}


def test_controls_take_away_what_they_say(held: HeldOut, sources: Sources) -> None:
    program, (task,) = sources.program("whole"), held.targets
    without = without_embedding(program)
    opened = uniform(program).adapt(task, trials=0)
    facets = {item.id: item.facet for item in held.bench.pool}

    assert any(any(along) for along in program.schedule.directions["decide"].values())
    assert replace(program.schedule, directions={}) == without.schedule
    assert not shown_items(as_written(program).adapt(task, trials=0), task.name)
    assert {facets[item] for item in shown_items(opened, task.name)} == set(facets.values())
    assert without_families(program).items.keys() == program.items.keys()


def test_a_program_that_is_turned_round_expects_the_opposite(held: HeldOut, sources: Sources) -> None:
    program, (task,) = sources.program("whole"), held.targets
    turned = turned_round(program)
    shared, opposite = (each.record.learned.shared for each in (program, turned) if each.record.learned)

    assert shared is not None and opposite is not None
    assert {item: -each.mean for item, each in shared.effects["decide"].items()} == {
        item: each.mean for item, each in opposite.effects["decide"].items()
    }
    assert not shown_items(program.adapt(task, trials=0), task.name) & shown_items(
        turned.adapt(task, trials=0), task.name
    )


def test_sources_that_are_no_guide_have_the_same_fragments(held: HeldOut) -> None:
    known = held.bench.landscape
    assert known is not None
    other, nothing = misled(held.bench, 3).landscape, useless(held.bench, 3).landscape
    assert other is not None and nothing is not None
    some = next(iter(known.fragments))
    words = known.shape.distraction * len(known.fragments[some].split())

    def effect(landscape: Any) -> float:
        chances = [landscape.chance("tides", "decide", frozenset(items)) for items in ([], [some])]
        return float(chances[1] - chances[0] + words)

    assert known.fragments == other.fragments == nothing.fragments
    assert effect(other) == pytest.approx(-effect(known))
    assert effect(nothing) != pytest.approx(effect(known))


def test_scores_are_those_of_the_landscape(held: HeldOut, sources: Sources) -> None:
    (task,), known, scorer = held.targets, held.bench.landscape, Scorer(held.bench)
    assert known is not None
    terms = Terms(sources, task, 0, seed=0)
    written = ZERO_SHOT["as written"](terms).program

    assert scorer(written, task.name) == known.base(task.name)
    assert scorer.share(task.name, known.base(task.name)) == 0.0
    assert scorer.share(task.name, known.optimum(task.name)) == 1.0


def test_too_few_calls_leave_the_program_as_written(held: HeldOut, sources: Sources) -> None:
    cold = STARTS["cold"](Terms(sources, held.targets[0], 10, seed=0))

    assert cold.notes == {"refused": True}
    assert not shown_items(cold.program, held.targets[0].name)


def test_a_run_goes_on_where_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.jsonl"
    told = ["run", "--bench", "landscape", "--parts", "zero-shot", "--seeds", "1", "--source-calls", str(CALLS)]
    told += ["--left-out", "1", "-o", str(file)]
    main(told)
    whole = file.read_text()
    lines = whole.splitlines(keepends=True)
    file.write_text("".join(lines[:2]))
    main(told)

    def without_time(text: str) -> list[dict[str, Any]]:
        return [{**json.loads(line), "seconds": 0} for line in text.splitlines()]

    assert without_time(file.read_text()) == without_time(whole)
    main(["report", str(file)])
    assert "landscape (60)" in capsys.readouterr().out


def lines_of(scores: dict[tuple[str, int], dict[str, list[float]]]) -> Iterator[dict[str, Any]]:
    for (side, calls), by_task in scores.items():
        for task, values in by_task.items():
            for seed, score in enumerate(values):
                budget = 0 if side in ("cold", "as written") else 100
                yield {"bench": "toy", "seed": seed, "source_calls": budget, "task": task} | {
                    "side": side, "calls": calls, "score": score,
                }  # fmt: skip


def test_seeds_are_averaged_before_domains_are_compared() -> None:
    lines = list(
        lines_of(
            {
                ("as written", 0): {"a": [0.5, 0.5], "b": [0.5, 0.5]},
                ("whole", 0): {"a": [0.9, 0.5], "b": [0.5, 0.5]},
                ("cold", 100): {"a": [0.6, 0.6], "b": [0.6, 0.6]},
                ("warm", 50): {"a": [0.7, 0.7], "b": [0.5, 0.5]},
                ("cold", 50): {"a": [0.5, 0.5], "b": [0.5, 0.5]},
                ("warm", 100): {"a": [0.7, 0.7], "b": [0.5, 0.5]},
            }
        )
    )
    scores = grouped(lines)["toy", 100]
    told = " ".join("\n".join(tables(lines)).split())

    assert paired(scores["whole", 0], scores["as written", 0]) == pytest.approx([0.2, 0.0])
    assert "+0.100 ± 0.100" in told and "1 of 2" in told
    assert "0 (0.00)" in told  # zero-shot alone is as good as the cold start on average
    assert "1.00 | 1 of 2" in told  # no calls in one domain, never in the other: twice all
