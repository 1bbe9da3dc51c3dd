"""Rows against the program and each other, before anything is spent."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import DataError, FusionProgError
from fusionprog.program.data import read_rows
from fusionprog.program.data_checks import check_data, check_rows
from fusionprog.program.task import Task, TaskProgram, bind

Refused = Callable[..., FusionProgError]


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Sort(fp.Signature):
    """Sort a message."""

    message: str = fp.InputField()
    day: datetime.date | None = fp.InputField(default=None)
    team: str = fp.OutputField()
    tags: list[str] = fp.OutputField()
    level: Level = fp.OutputField()
    stars: Literal[1, 2, 3] | None = fp.OutputField()


class Sorter(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.sort = fp.modules.Predict(Sort)

    def forward(self, message: str, day: datetime.date | None = None) -> Any:
        return self.sort(message=message, day=day)


LABELS = {"sort.team": ["cards", "loans"], "sort.tags": ["old", "new"]}


def row(message: str, **more: Any) -> dict[str, Any]:
    return {"message": message, "team": "cards", **more}


def task(train: Any = None, val: Any = None, test: Any = None) -> Task:
    return Task(
        "bank",
        train=[row("train")] if train is None else train,
        val=[row("val")] if val is None else val,
        test=test,
        labels=LABELS,
        metric=fp.metrics.exact_match("team"),
    )


def checked(**splits: Any) -> list[str]:
    mine = task(**splits)
    return check_data(bind(Sorter().graph(), mine), mine, iter(["team"]))


@pytest.fixture
def program() -> TaskProgram:
    return bind(Sorter().graph(), task())


# Good data


def test_sound_data_gives_no_warning(desk_program: fp.Program, desk_tasks: list[Task]) -> None:
    graph = desk_program.graph()

    assert [check_data(bind(graph, each), each, ["team"]) for each in desk_tasks] == [[], []]


@pytest.mark.parametrize(
    "more",
    [
        {"tags": ["old", "new"]},
        {"tags": []},
        {"tags": ("old",)},
        {"tags": None},
        {"level": Level.LOW},
        {"level": 2},
        {"stars": 3},
        {"stars": None},
        {"day": "2026-01-02"},
        {"day": datetime.date(2026, 1, 2)},
        {"day": None},
        {"anything": object},
    ],
)
def test_rows_that_fit(more: dict[str, Any]) -> None:
    assert checked(train=[row("a", **more)], val=[row("b", **more)], test=[row("c", **more)]) == []


def test_train_needs_no_gold() -> None:
    assert checked(train=[{"message": "train"}, {"message": "more", "team": None}]) == []


def test_test_may_be_missing_but_not_empty(refused: Refused) -> None:
    assert checked(test=None) == []
    refused(DataError, lambda: checked(test=[]), "task 'bank', test is empty", "at least one row")


# Rows


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_named(split: str, refused: Refused) -> None:
    refused(DataError, lambda: checked(**{split: []}), f"task 'bank', {split} is empty", "at least one row")


def test_a_task_without_data_is_told_so(refused: Refused) -> None:
    bare = Task("bank", metric=fp.metrics.exact_match("team"))

    refused(DataError, lambda: check_data(bind(Sorter().graph(), bare), bare, ["team"]), "task 'bank', train is empty")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_missing_input_is_named_by_its_row(split: str, refused: Refused) -> None:
    refused(
        DataError,
        lambda: checked(**{split: [row("a"), {"team": "cards", "text": "b"}]}),
        f"task 'bank', {split}, row 1 has no column 'message'",
        "columns ['team', 'text']",
        "Add 'message' to the row",
    )


@pytest.mark.parametrize("split", ["val", "test"])
def test_missing_gold_is_named_by_its_row(split: str, refused: Refused) -> None:
    refused(
        DataError,
        lambda: checked(**{split: [row("a"), row("b"), {"message": "c"}]}),
        f"task 'bank', {split}, row 2 has no column 'team'",
        "Add 'team' to the row",
    )


@pytest.mark.parametrize("split", ["val", "test"])
def test_gold_without_a_value_is_named_by_its_row(split: str, refused: Refused) -> None:
    refused(
        DataError,
        lambda: checked(**{split: [row("a"), row("b", team=None)]}),
        f"task 'bank', {split}, row 1 has no value in column 'team'",
        "leave the row out",
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"), [("message", 5, "str"), ("message", None, "str"), ("day", "today", "date")]
)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_wrong_type_is_named_by_its_row(split: str, name: str, value: Any, expected: str, refused: Refused) -> None:
    refused(
        DataError,
        lambda: checked(**{split: [row("a"), {**row("b"), name: value}]}),
        f"task 'bank', {split}, row 1, input {name!r} has the wrong type",
        expected,
        f"found {value!r}",
    )


@pytest.mark.parametrize(
    ("column", "value", "wrong", "advice"),
    [
        ("team", "card", "'card'", "Did you mean 'cards'?"),
        ("team", "fraud", "'fraud'", "Known are 'cards', 'loans'"),
        ("team", 5, "5", "labels="),
        ("tags", ["old", "nwe"], "'nwe'", "Did you mean 'new'?"),
        ("tags", "olds", "'olds'", "Did you mean 'old'?"),
        ("level", 3, "3", "Known are '1', '2'"),
        ("level", "LOW", "'LOW'", "Known are '1', '2'"),
        ("stars", 4, "4", "Known are '1', '2', '3'"),
    ],
)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_label_outside_of_the_label_set(
    split: str, column: str, value: Any, wrong: str, advice: str, refused: Refused
) -> None:
    refused(
        DataError,
        lambda: checked(**{split: [row("a"), {**row("b"), column: value}]}),
        f"task 'bank', {split}, row 1, column {column!r}: {wrong} is no label of this task",
        advice,
        "a task's label set is given by labels=",
    )


def test_a_label_of_another_type_is_told_as_such(refused: Refused) -> None:
    refused(
        DataError,
        lambda: checked(val=[row("a", stars="2")]),
        "row 0, column 'stars': '2' is a label of another type",
        "one of [1, 2, 3]",
        ".csv",
    )


def test_rows_are_checked_as_such(program: TaskProgram, refused: Refused) -> None:
    check_rows(program, read_rows([row("a")], "w"), "--data", ["team"])

    refused(DataError, lambda: check_rows(program, [], "--data", ["team"]), "--data is empty")
    refused(
        DataError,
        lambda: check_rows(program, read_rows([row("a")], "w"), "--data", ["gold"]),
        "--data, row 0 has no column 'gold'",
    )


# Leaks


def test_a_train_row_that_is_in_test_is_refused(refused: Refused) -> None:
    refused(
        DataError,
        lambda: checked(
            train=[row("a"), row("the same"), row("b")], test=[row("x"), row("y"), row("the same", team="loans")]
        ),
        "task 'bank': train row 1 is test row 2, all inputs are equal",
        "Remove it from train",
    )


def test_one_input_that_differs_makes_another_row() -> None:
    same = [row("the same", day="2026-01-01")]

    assert checked(train=same, test=[row("the same", day="2026-01-02")]) == []
    assert checked(train=same, test=[row("the same")]) == []
    with pytest.raises(DataError, match="all inputs are equal"):
        checked(train=same, test=same)


@pytest.mark.parametrize("text", ["where is it?", "Where is  it?", " Where is it?", "Where is it?\n", "Where\nis\tIT?"])
def test_a_row_that_differs_in_case_and_white_space_is_a_warning(text: str) -> None:
    assert checked(train=[row("a"), row(text)], test=[row("x"), row("Where is it?")]) == [
        "task 'bank': train row 1 is test row 1 but for case and white space"
    ]


@pytest.mark.parametrize("text", ["Whereisit?", "Where is it", "Where is it? It"])
def test_a_row_that_differs_in_more_is_no_warning(text: str) -> None:
    assert checked(train=[row(text)], test=[row("Where is it?")]) == []


def test_a_train_row_that_is_in_val_is_a_warning() -> None:
    assert checked(train=[row("a"), row("b")], val=[row("b"), row("c"), row("a", team="loans")]) == [
        "task 'bank': train row 0 is val row 2; demonstrations may show its answer",
        "task 'bank': train row 1 is val row 0; demonstrations may show its answer",
    ]


def test_a_row_may_be_warned_of_twice() -> None:
    warnings = checked(train=[row("a")], val=[row("a")], test=[row("A")])

    assert warnings == [
        "task 'bank': train row 0 is test row 0 but for case and white space",
        "task 'bank': train row 0 is val row 0; demonstrations may show its answer",
    ]


class Nested(fp.Program):
    def __init__(self) -> None:
        super().__init__()
        self.sort = fp.modules.Predict("letters: list[dict[str, str]] -> team")

    def forward(self, letters: list[dict[str, str]]) -> Any:
        return self.sort(letters=letters)


words = st.lists(st.text("abcÄß", min_size=1), min_size=1, max_size=4)
spaces = st.lists(st.sampled_from([" ", "\n", "\t", "  "]), min_size=5, max_size=5)


@settings(deadline=None, max_examples=50)
@given(words, spaces, spaces, st.sampled_from([str.upper, str.lower, str.title, str]))
def test_case_and_white_space_never_hide_a_leak(
    texts: list[str], some: list[str], others: list[str], recase: Callable[[str], str]
) -> None:
    def letter(gaps: list[str]) -> str:
        return gaps[-1] + "".join(f"{text}{gap}" for text, gap in zip(texts, gaps, strict=False))

    one, two = letter(some), recase(letter(others))
    mine = Task(
        "bank",
        train=[{"letters": [{"text": one}]}],
        val=[{"letters": [{"text": "val"}], "team": "a"}],
        test=[{"letters": [{"text": two}], "team": "a"}],
        metric=fp.metrics.exact_match("team"),
    )
    program = bind(Nested().graph(), mine)

    if one == two:
        with pytest.raises(DataError, match="train row 0 is test row 0, all inputs are equal"):
            check_data(program, mine, ["team"])
    else:
        assert check_data(program, mine, ["team"]) == [
            "task 'bank': train row 0 is test row 0 but for case and white space"
        ]
