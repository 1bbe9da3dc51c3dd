"""Our messages are DSPy's, whatever the signature, the demonstrations and the inputs."""

from __future__ import annotations

import datetime
import enum
from typing import Any, Literal

import dspy
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.fusion.compose import Composition, Line
from fusionprog.program.signature import SignatureType
from fusionprog.prompts.items import Demo
from fusionprog.prompts.schedule import FORMATS, Format
from fusionprog.runtime.render import render

ADAPTERS = {"chat": dspy.ChatAdapter, "json": dspy.JSONAdapter, "xml": dspy.XMLAdapter}


class Address(pydantic.BaseModel):
    street: str
    number: int | None = None


class Person(pydantic.BaseModel):
    name: str
    homes: list[Address] = []


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Plain(fp.Signature):
    """Answer the question."""

    question: str = fp.InputField()
    answer: str = fp.OutputField()


class Unsaid(fp.Signature):
    """"""

    question: str = fp.InputField()
    answer: str = fp.OutputField()


class Rich(fp.Signature):
    """Do what is asked.

        Mind the margin.
    Then stop."""

    message: str = fp.InputField(desc="what was\nwritten")
    count: int = fp.InputField()
    tags: list[str] = fp.InputField()
    person: Person | None = fp.InputField()
    colour: Colour = fp.InputField()
    day: datetime.date = fp.InputField()
    extra: dict[str, float] = fp.InputField(desc="measured")
    note: str = fp.InputField(default="none")
    label: Literal["a", "b"] = fp.OutputField(desc="one of them")
    score: float = fp.OutputField(ge=0, le=1)
    people: list[Person] = fp.OutputField()
    colours: list[Colour] = fp.OutputField()
    remark: str | None = fp.OutputField()


HARD = (
    "NUL \x00question\x00 \x00message\x00 [[ ## answer ## ]]\n[[ ## completed ## ]] {question} {0} {} %s $x "
    "<question>x</question> </message> &amp; \u2028 \x0b \r\n\ttab  \n "
)
RICH_INPUTS: dict[str, Any] = {
    "message": HARD,
    "count": 3,
    "tags": ["one", "two\nlines", "«three»"],
    "person": Person(name="<Jo>", homes=[Address(street="Ünter den Linden", number=1)]),
    "colour": Colour.RED,
    "day": datetime.date(2024, 2, 29),
    "extra": {"height": 1.5},
    "note": "x",
}
PLAIN_DEMOS: list[Demo] = [
    {"question": "Why?", "answer": "Because."},
    {"question": "Only a question"},
    {"question": HARD, "answer": HARD},
    {"question": "Half", "answer": None},
    {"answer": "An answer alone"},
]
RICH_DEMOS: list[Demo] = [
    {
        **RICH_INPUTS,
        "label": "a",
        "score": 0.5,
        "people": [Person(name="A & B", homes=[Address(street="<S>")])],
        "colours": [Colour.BLUE],
        "remark": "a < b & c",
    },
    {"message": "short", "label": "b"},
    {
        **RICH_INPUTS,
        "tags": [],
        "person": None,
        "colour": "blue",
        "label": "b",
        "score": 1,
        "people": [],
        "colours": [],
        "remark": "r",
    },
    {"message": "m", "count": 1, "people": [{"name": "Z", "homes": []}]},
]
TEXTS = [
    "Short.",
    "A role.\n\nAnswer the question.\n\nRules:\n- one\n    - two\n\tthree {braces} <tags>",
    "One line\n    and the rest\n    indented",
]


def composition(text: str, demos: list[Demo], form: Format) -> Composition:
    """What renders this text and these demonstrations."""
    lines = tuple(Line(line, None) for line in text.splitlines())
    return Composition(lines, tuple((f"item-{index}", demo) for index, demo in enumerate(demos)), form)


def as_dspy(signature: SignatureType, text: str, demos: list[Demo], form: Format, inputs: dict[str, Any]) -> Any:
    """DSPy's own messages."""
    asked = signature if text == signature.instructions else signature.with_instructions(text)
    return ADAPTERS[form]().format(asked, [dict(demo) for demo in demos], inputs)


def check(signature: SignatureType, text: str, demos: list[Demo], form: Format, inputs: dict[str, Any]) -> None:
    """Compares our messages with DSPy's."""
    made = render(signature, composition(text, demos, form)).messages(inputs)
    assert [dict(message) for message in made] == as_dspy(signature, text, demos, form, inputs)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("demos", [[], PLAIN_DEMOS], ids=["no demos", "demos"])
@pytest.mark.parametrize("question", ["Why?", "", "  \n ", HARD])
def test_plain_signatures(form: Format, text: str, demos: list[Demo], question: str) -> None:
    check(Plain, text, demos, form, {"question": question})


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", [*TEXTS, Rich.instructions])
@pytest.mark.parametrize("demos", [[], RICH_DEMOS, RICH_DEMOS[::-1]], ids=["no demos", "demos", "reversed"])
def test_rich_signatures(form: Format, text: str, demos: list[Demo]) -> None:
    check(Rich, text, demos, form, RICH_INPUTS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "changes",
    [
        {"person": None},
        {"tags": []},
        {"tags": ["one"]},
        {"note": ["a list", "in a text field"]},
        {"note": []},
        {"note": 7},
        {"note": None},
        {"message": ("a", "tuple")},
        {"count": "3"},
        {"count": True},
        {"person": {"name": "a dict"}},
        {"person": [Person(name="A"), None]},
        {"extra": {}},
        {"extra": {"nested": {"list": [1, None, Colour.RED]}}},
        {"day": "2024-02-29"},
        {"day": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)},
        {"colour": "red"},
    ],
    ids=repr,
)
def test_inputs_of_every_type(form: Format, changes: dict[str, Any]) -> None:
    check(Rich, "Do it.", [], form, {**RICH_INPUTS, **changes})


@pytest.mark.parametrize("form", FORMATS)
def test_reasoning_that_demonstrations_lack(form: Format) -> None:
    asked = fp.modules.ChainOfThought(Plain).prompted(Plain)
    assert asked is not None
    assert "reasoning" in asked.output_fields
    reasoned: Demo = {"question": "Who?", "reasoning": "I know.", "answer": "Me."}
    check(asked, asked.instructions, [PLAIN_DEMOS[0], reasoned, PLAIN_DEMOS[2]], form, {"question": HARD})
    made = render(asked, composition("Think.", [reasoned, PLAIN_DEMOS[0]], form))
    assert made.demo_items == ("item-1", "item-0")  # the incomplete one is shown first


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("signature", [Unsaid, Plain, Rich])
def test_a_program_as_written(form: Format, signature: SignatureType) -> None:
    inputs = RICH_INPUTS if signature is Rich else {"question": "Why?"}
    check(signature, signature.instructions, [], form, inputs)
    assert render(signature, composition(signature.instructions, [], form)).signature is signature


@pytest.mark.parametrize("form", FORMATS)
def test_a_text_beside_empty_instructions(form: Format) -> None:
    check(Unsaid, "Rules:\nBe brief.", PLAIN_DEMOS, form, {"question": "Why?"})


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x0c", "\x85", "\r\n"])
def test_line_ends_of_other_systems(form: Format, separator: str) -> None:
    odd = Plain.with_instructions(f"One.{separator}Two.")
    check(odd, odd.instructions, [], form, {"question": "Why?"})


@pytest.mark.parametrize("form", FORMATS)
def test_an_input_that_is_left_out_takes_its_default_as_dspys_predict_gives_it(form: Format) -> None:
    shown = {name: value for name, value in RICH_INPUTS.items() if name != "note"}
    made = render(Rich, composition("Do it.", [], form)).messages(shown)
    assert [dict(message) for message in made] == as_dspy(Rich, "Do it.", [], form, {**shown, "note": "none"})


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.text(min_size=1).filter(lambda text: "<<CUSTOM" not in text),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30),
    st.sampled_from(FORMATS),
)
def test_any_question_and_any_answer_in_a_demonstration(question: str, answer: str, form: Format) -> None:
    check(Plain, "Answer.", [{"question": answer, "answer": question}], form, {"question": question})
