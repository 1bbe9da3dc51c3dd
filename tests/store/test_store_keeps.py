"""What was put is found, at once and later; the newest wins and what was paid adds up."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fusionprog.errors import StoreError
from fusionprog.store.store import Store, StoredCall
from fusionprog.store.tables import SCHEMA_VERSION

CALL = StoredCall("answer", 10, 3, 0.5, "length")
PAID = "select paid_calls, paid_tokens, paid_usd from fusionprog_calls"


def test_what_was_put_can_be_read_at_once_and_after_it_is_written(store: Store, hands: Any) -> None:
    assert hands.get(store, "k") is None
    store.put_call(hands.key("k"), "model", "prompt", "hi", 0, CALL)
    assert hands.get(store, "k") == CALL
    store.flush()
    assert hands.get(store, "k") == CALL
    assert hands.get(store, "other") is None


def test_everything_is_there_at_the_next_opening(place: str, hands: Any) -> None:
    trial = {"fold": 1, "number": 2, "params": '{"a": 1.5}', "value": 0.25, "state": "COMPLETE"}
    with Store(place) as store:
        store.put_model("model", {"model": "m"})
        store.put_prompt("prompt", [{"role": "system", "content": "é"}])
        store.put_call(hands.key("k"), "model", "prompt", "hi", 2, CALL)
        store.put_scores("s", [hands.score("1"), hands.score("2", 0.25)])
        store.put_trials("s", [trial, {**trial, "number": 3, "value": None, "state": "FAIL"}])
        store.put_study("s", {"data": "d"})

    with Store(place) as store:
        assert hands.get(store, "k") == CALL
        assert store.get_studies() == {"s": {"data": "d"}}
        assert (store.get_trial_count("s"), store.get_trial_count("t")) == (2, 0)
    (call,) = hands.rows(place, "select key, model, prompt, content, sample, finish from fusionprog_calls")
    assert call == (hands.key("k"), "model", "prompt", "hi", 2, "length")
    assert hands.rows(place, "select * from fusionprog_models") == [("model", '{"model": "m"}')]
    assert hands.rows(place, "select * from fusionprog_prompts") == [("prompt", '[{"role": "system", "content": "é"}]')]
    scores = hands.rows(place, "select example, score, status, error from fusionprog_scores order by example")
    assert scores == [("1", 1.0, "ok", ""), ("2", 0.25, "ok", "")]
    trials = hands.rows(place, "select * from fusionprog_trials order by number")
    assert trials == [("s", 1, 2, '{"a": 1.5}', 0.25, "COMPLETE"), ("s", 1, 3, '{"a": 1.5}', None, "FAIL")]
    assert hands.rows(place, "select value from fusionprog_info") == [(str(SCHEMA_VERSION),)]


def test_what_a_call_did_cost_may_be_less_than_the_most(place: str, hands: Any) -> None:
    with Store(place) as store:
        for number, paid in enumerate((None, 0.125, 0.0)):
            store.put_call(hands.key(number), "model", "prompt", "hi", 0, CALL, paid_usd=paid)
        store.flush()
        assert hands.get(store, 1) == CALL

    assert sorted(hands.rows(place, PAID)) == [(1, 13, 0.0), (1, 13, 0.125), (1, 13, 0.5)]


def test_counts_and_studies_see_what_was_just_put(store: Store) -> None:
    trial = {"fold": 0, "number": 0, "params": "{}", "value": 1.0, "state": "COMPLETE"}
    store.put_trials("s", [trial])
    assert store.get_trial_count("s") == 1
    store.put_trials("s", [{**trial, "value": 2.0}, {**trial, "number": 1}])
    assert store.get_trial_count("s") == 2


def test_counts_see_what_is_being_written(path: Path) -> None:
    """The writer has taken it, and has not committed it yet."""
    store = Store(path)
    database = store._database
    begun, go_on, write = threading.Event(), threading.Event(), database.write

    def slowly(batch: Any) -> None:
        begun.set()
        assert go_on.wait(10)
        write(batch)

    store._writer._write = slowly
    store.put_trials("s", [{"fold": 0, "number": 0, "params": "{}", "value": 1.0, "state": "COMPLETE"}])
    store.wake()
    assert begun.wait(10)
    threading.Timer(0.05, go_on.set).start()
    assert store.get_trial_count("s") == 1
    store.close()


def test_a_store_knows_its_place(path: Path) -> None:
    with Store(path) as kept, Store() as passing:
        assert (kept.path, kept.in_memory, kept.shared) == (path, False, False)
        assert (passing.path, passing.in_memory, passing.shared) == (None, True, False)


def test_a_store_on_a_server_is_shared(postgres: str) -> None:
    with Store(postgres) as store:
        assert (store.path, store.in_memory, store.shared) == (None, False, True)


def test_a_store_in_memory_is_its_own(hands: Any) -> None:
    with Store() as first, Store() as second:
        hands.put(first, "k")
        first.flush()
        assert hands.get(second, "k") is None


def test_what_another_store_commits_is_found(place: str, hands: Any) -> None:
    with Store(place) as first, Store(place) as second:
        assert hands.get(second, "k") is None
        put = hands.put(first, "k")
        first.flush()
        assert hands.get(second, "k") == put
        assert hands.get(second, "l") is None


def test_the_newest_answer_and_score_win(place: str, hands: Any) -> None:
    with Store(place) as store:
        for number in range(50):
            hands.put(store, "k", f"answer {number}")
            store.put_scores("s", [hands.score("1", number), hands.score("1", number + 0.5)])
            if number % 7 == 0:
                store.flush()
        last = hands.get(store, "k")

    assert last is not None and last.text == "answer 49"
    assert hands.rows(place, "select text from fusionprog_calls") == [("answer 49",)]
    assert hands.rows(place, "select score from fusionprog_scores") == [(49.5,)]


@pytest.mark.parametrize("together", [True, False])
def test_what_was_paid_for_a_key_adds_up(place: str, hands: Any, together: bool) -> None:
    with Store(place) as store:
        for usd in (0.5, None, 0.25):
            hands.put(store, "k", usd=usd)
            if not together:
                store.flush()

    assert hands.rows(place, PAID) == [(3, 39, 0.75)]
    assert hands.rows(place, "select usd, input_tokens from fusionprog_calls") == [(0.25, 10)]


def test_answers_from_before_a_time_do_not_count(place: str, hands: Any) -> None:
    with Store(place) as store:
        hands.put(store, "old")
        store.flush()
        since = store.now()
        hands.put(store, "new")
        assert hands.get(store, "old", since) is None
        assert hands.get(store, "new", since) is not None
        store.flush()
        assert hands.get(store, "old") is not None
        assert hands.get(store, "new", since) is not None
        hands.put(store, "old")
        assert hands.get(store, "old", since) is not None


def test_a_store_marks_calls_with_its_own_clock(store: Store, hands: Any) -> None:
    before = store.now()
    hands.put(store, "k")
    store.flush()
    with store.reading() as connection:
        created = connection.exec_driver_sql("select created from fusionprog_calls").scalar_one()
    assert before <= created <= store.now()


def test_parts_of_a_study_are_json(path: Path, hands: Any) -> None:
    with Store(path) as store:
        store.put_study("s", {"b": "2", "a": "1"})
        store.put_study("s", {"a": "3"})
        assert store.get_studies() == {"s": {"a": "3"}}

    assert json.loads(hands.rows(path, "select parts from fusionprog_studies")[0][0]) == {"a": "3"}


def test_models_and_prompts_that_were_forgotten_are_put_again(
    path: Path, hands: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusionprog.store.store._NAMED", 2)
    with Store(path) as store:
        for turn in range(2):
            for number in range(5):
                store.put_prompt(f"p{number}", [{"role": "user", "content": str(number)}])
                hands.put(store, f"{turn} {number}")
                store.flush()

    assert hands.rows(path, "select id from fusionprog_prompts order by id") == [(f"p{n}",) for n in range(5)]


@pytest.mark.parametrize("text", ["a\x00b", "\ufdd0", "\ufdd00 \x00\ufdd0m\x00", "\x00", "🙂é\r\n\ufeff"])
def test_any_unicode_comes_back_as_it_was(store: Store, hands: Any, text: str) -> None:
    store.put_call(hands.key("k"), "model", "prompt", text, 0, StoredCall(text, 1, 1, None))
    store.put_scores("s", [{**hands.score("1"), "error": text}])
    store.put_prompt("p", [{"role": "user", "content": text}])
    store.flush()
    found = hands.get(store, "k")
    assert found is not None and found.text == text


def test_text_that_is_no_unicode_is_refused_in_calls_and_mended_elsewhere(store: Store, hands: Any) -> None:
    for content, answer in (("half \ud83d", "x"), ("x", "half \ud83d")):
        with pytest.raises(StoreError, match="not valid Unicode"):
            store.put_call(hands.key("k"), "m", "p", content, 0, StoredCall(answer, 1, 1, None))
    store.put_scores("s", [{**hands.score("1"), "error": "half \ud83d"}])
    store.put_prompt("p", [{"role": "user", "content": "half \ud83d"}])
    store.flush()
    assert hands.get(store, "k") is None
    with store.reading() as connection:
        assert connection.exec_driver_sql("select error from fusionprog_scores").scalar_one() == "half ?"


def test_closing_loses_nothing(place: str, hands: Any) -> None:
    with Store(place) as store:
        for number in range(1000):
            hands.put(store, number)

    assert hands.rows(place, "select count(*) from fusionprog_calls") == [(1000,)]


def test_closing_twice_is_closing_once(path: Path, hands: Any) -> None:
    store = Store(path)
    hands.put(store, "k")
    store.close()
    store.close()
    told: list[tuple[int, str]] = []
    hands.put(store, "too late")  # a call that was in flight when the program was interrupted
    hands.put(store, "later", written=lambda count, error: told.append((count, str(error))))

    assert hands.rows(path, "select key from fusionprog_calls") == [(hands.key("k"),)]
    assert len(told) == 1 and "is closed" in told[0][1]
    with pytest.raises(StoreError, match="is closed"):
        hands.get(store, "k")


def test_a_process_that_never_closes_still_writes(place: str, hands: Any) -> None:
    program = f"""
from fusionprog.store.store import Store, StoredCall
store = Store({place!r})
for number in range(500):
    store.put_call(number.to_bytes(16, "big"), "model", "prompt", "", 0, StoredCall("answer", 1, 1, None))
"""
    subprocess.run([sys.executable, "-c", program], check=True)

    assert hands.rows(place, "select count(*) from fusionprog_calls") == [(500,)]
