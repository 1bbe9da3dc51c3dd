"""What a compile has kept on disk, read past the package: a copy of the database as a killed process left it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages.journal import JournalFileBackend

_CALLS = (
    "select prompts.messages, calls.content, calls.text from fusionprog_calls as calls"
    " join fusionprog_prompts as prompts on prompts.id = calls.prompt"
)
_TRIALS = "select fold, number from fusionprog_trials order by fold, number"


def content_of(messages: Sequence[Mapping[str, str]]) -> str:
    """Returns what tells one question to the model from another."""
    return json.dumps([[message["role"], message["content"]] for message in messages])


def committed(database: Path | str) -> dict[str, str]:
    """Returns the content of every call that a store has, and its answer.

    Args:
        database: A SQLite file, which need not exist yet; or the URL of a PostgreSQL database.
    """
    rows = _rows(database, _CALLS)
    return {content_of([*json.loads(prompt), {"role": "user", "content": last}]): text for prompt, last, text in rows}


def kept_trials(database: Path | str) -> list[list[int]]:
    """Returns the numbers of the trials in a store's own table, in order, for every fold."""
    rows = _rows(database, _TRIALS)
    return [[number for fold, number in rows if fold == each] for each in sorted({fold for fold, _ in rows})]


def statuses(database: Path) -> set[str]:
    """Returns which statuses the scores of a SQLite file have."""
    return {row[0] for row in _file_rows(database, "select distinct status from fusionprog_scores")}


def is_sound(database: Path) -> bool:
    """Returns whether SQLite finds its file sound."""
    return _file_rows(database, "pragma integrity_check") == [("ok",)]


def optuna_trials(database: Path | str) -> list[list[int]]:
    """Returns the numbers of the trials in Optuna's storage beside a store, in order, for every study."""
    storage: optuna.storages.BaseStorage
    if isinstance(database, Path):
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(database.with_suffix(".study.log"))))
    else:
        storage = optuna.storages.RDBStorage(_with_driver(database))
    studies = [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]
    numbers = [sorted(int(trial.user_attrs["number"]) for trial in study.trials) for study in studies]
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()
    return numbers


def _rows(database: Path | str, query: str) -> list[Any]:
    return _file_rows(database, query) if isinstance(database, Path) else _server_rows(database, query)


def _file_rows(database: Path, query: str) -> list[Any]:
    """Rows of a copy, so that reading repairs nothing that the next run has to repair itself."""
    if not database.exists():
        return []
    with tempfile.TemporaryDirectory() as folder:
        for path in (database, database.with_name(f"{database.name}-wal")):
            if path.exists():
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / database.name)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):  # killed before it had made them
                    return []
                raise


def _server_rows(url: str, query: str) -> list[Any]:
    engine = sqlalchemy.create_engine(_with_driver(url))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]
    finally:
        engine.dispose()


def _with_driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
