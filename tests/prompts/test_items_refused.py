"""Every item that is not sound is refused with an error that names it and says what to do."""

from __future__ import annotations

from typing import Any

import pytest

import fusionprog as fp
from fusionprog.builders import BalancedDemos, BasisDemos, BootstrappedDemos, ClusteredDemos, LabelGlossary
from fusionprog.errors import PoolError
from fusionprog.prompts.items import DemoSet, Fragment

ROWS = [{"message": "m", "team": "t"}]


def fragment(**changes: Any) -> dict[str, Any]:
    """Arguments of a sound fragment, but for the changes."""
    return {"id": "house", "text": "Be kind.", "facet": "constraint", **changes}


def shots(**changes: Any) -> dict[str, Any]:
    """Arguments of a sound demonstration set, but for the changes."""
    return {"id": "shots", "demos": ROWS, "node": "triage", **changes}


def test_the_arguments_that_are_changed_below_are_sound() -> None:
    assert Fragment(**fragment()).id == "house"
    assert DemoSet(**shots()).id == "shots"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "two words"}, ["'two words' is no item id", "no spaces"]),
        ({"id": ""}, ["'' is no item id"]),
        ({"id": 5}, ["5 is no item id"]),
        ({"facet": "hints"}, ["'house'", "unknown facet 'hints'", "Did you mean 'hint'"]),
        ({"facet": None}, ["'house'", "unknown facet None", "'instruction'"]),
        ({"facet": "demos"}, ["'house'", "'demos'", "Use fusionprog.DemoSet"]),
        ({"text": None}, ["'house' needs a text", "text= or texts="]),
        ({"text": None, "texts": {}}, ["'house' needs a text"]),
        ({"texts": {"retail": "Be quick."}}, ["'house' needs a text", "either"]),
        ({"text": "  \n"}, ["fragment 'house' has no text", r"'  \n'"]),
        ({"text": 5}, ["fragment 'house' has no text", "found 5"]),
        ({"text": None, "texts": {"retail": ""}}, ["'house', domain 'retail', has no text"]),
        ({"text": None, "texts": "Be kind."}, ["'house' are not by domain", "{domain: text}"]),
        ({"text": None, "texts": {False: "Be kind."}}, ["'house' are not by domain", "{False: 'Be kind.'}"]),
        ({"text": None, "texts": {"a": "b"}, "domains": ["a"]}, ["'house' has texts and domains", "Leave domains out"]),
        (
            {"text": "Then [[ ## team ## ]] x"},
            ["'house' changes a field name", "found [[ ## team ## ]]", "no fragment"],
        ),
        ({"text": "[[##completed##]]"}, ["'house' changes a field name", "[[##completed##]]"]),
        ({"text": None, "texts": {"a": "x\n[[ ## y ## ]]"}}, ["domain 'a'", "[[ ## y ## ]]"]),
        ({"nodes": "answer"}, ["nodes of 'house' is no list", "found 'answer'", "Write nodes=[...]"]),
        ({"domains": "retail"}, ["domains of 'house' is no list", "Write domains=[...]"]),
        ({"requires": "other"}, ["requires of 'house' is no list", "Write requires=[...]"]),
        ({"conflicts": "other"}, ["conflicts of 'house' is no list", "Write conflicts=[...]"]),
        ({"nodes": [1]}, ["nodes of 'house' is no list of names", "[1]"]),
        ({"nodes": None}, ["nodes of 'house' is no list of names", "None"]),
        ({"nodes": {"answer", "triage"}}, ["nodes of 'house' is no list of names"]),  # a set has no order to keep
        ({"pinned": "no"}, ["pinned of 'house' is neither true nor false", "'no'"]),
        ({"pinned": None}, ["pinned of 'house' is neither true nor false"]),
    ],
)
def test_fragments(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(PoolError) as caught:
        Fragment(**fragment(**changes))
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "a b"}, ["'a b' is no item id"]),
        ({"demos": []}, ["'shots' is empty", "at least one"]),
        ({"demos": "message: m"}, ["'shots' holds no rows", "{field: value}", "found 'message: m'"]),
        ({"demos": ROWS[0]}, ["'shots' holds no rows"]),
        ({"demos": [ROWS[0], "m"]}, ["'shots' holds no rows"]),
        ({"demos": [{1: "m"}]}, ["'shots' holds no rows", "{1: 'm'}"]),
        ({"demos": None}, ["'shots' holds no rows", "None"]),
        ({"demos": iter(ROWS)}, ["'shots' holds no rows"]),
        ({"node": ["triage"]}, ["'shots' needs one node", "['triage']"]),
        ({"node": None}, ["'shots' needs one node"]),
        ({"domains": "retail"}, ["domains of 'shots' is no list"]),
        ({"pinned": 1}, ["pinned of 'shots' is neither true nor false"]),
    ],
)
def test_demonstration_sets(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(PoolError) as caught:
        DemoSet(**shots(**changes))
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("number", [0, -1, 2.5, "3", True, None])
@pytest.mark.parametrize(
    ("family", "argument"),
    [
        (LabelGlossary, "words"),
        (BalancedDemos, "per_label"),
        (ClusteredDemos, "count"),
        (BasisDemos, "count"),
        (BootstrappedDemos, "count"),
    ],
)
def test_numbers_of_families(family: Any, argument: str, number: Any) -> None:
    with pytest.raises(PoolError, match=f"^{argument} of .* whole number of at least 1, found {number!r}$"):
        family(**{argument: number})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "no spaces"}, "'no spaces' is no item id"),
        ({"nodes": "answer"}, "nodes of 'label-glossary-8' is no list of names"),
        ({"pinned": "yes"}, "pinned of 'label-glossary-8' is neither true nor false"),
    ],
)
def test_families(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PoolError, match=words):
        LabelGlossary(**changes)


def test_the_public_names_are_these_classes() -> None:
    assert fp.Fragment is Fragment
    assert fp.DemoSet is DemoSet
    assert fp.builders.LabelGlossary is LabelGlossary
