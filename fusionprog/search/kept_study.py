"""The Optuna study is kept beside the measurements, off the search's path."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from fusionprog._internal.canonical import digest
from fusionprog.errors import StoreError
from fusionprog.store.store import Store


class KeptStudy:
    """Writes told trials to an Optuna storage beside the store, as study ``<fingerprint>-<fold>``.

    The search never reads them: the same compile runs again from the stored answers, which costs no call and gives
    the same trials. They are there for people and for Optuna's dashboard. Beside a SQLite file ``desk.db`` it is the
    journal ``desk.study.log`` (Optuna's tables take much longer to write there); on a server it is Optuna's tables; a
    store in memory keeps none.

    Args:
        store: The store.
        parts: Part of the compile → digest; their digest is the study's fingerprint.
    """

    def __init__(self, store: Store, parts: Mapping[str, str]) -> None:
        self.fingerprint = digest(dict(parts))
        self._store = store
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="fusionprog-study")
        self._writes: list[Future[None]] = []
        self._studies: dict[str, tuple[optuna.Study, set[str]]] = {}
        store.put_study(self.fingerprint, parts)

    def keep(self, fold: int, trial: optuna.trial.FrozenTrial) -> None:
        """Keeps a told trial, unless it is there from an earlier run."""
        if self._store.in_memory:
            return
        self._writes.append(self._writer.submit(self._write, f"{self.fingerprint}-{fold}", trial))

    def keep_scores(self, rows: list[dict[str, Any]]) -> None:
        """Keeps per-example scores."""
        self._store.put_scores(self.fingerprint, rows)

    def _write(self, name: str, trial: optuna.trial.FrozenTrial) -> None:
        if name not in self._studies:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study = optuna.create_study(
                    storage=_optuna_storage(self._store),
                    study_name=name,
                    direction="maximize",
                    load_if_exists=True,
                )
            self._studies[name] = (study, {str(each.user_attrs.get("number")) for each in study.trials})
        study, known = self._studies[name]
        if str(trial.number) not in known:
            known.add(str(trial.number))
            study.add_trial(
                optuna.create_trial(
                    params=trial.params,
                    distributions=trial.distributions,
                    value=trial.value,
                    user_attrs={"number": trial.number},
                )
            )

    def __enter__(self) -> KeptStudy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown()
        if error is None:
            for write in self._writes:
                if (failure := write.exception()) is not None:
                    raise StoreError("the study cannot be kept", found=str(failure)) from failure


def _optuna_storage(store: Store) -> optuna.storages.BaseStorage:
    if store.path is None:
        return optuna.storages.RDBStorage(store.url)
    journal = str(store.path.with_suffix(".study.log"))
    return optuna.storages.JournalStorage(JournalFileBackend(journal))
