"""What ``forward`` may not do, and how it is told: the line, the value and the way out."""

from __future__ import annotations

import abc
import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, ProgramError, TracingError

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

Refused = Callable[..., FusionProgError]
Predict = fp.modules.Predict


class Doing(fp.Program):
    """Does something with its input, and with a node's field."""

    def __init__(self, action: Callable[..., Any]) -> None:
        super().__init__()
        self.write = Predict("text -> summary")
        self._action = action

    def forward(self, text: str) -> Any:
        summary = self.write(text=text).summary
        self._action(text)
        return summary


class DoingLater(Doing):
    def forward(self, text: str) -> Any:
        summary = self.write(text=text).summary
        self._action(summary)
        return summary


LINE = {cls: cls.forward.__code__.co_firstlineno + 2 for cls in (Doing, DoingLater)}


async def wait_for(value: Any) -> None:
    await value


async def loop_over(value: Any) -> None:
    async for _ in value:
        pass


def enter(value: Any) -> None:
    with value:
        pass


def change(value: Any) -> None:
    value["key"] = 1


def drop(value: Any) -> None:
    del value["key"]


ACTIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (bool, "branches on"),
    "not": (lambda value: not value, "branches on"),
    "and": (lambda value: value and 1, "branches on"),
    "if": (lambda value: 1 if value else 2, "branches on"),
    "==": (lambda value: value == "billing", "compares"),
    "== the other way": (lambda value: "billing" == value, "compares"),
    "!=": (lambda value: value != "billing", "compares"),
    "<": (lambda value: value < 3, "compares"),
    ">=": (lambda value: 3 >= value, "compares"),
    "max": (lambda value: max(value, 3), "compares"),
    "sorted": (lambda value: sorted([value, value]), "compares"),
    "in a list": (lambda value: value in ["billing", "delivery"], "compares"),
    "in a set": (lambda value: value in {"billing"}, "compares"),
    "a key": (lambda value: {value: 1}, "compares"),
    "len": (len, "looks into"),
    "in": (lambda value: "refund" in value, "looks into"),
    "index": (lambda value: value[0], "looks into"),
    "slice": (lambda value: value[:10], "looks into"),
    "iteration": (list, "looks into"),
    "for": (lambda value: [each for each in value], "looks into"),
    "unpacking": (lambda value: print(*value), "looks into"),
    "next": (next, "looks into"),
    "reversed": (reversed, "looks into"),
    "str": (str, "makes text of"),
    "f-string": (lambda value: f"Team: {value}", "makes text of"),
    "f-string with a format": (lambda value: f"{value:>10}", "makes text of"),
    "format": (lambda value: "Team: {}".format(value), "makes text of"),  # noqa: UP032
    "%": (lambda value: "Team: %s" % value, "makes text of"),  # noqa: UP031
    "print": (print, "makes text of"),
    "bytes": (bytes, "makes text of"),
    "a path": (os.fspath, "makes text of"),
    "+": (lambda value: value + "!", "calculates with"),
    "+ the other way": (lambda value: "Team " + value, "calculates with"),
    "a list +": (lambda value: [1] + value, "calculates with"),  # noqa: RUF005
    "sum": (lambda value: sum([value, value]), "calculates with"),
    "*": (lambda value: 2 * value, "calculates with"),
    "-": (lambda value: value - 1, "calculates with"),
    "/": (lambda value: 1 / value, "calculates with"),
    "//": (lambda value: value // 2, "calculates with"),
    "% of a number": (lambda value: value % 2, "calculates with"),
    "**": (lambda value: value**2, "calculates with"),
    "@": (lambda value: value @ value, "calculates with"),
    "divmod": (lambda value: divmod(value, 2), "calculates with"),
    "&": (lambda value: value & 1, "calculates with"),
    "|": (lambda value: {"a": 1} | value, "calculates with"),
    "^": (lambda value: value ^ 1, "calculates with"),
    "<<": (lambda value: value << 1, "calculates with"),
    ">>": (lambda value: 1 >> value, "calculates with"),
    "negation": (lambda value: -value, "calculates with"),
    "plus": (lambda value: +value, "calculates with"),
    "~": (lambda value: ~value, "calculates with"),
    "abs": (abs, "calculates with"),
    "int": (int, "calculates with"),
    "float": (float, "calculates with"),
    "complex": (complex, "calculates with"),
    "round": (round, "calculates with"),
    "floor": (math.floor, "calculates with"),
    "ceil": (math.ceil, "calculates with"),
    "trunc": (math.trunc, "calculates with"),
    "an index": (lambda value: ["a", "b"][value], "calculates with"),
    "range": (range, "calculates with"),
    "an attribute": (lambda value: value.strip(), "reads .strip of"),
    "getattr": (lambda value: getattr(value, "strip", None), "reads .strip of"),
    "hasattr": (lambda value: hasattr(value, "strip"), "reads .strip of"),
    "a call": (lambda value: value(), "calls"),
    "setting an item": (change, "changes"),
    "deleting an item": (drop, "changes"),
    "with": (enter, "enters"),
    "await": (lambda value: asyncio.run(wait_for(value)), "waits for"),
    "async for": (lambda value: asyncio.run(loop_over(value)), "waits for"),
}


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize(("cls", "value"), [(Doing, "text"), (DoingLater, "write.summary")])
def test_a_symbolic_value_can_only_be_passed_on(name: str, cls: type[Doing], value: str, refused: Refused) -> None:
    action, does = ACTIONS[name]

    refused(
        TracingError,
        cls(action).graph,
        f"{cls.__name__}.forward(), line {LINE[cls]}, {does} the symbolic value {value}.",
        "forward() is traced once",
        "fusionprog.modules.Function, which runs in every call",
        "compile fusionprog.from_dspy(module)",
    )


@pytest.mark.parametrize(
    ("action", "found"),
    [
        (lambda value: ", ".join([value]), "TypeError: sequence item 0"),
        (lambda value: setattr(value, "x", 1), "AttributeError"),
        (lambda value: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda value: dict[str, int]()["k"], "KeyError: 'k'"),
        (lambda value: undefined, "NameError"),  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_any_other_failure_of_forward_is_told_with_its_line(action: Any, found: str, refused: Refused) -> None:
    error = refused(
        TracingError,
        Doing(action).graph,
        f"Doing.forward(), line {LINE[Doing]} failed while it was traced",
        found,
        "fusionprog.modules.Function",
    )
    assert type(error.__cause__).__name__ == found.partition(":")[0]


def test_a_name_that_the_program_does_not_have(refused: Refused) -> None:
    class Misspelt(Doing):
        def forward(self, text: str) -> Any:
            return self.wirte(text=text)  # type: ignore[attr-defined]

    line = Misspelt.forward.__code__.co_firstlineno + 1
    refused(TracingError, Misspelt(bool).graph, f"Misspelt.forward(), line {line} failed", "'wirte'")


# Calls of modules


@pytest.mark.parametrize(
    ("body", "kind", "parts"),
    [
        (lambda self, text: self.write(txt=text), ProgramError, ["node 'write'", "'txt'", "Did you mean 'text'?"]),
        (lambda self, text: self.write(), ProgramError, ["nothing feeds write.text", "Pass text="]),
        (lambda self, text: self.write(text), ProgramError, ["Predict was called", "no names", "Write text=..."]),
        (lambda self, text: self.write(text=5), ProgramError, ["write.text", "expected str, found 5"]),
        (lambda self, text: self.write(text=None), ProgramError, ["write.text", "expected str, found None"]),
        (lambda self, text: self.write(text=[text]), TracingError, ["write.text", "made of symbolic", "Function"]),
        (lambda self, text: self.write(text={"a": (text,)}), TracingError, ["write.text", "made of symbolic"]),
        (lambda self, text: self.write(text=f"{text!r}"), TracingError, ["write.text", "made of symbolic"]),
        (lambda self, text: self.write(text=repr(text)), TracingError, ["write.text", "made of symbolic"]),
        (
            lambda self, text: self.write(text=f"Short: {self.write(text=text)}"),
            TracingError,
            ["write_2.text", "made of symbolic", "prediction of node 'write'"],
        ),
        (
            lambda self, text: self.write(text=self.write(text=text)),
            TracingError,
            ["write_2.text is given a whole prediction", "one of its fields", "Write .field behind the call"],
        ),
        (
            lambda self, text: self.write(text=text).sumary,
            TracingError,
            ["node 'write' makes no field 'sumary'", "Did you mean 'summary'?"],
        ),
        (lambda self, text: self.write(text=text)["sumary"], TracingError, ["'sumary'", "Did you mean 'summary'?"]),
        (
            lambda self, text: Predict("text -> summary")(text=text),
            TracingError,
            ["a Predict that the program does not own", "Make it in __init__"],
        ),
        (lambda self, text: self.make("one two")(text=text), ProgramError, ["'dict.one two' is no node name"]),
    ],
)
def test_calls_that_make_no_sound_node(body: Any, kind: Any, parts: list[str], refused: Refused) -> None:
    class Calling(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.write = Predict("text -> summary")
            self.dict: dict[str, Any] = {"one two": Predict("text -> summary")}

        def make(self, name: str) -> Any:
            return self.dict[name]

        def forward(self, text: str) -> Any:
            return body(self, text)

    refused(kind, Calling().graph, *parts)


# Results


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        (lambda self, text: None, ["returns no outputs", "found NoneType"]),
        (lambda self, text: "done", ["returns no outputs", "found 'done'"]),
        (lambda self, text: [text], ["returns no outputs", "[<symbolic text>]"]),
        (lambda self, text: {}, ["returns no outputs", "found {}"]),
        (lambda self, text: {"a": "done"}, ["returns 'done' as 'a'", "a field of a node", "Leave it out"]),
        (lambda self, text: {"a": [text]}, ["returns [<symbolic text>] as 'a'"]),
        (
            lambda self, text: {"a": self.write(text=text)},
            ["returns <symbolic prediction of node 'write'> as 'a'", "Write .field behind the call"],
        ),
    ],
)
def test_forward_returns_only_what_is_made(result: Any, parts: list[str], refused: Refused) -> None:
    class Returning(Doing):
        def forward(self, text: str) -> Any:
            return result(self, text)

    refused(TracingError, Returning(bool).graph, "forward()", *parts)


@pytest.mark.parametrize("name", ["", "write.summary", 5, None])
def test_an_output_has_a_name(name: Any, refused: Refused) -> None:
    class Naming(Doing):
        def forward(self, text: str) -> Any:
            return {name: self.write(text=text).summary}

    refused(ProgramError, Naming(bool).graph, f"{name!r} is no name of an output", "without dots")


def test_a_program_that_calls_nothing(refused: Refused) -> None:
    class Idle(Doing):
        def forward(self, text: str) -> Any:
            return text

    refused(ProgramError, Idle(bool).graph, "program 'Idle' has no nodes", "Call a module in forward()")


def test_an_edge_whose_types_do_not_fit(refused: Refused) -> None:
    class Typed(fp.Program):
        def __init__(self) -> None:
            super().__init__()
            self.split = Predict("text -> parts: list[str]")
            self.write = Predict("text -> summary")

        def forward(self, text: str) -> Any:
            return self.write(text=self.split(text=text).parts)

    refused(ProgramError, Typed().graph, "split.parts does not fit write.text", "expected str, found list[str]")


# Parameters


class NoForward(fp.Program):
    pass


class Starred(Doing):
    def forward(self, *texts: str) -> Any:
        return self.write(text=texts)


class DoubleStarred(Doing):
    def forward(self, text: str, **more: str) -> Any:
        return self.write(text=text)


class PositionalOnly(Doing):
    def forward(self, text: str, /) -> Any:
        return self.write(text=text)


class NoInputs(Doing):
    def forward(self) -> Any:  # type: ignore[override]
        return self.write(text="always")


class Async(Doing):
    async def forward(self, text: str) -> Any:
        return self.write(text=text)


class Yielding(Doing):
    def forward(self, text: str) -> Iterator[Any]:
        yield self.write(text=text)


class UnknownType(Doing):
    def forward(self, text: OnlyForTypeCheckers) -> Any:  # type: ignore[override]
        return self.write(text=text)


class UncheckableType(Doing):
    def forward(self, text: Any, when: AsyncIterator[abc.ABCMeta]) -> Any:  # type: ignore[override]
        return self.write(text=text)


class Described(Doing):
    def forward(self, text: "what the customer wrote") -> Any:  # type: ignore[valid-type]  # noqa: F722
        return self.write(text=text)


class UnkeptDefault(Doing):
    def forward(self, text: str, more: Any = object()) -> Any:  # noqa: B008
        return self.write(text=text)


@pytest.mark.parametrize(
    ("cls", "kind", "parts"),
    [
        (Starred, ProgramError, ["forward() takes '*texts'", "named inputs only", "as its parameters"]),
        (DoubleStarred, ProgramError, ["forward() takes '**more'", "named inputs only"]),
        (PositionalOnly, ProgramError, ["forward() takes 'text', which cannot be given by name"]),
        (NoInputs, ProgramError, ["forward() takes no inputs", "as its parameters"]),
        (Async, TracingError, ["forward() is async", "Write def"]),
        (Yielding, TracingError, ["forward() is async, or yields", "return"]),
        (UnknownType, ProgramError, ["types of forward()'s inputs", "OnlyForTypeCheckers", "Import"]),
        (Described, ProgramError, ["values cannot be checked against the type what the customer wrote"]),
        (UncheckableType, ProgramError, ["values cannot be checked against the type", "AsyncIterator"]),
        (UnkeptDefault, ProgramError, ["the default of the input 'more' cannot be kept in JSON", "plain data"]),
    ],
)
def test_the_parameters_of_forward_are_the_inputs(
    cls: type[Doing], kind: Any, parts: list[str], refused: Refused
) -> None:
    refused(kind, cls(bool).graph, *parts)


def test_a_program_without_forward(refused: Refused) -> None:
    refused(ProgramError, NoForward().graph, "NoForward has no forward()", "Write one")


# Calls outside of a trace


def test_a_module_runs_nothing_outside_of_forward(refused: Refused) -> None:
    refused(
        ProgramError,
        lambda: Predict("text -> summary")(text="hi"),
        "Predict was called outside of a program's forward()",
        "fusionprog.compile(...)",
    )


def test_a_program_runs_nothing_before_it_is_compiled(refused: Refused) -> None:
    refused(ProgramError, lambda: Doing(bool)(text="hi"), "Doing is not compiled yet", "fusionprog.compile(program")


# Nested programs


class Asking(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.write = Predict("text -> summary")

    def forward(self, text: str, hint: Any = None) -> Any:
        if hint is None:
            hint = text
        return {"summary": self.write(text=hint).summary}


class Nothing(fp.Program):
    def forward(self, text: str) -> Any:
        return None


class Nesting(fp.Program):
    def __init__(self, body: Callable[..., Any]) -> None:
        super().__init__()
        self.asking = Asking()
        self.nothing = Nothing()
        self.bare = NoForward()
        self.starred = Starred(bool)
        self._body = body

    def forward(self, text: str) -> Any:
        return self._body(self, text)


@pytest.mark.parametrize(
    ("body", "kind", "parts"),
    [
        (lambda self, text: self.asking(txt=text), ProgramError, ["program 'Asking' has no input 'txt'", "'text'"]),
        (lambda self, text: self.asking(), ProgramError, ["'Asking' is called without its input 'text'", "Pass text="]),
        (lambda self, text: self.asking(text), ProgramError, ["Asking was called with inputs that have no names"]),
        (lambda self, text: self.asking(text=text).sumary, TracingError, ["program 'Asking' makes no field 'sumary'"]),
        (lambda self, text: self.nothing(text=text), TracingError, ["Nothing.forward() returns no outputs"]),
        (lambda self, text: self.bare(text=text), ProgramError, ["NoForward has no forward()"]),
        (lambda self, text: self.starred(text=text), ProgramError, ["forward() takes '*texts'"]),
        (
            lambda self, text: self.asking(text=text, hint=text),
            TracingError,
            [f"Asking.forward(), line {Asking.forward.__code__.co_firstlineno + 1}", "asks 'hint is None'"],
        ),
        (lambda self, text: Asking()(text=text), TracingError, ["a Predict that the program does not own"]),
    ],
)
def test_calls_of_nested_programs(body: Any, kind: Any, parts: list[str], refused: Refused) -> None:
    refused(kind, Nesting(body).graph, *parts)


def test_a_program_that_calls_itself(refused: Refused) -> None:
    class Endless(Asking):
        def forward(self, text: str, hint: Any = None) -> Any:
            return self(text=text)

    refused(TracingError, Endless().graph, "Endless.forward(), line", "RecursionError")
