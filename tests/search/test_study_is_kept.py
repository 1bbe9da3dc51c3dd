"""Told trials are kept beside the store."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from fusionprog._internal.canonical import digest
from fusionprog.search.kept_study import KeptStudy
from fusionprog.store.store import Store

PARTS = {"program": "p", "data": "d"}
DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "n.hint.guide": optuna.distributions.FloatDistribution(-1.0, 1.0),
    "n.format": optuna.distributions.CategoricalDistribution(["chat", "json"]),
}


def told(number: int, value: float = 0.5) -> optuna.trial.FrozenTrial:
    trial = optuna.trial.create_trial(
        params={"n.hint.guide": number / 10, "n.format": "chat"}, distributions=DISTRIBUTIONS, value=value
    )
    trial.number = number
    return trial


def journal(store: Path) -> optuna.storages.JournalStorage:
    return optuna.storages.JournalStorage(JournalFileBackend(str(store.with_suffix(".study.log"))))


def kept(store: Path, fold: int = 0, parts: dict[str, str] = PARTS) -> list[tuple[int, dict[str, object], float]]:
    study = optuna.load_study(study_name=f"{digest(parts)}-{fold}", storage=journal(store))
    return [(trial.user_attrs["number"], trial.params, trial.values[0]) for trial in study.trials]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk.db"


def test_trials_are_in_the_journal_beside_the_store_with_parameters_and_values(path: Path) -> None:
    with Store(str(path)) as store, KeptStudy(store, PARTS) as study:
        assert study.fingerprint == digest(PARTS)
        for number in range(3):
            study.keep(0, told(number, number / 2))
    assert kept(path) == [(n, {"n.hint.guide": n / 10, "n.format": "chat"}, n / 2) for n in range(3)]


def test_a_second_run_adds_only_what_is_not_there(path: Path) -> None:
    for trials in (3, 5, 5):
        with Store(str(path)) as store, KeptStudy(store, PARTS) as study:
            for number in range(trials):
                study.keep(0, told(number))
    assert [number for number, _, _ in kept(path)] == [0, 1, 2, 3, 4]


def test_folds_and_studies_are_kept_apart(path: Path) -> None:
    other = {"program": "q", "data": "d"}
    for parts, fold, count in ((PARTS, 0, 1), (PARTS, 1, 2), (other, 0, 3)):
        with Store(str(path)) as store, KeptStudy(store, parts) as study:
            for number in range(count):
                study.keep(fold, told(number))
    assert [len(kept(path, 0)), len(kept(path, 1)), len(kept(path, 0, other))] == [1, 2, 3]


def test_the_store_knows_what_a_study_is_made_of(path: Path) -> None:
    with Store(str(path)) as store, KeptStudy(store, PARTS) as study:
        assert store.get_studies() == {study.fingerprint: PARTS}


def test_a_store_in_memory_keeps_no_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Store() as store, KeptStudy(store, PARTS) as study:
        study.keep(0, told(0))
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_written_loses_nothing_else_and_is_told(path: Path) -> None:
    path.with_suffix(".study.log").mkdir()
    with Store(str(path)) as store:
        with KeptStudy(store, PARTS) as study:
            study.keep(0, told(0))
        assert "cannot be kept for Optuna in" in study.trouble and "desk.study.log" in study.trouble
        assert store.get_trial_count(study.fingerprint) == 1


@pytest.mark.parametrize("damage", ["x{\n", '{"op_code": 0, "worker', "whole and a half"])
def test_a_damaged_journal_is_set_aside_and_written_anew(path: Path, damage: str) -> None:
    """A full disk leaves half of a line, to which the next run would append."""
    journal = path.with_suffix(".study.log")
    if damage == "whole and a half":
        with Store(str(path)) as store, KeptStudy(store, PARTS) as study:
            study.keep(0, told(0))
        damage = journal.read_text(encoding="utf-8")[:-9]
        damage += damage
    journal.write_text(damage + '{"op_code": 0}\n', encoding="utf-8")
    with Store(str(path)) as store, KeptStudy(store, PARTS) as study:
        for number in range(2):
            study.keep(0, told(number))
    assert len(kept(path)) == 2
    assert "was damaged" in study.trouble
    assert path.with_name("desk.study.log.damaged").read_text(encoding="utf-8").startswith(damage)
    with Store(str(path)) as store, KeptStudy(store, PARTS) as again:
        again.keep(0, told(1))
    assert len(kept(path)) == 2 and not again.trouble


def test_an_error_of_the_compile_goes_before_one_of_the_journal(path: Path) -> None:
    path.with_suffix(".study.log").mkdir()
    with Store(str(path)) as store, pytest.raises(KeyError, match="mine"):
        with KeptStudy(store, PARTS) as study:
            study.keep(0, told(0))
            raise KeyError("mine")


def test_trials_before_an_error_are_kept(path: Path) -> None:
    with Store(str(path)) as store, pytest.raises(KeyError), KeptStudy(store, PARTS) as study:
        study.keep(0, told(0))
        raise KeyError
    assert len(kept(path)) == 1


def test_on_a_server_the_trials_are_in_optunas_own_tables(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = f"sqlite:///{path.with_name('server.db')}"
    with Store(str(path)) as store:
        monkeypatch.setattr(Store, "path", None)
        monkeypatch.setattr(store, "url", tables)
        with KeptStudy(store, PARTS) as study:
            study.keep(0, told(0))
        monkeypatch.undo()
    loaded = optuna.load_study(study_name=f"{digest(PARTS)}-0", storage=tables)
    assert [trial.user_attrs["number"] for trial in loaded.trials] == [0]


def test_a_study_says_whether_it_goes_on_and_how_a_new_one_differs_from_the_nearest(path: Path) -> None:
    first = {"the program": "p", "item 'a'": "a", "the seed": "0"}
    changed = {**first, "the seed": "1"}
    other = {"the program": "q", "item 'b'": "b", "the seed": "1"}
    said = []
    for parts in (first, first, other, changed):
        with Store(str(path)) as store, KeptStudy(store, parts) as study:
            said.append(study.standing)
            study.keep(0, told(0))
    names = [digest(each)[:8] for each in (first, other, changed)]
    assert said[0] == f"study {names[0]} is new"
    assert said[1] == f"study {names[0]} goes on; trials kept: 1"
    assert (
        f"study {names[1]} is new: it differs from study {names[0]} in the program, item 'b', the seed, item 'a'"
        in said[2]
    )
    assert said[3].startswith(f"study {names[2]} is new: it differs from study {names[0]} in the seed; ")
