"""Signatures: asked for their fields, and specialised for a task."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Annotated, Any, Literal

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError
from fusionprog.program.signature import (
    as_signature,
    closed_choice,
    field_description,
    input_types,
    output_types,
    rebuild,
    specialise,
)

Refused = Callable[..., FusionProgError]
WHERE = "task 'bank', node 'triage'"


class Team(enum.Enum):
    CARDS = "cards"
    LOANS = "loans"


class Triage(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField(desc="what the customer wrote")
    urgent: bool = fp.InputField(default=False)
    team: str = fp.OutputField(desc="who answers")
    tags: list[str] = fp.OutputField()
    extra: list[str] | None = fp.OutputField()
    kinds: set[str] = fp.OutputField()
    parts: list = fp.OutputField()  # type: ignore[type-arg]
    score: int = fp.OutputField(ge=0, le=5)
    note: str | None = fp.OutputField()


class BankTriage(fp.Signature):
    """Decide which team of the bank should handle a message."""

    message: str = fp.InputField(desc="what the client wrote")
    urgent: bool = fp.InputField()
    score: float = fp.OutputField()
    team: Literal["cards", "loans"] = fp.OutputField()
    tags: list[str] = fp.OutputField()
    extra: list[str] = fp.OutputField()
    kinds: set[str] = fp.OutputField()
    parts: list = fp.OutputField()  # type: ignore[type-arg]
    note: str = fp.OutputField()


def special(labels: Any = None, replacement: Any = None) -> Any:
    return specialise(Triage, labels=labels or {}, replacement=replacement, where=WHERE)


def test_signatures_are_dspys_own() -> None:
    assert fp.Signature is dspy.Signature
    assert fp.InputField is dspy.InputField
    assert fp.OutputField is dspy.OutputField
    assert fp.Prediction is dspy.Prediction


def test_fields_and_their_types_come_in_order() -> None:
    assert list(input_types(Triage).items()) == [("message", str), ("urgent", bool)]
    assert list(output_types(Triage)) == ["team", "tags", "extra", "kinds", "parts", "score", "note"]
    assert output_types(Triage)["tags"] == list[str]


def test_a_description_is_what_the_author_wrote() -> None:
    assert field_description(Triage.fields["message"]) == "what the customer wrote"
    assert field_description(Triage.fields["tags"]) == ""


@pytest.mark.parametrize(
    ("annotation", "choices"),
    [
        (Literal["a", "b"], ("a", "b")),
        (Literal[1, 2], (1, 2)),
        (Literal[Team.CARDS], ("cards",)),
        (Team, ("cards", "loans")),
        (Team | None, ("cards", "loans")),
        (list[Literal["a"]], ("a",)),
        (list[Annotated[Literal["a"], "note"]], ("a",)),
        (tuple[Literal["a"], ...], ("a",)),
        (list[Team] | None, ("cards", "loans")),
        (str, ()),
        (bool, ()),
        (list[str], ()),
        (list, ()),
        (Any, ()),
        (None, ()),
        (str | Literal["a"], ()),
        (dict[str, Literal["a"]], ()),
    ],
)
def test_the_values_that_a_type_is_closed_over(annotation: Any, choices: tuple[Any, ...]) -> None:
    assert closed_choice(annotation) == choices


def test_without_labels_or_replacement_a_signature_is_itself() -> None:
    assert special() is Triage


@pytest.mark.parametrize(
    ("field", "annotation"),
    [
        ("team", Literal["a", "b"]),
        ("note", Literal["a", "b"] | None),
        ("tags", list[Literal["a", "b"]]),
        ("parts", list[Literal["a", "b"]]),
        ("kinds", set[Literal["a", "b"]]),
        ("extra", list[Literal["a", "b"]] | None),
    ],
)
def test_labels_close_a_field_and_keep_its_shape(field: str, annotation: Any) -> None:
    made = special({field: ["a", "b"]})

    assert output_types(made) == {**output_types(Triage), field: annotation}
    assert closed_choice(output_types(made)[field]) == ("a", "b")


def test_labels_keep_everything_else() -> None:
    made = special({"team": ("cards",), "score": [1, 2]})

    assert output_types(made)["score"] == Literal[1, 2]
    assert made.instructions == Triage.instructions
    assert made.__name__ == "Triage"
    assert list(made.fields) == list(Triage.fields)
    assert field_description(made.fields["team"]) == "who answers"
    assert made.fields["urgent"].default is False
    assert output_types(Triage)["team"] is str


def test_a_replacement_gives_texts_and_types_and_may_have_another_order() -> None:
    assert special(replacement=BankTriage) is BankTriage


def test_labels_close_the_replacement() -> None:
    made = special({"team": ["fraud"]}, BankTriage)

    assert output_types(made) == {**output_types(BankTriage), "team": Literal["fraud"]}
    assert made.instructions == BankTriage.instructions


@pytest.mark.parametrize(
    ("replacement", "parts"),
    [
        ("message -> team", ["input fields ['message', 'urgent']", "found ['message']"]),
        ("text, urgent -> team", ["found ['text', 'urgent']"]),
        ("message, urgent -> team, score", ["output fields ['team', 'tags'", "found ['team', 'score']"]),
        ("urgent, team, tags, extra, kinds, parts, score, note -> message", ["input fields"]),
    ],
)
def test_a_replacement_may_not_change_field_names(replacement: str, parts: list[str], refused: Refused) -> None:
    refused(
        ProgramError,
        lambda: special(replacement=as_signature(replacement, "test")),
        WHERE,
        "the replacing signature changes field names",
        "Keep the names",
        *parts,
    )


def test_a_replacement_that_is_no_signature_is_refused(refused: Refused) -> None:
    refused(ProgramError, lambda: special(replacement={"team": str}), WHERE, "has no signature")


@pytest.mark.parametrize("field", ["taem", "message", "reasoning"])
def test_labels_for_a_field_that_is_no_output_are_refused(field: str, refused: Refused) -> None:
    refused(ProgramError, lambda: special({field: ["a"]}), WHERE, repr(field), "no output field", "Known are", "'team'")


@pytest.mark.parametrize("labels", [[], (), "cards", {"cards"}, {"cards": 1}, 5, None])
def test_a_label_set_that_is_no_list_of_labels_is_refused(labels: Any, refused: Refused) -> None:
    refused(
        ProgramError,
        lambda: special({"team": labels}),
        WHERE,
        "field 'team'",
        "a list of at least one label",
        repr(labels),
    )


@pytest.mark.parametrize("label", ["", "  ", None, 1.5, True, Team.CARDS, ["a"]])
def test_a_label_is_text_or_a_whole_number(label: Any, refused: Refused) -> None:
    refused(ProgramError, lambda: special({"team": ["a", label]}), WHERE, "field 'team'", "whole numbers", repr(label))


@pytest.mark.parametrize(("labels", "twice"), [(["a", "b", "a"], "a"), ([1, 2, 2], "2"), ([1, "1"], "1")])
def test_a_label_is_given_once(labels: list[Any], twice: str, refused: Refused) -> None:
    refused(
        ProgramError,
        lambda: special({"team": labels}),
        WHERE,
        "field 'team'",
        f"found {twice}.",
        "Give each label once",
    )


def test_rebuilding_with_other_instructions_leaves_the_first() -> None:
    made = rebuild(Triage, {}, "Be quick.")

    assert made.instructions == "Be quick."
    assert output_types(made) == output_types(Triage)
    assert Triage.instructions == "Decide which team should handle a message."
