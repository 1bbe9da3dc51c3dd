"""What is in a store, and what was paid for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from fusionprog.store.store import Store
from fusionprog.store.tables import SCHEMA_VERSION, calls, models, prompts, scores, studies, trials


@dataclass(frozen=True, slots=True)
class ModelInventory:
    """What is stored of one model.

    Attributes:
        id: Digest of its identity.
        name: As its identity names it.
        answers: Answers that are stored.
        unpriced: Those of them whose price is unknown.
        paid_calls: Calls that went to the model, those whose answers were replaced too.
        paid_tokens: Tokens of these calls, prompts and answers.
        paid_usd: Dollars for these calls, where prices are known.
    """

    id: str
    name: str
    answers: int
    unpriced: int
    paid_calls: int
    paid_tokens: int
    paid_usd: float


@dataclass(frozen=True, slots=True)
class StudyInventory:
    """What is stored of one study.

    Attributes:
        fingerprint: Digest of its parts.
        parts: Part of the compile → its digest; empty where only trials or scores are there.
        trials: Told trials, of all folds.
        scores: Scores of single examples.
    """

    fingerprint: str
    parts: Mapping[str, str]
    trials: int
    scores: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in a store.

    Attributes:
        name: The store, without a password.
        version: Of its schema.
        size: Bytes that it takes.
        prompts: Number of different messages that calls begin with.
        models: Models, the dearest first.
        studies: Studies by fingerprint.
    """

    name: str
    version: int
    size: int
    prompts: int
    models: tuple[ModelInventory, ...]
    studies: tuple[StudyInventory, ...]


def model_name(identity: str, model_id: str) -> str:
    """Returns what a model is called, given its identity as JSON; the id where that does not say."""
    found: Any = json.loads(identity) if identity else None
    name = found.get("model") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name else model_id


def take_inventory(store: Store) -> Inventory:
    """Returns what is in a store.

    Raises:
        StoreError: if it cannot be read.

    Note:
        Reads every row of calls once.
    """
    paid = (
        select(
            calls.c.model,
            func.max(models.c.identity),
            func.count(),
            func.count() - func.count(calls.c.usd),
            func.sum(calls.c.paid_calls),
            func.sum(calls.c.paid_tokens),
            func.sum(calls.c.paid_usd),
        )
        .select_from(calls.outerjoin(models, models.c.id == calls.c.model))
        .group_by(calls.c.model)
    )
    with store.reading() as connection:
        by_model = [
            ModelInventory(
                model, model_name(identity or "", model), answers, unpriced, int(count), int(tokens), float(usd)
            )
            for model, identity, answers, unpriced, count, tokens, usd in connection.execute(paid)
        ]
        prompt_count = int(connection.execute(select(func.count()).select_from(prompts)).scalar_one())
        parts = _two_columns(connection, select(studies.c.fingerprint, studies.c.parts))
        counts: dict[str, dict[str, int]] = {
            table.name: _two_columns(connection, select(table.c.study, func.count()).group_by(table.c.study))
            for table in (trials, scores)
        }
    fingerprints = sorted({*parts, *counts[trials.name], *counts[scores.name]})
    return Inventory(
        name=store.name,
        version=SCHEMA_VERSION,
        size=store.size(),
        prompts=prompt_count,
        models=tuple(sorted(by_model, key=lambda each: (-each.paid_usd, -each.paid_tokens, each.name, each.id))),
        studies=tuple(
            StudyInventory(
                fingerprint,
                json.loads(parts.get(fingerprint, "{}")),
                counts[trials.name].get(fingerprint, 0),
                counts[scores.name].get(fingerprint, 0),
            )
            for fingerprint in fingerprints
        ),
    )


def _two_columns(connection: Connection, query: Select[Any]) -> dict[str, Any]:
    return {first: second for first, second in connection.execute(query)}
