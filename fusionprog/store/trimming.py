"""Removes from a store what is not wanted any more."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Delete, Table, delete, func, select

from fusionprog.errors import StoreError
from fusionprog.store.inventory import model_name
from fusionprog.store.store import Store
from fusionprog.store.tables import RECEIPT, calls, info, models, prompts, scores, studies, trials


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What was removed, or would be.

    Attributes:
        calls: Answers; they would be asked for, and paid for, again.
        paid_usd: Dollars that were paid for them.
        prompts: Messages that no call begins with.
        models: Models that no call was made to.
        studies: Studies.
        scores: Scores of single examples.
        trials: Trials.
    """

    calls: int
    paid_usd: float
    prompts: int
    models: int
    studies: int
    scores: int
    trials: int


def trim(
    store: Store,
    *,
    before: float | None = None,
    model: str | None = None,
    study: str | None = None,
    dry_run: bool = False,
) -> Trimmed:
    """Removes answers and studies, and always the prompts and models that no answer needs.

    Args:
        store: The store.
        before: Answers that were stored before this unix time go; with ``model`` only that model's.
        model: Answers of this model go: its name, its id, or an id's beginning.
        study: This study goes, with its scores and trials: its fingerprint, or a beginning that only it has.
        dry_run: Whether only to say what would go.

    Raises:
        StoreError: if there is no such model or study, or it is not clear which; nothing is removed then.
    """
    with store.writing() as connection:
        conditions: list[ColumnElement[bool]] = []
        if before is not None:
            conditions.append(calls.c.created < before)
        if model is not None:
            conditions.append(calls.c.model.in_(_model_ids(connection, model)))
        gone = usd = 0.0
        if conditions:
            usd = connection.execute(
                select(func.coalesce(func.sum(calls.c.paid_usd), 0.0)).where(*conditions)
            ).scalar_one()
            gone = _count(connection, delete(calls).where(*conditions))
        of_study = dict.fromkeys((studies, scores, trials), 0)
        if study is not None:
            fingerprint = _fingerprint(connection, study)
            of_study = {
                table: _count(connection, delete(table).where(_study_column(table) == fingerprint))
                for table in of_study
            }
        connection.execute(delete(info).where(info.c.key.startswith(RECEIPT)))  # those that killed processes left
        trimmed = Trimmed(
            calls=int(gone),
            paid_usd=float(usd),
            prompts=_count(connection, delete(prompts).where(prompts.c.id.not_in(select(calls.c.prompt)))),
            models=_count(connection, delete(models).where(models.c.id.not_in(select(calls.c.model)))),
            studies=of_study[studies],
            scores=of_study[scores],
            trials=of_study[trials],
        )
        transaction = connection.get_transaction()
        if dry_run and transaction is not None:
            transaction.rollback()
    if not dry_run:
        store.compact()
    return trimmed


def _count(connection: Connection, statement: Delete) -> int:
    return int(connection.execute(statement).rowcount)


def _study_column(table: Table) -> ColumnElement[str]:
    return table.c.fingerprint if table is studies else table.c.study


def _model_ids(connection: Connection, wanted: str) -> list[str]:
    """The ids of a model: there are several where it was used with several settings."""
    found = select(calls.c.model, models.c.identity).distinct().outerjoin(models, models.c.id == calls.c.model)
    names = {model_id: model_name(identity or "", model_id) for model_id, identity in connection.execute(found)}
    ids = [model_id for model_id, name in names.items() if name == wanted]
    ids = ids or [model_id for model_id in names if wanted and model_id.startswith(wanted)]
    if not ids:
        raise StoreError(
            f"the store has no call to a model {wanted!r}",
            expected=", ".join(sorted(set(names.values()))) or "a store with calls",
            fix="Name one of these",
        )
    return ids


def _fingerprint(connection: Connection, wanted: str) -> str:
    known: set[str] = set()
    for table in (studies, scores, trials):
        known.update(connection.execute(select(_study_column(table)).distinct()).scalars())
    found = [wanted] if wanted in known else sorted(each for each in known if wanted and each.startswith(wanted))
    if len(found) != 1:
        raise StoreError(
            f"{wanted!r} names no study of the store" if not found else f"{wanted!r} names several studies",
            expected="one of " + ", ".join(sorted(found or known)) if known else "a store with studies",
            fix="Give the fingerprint of one study, or enough of its beginning",
        )
    return found[0]
