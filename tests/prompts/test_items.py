"""Fragments, demonstration sets and families: what they hold, and where they are offered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fusionprog.errors import PoolError
from fusionprog.prompts.items import (
    FACETS,
    TEXT_FACETS,
    BuildContext,
    Content,
    DemoSet,
    Facet,
    Family,
    Fragment,
    family_registry,
    register_family,
)

DEMO = {"message": "Where is my parcel?", "team": "delivery"}


@pytest.fixture
def greeting() -> Iterator[type[Family]]:
    """A family of the user's own, registered for one test."""
    known = dict(family_registry._entries)

    @register_family("greeting")
    class Greeting(Family):
        """Says hello in the task's name.

        More words.
        """

        facet: Facet = "hint"

        def __init__(self, word: str = "hello", **shared: Any) -> None:
            self.word = word
            super().__init__(**shared)

        def arguments(self) -> dict[str, Any]:
            return {"word": self.word}

        def build(self, context: BuildContext) -> Content | None:
            return f"{self.word} {context.task}"

    yield Greeting
    family_registry._entries.clear()
    family_registry._entries.update(known)


def test_the_facets_are_those_of_the_design() -> None:
    assert FACETS == ("role", "instruction", "pattern", "hint", "constraint", "demos")
    assert TEXT_FACETS == FACETS[:-1]


def test_a_fragment_is_offered_everywhere_unless_it_says_where() -> None:
    anywhere = Fragment("short", "Be brief.", facet="constraint")
    here = Fragment("kind", "Be kind.", facet="constraint", nodes=["answer"], domains=["retail"])
    assert anywhere.offered("answer", "retail")
    assert anywhere.offered("triage", "banking")
    assert here.offered("answer", "retail")
    assert not here.offered("triage", "retail")
    assert not here.offered("answer", "banking")


def test_a_fragment_by_domain_is_offered_in_these_domains_with_their_text() -> None:
    house = Fragment("house-terms", facet="hint", texts={"retail": " A parcel is an order.\n", "banking": "A card."})
    assert house.domains == ("retail", "banking")
    assert house.text_in("retail") == "A parcel is an order."
    assert house.text_in("banking") == "A card."
    assert not house.offered("answer", "travel")


def test_a_text_loses_white_space_around_it_and_nothing_else() -> None:
    assert Fragment("a", "\n  One.\n\n    Two.  \n", facet="hint").text_in("any") == "One.\n\n    Two."


def test_a_text_may_hold_braces_markup_and_brackets() -> None:
    text = "Never write {x} or <b>; use [[ x ]] and ## y ##."
    assert Fragment("odd", text, facet="constraint").text_in("any") == text


def test_a_fragment_keeps_what_it_is_told() -> None:
    made = Fragment("a", "t", facet="role", nodes=("n",), pinned=True, requires=["b"], conflicts=["c", "d"])
    assert (made.nodes, made.pinned, made.requires, made.conflicts) == (("n",), True, ("b",), ("c", "d"))


def test_an_items_key_text_tells_all_it_may_say() -> None:
    assert Fragment("short", "Be brief.", facet="constraint").key_text == "short Be brief."
    assert Fragment("house", facet="hint", texts={"a": "One.", "b": "Two."}).key_text == "house  One. Two."
    assert DemoSet("shots", [DEMO], node="triage").key_text == "shots Where is my parcel? delivery"


def test_a_demonstration_set_is_for_one_node_and_keeps_its_rows() -> None:
    row = dict(DEMO)
    shots = DemoSet("shots", [row], node="triage", domains=["retail"], pinned=True)
    row["team"] = "changed"
    assert shots.demos == (DEMO,)
    assert (shots.facet, shots.nodes, shots.pinned) == ("demos", ("triage",), True)
    assert shots.offered("triage", "retail")
    assert not shots.offered("answer", "retail")
    assert not shots.offered("triage", "banking")


def test_a_family_is_named_by_its_kind_and_arguments(greeting: Any) -> None:
    made = greeting(word="ahoy", nodes=["answer"], pinned=True)
    assert (made.id, made.nodes, made.pinned) == ("greeting-ahoy", ("answer",), True)
    assert greeting(id="mine").id == "mine"
    assert family_registry.get("greeting") is greeting


def test_a_familys_key_text_is_its_kind_and_the_first_line_about_it(greeting: Any) -> None:
    assert greeting().key_text == "greeting Says hello in the task's name."
    greeting.__doc__ = None
    assert greeting().key_text == "greeting "


def test_a_kind_is_registered_once(greeting: Any) -> None:
    assert register_family("greeting")(greeting) is greeting
    with pytest.raises(PoolError, match="two familys are registered as 'greeting'"):
        register_family("greeting")(type("Other", (greeting,), {}))
