"""Label glossaries: words that really tell labels apart."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.builders import LabelGlossary
from fusionprog.prompts.items import BuildContext

MakeContext = Callable[..., BuildContext]


class Team(enum.Enum):
    DELIVERY = "delivery"
    BILLING = "billing"


class Tags(fp.Signature):
    """Tag the message."""

    subject: str = fp.InputField()
    message: str = fp.InputField()
    tags: list[Literal["late", "lost", "paid"]] = fp.OutputField()


class Two(fp.Signature):
    """Two closed outputs and an open one."""

    message: str = fp.InputField()
    team: Team = fp.OutputField()
    reply: str = fp.OutputField()
    urgency: Literal[1, 2] | None = fp.OutputField()


def words_of(text: str) -> dict[str, list[str]]:
    """Label → words, as the glossary's lines have them."""
    return {label: words.split(", ") for label, words in re.findall(r"^- (.+?): (.+)$", text, re.MULTILINE)}


def built(context: BuildContext, words: int = 8) -> str:
    """What the glossary says."""
    text = LabelGlossary(words=words).build(context)
    assert text is not None
    return text


def test_the_text(context: MakeContext, rows: list[dict[str, str]]) -> None:
    assert built(context(rows), 2) == (
        "Words that often go with each `team`:\n"
        "- delivery: parcel, courier\n"
        "- returns: refund, exchange\n"
        "- billing: invoice, voucher"
    )


def test_words_that_all_labels_share_are_left_out(context: MakeContext, rows: list[dict[str, str]]) -> None:
    listed = {word for words in words_of(built(context(rows), 50)).values() for word in words}
    assert listed == {"parcel", "courier", "refund", "exchange", "invoice", "voucher"}


def test_the_number_of_words_is_a_limit_best_first(context: MakeContext, rows: list[dict[str, str]]) -> None:
    most = words_of(built(context(rows), 3))
    for count in (1, 2):
        assert words_of(built(context(rows), count)) == {label: words[:count] for label, words in most.items()}


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("parcel card refund late please my the".split()), max_size=5).map(" ".join),
            st.sampled_from(["late", "lost", "paid"]),
        ),
        max_size=12,
    ),
    st.integers(1, 5),
)
def test_every_word_is_a_larger_part_of_its_labels_inputs_than_of_the_others(
    told: list[tuple[str, str]], words: int
) -> None:
    rows = tuple({"subject": "", "message": text, "tags": [label]} for text, label in told)
    text = LabelGlossary(words=words).build(BuildContext("n", "t", Tags, rows, (), 0))
    for label, listed in words_of(text or "").items():
        mine = [word for each, tag in told if tag == label for word in set(each.split())]
        others = [word for each, tag in told if tag != label for word in set(each.split())]
        assert len(listed) == len(set(listed)) <= words
        for word in listed:
            assert mine.count(word) / len(mine) > others.count(word) / max(len(others), 1)


def test_rows_of_another_order_make_the_same_text(context: MakeContext, rows: list[dict[str, str]]) -> None:
    assert built(context(rows[::-1], seed=5)) == built(context(rows))


def test_numbers_single_letters_and_case_do_not_count(context: MakeContext) -> None:
    told = [
        {"message": "PARCEL 42 x Über_maß", "team": "delivery"},
        {"message": "refund 43 y", "team": "returns"},
    ]
    assert words_of(built(context(told))) == {"delivery": ["parcel"], "returns": ["refund"]}


def test_a_list_of_labels_counts_for_each_of_them_once(context: MakeContext) -> None:
    told = [
        {"subject": "van", "message": "slow parcel", "tags": ["late", "late", "lost"]},
        {"subject": "van", "message": "slow courier", "tags": ["late"]},
        {"subject": "van", "message": "missing parcel", "tags": ["lost"]},
        {"subject": "card", "message": "charged", "tags": ["paid"]},
        {"subject": "card", "message": "nothing", "tags": []},
    ]
    listed = words_of(built(context(told, signature=Tags)))
    assert {"slow", "courier"} <= set(listed["late"])
    assert {"missing", "parcel"} <= set(listed["lost"])
    assert set(listed["paid"]) == {"card", "charged"}
    once = [{**told[0], "tags": ["late", "lost"]}, *told[1:]]
    assert built(context(once, signature=Tags)) == built(context(told, signature=Tags))


def test_every_closed_output_has_its_block_and_open_ones_none(context: MakeContext) -> None:
    told = [
        {"message": "parcel today", "team": Team.DELIVERY, "reply": "r", "urgency": 1},
        {"message": "invoice sometime", "team": "billing", "reply": "s", "urgency": 2},
        {"message": "parcel", "team": Team.DELIVERY, "reply": "t", "urgency": None},
    ]
    assert built(context(told, signature=Two), 1) == (
        "Words that often go with each `team`:\n- delivery: parcel\n- billing: invoice\n"
        "Words that often go with each `urgency`:\n- 1: parcel\n- 2: invoice"
    )


def test_a_label_without_rows_has_no_line(context: MakeContext, rows: list[dict[str, str]]) -> None:
    told = [row for row in rows if row["team"] != "returns"]
    assert list(words_of(built(context(told)))) == ["delivery", "billing"]


@pytest.mark.parametrize(
    "told",
    [
        [],
        [{"message": "parcel", "team": "delivery"}],
        [{"message": "parcel", "team": "delivery"}, {"message": "courier", "team": "delivery"}],
        [{"message": "parcel"}, {"message": "refund"}],
        [{"message": "1 2 3", "team": "delivery"}, {"message": "!", "team": "returns"}],
        [{"message": "parcel", "team": "delivery"}, {"message": "parcel", "team": "returns"}],
        [{"message": "parcel", "team": "unknown"}, {"message": "refund", "team": "neither"}],
    ],
    ids=["no rows", "one row", "one label", "no labels", "no words", "one word", "other labels"],
)
def test_where_nothing_tells_labels_apart_there_is_nothing_to_offer(context: MakeContext, told: list[Any]) -> None:
    assert LabelGlossary().build(context(told)) is None


def test_without_a_closed_output_there_is_nothing_to_offer(context: MakeContext, rows: list[dict[str, str]]) -> None:
    class Open(fp.Signature):
        """Answer."""

        message: str = fp.InputField()
        team: str = fp.OutputField()

    assert LabelGlossary().build(context(rows, signature=Open)) is None


def test_what_it_is() -> None:
    made = LabelGlossary(words=4)
    assert (made.id, made.kind, made.facet, made.arguments()) == (
        "label-glossary-4",
        "label-glossary",
        "hint",
        {"words": 4},
    )
    assert not made.reveals_rows
    assert not made.needs_traces
