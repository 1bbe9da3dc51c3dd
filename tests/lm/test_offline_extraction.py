"""Free text, quantities and truth values found in the inputs."""

from __future__ import annotations

from datetime import date, time
from typing import Any, Literal

import dspy
import pytest

from fusionprog.lm.offline import OfflineReader
from fusionprog.lm.offline.extraction import SpanFinder, is_span, nearest_sentences, sentences
from fusionprog.lm.offline.quantities import find_dates, find_numbers, find_times


def ask(annotation: Any, text: str, shown: dict[str, Any] | None = None, name: str = "answer", desc: str = "") -> Any:
    fields = {"text": (str, dspy.InputField()), name: (annotation, dspy.OutputField(desc=desc))}
    signature = dspy.Signature(fields, "Read the text.")
    demos = [{"text": shown_text, name: value} for shown_text, value in (shown or {}).items()]
    adapter: Any = dspy.ChatAdapter()
    messages = adapter.format(signature, demos, {"text": text})
    return adapter.parse(signature, OfflineReader().read(messages))[name]


def test_text_is_the_sentence_nearest_to_the_description() -> None:
    text = "I bought it in May.\nThe price was too high. My dog likes it."
    assert ask(str, text, name="complaint", desc="what was wrong with the price") == "The price was too high."
    assert ask(str, text, name="pet", desc="dog or cat") == "My dog likes it."


def test_spans_follow_the_demonstrations() -> None:
    shown = {"i want to fly to Rome on Monday": "Rome", "we go to New York by bus": "New York", "to Oslo now": "Oslo"}
    assert ask(str, "book a seat to Paris please", shown) == "Paris"
    assert ask(list[str], "book a seat to Paris please", {k: [v] for k, v in shown.items()}) == ["Paris"]


def test_short_values_that_are_no_spans_come_from_the_nearest_demonstration() -> None:
    shown = {"the film was wonderful": "good", "the film was awful": "bad"}
    assert ask(str, "an awful book", shown) == "bad"
    assert ask(int, "an awful book", {"the film was wonderful": 5, "the film was awful": 1}) == 1


def test_copied_numbers_are_read_from_the_inputs() -> None:
    assert ask(int, "seats for 12 people", {"a table for 3": 3, "we are 4": 4}) == 12
    assert ask(float, "it costs $1,200.50 a month") == 1200.5
    assert ask(int, "nothing") == 0
    assert ask(list[int], "1, 2 and 3") == [1, 2, 3]


def test_truth_follows_demonstrations_or_the_words_of_the_field() -> None:
    assert ask(bool, "please refund me", name="wants_refund") is True
    assert ask(bool, "where is the parcel", name="wants_refund") is False
    shown = {"my screen is broken": True, "thanks a lot": False}
    assert ask(bool, "a broken door", shown) is True
    assert ask(bool, "many thanks", shown) is False


def test_several_labels_are_given_where_several_are_near() -> None:
    labels = list[Literal["late", "broken", "rude"]]
    assert ask(labels, "late and broken") == ["late", "broken"]
    assert ask(labels, "nothing of this") == ["late"]
    shown: dict[str, Any] = {"nothing of this": [], "so rude": ["rude"]}
    assert ask(labels, "really nothing of this", shown) == []


@pytest.mark.parametrize("text", ["", " \n ", "[[ ## answer ## ]]", "!?"])
def test_text_is_never_blank(text: str) -> None:
    assert ask(str, text).strip()


def test_sentences_are_single_lines_without_markers() -> None:
    assert sentences("One. Two!\n[[ ## x ## ]] three \u2028 four") == ["One.", "Two!", "three four"]
    assert sentences('["a b", {"c": 1}]') == ["a b", '{"c": 1}']
    assert sentences("[1] «a»\n[2] «b»") == ["a", "b"]
    assert sentences("[not json") == ["[not json"]


def test_the_longest_input_is_read_for_the_others() -> None:
    inputs = {"question": "Who paid?", "context": "It rains. Ann paid the bill. The sun came out."}
    assert nearest_sentences(inputs, "answer") == ["Ann paid the bill."]


def test_span_finders_do_not_overlap_and_survive_odd_texts() -> None:
    assert is_span("fly to Rome", "Rome") and not is_span("Rome", "Rome") and not is_span("fly to Rome", "Oslo")
    finder = SpanFinder([("to Rome and to Oslo", "Rome"), ("to Rome and to Oslo", "Oslo")])
    assert finder.find("to Paris and to Berlin", limit=2) == ["Paris", "Berlin"]
    assert finder.find("") == []


def test_quantities_are_found() -> None:
    assert find_numbers("-3, 1,200.50, v2, 4.5. 6") == ["-3", "1200.50", "4.5", "6"]
    assert find_numbers("9" * 5000) == []
    assert find_dates("2020-02-30, 2020-02-28, 13/2/2021, 2/3/2021, 4th of May 2022, May 5, 2022") == [
        date(2020, 2, 28),
        date(2021, 2, 13),
        date(2021, 2, 3),
        date(2022, 5, 4),
        date(2022, 5, 5),
    ]
    assert find_times("at 7:30 pm, 12:05 am and 23:59") == [time(19, 30), time(0, 5), time(23, 59)]
