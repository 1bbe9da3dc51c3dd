"""The landscape model: what its answers depend on, and what is known of its prompts."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.prompts.schedule import FORMATS, NodeSettings, Schedule
from fusionprog.runtime.render import Renderer
from search.benches import Bench, landscape_bench
from search.calls import CallsSpentError, Meter
from search.choices import Choice, Prompter
from search.landscape import LABELS, SHAPES, Landscape
from search.scores import score

SMALL = replace(SHAPES["landscape"], tasks=3, items=8, pairs=5)


def bench_of(name: str = "landscape") -> tuple[Bench, Landscape]:
    bench = landscape_bench(name, seed=1)
    assert bench.landscape is not None
    return bench, bench.landscape


def messages_of(bench: Bench, task: str, choice: Choice, node: str, number: int = 0) -> Sequence[Mapping[str, str]]:
    row = bench.rows[task].test[number]
    prompt = Prompter(bench).prompts(task, choice)[node]
    return prompt.messages({field: row[field] for field in prompt.signature.input_fields})


@given(chosen=st.sets(st.integers(0, SMALL.items - 1)), task=st.integers(0, SMALL.tasks - 1), seed=st.integers(0, 5))
def test_no_choice_of_fragments_beats_the_optimum(chosen: set[int], task: int, seed: int) -> None:
    landscape = Landscape(SMALL, seed)
    name, fragments = list(landscape.cards)[task], list(landscape.fragments)
    chance = landscape.chance(name, "decide", frozenset(fragments[place] for place in chosen))

    assert 0 < chance <= landscape.optimum(name) < 1
    assert landscape.base(name) <= landscape.optimum(name)


@given(seed=st.integers(0, 5), words=st.integers(1, 200))
def test_words_distract(seed: int, words: int) -> None:
    landscape = Landscape(SMALL, seed)
    task = next(iter(landscape.cards))
    longer = landscape.chance(task, "decide", frozenset(), other_words=words)

    assert longer < landscape.chance(task, "decide", frozenset())


def test_the_optimum_of_two_nodes_is_that_of_each_alone() -> None:
    landscape = Landscape(replace(SMALL, nodes=2), seed=0)
    task = next(iter(landscape.cards))
    draw = random.Random(0)
    for _ in range(200):
        chosen = {
            node: frozenset(draw.sample(list(landscape.fragments), draw.randrange(9))) for node in landscape.nodes
        }
        chances = {node: landscape.chance(task, node, items) for node, items in chosen.items()}
        assert landscape.expected(chances) <= landscape.optimum(task)


@pytest.mark.parametrize("name", ["landscape", "landscape-two-nodes"])
def test_answers_are_a_function_of_the_messages(name: str) -> None:
    bench, landscape = bench_of(name)
    task, again = bench.tasks[0].name, landscape_bench(name, seed=1)
    some = frozenset(list(landscape.fragments)[:3])
    for node in landscape.nodes:
        asked = [messages_of(bench, task, {node: some}, node, number) for number in range(20)]
        answers = [bench.answer(messages) for messages in asked]
        assert [again.answer([dict(each) for each in messages]) for messages in reversed(asked)] == answers[::-1]


def test_fragments_task_and_node_are_read_in_the_messages() -> None:
    bench, landscape = bench_of("landscape-two-nodes")
    for task in list(landscape.cards)[:2]:
        for node in landscape.nodes:
            some = frozenset(list(landscape.fragments)[2:6])
            assert landscape.read(messages_of(bench, task, {node: some}, node)) == (task, node, some, 0)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_answered_in_kind(form: str) -> None:
    bench, landscape = bench_of()
    view = bench.views["tides"]
    schedule = Schedule(nodes={"decide": NodeSettings(format=form)})  # type: ignore[arg-type]
    prompt = Renderer({item.id: item for item in bench.pool}).prompts(schedule, view)["decide"]
    answer = bench.answer(prompt.messages({"case": landscape.case("tides", 7).text}))

    assert prompt.parse(answer)["answer"] in LABELS


@settings(deadline=None, max_examples=5)
@given(count=st.integers(0, 16))
def test_what_is_scored_is_what_is_expected(count: int) -> None:
    bench, landscape = bench_of()
    choice = {"decide": frozenset(list(landscape.fragments)[:count])}
    meter = Meter(bench.answer)
    meter.open()
    scores = [score(bench, task.name, Prompter(bench).runner(task.name, choice, meter), meter) for task in bench.tasks]

    for task, mine in zip(bench.tasks, scores, strict=True):
        assert mine.true == landscape.chance(task.name, "decide", choice["decide"])
        assert mine.items == count
    error = (0.25 / sum(len(bench.rows[task.name].test) for task in bench.tasks)) ** 0.5
    assert abs(statistics.mean(mine.test - mine.true for mine in scores)) < 4 * error


def test_two_nodes_are_scored_as_expected() -> None:
    bench, landscape = bench_of("landscape-two-nodes")
    meter = Meter(bench.answer)
    meter.open()
    best = landscape.best("tides")
    mine = score(bench, "tides", Prompter(bench).runner("tides", best, meter), meter)

    assert mine.true == pytest.approx(landscape.optimum("tides"))
    assert abs(mine.test - mine.true) < 4 * (0.25 / len(bench.rows["tides"].test)) ** 0.5


def test_too_many_fragments_have_no_known_optimum() -> None:
    with pytest.raises(ValueError, match="at most 20 fragments, not for 24"):
        Landscape(replace(SMALL, items=24), 0).optimum("tides")


def test_calls_beyond_the_budget_are_refused_and_equal_ones_are_free() -> None:
    meter = Meter(lambda messages: messages[-1]["content"].upper())
    meter.grant(1)
    one, other = [[{"role": "user", "content": text}] for text in ("one", "other")]

    assert [meter(one), meter(one), meter.count, meter.left] == ["ONE", "ONE", 1, 0]
    with pytest.raises(CallsSpentError, match="all 1 calls are spent"):
        meter(other)
    assert meter.refused
    meter.open()
    assert meter(other) == "OTHER" and meter.count == 1
