"""Rows: from lists, DSPy's examples, JSONL and CSV, and every way in which a file can be wrong."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusionprog as fp
from fusionprog.errors import DataError, FusionProgError
from fusionprog.program.data import Row, read_rows

Refused = Callable[..., FusionProgError]
WHERE = "task 'shop', train"
ROWS = [{"message": "Where is it?", "team": "delivery"}, {"message": "Zu teuer!", "team": "billing"}]


def columns(source: Any) -> list[dict[str, Any]]:
    return [dict(row.columns) for row in read_rows(source, WHERE)]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


Write = Callable[[str, str | bytes], Path]


# Lists


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        tuple(ROWS),
        iter(ROWS),
        [dspy.Example(**row) for row in ROWS],
        [dspy.Example(**row).with_inputs("message") for row in ROWS],
        [ROWS[0], dspy.Example(**ROWS[1])],
    ],
)
def test_lists_of_dicts_and_examples_are_rows(source: Any) -> None:
    assert columns(source) == ROWS


def test_a_row_is_a_copy() -> None:
    mine = dict(ROWS[0])
    (row,) = read_rows([mine], WHERE)
    mine["team"] = "changed"

    assert row.columns["team"] == "delivery"


def test_equal_rows_are_one_example_everywhere() -> None:
    (one,) = read_rows([{"team": "a", "message": "hi"}], WHERE)
    (two,) = read_rows([dspy.Example(message="hi", team="a")], WHERE)
    (other,) = read_rows([{"team": "b", "message": "hi"}], WHERE)

    assert one.id == two.id == "410e66a083fa90d1d67a7c4c8a097f2c"
    assert other.id != one.id


def test_metrics_get_a_row_as_an_example() -> None:
    example = Row({"message": "hi", "base": "b", "self": 1}).example

    assert isinstance(example, dspy.Example)
    assert (example.message, example["base"], example["self"]) == ("hi", "b", 1)


def test_a_list_without_rows_is_empty() -> None:
    assert read_rows([], WHERE) == ()


@pytest.mark.parametrize("source", [ROWS[0], dspy.Example(**ROWS[0]), 5, None])
def test_what_is_no_list_of_rows_is_refused(source: Any, refused: Refused) -> None:
    refused(DataError, lambda: columns(source), WHERE, "holds no rows", "a list of dicts", type(source).__name__)


@pytest.mark.parametrize("entry", ["text", 5, None, ["a"]])
def test_an_entry_that_is_no_row_is_named(entry: Any, refused: Refused) -> None:
    refused(
        DataError, lambda: columns([ROWS[0], entry]), f"{WHERE}, row 1 is no row", type(entry).__name__, "list of dicts"
    )


def test_column_names_are_text(refused: Refused) -> None:
    with pytest.raises(DataError, match=r"row 0: column names must be text: found \['message', 5\]"):
        columns([{"message": "hi", 5: "a"}])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"\xff", "\ud800"])
def test_a_value_that_cannot_be_kept_is_named_by_its_row(value: Any, refused: Refused) -> None:
    refused(
        DataError,
        lambda: columns([ROWS[0], {"message": value}]),
        f"{WHERE}, row 1 holds a value that cannot be kept in JSON",
        "no column where a value is missing",
    )


def test_values_may_be_of_any_type_that_json_can_hold() -> None:
    row = {"day": datetime.date(2026, 1, 2), "tags": ["a"], "price": 1.5, "none": None, "sure": True}

    assert columns([row]) == [row]


# Files


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson", "ROWS.JSONL"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n \n"])
def test_jsonl(name: str, ending: str, file: Write) -> None:
    path = file(name, ending.join(json.dumps(row, ensure_ascii=False) for row in ROWS) + ending)

    assert columns(path) == ROWS
    assert columns(str(path)) == ROWS


def test_jsonl_keeps_types(file: Write) -> None:
    row = {"n": 1, "x": 1.5, "sure": True, "none": None, "tags": ["a"], "deep": {"k": [1]}}

    assert columns(file("rows.jsonl", json.dumps(row))) == [row]


def test_jsonl_lines_end_at_line_breaks_only(file: Write) -> None:
    text = "one\u2028two\x85three\x0cfour"

    assert columns(file("rows.jsonl", json.dumps({"m": text}, ensure_ascii=False))) == [{"m": text}]


@pytest.mark.parametrize("name", ["rows.csv", "Rows.CSV"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_csv(name: str, ending: str, file: Write) -> None:
    path = file(name, ending.join(["message,team", "Where is it?,delivery", "", "Zu teuer!,billing", ""]))

    assert columns(path) == ROWS


def test_csv_fields_may_hold_commas_quotes_and_line_breaks(file: Write) -> None:
    text = 'message,team\r\n"two\nlines, and ""more""\r\nthree",a\r\n"",b\r\n'

    assert columns(file("rows.csv", text)) == [
        {"message": 'two\nlines, and "more"\r\nthree', "team": "a"},
        {"message": "", "team": "b"},
    ]


def test_csv_lines_end_at_line_breaks_only(file: Write) -> None:
    text = "one\u2028two\x85three\x0cfour\x1dfive"

    assert columns(file("rows.csv", f"message,team\n{text},a\n")) == [{"message": text, "team": "a"}]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(st.characters(codec="utf-8"))), max_size=4))
def test_what_json_writes_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())

    assert columns(path) == rows


@pytest.mark.parametrize(("name", "text"), [("r.jsonl", '{"message": "hi"}'), ("r.csv", "message\nhi\n")])
def test_a_byte_order_mark_is_no_part_of_the_data(name: str, text: str, file: Write) -> None:
    assert columns(file(name, b"\xef\xbb\xbf" + text.encode())) == [{"message": "hi"}]


@pytest.mark.parametrize(("name", "text"), [("r.jsonl", ""), ("r.jsonl", "\n \n"), ("r.csv", ""), ("r.csv", "a,b\n")])
def test_a_file_without_rows_is_empty(name: str, text: str, file: Write) -> None:
    assert columns(file(name, text)) == []


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.csv"])
def test_a_missing_file_is_named_with_where_it_was_looked_for(name: str, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / name
    refused(DataError, lambda: columns(path), WHERE, repr(str(path)), "there is no file", os.getcwd(), "__file__")


@pytest.mark.parametrize("name", ["rows.json", "rows.tsv", "rows.parquet", "rows", "rows.csv.gz"])
def test_other_kinds_of_files_are_refused_before_they_are_read(name: str, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1")

    refused(DataError, lambda: columns(tmp_path / name), WHERE, name, ".jsonl, .ndjson, .csv", "list of dicts")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
@pytest.mark.parametrize("content", ["zurück".encode("latin-1"), "message\nhi".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_named(name: str, content: bytes, file: Write, refused: Refused) -> None:
    refused(DataError, lambda: columns(file(name, content)), WHERE, name, "no UTF-8", "Save it as UTF-8")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()

    with pytest.raises(DataError, match=r"rows\.csv' cannot be read"):
        columns(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    "line", ['{"message": "hi"', "{'message': 'hi'}", "message", '{"a": 1} {"a": 2}', "[" * 100000]
)
def test_a_line_that_is_no_json_is_named(line: str, file: Write, refused: Refused) -> None:
    path = file("rows.jsonl", '{"message": "hi"}\n\n' + line + '\n{"message": "hi"}\n')

    refused(DataError, lambda: columns(path), WHERE, "rows.jsonl', line 3 is no JSON", "one JSON object a line")


@pytest.mark.parametrize("line", ["[1]", '"text"', "5", "null"])
def test_a_line_that_is_no_object_is_named(line: str, file: Write, refused: Refused) -> None:
    path = file("rows.jsonl", '{"message": "hi"}\n' + line)

    refused(
        DataError, lambda: columns(path), WHERE, "line 2 is no row", "a JSON object", type(json.loads(line)).__name__
    )


def test_a_number_that_json_does_not_have_is_named_by_its_line(file: Write, refused: Refused) -> None:
    path = file("rows.jsonl", '{"x": 1}\n{"x": NaN}\n')

    refused(DataError, lambda: columns(path), WHERE, "line 2 holds a value that cannot be kept in JSON")


@pytest.mark.parametrize(("line", "count"), [("only one", 1), ("one,two,three", 3), ("one,two,", 3)])
def test_a_csv_line_with_other_columns_is_named(line: str, count: int, file: Write, refused: Refused) -> None:
    path = file("rows.csv", f'message,team\n"two\nlines",a\n{line}\nhi,b\n')

    refused(
        DataError,
        lambda: columns(path),
        WHERE,
        "rows.csv', line 4 does not have the header's columns",
        f"expected 2 fields, found {count}",
        "quotes",
    )


@pytest.mark.parametrize("line", ['"quoted"text,a', '"never closed,a'])
def test_a_csv_line_with_wrong_quotes_is_named(line: str, file: Write, refused: Refused) -> None:
    refused(DataError, lambda: columns(file("rows.csv", f"message,team\n{line}")), WHERE, "line 2 is no CSV", ".jsonl")


def test_a_csv_field_that_is_too_long_says_so(file: Write, refused: Refused) -> None:
    path = file("rows.csv", f"message\n{'x' * 200_000}\n")

    refused(DataError, lambda: columns(path), WHERE, "field larger than field limit", ".jsonl")


def test_two_csv_columns_of_one_name_are_refused(file: Write, refused: Refused) -> None:
    refused(DataError, lambda: columns(file("rows.csv", "team,message,team\na,b,c\n")), WHERE, "two columns", "'team'")


# Tasks


def test_a_task_reads_its_splits_from_paths_and_lists(file: Write) -> None:
    task = fp.Task(
        "shop",
        train=file("train.jsonl", json.dumps(ROWS[0])),
        val=str(file("val.csv", "message,team\nWhere is it?,delivery\n")),
        test=[dspy.Example(**ROWS[0])],
        metric=fp.metrics.exact_match("team"),
    )

    assert {split: [row.columns for row in rows] for split, rows in task.rows.items()} == {
        "train": ROWS[:1],
        "val": ROWS[:1],
        "test": ROWS[:1],
    }
    assert len({row.id for rows in task.rows.values() for row in rows}) == 1


def test_a_task_reads_its_splits_once(file: Write) -> None:
    path = file("train.jsonl", json.dumps(ROWS[0]))
    task = fp.Task("shop", train=path, val=ROWS, metric=fp.metrics.exact_match("team"))
    first = task.rows
    path.unlink()

    assert task.rows is first
    assert len(task.rows["val"]) == 2
    assert task.rows["test"] == ()


def test_what_is_wrong_with_a_split_names_the_task_and_the_split(tmp_path: Path, refused: Refused) -> None:
    task = fp.Task("shop", train=ROWS, val=tmp_path / "val.csv", metric=fp.metrics.exact_match("team"))

    refused(DataError, lambda: task.rows, "task 'shop', val", "there is no file")
