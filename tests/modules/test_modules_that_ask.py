"""Predict and ChainOfThought: what they ask a model, and what they make of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

import dspy
import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError

Refused = Callable[..., FusionProgError]


class Triage(fp.Signature):
    """Decide which team should handle a message."""

    message: str = fp.InputField(desc="what the customer wrote")
    team: Literal["billing", "delivery"] = fp.OutputField()
    sure: bool = fp.OutputField()


class Scripted:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.asked: list[Mapping[str, Any]] = []

    async def __call__(
        self, inputs: Mapping[str, Any], /, *, sample: int = 0, node: str | None = None
    ) -> dict[str, Any]:
        self.asked.append(inputs)
        return self.answer


@pytest.mark.parametrize("module", [fp.modules.Predict, fp.modules.ChainOfThought])
def test_the_model_is_asked_once_and_its_answer_is_the_nodes(module: type[fp.modules.Predict]) -> None:
    ask = Scripted({"team": "billing", "sure": True})

    outputs = asyncio.run(module(Triage).run({"message": "hi"}, ask))

    assert outputs == {"team": "billing", "sure": True}
    assert ask.asked == [{"message": "hi"}]


def test_predict_asks_for_its_signature_as_it_is() -> None:
    module = fp.modules.Predict(Triage)

    assert module.signature is Triage
    assert module.prompted(Triage) is Triage
    assert module.arguments() == {}
    assert module.kind == "Predict"
    assert module.repeatable


@pytest.mark.parametrize(
    "signature",
    [Triage, dspy.Signature("question -> answer: int"), dspy.Signature("question -> answer, reasoning: int")],
)
def test_chain_of_thought_asks_for_what_dspys_own_does(signature: Any) -> None:
    ours = fp.modules.ChainOfThought(signature).prompted(signature)
    theirs = dspy.ChainOfThought(signature).predict.signature

    def shown(asked: Any) -> list[Any]:
        return [(name, field.annotation, field.json_schema_extra) for name, field in asked.fields.items()]

    assert shown(ours) == shown(theirs)
    assert next(iter(ours.output_fields)) == "reasoning"
    assert ours.instructions == theirs.instructions == signature.instructions


def test_chain_of_thought_leaves_the_nodes_own_signature() -> None:
    module = fp.modules.ChainOfThought(Triage)

    assert module.signature is Triage
    assert list(Triage.output_fields) == ["team", "sure"]
    assert module.kind == "ChainOfThought"


def test_the_short_form_of_a_signature_is_read() -> None:
    module = fp.modules.Predict("question, context: list[str] -> answer: int")

    assert {name: field.annotation for name, field in module.signature.fields.items()} == {
        "question": str,
        "context": list[str],
        "answer": int,
    }


@pytest.mark.parametrize("text", ["question answer", "", "a -> a", "a: Unheard -> b", "a: -> b", "1a -> b"])
def test_a_short_form_that_cannot_be_read_is_refused(text: str, refused: Refused) -> None:
    refused(ProgramError, lambda: fp.modules.Predict(text), f"Predict: {text!r} is no signature", "question, context")


@pytest.mark.parametrize("signature", [None, 5, dict, Triage(message="m", team="billing", sure=True)])
@pytest.mark.parametrize("module", [fp.modules.Predict, fp.modules.ChainOfThought])
def test_what_is_no_signature_is_refused(module: Any, signature: Any, refused: Refused) -> None:
    refused(ProgramError, lambda: module(signature), f"{module.__name__} has no signature", "fusionprog.Signature")


def test_a_signature_without_outputs_is_refused(refused: Refused) -> None:
    refused(ProgramError, lambda: fp.modules.Predict("question -> "), "no outputs", "OutputField()")


def test_chain_of_thought_refuses_an_input_called_reasoning(refused: Refused) -> None:
    refused(
        ProgramError,
        lambda: fp.modules.ChainOfThought("reasoning -> answer"),
        "an input field 'reasoning'",
        "Rename it",
    )


@pytest.mark.parametrize("module", [fp.modules.Predict, fp.modules.ChainOfThought])
def test_demonstrations_are_part_of_the_module(module: Any) -> None:
    demos = [{"question": "1 + 1", "answer": "2"}, {"question": "how?", "reasoning": "so", "answer": "well"}]
    made = module("question -> reasoning, answer", demos=demos) if module is fp.modules.Predict else None
    made = made or module("question -> answer", demos=demos)

    assert [dict(demo) for demo in made.demos] == demos
    assert type(made)(made.signature, **made.arguments()).demos == made.demos
    assert module("question -> answer").arguments() == {}


@pytest.mark.parametrize(
    ("demo", "parts"),
    [
        ({"question": "1", "anwser": "2"}, ["no field 'anwser'", "Did you mean 'answer'?"]),
        ({"question": "1"}, ["needs an input and an output field"]),
        ({"question": object(), "answer": "2"}, ["cannot be kept in JSON"]),
    ],
)
def test_a_demonstration_that_does_not_fit_is_refused(demo: Any, parts: list[str]) -> None:
    with pytest.raises(ProgramError) as caught:
        fp.modules.Predict("question -> answer", demos=[{"question": "0", "answer": "0"}, demo])
    assert all(part in str(caught.value) for part in ["Predict, demonstration 1", *parts])
