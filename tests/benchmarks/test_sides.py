"""All sides of the search benchmark: they keep to their calls, serve every task, and repeat themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

import search.dspy_sides
import search.gepa_side  # noqa: F401
from fusionprog.prompts.mixture import CAPS
from fusionprog.prompts.schedule import Schedule
from search.agreement import agreements
from search.benches import Bench, landscape_bench
from search.calls import Meter
from search.choices import Prompter
from search.report import Runs, reached, scores
from search.scores import score
from search.sides import SIDES, Terms, compile_tasks
from search.variants import WITHOUT_BIAS, WITHOUT_GATES, WITHOUT_TASKS
from search.zero_shot import prompts_for

CALLS = 100


def small(name: str = "landscape") -> Bench:
    bench = landscape_bench(name, seed=3)
    return replace(bench, tasks=bench.tasks[:2])


def run(side: str, bench: Bench) -> tuple[Meter, Mapping[str, float]]:
    meter = Meter(bench.answer)
    found = SIDES[side](Terms(bench, meter, CALLS * len(bench.graph.nodes), seed=0))
    meter.open()
    return meter, {task: score(bench, task, runner, meter).test for task, runner in found.runners.items()}


@pytest.mark.filterwarnings("ignore")  # other projects' own
@pytest.mark.parametrize("name", ["landscape", "landscape-two-nodes"])
@pytest.mark.parametrize("side", SIDES)
def test_a_side_keeps_to_its_calls_and_repeats_itself(side: str, name: str) -> None:
    bench = small(name)
    meter, found = run(side, bench)
    _, again = run(side, small(name))

    assert meter.count <= CALLS * len(bench.graph.nodes) * len(bench.tasks)
    assert set(found) == {"tides", "mooring"}
    assert found == again


@pytest.mark.parametrize("side", ["tpe", "MIPROv2", "gepa", "fusionprog"])
@pytest.mark.filterwarnings("ignore")
def test_sides_find_more_than_is_written(side: str) -> None:
    written, found = run("as written", small())[1], run(side, small())[1]

    assert sum(found.values()) > sum(written.values())


def test_the_agreement_of_val_with_test_follows_from_the_rows() -> None:
    bench = small()
    alike = {name: replace(mine, test=mine.val) for name, mine in bench.rows.items()}
    same = agreements(replace(bench, rows=alike), prompts=20, seed=0)
    given = agreements(bench, prompts=20, seed=0)

    for one, other in zip(same, given, strict=True):
        assert one.correlation == pytest.approx(1.0)
        assert one.chosen > one.mean
        assert -1.0 <= other.correlation < 1.0
        assert one.task == other.task
        assert other.written < other.chosen <= 1.0


def test_prompts_that_all_score_alike_have_no_correlation() -> None:
    assert {each.correlation for each in agreements(small(), prompts=1, seed=0)} == {0.0}


def test_a_choice_has_no_caps_on_texts() -> None:
    bench = small()
    hints = frozenset(item.id for item in bench.pool if item.facet == "hint")
    rules = frozenset(item.id for item in bench.pool if item.facet == "constraint")
    prompt = Prompter(bench).prompts("tides", {"decide": hints | rules})["decide"]
    text = "\n".join(message["content"] for message in prompt.messages({"case": "?"}))

    assert len(rules) > CAPS["constraint"]
    assert all(f"Principle of {item}:" in text for item in hints | rules)


def test_a_new_task_gets_what_all_tasks_share() -> None:
    bench = landscape_bench("landscape", seed=3, left_out=1)
    terms = Terms(bench, Meter(bench.answer), CALLS, seed=0)
    compiled = compile_tasks(terms, bench.tasks, sampler=WITHOUT_TASKS)
    prompts = prompts_for(compiled, bench.left_out[0])
    shared = {line.item for line in compiled.rendered("tides", "decide").composition.lines if line.item}

    assert compiled.record.improved
    assert {line.item for line in prompts["decide"].composition.lines if line.item} == shared


def test_a_variant_is_without_what_it_says() -> None:
    def found(sampler: str) -> Schedule:
        bench = landscape_bench("landscape", seed=3)
        return compile_tasks(Terms(bench, Meter(bench.answer), CALLS, seed=0), bench.tasks, sampler=sampler).schedule

    whole, without_tasks, without_bias = found("effects"), found(WITHOUT_TASKS), found(WITHOUT_BIAS)

    assert any(whole.everywhere.values()) and any(own for node in whole.in_task.values() for own in node.values())
    assert any(without_tasks.everywhere.values())
    assert not any(any(own.values()) for nodes in without_tasks.in_task.values() for own in nodes.values())
    assert not any(without_bias.everywhere.values())
    assert max(found(WITHOUT_GATES).costs.values()) < -1.0 < 0.0 <= min(whole.costs.values())


def test_a_report_pairs_seeds_and_finds_the_fewest_calls() -> None:
    def one(value: float) -> dict[str, object]:
        return {"true": {"a": value}, "asked": 10}

    runs: Runs = {
        ("toy", 100, "fusionprog"): {0: one(0.5), 1: one(0.7)},
        ("toy", 500, "fusionprog"): {0: one(0.9), 1: one(0.9)},
        ("toy", 500, "MIPROv2"): {0: one(0.5), 1: one(0.6)},
    }
    assert "-0.350 ± 0.050" in scores(runs)
    assert "100 of 500 (0.20)" in reached(runs)
