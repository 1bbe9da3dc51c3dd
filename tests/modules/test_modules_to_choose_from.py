"""Choose and Optional: what they offer, what runs, and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError, TracingError

Refused = Callable[..., FusionProgError]


class Reply(fp.Signature):
    """Answer the message."""

    message: str = fp.InputField()
    reply: str = fp.OutputField()


class Repair(fp.Signature):
    """Mend the draft."""

    message: str = fp.InputField()
    draft: str = fp.InputField()
    reply: str = fp.OutputField()
    note: str = fp.OutputField()


class Tries(fp.modules.Predict):
    """A module with an argument."""

    kind = "Tries"

    def __init__(self, signature: Any, times: int) -> None:
        super().__init__(signature)
        self.times = times

    def arguments(self) -> dict[str, Any]:
        return {"times": self.times}


def both() -> fp.modules.Choose:
    return fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.ChainOfThought(Reply))


def shout(message: str) -> str:
    return message.upper()


def run(module: fp.modules.Module, inputs: Mapping[str, Any], answer: dict[str, Any] | None = None) -> Any:
    async def ask(asked: Mapping[str, Any], /, *, sample: int = 0, node: str | None = None) -> dict[str, Any]:
        assert answer is not None, "the module asked a model"
        return answer

    return asyncio.run(module.run(inputs, ask))


# Choose.


def test_choose_offers_modules_by_name_and_runs_the_first_as_written() -> None:
    module = both()
    assert module.options() == {"module": ("Predict", "ChainOfThought")}
    assert [type(module.chosen({"module": name})).__name__ for name in module.options()["module"]] == [
        "Predict",
        "ChainOfThought",
    ]
    assert module.chosen({}) is module.chosen({"module": "Predict"}) is module.parts()[0]
    assert module.prompted(Reply) is Reply
    assert run(module, {"message": "x"}, {"reply": "y"}) == {"reply": "y"}


def test_modules_of_one_kind_are_told_apart_by_their_arguments() -> None:
    module = fp.modules.Choose(Tries(Reply, 1), Tries(Reply, 3), fp.modules.Predict(Reply))
    assert module.options() == {"module": ("Tries(times=1)", "Tries(times=3)", "Predict")}


def test_a_function_may_stand_beside_a_module_that_asks() -> None:
    function = fp.modules.Function(shout, outputs={"reply": str})
    module = fp.modules.Choose(function, fp.modules.Predict(Reply))
    assert module.prompted(module.signature) is not None, "some option asks"
    assert run(module, {"message": "x"}) == {"reply": "X"}


@pytest.mark.parametrize("order", [1, -1])
def test_only_fields_that_all_modules_make_can_be_read(order: int) -> None:
    module = fp.modules.Choose(*[fp.modules.Predict(Reply), fp.modules.ChainOfThought(Reply)][::order])
    assert list(module.outputs(module.signature)) == ["reply"]
    assert "only the module ChainOfThought makes it" in module.withheld(module.signature)["reasoning"]


class Other(fp.Signature):
    """Answer the message."""

    message: str = fp.InputField()
    reply: int = fp.OutputField()


class Louder(fp.Signature):
    """Shout at the sender."""

    message: str = fp.InputField()
    reply: str = fp.OutputField()


BAD: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "nothing": (lambda: fp.modules.Choose(), ("2 to 100 modules", "nothing")),
    "one": (lambda: fp.modules.Choose(fp.modules.Predict(Reply)), ("2 to 100 modules", "Predict")),
    "values": (lambda: fp.modules.Choose(3, 5), ("2 to 100 modules", "int, int", "fusionprog.Choice")),  # type: ignore[arg-type]
    "twice": (lambda: fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.Predict(Reply)), ("twice: Predict",)),
    "nested": (lambda: fp.modules.Choose(both(), fp.modules.Predict(Reply)), ("given a Choose", "one Choose")),
    "types": (
        lambda: fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.ChainOfThought(Other)),
        ("other outputs", "reply: str", "reply: int", "one signature"),
    ),
    "fields": (
        lambda: fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.ChainOfThought("text -> reply")),
        ("other inputs", "text: str"),
    ),
    "texts": (
        lambda: fp.modules.Choose(fp.modules.Predict(Reply), fp.modules.ChainOfThought(Louder)),
        ("other instructions", "Shout at the sender", "into the pool"),
    ),
    "no module": (
        lambda: fp.modules.Optional(Reply, passthrough={"reply": "message"}),  # type: ignore[arg-type]
        ("no module that could be switched off", "one module"),
    ),
    "optional twice": (
        lambda: fp.modules.Optional(
            fp.modules.Optional(fp.modules.Predict(Reply), passthrough={"reply": "message"}),
            passthrough={"reply": "message"},
        ),
        ("no module that could be switched off",),
    ),
    "no passthrough": (
        lambda: fp.modules.Optional(fp.modules.Predict(Repair), passthrough={}),
        ("does not know what its outputs are", "passthrough={output: input}"),
    ),
    "no such output": (
        lambda: fp.modules.Optional(fp.modules.Predict(Repair), passthrough={"replay": "draft"}),
        ("cannot pass 'draft' on as 'replay'", "['reply', 'note']"),
    ),
    "no such input": (
        lambda: fp.modules.Optional(fp.modules.Predict(Repair), passthrough={"reply": "draught"}),
        ("cannot pass 'draught' on as 'reply'", "['message', 'draft']"),
    ),
    "modules in a choice": (
        lambda: fp.Choice(fp.modules.Predict(Reply), fp.modules.ChainOfThought(Reply)),
        ("has a module among its values", "fusionprog.modules.Choose"),
    ),
    "a choice of one": (lambda: fp.Choice(3), ("cannot be chosen from", "2 to 100 values")),
    "too many values": (lambda: fp.Choice(*range(101)), ("found 101",)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_chosen_from_is_refused(name: str, refused: Refused) -> None:
    make, parts = BAD[name]
    refused(ProgramError, make, *parts)


# Optional.


def test_optional_is_on_as_written_and_passes_on_where_it_is_off() -> None:
    module = fp.modules.Optional(fp.modules.Predict(Repair), passthrough={"reply": "draft"})
    assert module.options() == {"node": ("on", "off")}
    assert run(module, {"message": "m", "draft": "d"}, {"reply": "r", "note": "n"}) == {"reply": "r", "note": "n"}
    off = module.chosen({"node": "off"})
    assert off is module.chosen({"node": "off"}), "memos know modules by their ids"
    assert off.prompted(Repair) is None and off.reads(Repair) == {"draft"}
    assert run(off, {"draft": "d"}) == {"reply": "d"}
    assert list(module.outputs(Repair)) == ["reply"]


def test_optional_goes_around_choose() -> None:
    module = fp.modules.Optional(both(), passthrough={"reply": "message"})
    assert module.options() == {"node": ("on", "off"), "module": ("Predict", "ChainOfThought")}
    assert type(module.chosen({"module": "ChainOfThought"})) is fp.modules.ChainOfThought
    off = module.chosen({"node": "off", "module": "ChainOfThought"})
    assert run(off, {"message": "m"}) == {"reply": "m"}


# In a program.


class Two(fp.Program):
    def __init__(self, first: Any, second: Any, reads: Callable[[Any], Any]) -> None:
        super().__init__()
        self.first, self.second, self.reads = first, second, reads

    def forward(self, message: str) -> Any:
        made = self.first(message=message)
        return {"reply": self.second(message=message, draft=self.reads(made)).reply}


def optional(**passthrough: str) -> fp.modules.Optional:
    return fp.modules.Optional(fp.modules.Predict(Repair), passthrough=passthrough)


def test_reading_what_only_some_modules_make_is_refused(refused: Refused) -> None:
    program = Two(both(), fp.modules.Predict(Repair), lambda made: made.reasoning)
    refused(TracingError, program.graph, "no field 'reasoning'", "only the module ChainOfThought makes it")


def test_a_metric_that_reads_what_only_some_modules_make_is_refused(refused: Refused) -> None:
    graph = Two(both(), fp.modules.Predict(Repair), lambda made: made.reply).graph()
    refused(ProgramError, lambda: graph.resolve("first.reasoning"), "'first.reasoning'", "only the module")


def test_an_output_without_a_passthrough_cannot_be_read(refused: Refused) -> None:
    class Notes(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.repair = optional(reply="draft")

        def forward(self, message: str) -> Any:
            return {"note": self.repair(message=message, draft=message).note}

    refused(TracingError, Notes().graph, "no field 'note'", "Name in passthrough= the input")


def test_outputs_that_nobody_names_are_those_that_can_be_read() -> None:
    graph = fp.ProgramGraph()
    graph.add("repair", optional(reply="draft"))
    graph.connect("message", "repair.message")
    graph.connect("text", "repair.draft")
    graph.validate()
    assert list(graph.outputs) == ["reply"]


def test_what_is_passed_on_must_be_fed_with_the_outputs_type(refused: Refused) -> None:
    class Team(fp.Signature):
        """Name the team."""

        message: str = fp.InputField()
        draft: str = fp.InputField()
        team: Literal["a", "b"] = fp.OutputField()

    graph = fp.ProgramGraph()
    graph.add("again", fp.modules.Optional(fp.modules.Predict(Team), passthrough={"team": "draft"}))
    graph.connect("message", "again.message")
    graph.inputs["text"] = fp.ProgramGraph(inputs={"text": str}).inputs["text"]
    graph.connect("text", "again.draft")
    refused(ProgramError, graph.validate, "cannot pass 'draft' on as 'team'", "Literal['a', 'b']", "found str")


@pytest.mark.parametrize(
    ("choice", "parts"),
    [
        (fp.Choice(3, "many"), ("the constant of look.k", "wrong type", "'many'")),
        (fp.Choice(3, 5, 3), ("offers a value twice", "3")),
        (fp.Choice(3, 3.0), ("offers a value twice", "3")),
    ],
)
def test_constants_to_choose_from_are_checked(choice: fp.Choice, parts: tuple[str, ...], refused: Refused) -> None:
    def look(message: str, k: int = 1) -> str:
        return message * k

    graph = fp.ProgramGraph()
    refused(
        ProgramError, lambda: graph.add("look", fp.modules.Function(look, outputs={"found": str}), k=choice), *parts
    )


def test_a_choice_on_one_side_of_a_guard_is_refused(refused: Refused) -> None:
    class Guarded(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.check = fp.modules.Predict("message -> ok: bool")
            self.answer = fp.modules.Predict("message, tone -> reply")

        def forward(self, message: str) -> Any:
            ok = self.check(message=message).ok
            return {"reply": self.answer(message=message, tone=fp.when(ok, "dry", fp.Choice("kind", "warm"))).reply}

    refused(ProgramError, Guarded().graph, "answer.tone is a Choice on one side of a guard", "a whole input")


def test_constants_to_choose_from_get_their_fields_type() -> None:
    def look(message: str, k: int = 1) -> str:
        return message * k

    graph = fp.ProgramGraph()
    graph.add("look", fp.modules.Function(look, outputs={"found": str}), k=fp.Choice("3", 5.0))
    source: Any = graph.nodes["look"].sources["k"]
    assert (source.value, source.others) == (3, (5,))
