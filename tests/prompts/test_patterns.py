"""The ready-made fragments: they load, fit every node, and touch no field."""

from __future__ import annotations

import re

from fusionprog.prompts.items import TEXT_FACETS, Fragment
from fusionprog.prompts.pool import PromptPool, item_entry, item_from

PATTERNS = [item for item in PromptPool.patterns() if isinstance(item, Fragment)]


def test_all_are_fragments_for_every_node_and_domain() -> None:
    assert len(PATTERNS) == len(PromptPool.patterns()) >= 10
    for item in PATTERNS:
        assert (item.nodes, item.domains, item.pinned, item.requires, item.conflicts) == ((), (), False, (), ())
        assert item.offered("any", "any")


def test_they_cover_roles_instructions_ways_to_reason_and_constraints() -> None:
    facets = [item.facet for item in PATTERNS]
    assert set(facets) == set(TEXT_FACETS) - {"hint"}  # what is known of a domain cannot be ready-made
    assert facets == sorted(facets, key=TEXT_FACETS.index)


def test_they_edit_no_field() -> None:
    for item in PATTERNS:
        text = item.text_in("any")
        assert re.search(r"[\[\]{}<>`#]", text) is None  # no header, placeholder, tag or field name
        assert text[-1] == "."
        assert "\n" not in text


def test_no_two_say_the_same() -> None:
    assert len({item.text_in("any").casefold() for item in PATTERNS}) == len(PATTERNS)


def test_each_call_makes_an_equal_pool_that_can_be_joined_with_itself() -> None:
    joined = PromptPool.patterns() | PromptPool.patterns()
    assert [item.id for item in joined] == [item.id for item in PATTERNS]


def test_they_round_trip() -> None:
    for item in PATTERNS:
        assert vars(item_from(item_entry(item), item.id)) == vars(item)
