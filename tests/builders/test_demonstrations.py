"""Families of demonstrations: which rows they choose, and that they choose them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.builders import BalancedDemos, BasisDemos, BootstrappedDemos, ClusteredDemos
from fusionprog.prompts.items import BuildContext, Demo

MakeContext = Callable[..., BuildContext]
LABELS = ["delivery", "returns", "billing"]


class Open(fp.Signature):
    """Answer."""

    message: str = fp.InputField()
    place: str = fp.InputField(default="here")
    reply: str = fp.OutputField()


class Half(fp.Signature):
    """Two closed outputs, of which data often tell the second alone."""

    message: str = fp.InputField()
    mood: Literal["glad", "cross"] = fp.OutputField()
    tags: list[Literal["late", "lost"]] = fp.OutputField()


def teams(demos: Any) -> list[str]:
    """The labels of demonstrations in order."""
    return [demo["team"] for demo in demos]


@pytest.mark.parametrize("per_label", [1, 2, 3, 9])
def test_labels_take_turns_and_are_shown_equally_often(context: MakeContext, rows: list[Demo], per_label: int) -> None:
    demos = BalancedDemos(per_label).build(context(rows))
    assert demos is not None
    assert teams(demos) == LABELS * min(per_label, 3)
    assert len({demo["message"] for demo in demos}) == len(demos)
    assert all(demo in rows for demo in demos)


def test_a_label_with_fewer_rows_drops_out_of_later_turns(context: MakeContext, rows: list[Demo]) -> None:
    few = [row for row in rows if row["team"] != "returns"] + [{"message": "refund", "team": "returns"}]
    assert teams(BalancedDemos(2).build(context(few))) == [*LABELS, "delivery", "billing"]


def test_the_first_rows_of_more_per_label_are_those_of_fewer(context: MakeContext, rows: list[Demo]) -> None:
    one, three = BalancedDemos(1).build(context(rows)), BalancedDemos(3).build(context(rows))
    assert one is not None
    assert three is not None
    assert three[: len(one)] == one


def test_other_seeds_draw_other_rows(context: MakeContext, rows: list[Demo]) -> None:
    drawn = {str(BalancedDemos(1).build(context(rows, seed=seed))) for seed in range(8)}
    assert len(drawn) > 1


def test_without_a_closed_output_that_many_rows_in_all(context: MakeContext) -> None:
    told = [{"message": f"m{number}", "reply": "r"} for number in range(5)]
    demos = BalancedDemos(3).build(context(told, signature=Open))
    assert demos is not None
    assert len(demos) == 3
    assert all(demo in told for demo in demos)


def test_rows_are_balanced_over_the_closed_output_that_they_tell(context: MakeContext) -> None:
    told = [{"message": f"m{number}", "tags": ["lost"] if number else ["late", "lost"]} for number in range(4)]
    demos = BalancedDemos(1).build(context(told, signature=Half))
    assert demos is not None
    assert [demo["tags"] for demo in demos] == [["late", "lost"], ["lost"]]


def test_a_closed_output_that_no_row_tells_does_not_keep_rows_out(context: MakeContext) -> None:
    class Told(fp.Signature):
        """The gold column is the open one."""

        message: str = fp.InputField()
        mood: Literal["glad", "cross"] = fp.OutputField()
        reply: str = fp.OutputField()

    told = [{"message": f"m{number}", "reply": "r"} for number in range(4)]
    demos = BalancedDemos(2).build(context(told, signature=Told))
    assert demos is not None
    assert len(demos) == 2


def test_rows_need_every_input_and_an_output_and_are_shown_once(context: MakeContext) -> None:
    whole = {"message": "m", "reply": "r"}
    told = [
        whole,
        whole,
        {"reply": "r"},
        {"message": "n"},
        {"message": "o", "reply": None},
        {"message": None, "reply": "r"},
    ]
    for family in (BalancedDemos(9), ClusteredDemos(9), BasisDemos(9)):
        assert family.build(context(told, signature=Open)) == (whole,)


def test_an_input_with_a_default_may_be_missing(context: MakeContext) -> None:
    told = [{"message": "m", "reply": "r"}, {"message": "m", "place": "there", "reply": "s"}]
    demos = BalancedDemos(9).build(context(told, signature=Open))
    assert demos is not None
    assert sorted(demo["reply"] for demo in demos) == ["r", "s"]


KINDS = {
    "parcels": ["my parcel is late", "parcel is late", "the parcel is late again", "my parcel is very late"],
    "cards": ["my card was stolen", "card stolen", "the card was stolen today"],
    "songs": ["play a song", "play a quiet song"],
}
TOLD = [{"message": text, "team": "delivery"} for texts in KINDS.values() for text in texts]


def kind(demo: Demo) -> str:
    """What a row of ``TOLD`` is about."""
    return next(name for name, texts in KINDS.items() if demo["message"] in texts)


def test_clusters_show_each_kind_of_input_the_most_frequent_first(context: MakeContext) -> None:
    demos = ClusteredDemos(3).build(context(TOLD))
    assert demos is not None
    assert [kind(demo) for demo in demos] == ["parcels", "cards", "songs"]


def test_one_cluster_shows_the_most_typical_row(context: MakeContext) -> None:
    told = [{"message": text, "team": "delivery"} for text in ("a b c", "a b c d", "a b", "z")]
    assert ClusteredDemos(1).build(context(told)) in [(told[0],), (told[1],)]


def test_the_leading_direction_is_that_of_the_largest_kind(context: MakeContext) -> None:
    demos = BasisDemos(3).build(context(TOLD))
    assert demos is not None
    assert kind(demos[0]) == "parcels"
    assert {kind(demo) for demo in demos} == set(KINDS)


def test_more_directions_begin_with_the_fewer(context: MakeContext) -> None:
    few, many = BasisDemos(2).build(context(TOLD)), BasisDemos(6).build(context(TOLD))
    assert few is not None
    assert many is not None
    assert many[:2] == few


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.lists(
        st.lists(st.sampled_from("parcel card song late 7 !".split()), max_size=4).map(" ".join), min_size=1, max_size=9
    ),
    st.integers(1, 6),
    st.sampled_from([ClusteredDemos, BasisDemos]),
)
def test_rows_are_distinct_as_many_as_there_are_and_the_same_again(
    texts: list[str], count: int, family: type[ClusteredDemos] | type[BasisDemos]
) -> None:
    told = tuple({"message": text, "reply": "r"} for text in texts)
    context = BuildContext("n", "t", Open, told, (), 3)
    demos = family(count).build(context)
    assert demos is not None
    messages = [demo["message"] for demo in demos]
    assert len(set(messages)) == len(messages)
    assert set(messages) <= set(texts)
    assert 1 <= len(messages) <= min(count, len(set(texts)))
    if family is BasisDemos:
        assert len(messages) == min(count, len(set(texts)))
    assert family(count).build(context) == demos


def test_directions_do_not_depend_on_the_seed_or_the_order_of_rows(context: MakeContext) -> None:
    demos = BasisDemos(2).build(context(TOLD))
    assert BasisDemos(2).build(context(TOLD, seed=9)) == demos
    assert BasisDemos(2).build(context(TOLD[::-1])) == demos


def test_inputs_that_read_alike_are_one_cluster(context: MakeContext) -> None:
    told = [{"message": text, "team": "delivery"} for text in ("late parcel", "Late parcel!", "late, parcel", "card")]
    demos = ClusteredDemos(4).build(context(told))
    assert demos == (told[0], told[3])


def test_traces_become_demonstrations_the_labels_in_turns(context: MakeContext, rows: list[Demo]) -> None:
    traces = [{**row, "reasoning": "because"} for row in rows]
    demos = BootstrappedDemos(4).build(context([], traces=traces))
    assert demos is not None
    assert teams(demos) == [*LABELS, "delivery"]
    assert all(demo in traces for demo in demos)
    assert BootstrappedDemos(4).build(context(rows, traces=traces)) == demos  # rows are not read


@pytest.mark.parametrize("family", [BalancedDemos(), ClusteredDemos(), BasisDemos(), BootstrappedDemos()])
def test_without_rows_and_traces_there_is_nothing_to_offer(context: MakeContext, family: Any) -> None:
    assert family.build(context([])) is None
    assert family.build(context([{"message": "no output"}])) is None


@pytest.mark.parametrize(
    ("family", "made", "traces"),
    [
        (BalancedDemos, "balanced-demos-1", False),
        (ClusteredDemos, "clustered-demos-8", False),
        (BasisDemos, "basis-demos-8", False),
        (BootstrappedDemos, "bootstrapped-demos-8", True),
    ],
)
def test_what_they_are(family: Any, made: str, traces: bool) -> None:
    item = family(nodes=["triage"], pinned=True)
    assert (item.id, item.facet, item.nodes, item.pinned) == (made, "demos", ("triage",), True)
    assert item.reveals_rows
    assert item.needs_traces is traces
