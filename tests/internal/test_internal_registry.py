"""Names for classes, and advice for names that are wrong."""

from __future__ import annotations

import pytest

from fusionprog._internal.registry import Registry, did_you_mean
from fusionprog.errors import ProgramError


@pytest.fixture
def colours() -> Registry[type]:
    return Registry("colour", ProgramError)


class Red:
    pass


class Blue:
    pass


def test_an_entry_is_got_by_its_name_and_left_as_it_is(colours: Registry[type]) -> None:
    assert colours.register("red")(Red) is Red
    assert colours.get("red") is Red


def test_names_are_listed_in_order(colours: Registry[type]) -> None:
    colours.register("red")(Red)
    colours.register("blue")(Blue)

    assert list(colours) == ["blue", "red"]
    assert "red" in colours
    assert "green" not in colours
    assert 5 not in colours


def test_an_unknown_name_raises_the_registrys_own_error_with_advice(colours: Registry[type]) -> None:
    colours.register("red")(Red)
    colours.register("blue")(Blue)

    with pytest.raises(ProgramError) as caught:
        colours.get("bleu")
    assert str(caught.value) == "there is no colour called 'bleu'. Did you mean 'blue'? Known are 'blue', 'red'."


def test_a_name_is_given_once(colours: Registry[type]) -> None:
    colours.register("red")(Red)

    with pytest.raises(ProgramError, match="two colours are registered as 'red'"):
        colours.register("red")(Blue)
    assert colours.get("red") is Red


def test_the_same_entry_may_be_registered_again(colours: Registry[type]) -> None:
    colours.register("red")(Red)
    colours.register("red")(Red)

    assert list(colours) == ["red"]


def test_a_definition_that_is_run_again_takes_the_place_of_the_first(colours: Registry[type]) -> None:
    def cell() -> type:
        @colours.register("green")
        class Green:
            pass

        return Green

    first, second = cell(), cell()

    assert first is not second
    assert colours.get("green") is second


def test_advice_names_the_closest_and_all() -> None:
    assert did_you_mean("tema", ["triage", "team"]) == "Did you mean 'team'? Known are 'team', 'triage'"
    assert did_you_mean("xyz", ["triage", "team"]) == "Known are 'team', 'triage'"
    assert did_you_mean("xyz", []) == "Known are nothing"
