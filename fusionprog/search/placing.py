"""Placing: brings what an embedder needs by calls, and says where tasks and items lie."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fusionprog.errors import BudgetError
from fusionprog.lm.budget import Cost
from fusionprog.lm.client import LMClient
from fusionprog.lm.embedding_model import ask_vectors, embedding_model, requests_for
from fusionprog.lm.model import Completion, price_of
from fusionprog.lm.price import FREE
from fusionprog.prompts.embedders import AskedModel, Embedder, Probes, Subject
from fusionprog.prompts.embedding import Basis
from fusionprog.prompts.items import Item
from fusionprog.search.bench import Bench, Rows
from fusionprog.search.places import Places, item_subject, task_subject
from fusionprog.search.preflight import Job
from fusionprog.search.probing import probe_effects, probe_rows

PHASES: Mapping[type, str] = {AskedModel: "embedding", Probes: "probing"}
"""What an embedder needs → what the part of a compile is called that brings it."""


async def placed(job: Job, bench: Bench, client: LMClient) -> Job:
    """Returns a compile whose tasks and items have their places, where calls must say them.

    Args:
        job: What passed preflight.
        bench: Measures tasks and keeps the books.
        client: Asks an embedding model.

    Raises:
        BudgetError: if the budget cannot pay for it, or its time is up first.
        LMError: if a model gives no answer.
    """
    items = {item.id: item for item in job.pool}
    tasks = {name: task_subject(job.graph, job.programs[name], task) for name, task in job.tasks.items()}
    needs = job.embedder.needs
    rows: Rows = {}
    if isinstance(needs, Probes):
        rows = probe_rows(job.tasks, job.metrics, job.folds, needs.rows)
    known = {key: item_subject(item) for key, item in items.items()}
    tasks, known = await with_measured(job.embedder, tasks, known, bench, client, items, rows)
    return replace(job, places=Places.of(job.embedder, tasks, known, job.basis))


async def coordinates_in(
    basis: Basis, embedder: Embedder, tasks: Mapping[str, Subject], client: LMClient
) -> tuple[dict[str, tuple[float, ...]], Mapping[bytes, Completion]]:
    """Returns task → its coordinates in a basis, and the calls that it took; of an embedder that does not probe.

    Args:
        basis: The basis.
        embedder: The embedder.
        tasks: Task → its subject, without what a model must be asked.
        client: Asks an embedding model.

    Raises:
        EmbedderError: if a task cannot be embedded.
        LMError: if a model gives no answer.
    """
    subjects = list(tasks.values())
    calls: Mapping[bytes, Completion] = {}
    if isinstance(needs := embedder.needs, AskedModel):
        asked, calls = await ask_vectors(client, needs, [subject.text for subject in subjects])
        subjects = [replace(each, measured=vector) for each, vector in zip(subjects, asked, strict=True)]
    vectors = embedder.embed(subjects)
    return {name: basis.coordinates(vector) for name, vector in zip(tasks, vectors, strict=True)}, calls


async def with_measured(
    embedder: Embedder,
    tasks: Mapping[str, Subject],
    items: Mapping[str, Subject],
    bench: Bench,
    client: LMClient,
    pool: Mapping[str, Item],
    rows: Rows,
) -> tuple[dict[str, Subject], dict[str, Subject]]:
    """Returns tasks and items with all that an embedder needs of them.

    Args:
        embedder: The embedder.
        tasks: Task → its subject, without.
        items: Item → its subject, without.
        bench: Measures tasks and keeps the books.
        client: Asks an embedding model.
        pool: All items by id.
        rows: Task → the rows that it is probed on, if it must be.
    """
    needs = embedder.needs
    if isinstance(needs, Probes):
        effects = await probe_effects(bench, needs, pool, rows)
        return {name: replace(each, measured=effects[name]) for name, each in tasks.items()}, dict(items)
    if not isinstance(needs, AskedModel):
        return dict(tasks), dict(items)
    subjects = [*tasks.values(), *items.values()]
    texts = [subject.text for subject in subjects]
    _check_affordable(needs, texts, bench)
    try:
        async with asyncio.timeout(max(0.0, bench.ledger.time_left())):  # for ever, where time is not limited
            vectors, calls = await ask_vectors(client, needs, texts)
    except TimeoutError as error:
        raise BudgetError(
            "the budget's seconds were used up before the embedding model had answered",
            found=f"{len(texts)} tasks and items to embed",
            fix="Allow more, or leave embedder out",
        ) from error
    bench.ledger.charge(calls)
    answered = [replace(each, measured=vector) for each, vector in zip(subjects, vectors, strict=True)]
    return dict(zip(tasks, answered, strict=False)), dict(zip(items, answered[len(tasks) :], strict=True))


def _check_affordable(needs: AskedModel, texts: Sequence[str], bench: Bench) -> None:
    """Tokenizers make at most one token of a byte."""
    tokens = sum(len(text.encode()) for text in texts)
    price = price_of(embedding_model(needs)) or FREE
    limit = bench.ledger.short_of(Cost(requests_for(len(texts)), tokens, price.most(tokens, 0)))
    if limit is not None:
        raise BudgetError(
            f"the budget in {limit} cannot pay for embedding {len(texts)} tasks and items",
            expected=f"room for {tokens:,} tokens at worst",
            fix="Allow more, or leave embedder out",
        )
