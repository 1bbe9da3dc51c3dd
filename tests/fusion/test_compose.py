"""``compose``: one prompt from all that is chosen, in a fixed order, around a text that is never edited."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusionprog.fusion.compose import Composition, Line, compose
from fusionprog.prompts.items import FACETS, TEXT_FACETS, Content, Facet
from fusionprog.prompts.mixture import Mixture, Weighted

LAW = settings(deadline=None, max_examples=100, derandomize=True)
WRITTEN = "Decide which team should handle it.\n\n  Think of the customer."


def chosen(**facets: list[str | tuple[str, int]]) -> Mixture:
    """A mixture in which these items are used, in this order; a pair says how many demonstrations."""
    made: dict[Facet, tuple[Weighted, ...]] = {}
    for facet in FACETS:
        pairs = [(each, 1) if isinstance(each, str) else each for each in facets.get(facet, [])]
        made[facet] = tuple(Weighted(key, 0.5, 0.1, True, amount) for key, amount in pairs)
    return Mixture(made, {})


def texts(**contents: Content) -> dict[str, Content]:
    """What is on offer."""
    return contents


OFFERED = texts(
    expert="You are an expert.",
    read="Read it all.",
    weigh="Weigh it.",
    steps="Think step by step.",
    terms="A parcel is an order.\nA card is plastic.",
    hours="Shops close at six.",
    short="Be brief.",
    kind="Be kind.",
)
ALL = {
    "role": ["expert"],
    "instruction": ["weigh", "read"],
    "pattern": ["steps"],
    "hint": ["terms", "hours"],
    "constraint": ["short", "kind"],
}


def test_the_order_is_role_written_instruction_pattern_hint_constraint() -> None:
    made = compose(WRITTEN, chosen(**ALL), OFFERED, "chat")  # type: ignore[arg-type]
    assert made.instructions == (
        "You are an expert.\n"
        "\n"
        "Decide which team should handle it.\n"
        "\n"
        "  Think of the customer.\n"
        "\n"
        "Weigh it.\n"
        "Read it all.\n"
        "\n"
        "Think step by step.\n"
        "\n"
        "What to know:\n"
        "A parcel is an order.\n"
        "A card is plastic.\n"
        "Shops close at six.\n"
        "\n"
        "Rules:\n"
        "Be brief.\n"
        "Be kind."
    )
    assert (made.format, made.demos) == ("chat", ())


def test_every_line_knows_its_item_and_a_heading_its_first() -> None:
    made = compose(WRITTEN, chosen(**ALL), OFFERED, "chat")  # type: ignore[arg-type]
    assert [line.item for line in made.lines if line.text] == [
        "expert", None, None, "weigh", "read", "steps", "terms", "terms", "terms", "hours", "short", "short", "kind",
    ]  # fmt: skip
    assert {line.item for line in made.lines if not line.text} == {None}


def test_the_mixture_decides_what_comes_first() -> None:
    made = compose("", chosen(constraint=["kind", "short"]), OFFERED, "chat")
    assert made.instructions == "Rules:\nBe kind.\nBe brief."
    assert [line.item for line in made.lines] == ["kind", "kind", "short"]


def test_an_item_that_is_not_used_is_not_said() -> None:
    made = compose(WRITTEN, chosen(hint=[("terms", 0), ("hours", 1)]), OFFERED, "chat")
    assert made.instructions == f"{WRITTEN}\n\nWhat to know:\nShops close at six."


@pytest.mark.parametrize("written", ["", " \n "])
def test_without_a_written_text_there_is_no_blank_block(written: str) -> None:
    assert compose(written, chosen(), OFFERED, "chat").lines == ()
    assert compose(written, chosen(role=["expert"], pattern=["steps"]), OFFERED, "chat").instructions == (
        "You are an expert.\n\nThink step by step."
    )


@LAW
@given(
    st.text(st.sampled_from("ab {}\n\t[]#<>&"), max_size=40),
    st.fixed_dictionaries(
        {}, optional={facet: st.lists(st.sampled_from(list(OFFERED)), max_size=2, unique=True) for facet in TEXT_FACETS}
    ),
)
def test_the_written_text_is_never_edited(written: str, picks: dict[str, list[str]]) -> None:
    made = compose(written, chosen(**picks), OFFERED, "chat")  # type: ignore[arg-type]
    own = "\n".join(line.text for line in made.lines if line.item is None)
    if written.strip():
        assert "\n".join(written.splitlines()) in own
        assert "\n".join(written.splitlines()) in made.instructions
    else:
        assert own.strip() == ""


@LAW
@given(st.fixed_dictionaries({}, optional={facet: st.just([facet]) for facet in TEXT_FACETS}))
def test_every_chosen_text_is_said_whole_and_once(picks: dict[str, list[str]]) -> None:
    offered: dict[str, Content] = {facet: f"{facet} one\n  {facet} two" for facet in TEXT_FACETS}
    made = compose("Written.", chosen(**picks), offered, "chat")  # type: ignore[arg-type]
    for facet in TEXT_FACETS:
        assert made.instructions.count(str(offered[facet])) == (facet in picks)
    assert "\n\n\n" not in made.instructions


def rows(*names: str) -> tuple[dict[str, Any], ...]:
    """Demonstrations with these inputs."""
    return tuple({"message": name, "team": "x"} for name in names)


def test_so_many_demonstrations_as_the_mixture_says_heavier_sets_first() -> None:
    offered = texts(one=rows("a", "b", "c"), two=rows("d", "e"))
    made = compose("", chosen(demos=[("two", 1), ("one", 2)]), offered, "chat")
    assert [(item, demo["message"]) for item, demo in made.demos] == [("two", "d"), ("one", "a"), ("one", "b")]


def test_a_demonstration_that_two_sets_hold_is_shown_once_for_the_heavier() -> None:
    offered = texts(one=rows("a", "b"), two=({"team": "x", "message": "b"}, *rows("c")))
    made = compose("", chosen(demos=[("two", 2), ("one", 2)]), offered, "chat")
    assert [(item, demo["message"]) for item, demo in made.demos] == [("two", "b"), ("two", "c"), ("one", "a")]


def test_rows_that_differ_in_one_field_are_two_demonstrations() -> None:
    offered = texts(one=rows("a"), two=({"message": "a", "team": "y"},))
    assert len(compose("", chosen(demos=["one", "two"]), offered, "chat").demos) == 2


def variants() -> dict[str, Composition]:
    """Compositions no two of which render alike."""
    demos = (("s", {"message": "m", "team": "x"}), ("s", {"message": "n", "team": "y"}))
    lines = (Line("One.", None), Line("Two.", "i"))
    return {
        "plain": Composition(lines, demos, "chat"),
        "json": Composition(lines, demos, "json"),
        "swapped lines": Composition(lines[::-1], demos, "chat"),
        "fewer lines": Composition(lines[:1], demos, "chat"),
        "one line": Composition((Line("One. Two.", None),), demos, "chat"),
        "blank between": Composition((lines[0], Line("", None), lines[1]), demos, "chat"),
        "swapped demos": Composition(lines, demos[::-1], "chat"),
        "fewer demos": Composition(lines, demos[:1], "chat"),
        "other value": Composition(lines, (("s", {"message": "m", "team": "z"}), demos[1]), "chat"),
        "nothing": Composition((), (), "chat"),
    }


def test_keys_of_different_renderings_differ() -> None:
    made = variants()
    assert len({each.key for each in made.values()}) == len(made)


def test_what_is_composed_again_from_the_same_items_has_the_same_key() -> None:
    offered = texts(one=rows("a", "b"), hint="Know this.")
    picks = chosen(demos=["one"], hint=["hint"])
    assert compose("Written.", picks, offered, "chat").key == compose("Written.", picks, offered, "chat").key
