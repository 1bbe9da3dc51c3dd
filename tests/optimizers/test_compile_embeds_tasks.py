"""Compiles that tell tasks apart by what calls say: measured effects, or a provider's vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import BudgetError, EmbedderError
from fusionprog.prompts.embedders import Functional, LiteLLM, check_embedder, embedder_of
from fusionprog.testing import Faults, LMServer

NAME = "openai/text-embedding-3-small"


def compiled(kit: Any, **changes: Any) -> Any:
    """A compile with a functional embedding, whose model minds the good hint in one task alone."""

    def right(prompt: str, task: str, number: int) -> bool:
        return bool(kit.says_good(prompt, task, number)) if task == "shop" else number % 10 < 6

    return kit.compile(kit.Scripted(right), embedder="functional", seed=1, **changes)


def inn(kit: Any) -> fp.Task:
    """A task that no compile here knows."""
    shop: fp.Task = kit.task("shop", description="Messages to an inn.")
    return replace(shop, name="inn")


@pytest.fixture(scope="module")
def probed(kit: Any) -> Any:
    return compiled(kit)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LMServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")
    with LMServer(lambda messages: "unused", embedding_size=8) as running:
        yield running


def test_probing_is_a_part_of_the_compile_on_training_rows_alone(probed: Any) -> None:
    phases = [event.phase for event in probed.events if hasattr(event, "phase") and hasattr(event, "steps")]
    assert phases[:2] == ["probing", "search"]
    record = probed.program.record
    first = probed.seen[: record.phases["probing"]]
    assert {seen.rpartition("case-")[2].split("-")[1] for seen in first} == {"train"}
    assert not any("-train-" in seen.rpartition("case-")[2] for seen in probed.seen[len(first) :])
    # Five items and the program as written, on eight rows of two tasks.
    assert record.phases["probing"] == len(first) == 6 * 8 * 2


def test_the_identity_names_what_was_measured(probed: Any) -> None:
    items = ["useless-0", "good", "useless-1", "useless-2", "useless-3"]  # facets take turns
    check_embedder(probed.program.embedder, Functional(items, ["triage"]))
    assert embedder_of(probed.program.embedder).identity == probed.program.embedder


def test_tasks_lie_where_their_effects_say(probed: Any) -> None:
    centre = dict(zip(probed.program.embedder["items"], probed.program.basis.centre, strict=True))
    assert max(centre, key=lambda item: centre[item]) == "good"
    (shop,), (bank,) = (probed.program.tasks[name].view.embedding for name in ("shop", "bank"))
    assert shop * bank < 0
    direction = dict(zip(probed.program.embedder["items"], probed.program.basis.components[0], strict=True))
    assert direction["good"] * shop > 0


def test_the_same_compile_makes_the_same_file(probed: Any, kit: Any, tmp_path: Path) -> None:
    for name, each in (("one", probed), ("two", compiled(kit, concurrency=1))):
        each.program.save(tmp_path / f"{name}.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert fp.load(tmp_path / "one.json", lm=kit.Scripted()).embedder == probed.program.embedder


@pytest.mark.parametrize(
    ("embedder", "said"),
    [
        (Functional(["good", "useless-0", "nobody"]), "items.*found nobody"),
        (Functional(["good", "useless-0", "useless-1"], ["nowhere"]), "nodes.*found nowhere"),
    ],
)
def test_probes_that_are_not_there_are_refused_before_any_call(embedder: Any, said: str, kit: Any) -> None:
    model = kit.Scripted()
    with pytest.raises(EmbedderError, match=said):
        kit.compile(model, embedder=embedder)
    assert not model.seen


def test_a_pool_too_small_to_probe_with_is_refused(kit: Any) -> None:
    with pytest.raises(EmbedderError, match="too few items"):
        kit.compile(pool=kit.pool(useless=1), embedder="functional")


def test_a_budget_that_probing_would_use_up_is_refused(kit: Any) -> None:
    with pytest.raises(BudgetError, match="too small for a search"):
        kit.compile(embedder=Functional(rows=12), budget=fp.Budget(calls=200))


def test_a_provider_s_vectors_are_asked_for_once(server: LMServer, kit: Any, tmp_path: Path) -> None:
    files = []
    for number in range(2):
        made = kit.compile(embedder=LiteLLM(NAME, dimensions=8, api_base=server.url), storage=str(tmp_path / "kept.db"))
        made.program.save(tmp_path / f"{number}.json")
        files.append((tmp_path / f"{number}.json").read_bytes())
    assert len(server.requests) == 1  # all tasks and items in one, which the store has for the second compile
    assert files[0] == files[1]
    assert made.program.embedder == {"name": "litellm", "model": NAME, "dimensions": 8}
    assert server.url.encode() not in files[0]
    assert made.program.record.phases["embedding"] == 1
    assert len(made.program.tasks["shop"].view.embedding) == 1
    text = server.requests[0].messages[0]["content"]
    assert "Messages to a shop." in text
    embedder = LiteLLM(NAME, dimensions=8, api_base=server.url)
    matrix = fp.transfer_matrix(made.program, inn(kit), rows=6, embedder=embedder, progress=False)
    assert list(matrix.gains) == ["shop", "bank", "all tasks"] and len(server.requests) == 2


def test_where_placing_a_task_costs_calls_a_matrix_has_its_sources_alone(probed: Any, kit: Any) -> None:
    matrix = fp.transfer_matrix(probed.program, inn(kit), rows=6, progress=False)
    assert list(matrix.gains) == ["shop", "bank"]
    assert matrix.notes == ("Desk: it costs calls to place a task, so that 'all tasks' is left out",)


def test_an_unknown_price_is_refused_where_dollars_are_limited(server: LMServer, kit: Any) -> None:
    with pytest.raises(BudgetError, match="no-such-model"):
        kit.compile(embedder=LiteLLM("openai/no-such-model", api_base=server.url), budget=fp.Budget(calls=500, usd=1.0))
    assert not server.requests


def test_a_slow_embedding_model_is_within_the_time_that_is_allowed(server: LMServer, kit: Any) -> None:
    server.faults = Faults(latency=60.0)
    embedder = LiteLLM(NAME, dimensions=8, api_base=server.url)
    with pytest.raises(BudgetError, match="seconds were used up before the embedding model had answered"):
        kit.compile(embedder=embedder, budget=fp.Budget(seconds=0.5))


def test_a_new_task_is_measured_as_the_others_were(probed: Any, kit: Any) -> None:
    branch = replace(kit.task("bank"), name="branch", domain="branch")
    with pytest.raises(EmbedderError, match="costs calls"):
        probed.program.adapt(branch, trials=0)
    adapted = probed.program.adapt(branch, budget=fp.Budget(calls=200), progress=False)
    assert adapted.tasks["branch"].view.embedding == pytest.approx(probed.program.tasks["bank"].view.embedding)
    assert adapted.embedder == probed.program.embedder


def test_a_new_task_is_embedded_by_the_same_model_alone(server: LMServer, kit: Any) -> None:
    embedder = LiteLLM(NAME, dimensions=8, api_base=server.url)
    compiled = kit.compile(embedder=embedder).program
    branch = replace(kit.task("bank"), name="branch", domain="branch")
    asked = len(server.requests)
    adapted = compiled.adapt(branch, trials=0, embedder=embedder)
    assert len(server.requests) == asked + 1
    assert len(adapted.tasks["branch"].view.embedding) == 1
    for other in (LiteLLM(NAME, dimensions=16, api_base=server.url), "hashed_ngrams"):
        with pytest.raises(EmbedderError, match="compiled with another embedder"):
            compiled.adapt(branch, trials=0, embedder=other)
    assert len(server.requests) == asked + 1
