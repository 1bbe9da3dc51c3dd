"""Where items explain nothing, the rest of the search is by another sampler, in a study of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

import fusionprog as fp
from fusionprog.search.effects.fit import Fit


@pytest.fixture(scope="module")
def handed_over(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Effects that are said to explain nothing, of a model that is right in half of the cases."""
    path = tmp_path_factory.mktemp("study") / "desk.db"
    model = kit.Scripted(lambda prompt, task, number: number % 2 == 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "fails", True)
        return kit.compile(model, budget=fp.Budget(calls=600), trials=None, storage=str(path)), path


def test_the_record_says_so_and_why(handed_over: tuple[Any, Path]) -> None:
    record = handed_over[0].program.record
    (why,) = [note for note in record.notes if "worse than each task's mean" in note]
    assert why.endswith("the rest of the search is by 'tpe'")
    assert not record.improved
    assert record.reason == f"all {record.trials} trials are done"
    assert record.learned is not None and record.learned.method == "posterior"


def test_the_second_half_is_a_study_of_its_own(handed_over: tuple[Any, Path]) -> None:
    compiled, path = handed_over
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(path.with_suffix(".study.log")))
    )
    studies = optuna.study.get_all_study_summaries(storage)
    sizes = {each.study_name.rpartition("-")[2]: each.n_trials for each in studies}
    record = compiled.program.record
    assert set(sizes) == {"0", "1"} and sum(sizes.values()) == record.trials
    assert sizes["0"] > 2 * sizes["1"] >= 4  # fewer, with as many rows as comparing them on the same ones needs
    (second,) = [each for each in studies if each.study_name.endswith("-1")]
    params = optuna.load_study(study_name=second.study_name, storage=storage).trials[0].params
    assert any(name.endswith(".temperature") for name in params)  # in the encoding of its own sampler


def test_where_items_explain_scores_nothing_is_handed_over(kit: Any) -> None:
    record = kit.compile(budget=fp.Budget(calls=600), trials=None).program.record
    assert any(note.startswith("effects of items explain scores") for note in record.notes)
    assert not any("the rest of the search is by" in note for note in record.notes)


def test_nothing_is_handed_over_to_a_search_that_has_too_many_parameters_to_learn_any(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fit, "fails", True)
    many = fp.PromptPool(fp.Fragment(f"item{number}", f"Mind point {number}.", facet="hint") for number in range(400))
    record = kit.compile(pool=many, budget=fp.Budget(calls=600), trials=None).program.record
    assert record.trials > 0
    assert not any("the rest of the search is by" in note for note in record.notes)
