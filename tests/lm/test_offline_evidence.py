"""What counts as evidence for a label, and what does not."""

from __future__ import annotations

import pytest

from fusionprog.lm.offline.closed_choice import ClosedChoice, Query
from fusionprog.lm.offline.mentions import LabelMentions
from fusionprog.lm.offline.similarity import hashed, words
from fusionprog.lm.offline.synonyms import find_synonyms

LABELS = ("card_lost", "refund", "no", "text", "Sci/Tech", "w2")


def best(choice: ClosedChoice, text: str) -> int:
    return int(choice.scores(Query({"text": text})).argmax())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- card_lost: lost, stolen", [(0, "lost, stolen")]),
        ("* `refund` - money back", [(1, "money back")]),
        ("**refund:** money back", [(1, "money back")]),
        ("2) refund = money back", [(1, "money back")]),
        ("refund: money back", [(1, "money back")]),
        ("- Refund: money back", [(1, "money back")]),
        ("no: not at all", [(2, "not at all")]),
        ('"it was stolen" -> card_lost', [(0, "it was stolen")]),
        ("refund: money; no: denial; w2: tax form", [(1, "money"), (2, "denial"), (5, "tax form")]),
        ("- refund:\n  money back\n  return\n\nBe brief.", [(1, "money back"), (1, "return")]),
        ("If the customer wants money back, use `refund`.", [(1, "If the customer wants money back, use  .")]),
        ("Use card_lost for stolen wallets. Be brief.", [(0, "Use  for stolen wallets.")]),
        ("Say 'refund' for money, 'no' for a denial.", [(1, "for money,"), (2, "for a denial.")]),
        ("Sci/Tech covers computers.", [(4, "covers computers.")]),
    ],
)
def test_plausible_mentions_are_found(line: str, said: list[tuple[int, str]]) -> None:
    assert [(label, " ".join(text.split())) for label, text in LabelMentions(LABELS).find(line)] == [
        (label, " ".join(text.split())) for label, text in said
    ]


@pytest.mark.parametrize(
    "line",
    [
        "There is no text to refund.",
        "Text: what the customer wrote.",
        "No: that is rarely right.",
        "Answer 'no' or 'text' only.",
        "Do not use `refund` for late parcels.",
        "Never answer card_lost without a stolen wallet.",
        "Choose one of: card_lost, refund, no, text, Sci/Tech, w2.",
        "Choose one of `card_lost`, `refund`, `no`.",
        "The card_lost2 and a_refund are others.",
        "- text",
        "",
    ],
)
def test_words_that_only_look_like_labels_are_no_mention(line: str) -> None:
    assert LabelMentions(LABELS).find(line) == []


def test_a_label_in_another_alphabet_case_does_no_harm() -> None:
    assert LabelMentions(["i", "ss"]).find("- ı: dotless\n- SS: double") == [(1, "double")]


def test_instructions_flip_the_answer_and_prose_does_not() -> None:
    text = "somebody took my purse"
    assert best(ClosedChoice(LABELS), text) == best(ClosedChoice(LABELS, ["Think step by step."]), text)
    assert best(ClosedChoice(LABELS, ["- w2: purse"]), text) == 5
    assert best(ClosedChoice(LABELS, ["- w2: purse", "- refund: somebody took a purse"]), text) == 1


def test_a_name_is_split_into_words() -> None:
    assert words("cardLost card-lost card_lost isn't pin2") == "card lost card lost card lost isnt pin 2".split()
    assert best(ClosedChoice(["payBill", "card-lost", "pin_change"]), "changing my pin") == 2


def test_ties_go_to_the_first_label() -> None:
    assert best(ClosedChoice(["b", "a", "b"]), "unrelated") == 0
    assert best(ClosedChoice(["x1", "x2"], ["- x1: same words\n- x2: same words"]), "same words") == 0


def test_labels_without_words_are_allowed() -> None:
    assert best(ClosedChoice(["!", "?", ""]), "") == 0
    assert best(ClosedChoice(["!", "yes"]), "yes") == 1


def test_synonyms_lend_their_words() -> None:
    labels = ["order_status", "card_lost"]
    assert find_synonyms("You are an expert. A parcel is an order.") == [("parcel", "order")]
    assert best(ClosedChoice(labels, ["A wallet is a card."]), "my wallet") == 1
    assert best(ClosedChoice(labels, ["A wallet is an order."]), "my wallet") == 0


def test_shared_words_name_the_evidence() -> None:
    choice = ClosedChoice(LABELS, ["- card_lost: stolen, wallet"])
    assert choice.shared_words(Query({"text": "My Wallet was stolen!"}), 0) == ["wallet", "stolen"]


def test_inflections_are_similar() -> None:
    one, other, unrelated = (set(hashed([text]).indices.tolist()) for text in ("travelling", "traveled", "bridge"))
    assert len(one & other) > len(one & unrelated)
