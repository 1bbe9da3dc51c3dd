"""Probing: which items, on which rows, and what they are found to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import EmbedderError
from fusionprog.program.data import Row
from fusionprog.prompts.embedders import Functional, HashedNgrams, Probes
from fusionprog.prompts.items import Facet, Item
from fusionprog.search.bench import Bench
from fusionprog.search.probing import probe_effects, probe_rows, probing_calls, with_probes
from fusionprog.search.split import split_val

METRIC = fp.metrics.exact_match("team")


def fragment(name: str, facet: Facet = "hint", **more: Any) -> fp.Fragment:
    return fp.Fragment(name, f"Text {name}.", facet=facet, **more)


def task(name: str = "shop", *, train: int = 12, val: int = 60, private: bool = False) -> fp.Task:
    def rows(split: str, count: int) -> list[dict[str, str]]:
        return [{"message": f"{split} {place}", "team": f"t{place % 3}"} for place in range(count)]

    return fp.Task(name, domain=name, train=rows("train", train), val=rows("val", val), metric=METRIC, private=private)


def chosen(items: list[Item], tasks: list[fp.Task] | None = None) -> tuple[str, ...]:
    made = with_probes(Functional(), items, ["triage", "answer", "frozen"], ["triage", "answer"], tasks or [task()])
    assert isinstance(made.needs, Probes) and made.needs.nodes == ("triage", "answer")
    return made.needs.items


# Which items.


def test_items_of_all_facets_take_turns_and_there_are_eight() -> None:
    items: list[Item] = [fragment(f"h{place}") for place in range(20)]
    items += [fragment("p0", "pattern"), fragment("r0", "role"), fragment("r1", "role")]
    assert chosen(items) == ("r0", "p0", "h0", "r1", "h1", "h2", "h3", "h4")


def test_what_a_new_task_could_not_be_measured_with_is_left_out() -> None:
    items: list[Item] = [
        fragment("elsewhere", nodes=["other"]),
        fragment("of-one-domain", domains=["shop"]),
        fragment("needy", requires=["a"]),
        fp.builders.BootstrappedDemos(count=2, id="runs"),
        fp.builders.BalancedDemos(per_label=1, id="rows"),
        *(fragment(name) for name in "abc"),
    ]
    assert chosen(items, [task("shop"), task("bank")]) == ("a", "rows", "b", "c")
    assert chosen(items, [task("shop"), task("bank", private=True)]) == ("a", "b", "c")


def test_other_embedders_are_left_as_they_are() -> None:
    hashed = HashedNgrams()
    assert with_probes(hashed, [], ["triage"], ["triage"], [task()]) is hashed
    items: list[Item] = [fragment(name) for name in "abc"]
    named = with_probes(Functional(["c", "a", "b"], ["one"], rows=2), items, ["one", "two"], ["two"], [task()])
    assert named.needs == Probes(("c", "a", "b"), ("one",), 2)


# On which rows.


def rows_of(tasks: list[fp.Task], count: int = 8) -> tuple[dict[str, list[str]], Any]:
    folds = split_val({each.name: each.rows["val"] for each in tasks}, 0)
    found = probe_rows({each.name: each for each in tasks}, {each.name: METRIC for each in tasks}, folds, count)
    return {name: [row.columns["message"] for row in mine] for name, mine in found.items()}, folds


def test_training_rows_come_first_and_the_search_part_where_there_are_too_few() -> None:
    found, folds = rows_of([task("shop"), task("bank", train=3)])
    assert found["shop"] == [f"train {place}" for place in range(8)]
    searched = {row.columns["message"] for row in folds[0].search["bank"]}
    assert len(found["bank"]) == 8 and set(found["bank"]) <= searched


def test_where_every_row_of_val_confirms_train_alone_is_used() -> None:
    found, folds = rows_of([task("bank", train=3, val=30)])
    assert len(folds) == 2
    assert found["bank"] == ["train 0", "train 1", "train 2"]
    with pytest.raises(EmbedderError, match="'bank' has no rows to probe it on"):
        rows_of([task("bank", train=0, val=30)])


# What they do.


def test_effects_are_mean_differences_on_the_same_rows(planted_bench: Callable[..., Bench]) -> None:
    def score(opened: frozenset[tuple[str, str]], task: str, row: Row) -> float:
        helps = 0.5 if ("triage", "a") in opened and ("answer", "a") in opened else 0.0
        hurts = 0.25 if ("triage", "b") in opened and task == "bank" else 0.0
        return 0.1 * int(row.columns["message"][-1]) + helps - hurts

    tasks = {name: task(name) for name in ("shop", "bank")}
    rows = {name: each.rows["train"][:4] for name, each in tasks.items()}
    bench: Any = planted_bench(score, list(tasks))
    probes = Probes(("a", "b", "c"), ("triage", "answer"), 4)
    items: dict[str, Item] = {name: fragment(name) for name in "abcd"}
    effects = asyncio.run(probe_effects(bench, probes, items, rows))
    assert effects["shop"] == pytest.approx((0.5, 0.0, 0.0))
    assert effects["bank"] == pytest.approx((0.5, -0.25, 0.0))
    assert bench.measured == bench.charged
    assert bench.calls == probing_calls(probes, rows, {"shop": 1, "bank": 1}) == 4 * 4 * 2
