"""Branches that a symbolic value cannot report itself are found in the source of ``forward``."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from typing import Any

import pytest

import fusionprog as fp
from fusionprog.errors import FusionProgError, TracingError

Refused = Callable[..., FusionProgError]


class Base(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.write = fp.modules.Predict("text -> summary")
        self.search: Any = None
        self.flags: dict[str, Any] = {}


class AsksIsNone(Base):
    def forward(self, text: str, hint: str | None = None) -> Any:
        if hint is None:  # here
            hint = "none"
        return self.write(text=text)


class AsksIsNotNone(Base):
    def forward(self, text: str) -> Any:
        """Its texts

            may stand
        anywhere.
        """
        pattern = """
left of the method
"""
        made = self.write(text=text)
        if None is not made.summary:  # here
            return made
        return pattern


class AsksIsInstance(Base):
    def forward(self, text: str) -> Any:
        summary: Any = self.write(text=text).summary
        return summary if isinstance(summary, str) else None  # here


class AsksType(Base):
    def forward(self, *, text: str) -> Any:
        kinds = [type(text)]  # here
        return self.write(text=kinds)


class AsksCallable(Base):
    def forward(self, text: str) -> Any:
        return self.write(text=text) if not callable(text) else None  # here


class AsksInAWalrus(Base):
    def forward(self, text: str) -> Any:
        if (made := self.write(text=text)) and made.summary is not None:  # here
            return made
        return text


class AsksAfterUnpacking(Base):
    def forward(self, text: str) -> Any:
        (one, *_), other = [self.write(text=text).summary, 1], None
        return one if one is other else text  # here


class AsksInALoop(Base):
    def forward(self, text: str, more: str) -> Any:
        for each in (text, more):
            if each is None:  # here
                break
        return self.write(text=text)


class AsksInAComprehension(Base):
    def forward(self, text: str, more: str) -> Any:
        given = [each for each in (text, more) if each is not None]  # here
        return self.write(text=given[0])


class AsksInALambda(Base):
    def forward(self, text: str) -> Any:
        choose: Any = lambda: text is None  # here  # noqa: E731
        return self.write(text="a" if choose() else "b")


class Matches(Base):
    def forward(self, text: str) -> Any:
        match self.write(text=text).summary:  # here
            case None:
                return text
        return self.write(text=text)


class AsksOnItsSecondLine(Base):
    def forward(
        self,
        text: str,
    ) -> Any:
        return (
            text
            if self.write(text=text).summary is None  # here
            else self.write(text=text)
        )


def decorate(forward: Callable[..., Any]) -> Callable[..., Any]:
    return forward


class AsksDecorated(Base):
    @decorate
    @decorate
    def forward(self, text: str) -> Any:
        assert text is not None  # here
        return self.write(text=text)


FINDS = [
    (AsksIsNone, "hint is None"),
    (AsksIsNotNone, "None is not made.summary"),
    (AsksIsInstance, "isinstance(summary, str)"),
    (AsksType, "type(text)"),
    (AsksCallable, "callable(text)"),
    (AsksInAWalrus, "made.summary is not None"),
    (AsksAfterUnpacking, "one is other"),
    (AsksInALoop, "each is None"),
    (AsksInAComprehension, "each is not None"),
    (AsksInALambda, "text is None"),
    (Matches, "match self.write(text=text).summary"),
    (AsksOnItsSecondLine, "self.write(text=text).summary is None"),
    (AsksDecorated, "text is not None"),
]


@pytest.mark.parametrize(("cls", "asked"), FINDS)
def test_the_line_is_named(cls: type[Base], asked: str, refused: Refused) -> None:
    lines, first = inspect.getsourcelines(cls)
    line = next(first + index for index, text in enumerate(lines) if "# here" in text)

    refused(
        TracingError,
        cls().graph,
        f"{cls.__name__}.forward(), line {line}, asks {asked!r} of a symbolic value",
        "the answer would be the same in every call",
        "fusionprog.modules.Function",
    )


def kept(value: Any) -> Any:
    return value


class AsksTheProgram(Base):
    def forward(self, text: str) -> Any:
        self.kept = text
        self.flags["text"] = text
        made, nothing = kept(self.write(text=kept(text))), None
        if self.search is not None or nothing is not None or not isinstance(self.write, fp.modules.Predict):
            raise AssertionError
        for step in [self.write]:
            if step is not self.write:
                raise AssertionError
        return made if type(self) is AsksTheProgram and callable(self.write) else None


def test_questions_about_the_program_are_allowed() -> None:
    assert list(AsksTheProgram().graph().nodes) == ["write"]


def test_a_source_that_cannot_be_read_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(subject: Any) -> Any:
        raise OSError("could not get source code")

    monkeypatch.setattr(inspect, "getsourcelines", gone)

    assert list(AsksIsNone().graph().nodes) == ["write"]


def test_a_forward_that_is_a_lambda_is_checked_no_further() -> None:
    class Short(Base):
        forward: Any = lambda self, text: self.write(text=text)

    assert list(Short().graph().nodes) == ["write"]


def test_a_program_at_the_left_margin_is_checked(refused: Refused) -> None:
    source = "def forward(self, text):\n    return self.write(text=text) if text is None else text\n"
    name = "<typed in>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    found: dict[str, Any] = {}
    exec(compile(source, name, "exec"), found)
    typed_in = type("TypedIn", (Base,), {"forward": found["forward"]})

    try:
        refused(TracingError, typed_in().graph, "forward(), line 2, asks 'text is None'")
    finally:
        del linecache.cache[name]
