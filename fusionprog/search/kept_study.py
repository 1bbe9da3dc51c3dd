"""The study is kept beside the measurements, off the search's path."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.exc import InterfaceError, OperationalError

from fusionprog._internal.canonical import digest
from fusionprog.search.provenance import differences
from fusionprog.store.outages import has_to_end
from fusionprog.store.store import Store

_PATIENCE, _AGAIN = 60.0, 0.2  # seconds that a server has to come back, and between two tries
_GATHERED = 1.0  # seconds for which trials are gathered, to be written together
_NAMED = 6  # differences that are named to the user
_DAMAGED = (ValueError, KeyError, TypeError)  # what Optuna raises for a journal that it cannot read


class KeptStudy:
    """Writes told trials to the store, and to an Optuna storage beside it as study ``<fingerprint>-<part>``.

    There is a part for each fold, and another where a strategy has handed over to its successor.
    The search never reads them: the same compile runs again from the stored answers, which costs no call and gives
    the same trials. They are there for people and for Optuna's dashboard, so where they cannot be written the compile
    goes on, and a journal that was damaged is set aside and written anew. Beside a SQLite file ``desk.db`` it is the
    journal ``desk.study.log`` (Optuna's tables take much longer to write there); on a server it is Optuna's own tables,
    into which every worker of the search writes what no other has written; a store in memory keeps none.

    Args:
        store: The store.
        parts: Part of the compile → digest; their digest is the study's fingerprint.

    Attributes:
        fingerprint: The study's.
        standing: Whether it goes on or is new, and how a new one differs from the nearest, in words.
        trouble: What became of trials that could not be written, in words, when it has ended; empty if all is well.
    """

    def __init__(self, store: Store, parts: Mapping[str, str]) -> None:
        self.fingerprint = digest(dict(parts))
        self.standing = _standing(store, self.fingerprint, parts)
        self.trouble = ""
        self._store = store
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="fusionprog-study")
        self._writes: list[Future[None]] = []
        self._due: deque[tuple[int, optuna.trial.FrozenTrial]] = deque()  # filled and emptied in two threads
        self._ending = threading.Event()
        self._studies: dict[str, optuna.Study] = {}
        store.put_study(self.fingerprint, parts)

    def keep(self, part: int, trial: optuna.trial.FrozenTrial) -> None:
        """Keeps a told trial, unless it is there from an earlier run."""
        row = {
            "fold": part,
            "number": trial.number,
            "params": json.dumps(trial.params, sort_keys=True),
            "value": trial.value,
            "state": trial.state.name,
        }
        self._store.put_trials(self.fingerprint, [row])
        if self._store.in_memory:
            return
        self._due.append((part, trial))
        self._writes = [write for write in self._writes if not write.done() or write.exception() is not None]
        self._writes.append(self._writer.submit(self._write))

    def keep_scores(self, rows: list[dict[str, Any]]) -> None:
        """Keeps per-example scores."""
        self._store.put_scores(self.fingerprint, rows)

    def let_go(self) -> None:
        """Says that there are no more trials: what Optuna holds of those that were written, once more, is dropped."""
        self._writes.append(self._writer.submit(self._end))

    def _end(self) -> None:
        self._write()
        self._studies.clear()

    def _write(self) -> None:
        """Writes all trials that are due together; a server that starts again is waited for."""
        if self._due:
            self._ending.wait(_GATHERED)
        due = [self._due.popleft() for _ in range(len(self._due))]
        patience = time.monotonic() + _PATIENCE
        while due:
            try:
                self._write_as_one(due)
                return
            except (OperationalError, InterfaceError, StorageInternalError):
                if self._store.path is not None or self._store.outages.hurried or time.monotonic() > patience:
                    raise
                self._studies.clear()
                time.sleep(_AGAIN)

    def _write_as_one(self, due: Sequence[tuple[int, optuna.trial.FrozenTrial]]) -> None:
        """Writes trials while no other process that shares the store does."""
        with self._store.exclusive("studies"):
            for part in sorted({part for part, _ in due}):
                study = self._study(f"{self.fingerprint}-{part}")
                known = {each.user_attrs.get("number") for each in study.get_trials(deepcopy=False)}
                for trial in (trial for mine, trial in due if mine == part and trial.number not in known):
                    study.add_trial(
                        optuna.create_trial(
                            params=trial.params,
                            distributions=trial.distributions,
                            value=trial.value,
                            user_attrs={"number": trial.number},
                        )
                    )

    def _study(self, name: str) -> optuna.Study:
        if name not in self._studies:
            try:
                self._studies[name] = _open_study(self._store, name)
            except _DAMAGED:
                journal = _journal(self._store)
                if journal is None or self._studies:
                    raise
                aside = journal.with_name(f"{journal.name}.damaged")
                journal.replace(aside)
                self.trouble = f"{journal.name} was damaged; it is now {aside.name}, and these trials are in a new one"
                self._studies[name] = _open_study(self._store, name)
        return self._studies[name]

    def __enter__(self) -> KeptStudy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if error is not None and has_to_end(error):
            self._store.outages.hurry()
        self._writer.shutdown()
        for failure in filter(None, (write.exception() for write in self._writes)):
            where = _journal(self._store) or self._store.name
            self.trouble = (
                f"the trials cannot be kept for Optuna in {where}: {failure}; what was compiled does not depend on "
                "them, and the same command writes them once more"
            )


def _standing(store: Store, fingerprint: str, parts: Mapping[str, str]) -> str:
    studies = store.get_studies()
    name = fingerprint[:8]
    if fingerprint in studies:
        return f"study {name} goes on; trials kept: {store.get_trial_count(fingerprint):,}"
    if not studies:
        return f"study {name} is new"
    nearest = min(studies, key=lambda other: (len(differences(parts, studies[other])), other))
    differing = differences(parts, studies[nearest])
    more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    return (
        f"study {name} is new: it differs from study {nearest[:8]} in {', '.join(differing[:_NAMED])}{more}; "
        "what was asked before is not asked again"
    )


def _journal(store: Store) -> Path | None:
    """The journal beside a store in a file."""
    return None if store.path is None else store.path.with_suffix(".study.log")


def _open_study(store: Store, name: str) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            storage=_optuna_storage(store), study_name=name, direction="maximize", load_if_exists=True
        )


def _optuna_storage(store: Store) -> optuna.storages.BaseStorage:
    if (journal := _journal(store)) is None:
        return optuna.storages.RDBStorage(store.url)
    return optuna.storages.JournalStorage(JournalFileBackend(str(journal), _StoreLocked(str(journal))))


class _StoreLocked(JournalFileOpenLock):
    """Stands for the store's lock, which ends with its process; Optuna's own is left behind by one that is killed."""

    def acquire(self) -> bool:
        """Does nothing: the store's lock is held."""
        return True

    def release(self) -> None:
        """Does nothing."""
